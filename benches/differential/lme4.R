# Fits generated models with lme4:  Rscript lme4.R CASES.jsonl OUT.jsonl
#
# A line of CASES has name, csv, formula, reml, weights and optionally theta: a point, by names
# ("a:b|x1.(Intercept)"), at which to start and to evaluate the criterion. A line of OUT has
#   default   the result of a plain call of lmer()
#   best      the lowest criterion of nloptwrap and bobyqa at tight tolerances from several starts
#   at        the criterion at the given theta
suppressPackageStartupMessages({library(lme4); library(jsonlite)})
invisible(Sys.setlocale("LC_COLLATE", "C"))
arguments <- commandArgs(TRUE)
cases <- file(arguments[1], "r")
out <- file(arguments[2], "w")

ordered_keys <- function(name) paste(sort(strsplit(name, ":", fixed = TRUE)[[1]]), collapse = ":")

theta_names <- function(re) unlist(lapply(seq_along(re$cnms), function(i) {
  terms <- re$cnms[[i]]
  k <- length(terms)
  level <- ordered_keys(names(re$cnms)[i])
  unlist(lapply(seq_len(k), function(j) sapply(j:k, function(l)
    paste0(level, "|", if (l == j) terms[l] else paste0(terms[l], ".", terms[j])))))
}))

lenient <- lmerControl(check.nobs.vs.rankZ = "ignore", check.nobs.vs.nlev = "ignore", check.nobs.vs.nRE = "ignore",
                       check.nlev.gtr.1 = "ignore", check.conv.singular = "ignore", calc.derivs = FALSE)

described <- function(fit, names) {
  b <- fixef(fit)
  list(criterion = unname(if (isREML(fit)) fit@devcomp$cmp["REML"] else fit@devcomp$cmp["dev"]),
       theta = as.list(setNames(getME(fit, "theta"), names)), beta = as.list(b),
       se = as.list(setNames(sqrt(diag(as.matrix(vcov(fit)))), names(b))), sigma = sigma(fit), singular = isSingular(fit))
}

fitted <- function(case) {
  d <- read.csv(case$csv, na.strings = c("", "NA"), stringsAsFactors = TRUE, check.names = FALSE)
  for (key in intersect(c("a", "b", "c"), names(d))) d[[key]] <- factor(d[[key]])
  f <- as.formula(case$formula)
  answer <- list(name = case$name)
  said <- character()
  call <- list(f, data = d, REML = case$reml)
  if (!is.null(case$weights)) call$weights <- d[[case$weights]]
  default <- withCallingHandlers(tryCatch(do.call(lmer, call), error = function(e) e),
    warning = function(w) { said <<- c(said, conditionMessage(w)); invokeRestart("muffleWarning") },
    message = function(m) { said <<- c(said, conditionMessage(m)); invokeRestart("muffleMessage") })
  answer$said <- as.list(said)
  suppressWarnings(suppressMessages(tryCatch({
    parsed <- do.call(lFormula, c(call, list(control = lenient)))
    names <- theta_names(parsed$reTrms)
    answer$coefficients <- as.list(colnames(parsed$X))
    answer$default <- if (inherits(default, "error")) list(error = conditionMessage(default)) else described(default, names)
    criterion <- do.call(mkLmerDevfun, c(parsed, list(control = lenient)))
    safely <- function(theta) { v <- tryCatch(criterion(theta), error = function(e) NA); if (is.finite(v)) v else 1e300 }
    lower <- parsed$reTrms$lower
    starts <- list(parsed$reTrms$theta)
    if (!is.null(case$theta)) {
      given <- unlist(case$theta)[names]
      if (!anyNA(given)) {
        answer$at <- safely(unname(given))
        starts <- c(starts, list(unname(pmax(given, lower))))
      }
    }
    if (!inherits(default, "error")) starts <- c(starts, list(unname(getME(default, "theta"))))
    set.seed(case$seed)
    for (i in 1:2) starts <- c(starts, list(ifelse(lower == 0, exp(rnorm(length(lower), 0, 1.5)), rnorm(length(lower)))))
    best <- list(criterion = Inf)
    for (start in starts) {
      for (route in c("nloptwrap", "bobyqa")) {
        opt <- tryCatch(if (route == "nloptwrap")
            nloptwrap(start, safely, lower, rep(Inf, length(lower)), list(xtol_abs = 1e-12, ftol_abs = 1e-12, maxeval = 5000))
          else minqa::bobyqa(start, safely, lower, control = list(rhoend = 1e-9, maxfun = 5000)),
          error = function(e) NULL)
        if (!is.null(opt) && opt$fval < best$criterion) best <- list(criterion = opt$fval, theta = opt$par, opt = opt)
      }
    }
    if (is.finite(best$criterion) && best$criterion < 1e299) {
      safely(best$theta)
      fit <- mkMerMod(environment(criterion), list(par = best$theta, fval = best$criterion, conv = 0, feval = 0), parsed$reTrms, fr = parsed$fr)
      answer$best <- described(fit, names)
      answer$best$criterion <- best$criterion
    }
    answer
  }, error = function(e) {
    answer$error <- conditionMessage(e)
    if (inherits(default, "error")) answer$default <- list(error = conditionMessage(default))
    answer
  })))
}

while (length(line <- readLines(cases, 1)) > 0) {
  case <- fromJSON(line, simplifyVector = TRUE)
  case$theta <- as.list(case$theta)
  if (length(case$theta) == 0) case$theta <- NULL
  started <- proc.time()[["elapsed"]]
  answer <- fitted(case)
  answer$seconds <- proc.time()[["elapsed"]] - started
  writeLines(toJSON(answer, digits = NA, auto_unbox = TRUE, null = "null"), out)
  flush(out)
}
