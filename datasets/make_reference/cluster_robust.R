# Computes cluster-robust covariances of the fixed effects (CR0, CR1, CR2 of clubSandwich; the clusters
# are the groups of the outermost factor) and their Satterthwaite degrees of freedom for the REML fits
# of reference files, and writes them to FILE.cr. The fit is lme4's, at the theta in the file.
#   Rscript cluster_robust.R CSV_DIR REFERENCE.json ...
suppressMessages({ library(lme4); library(clubSandwich); library(jsonlite) })
invisible(Sys.setlocale("LC_COLLATE", "C"))
a <- commandArgs(trailingOnly = TRUE)
for (file in a[-1]) {
  ref <- read_json(file)
  name <- sub("\\.parquet$", "", ref$dataset)
  types <- read.table(file.path(a[1], paste0(name, ".types")), sep = "\t", stringsAsFactors = FALSE)
  cls <- c(int64 = "integer", double = "numeric", string = "character")[types$V2]
  dat <- read.csv(file.path(a[1], paste0(name, ".csv")), colClasses = unname(cls), na.strings = "", check.names = FALSE)
  formula <- as.formula(ref$formula)
  dat <- dat[complete.cases(dat[, all.vars(formula)]), ]
  theta <- unlist(ref$fits$REML$theta)
  # No optimisation: the criterion is only evaluated at the theta of the reference.
  stay <- function(fn, par, lower, upper, control = list(), ...)
    list(par = theta, fval = fn(theta), conv = 0, convergence = 0, message = "", feval = 1)
  assign("stay", stay, envir = globalenv())
  fit <- lmer(formula, dat, control = lmerControl(optimizer = "stay", calc.derivs = FALSE, check.conv.grad = "ignore",
              check.conv.hess = "ignore", check.conv.singular = "ignore"))
  stopifnot(abs(REMLcrit(fit) - ref$fits$REML$criterion) < 1e-6)
  flist <- getME(fit, "flist")
  outer <- names(which.min(sapply(flist, nlevels)))
  cluster <- flist[[outer]]
  kinds <- c("CR0", "CR1", "CR2")
  v <- lapply(setNames(kinds, kinds), function(k) vcovCR(fit, cluster = cluster, type = k))
  plain <- function(m) { m <- as.matrix(m); attributes(m) <- list(dim = dim(m)); m }
  ref$fits$REML$cluster_robust <- list(
    cluster = outer,
    software = paste("clubSandwich", packageVersion("clubSandwich")),
    vcov = lapply(v, plain),
    df = lapply(v, function(m) I(unname(coef_test(fit, vcov = m, test = "Satterthwaite")$df_Satt))))
  out <- toJSON(ref$fits$REML$cluster_robust, auto_unbox = TRUE, digits = I(17), matrix = "rowmajor")
  writeLines(out, paste0(file, ".cr"))
  cat(file, outer, nlevels(cluster), "clusters\n")
}
