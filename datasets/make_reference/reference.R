# Reference values of the models on the data in this repository.
#   python export_csv.py PARQUET_DIR CSV_DIR          (all parquet files in one folder)
#   Rscript reference.R CSV_DIR OUT_DIR [MODEL ...]
here <- dirname(sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE)[1]))
source(file.path(here, "oracle_lib.R"))
models <- list(
  Chem97 = list(dataset = "chem97", formula = score ~ gcsescore + gender + age + (1 | lea/school),
    note = "A-level chemistry 1997: students in schools in local education authorities"),
  egsingle = list(dataset = "egsingle", formula = math ~ year * size + female + (1 + year | childid) + (1 | schoolid),
    note = "growth model; badly scaled covariate (size) on purpose"),
  egsingle_slopes = list(dataset = "egsingle", formula = math ~ year + black + hispanic + lowinc + (1 + year | childid) + (1 + year | schoolid),
    note = "growth model with random slopes at two levels"),
  sleepstudy = list(dataset = "sleepstudy", formula = Reaction ~ Days + (Days | Subject), kr = TRUE,
    note = "correlated random intercept and slope"),
  sleepstudy_diag = list(dataset = "sleepstudy", formula = Reaction ~ Days + (Days || Subject), kr = TRUE,
    note = "uncorrelated random intercept and slope"),
  Pastes = list(dataset = "pastes", formula = strength ~ 1 + (1 | batch/cask), kr = TRUE,
    note = "nested factors; cask labels reused in every batch"),
  Dyestuff = list(dataset = "dyestuff", formula = Yield ~ 1 + (1 | Batch), kr = TRUE, note = "one-way random effects"),
  Dyestuff2 = list(dataset = "dyestuff2", formula = Yield ~ 1 + (1 | Batch), kr = TRUE,
    note = "singular fit: batch variance is exactly zero"),
  Exam = list(dataset = "exam", formula = normexam ~ standLRT + (standLRT | school), kr = TRUE,
    note = "65 London schools, random slope of the reading test"),
  Exam_factor = list(dataset = "exam", formula = normexam ~ standLRT * sex + schgend + vr + (standLRT | school),
    note = "string covariates; reference level is the first in byte order"),
  Hsb82 = list(dataset = "hsb82", formula = mAch ~ meanses * cses + sector * cses + (cses | school),
    note = "High School and Beyond, intercepts-and-slopes-as-outcomes model; nearly singular slope variance"),
  smoking_simulated = list(dataset = "smoking_simulated", formula = THK ~ PTHK + SC + TV + (1 | school/class), kr = TRUE,
    note = "SIMULATED data of the shape of the smoking prevention study: students in classes in schools"),
  unbalanced = list(dataset = "unbalanced_simulated", formula = y ~ x1 + x2 + (1 | mid) + (1 + x1 | top), kr = TRUE,
    note = "SIMULATED data: small unbalanced nest with groups of one"),
  unbalanced_weighted = list(dataset = "unbalanced_simulated", formula = y ~ x1 + x2 + (1 | mid) + (1 + x1 | top), weights = "w",
    note = "SIMULATED data: small unbalanced nest with groups of one and weights")
)
main(models)
