# Reference values of predictions for new rows, with their errors.
#   python export_csv.py PARQUET_DIR CSV_DIR          (all parquet files in one folder)
#   Rscript predictions.R CSV_DIR OUT.json
# The predictions are those of lme4's predict(). This version of lme4 does not compute prediction error
# variances, so they are computed here by the BLUP formulas, with V formed explicitly, at lme4's estimates.
suppressMessages({library(lme4); library(Matrix); library(jsonlite)})
arguments <- commandArgs(TRUE)
read <- function(name) read.csv(file.path(arguments[1], paste0(name, ".csv")), stringsAsFactors = FALSE)
control <- lmerControl(optimizer = "nloptwrap", calc.derivs = FALSE, check.nobs.vs.nRE = "ignore",
  optCtrl = list(xtol_abs = 1e-12, ftol_abs = 1e-12, xtol_rel = 0, ftol_rel = 0, maxeval = 100000))

cases <- list(
  sleepstudy = list(dataset = "sleepstudy", formula = Reaction ~ Days + (Days | Subject),
    new = data.frame(Days = c(0, 3.5, 9, 12, 10), Subject = c(308, 309, 372, 372, 999))),
  pastes = list(dataset = "pastes", formula = strength ~ 1 + (1 | batch/cask),
    new = data.frame(batch = c("A", "A", "E", "Z", "J"), cask = c("a", "x", "b", "a", "c"))),
  egsingle = list(dataset = "egsingle",
    formula = math ~ year + female + lowinc + (1 + year | childid) + (1 + year | schoolid),
    new = data.frame(year = c(0.5, 2.5, -1.5, 1.5, 0), female = c("Female", "Male", "Male", "Female", "Male"),
      lowinc = c(40.3, 40.3, 80, 12.5, 60), childid = c(273026452, 7, 273030991, 8, 273059461),
      schoolid = c(2020, 2020, 2040, 1, 2180))))

# Variance of x'b^ + z'b^ - (x'b + z'b), and of a new response, over the terms in `wanted`.
errors <- function(m, new, x, wanted) {
  s2 <- sigma(m)^2
  V <- Diagonal(nobs(m)) + crossprod(getME(m, "Lambdat") %*% getME(m, "Zt"))
  X <- getME(m, "X")
  XVX <- as.matrix(crossprod(X, solve(V, X)))
  terms <- names(getME(m, "cnms"))
  t(sapply(seq_len(nrow(new)), function(i) {
    c0 <- numeric(nobs(m)); mean_variance <- 0; left_out <- 0
    for (k in seq_along(terms)) {
      names_k <- getME(m, "cnms")[[k]]
      z <- sapply(names_k, function(n) if (n == "(Intercept)") 1 else new[[n]][i])
      G <- as.matrix(VarCorr(m)[[terms[k]]]) / s2
      own <- drop(t(z) %*% G %*% z)
      if (!(terms[k] %in% wanted)) { left_out <- left_out + own; next }
      mean_variance <- mean_variance + own
      factors <- strsplit(terms[k], ":")[[1]]
      id <- paste(sapply(factors, function(f) as.character(new[[f]][i])), collapse = ":")
      rows <- which(as.character(getME(m, "flist")[[terms[k]]]) == id)
      if (length(rows)) {
        Zk <- sapply(names_k, function(n) if (n == "(Intercept)") rep(1, length(rows)) else model.frame(m)[[n]][rows])
        c0[rows] <- c0[rows] + drop(matrix(Zk, length(rows)) %*% G %*% z)
      }
    }
    vc <- as.numeric(solve(V, c0))
    d <- x[i, ] - drop(crossprod(X, vc))
    variance <- mean_variance - sum(c0 * vc) + drop(d %*% solve(XVX, d))
    c(sqrt(s2 * variance), sqrt(s2 * (variance + left_out + 1)))
  }))
}

out <- lapply(cases, function(case) {
  data <- read(case$dataset)
  for (f in intersect(c("Subject", "batch", "cask", "childid", "schoolid"), names(data))) data[[f]] <- factor(data[[f]])
  m <- lmer(case$formula, data, REML = TRUE, control = control)
  new <- case$new
  for (f in intersect(names(new), names(data))) if (is.factor(data[[f]])) new[[f]] <- factor(new[[f]])
  rhs <- delete.response(terms(nobars(case$formula)))
  x <- model.matrix(rhs, new, xlev = lapply(Filter(is.character, data), function(v) sort(unique(v))))
  levels <- names(getME(m, "cnms"))             # finest first
  sets <- list(all = levels, coarsest = levels[length(levels)], population = character())
  of_set <- function(wanted) {
    form <- if (length(wanted) == length(levels)) NULL else if (!length(wanted)) NA else
      as.formula(paste("~", paste(sapply(findbars(case$formula), function(b) if (deparse(b[[3]]) %in% wanted)
        paste0("(", deparse(b), ")") else NULL) |> unlist(), collapse = " + ")))
    value <- predict(m, new, re.form = form, allow.new.levels = TRUE)
    e <- errors(m, new, x, wanted)
    list(prediction = unname(value), std_error = e[, 1], response_error = e[, 2])
  }
  list(dataset = case$dataset, formula = paste(deparse(case$formula), collapse = " "), coarsest = levels[length(levels)],
    new = as.list(case$new), sets = lapply(sets, of_set))
})
write(toJSON(out, digits = NA, auto_unbox = TRUE, pretty = TRUE), arguments[2])
