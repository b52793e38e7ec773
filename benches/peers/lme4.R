# Fits a CSV file with lme4 or glmmTMB by REML. Prints one line of JSON.
#
#     Rscript lme4.R lme4|glmmTMB FORMULA FILE.csv
arguments <- commandArgs(trailingOnly = TRUE)
package <- arguments[1]
formula <- as.formula(arguments[2])

start <- proc.time()[["elapsed"]]
if (requireNamespace("data.table", quietly = TRUE)) {
  rows <- data.table::fread(arguments[3], stringsAsFactors = TRUE, data.table = FALSE)
} else {
  rows <- read.csv(arguments[3], stringsAsFactors = TRUE)
}
read <- proc.time()[["elapsed"]]

if (package == "lme4") {
  suppressPackageStartupMessages(library(lme4))
  # The derivatives are only used for a check at the end, and take as long as the fit.
  fit <- lmer(formula, rows, REML = TRUE, control = lmerControl(calc.derivs = FALSE))
  criterion <- REMLcrit(fit)
  converged <- fit@optinfo$conv$opt == 0
} else {
  suppressPackageStartupMessages(library(glmmTMB))
  fit <- glmmTMB(formula, rows, REML = TRUE)
  criterion <- -2 * as.numeric(logLik(fit))
  converged <- fit$fit$convergence == 0
}
end <- proc.time()[["elapsed"]]
cat(sprintf(
  '{"criterion": %.10f, "converged": %s, "read_seconds": %.3f, "fit_seconds": %.3f}\n',
  criterion, tolower(converged), read - start, end - read
))
