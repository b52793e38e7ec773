# Reference values for the models with crossed random effects.
#   python export_csv.py DATA_DIR CSV_DIR
#   Rscript reference_crossed.R CSV_DIR OUT_DIR [MODEL ...]
here <- dirname(sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE)[1]))
source(file.path(here, "oracle_lib.R")); source(file.path(here, "crossed_lib.R"))
models <- list(
  crossed_Machines = list(dataset = "Machines", formula = score ~ 1 + (1 | Worker) + (1 | Machine) + (1 | Worker:Machine), kr = TRUE, tmb = TRUE,
    note = "fully crossed factors and their interaction, replicated"),
  crossed_carrots = list(dataset = "carrots", formula = Preference ~ sens2 + Homesize + (1 + sens2 | Consumer) + (1 | Product), kr = TRUE, tmb = TRUE,
    note = "consumers x products fully crossed, a slope in one of the factors"),
  crossed_carrots_diag = list(dataset = "carrots", formula = Preference ~ sens1 + sens2 + (sens2 || Consumer) + (1 | Product), tmb = TRUE,
    note = "uncorrelated intercept and slope in one crossed factor"),
  crossed_carrots_work = list(dataset = "carrots", formula = Bitter ~ sens1 + sens2 + (1 | Consumer) + (1 | Product) + (1 | Work:Product), kr = TRUE, tmb = TRUE,
    note = "three crossed factors; Work:Product is nested in Product and crossed with Consumer"),
  crossed_VerbAgg = list(dataset = "VerbAgg", formula = resp3 ~ Anger + Gender + btype + situ + (1 | id) + (1 | item), tmb = TRUE,
    note = "persons x items fully crossed; the ordinal response (0 no, 1 perhaps, 2 yes) as a number"),
  crossed_VerbAgg_nested = list(dataset = "VerbAgg", formula = resp3 ~ Anger + Gender + btype * situ + (1 | id) + (1 | id:situ) + (1 | item), tmb = TRUE,
    note = "crossed and nested together: id:situ in id, both crossed with item"),
  crossed_VerbAgg_slopes = list(dataset = "VerbAgg", formula = resp3 ~ Anger + Gender + btype + situ + (1 + situ | id) + (1 + Gender | item), tmb = TRUE,
    note = "correlated slopes of string factors in both crossed factors"),
  crossed_ScotsSec_slope = list(dataset = "ScotsSec", formula = attain ~ verbal + sex + (1 + verbal | primary) + (1 | second), tmb = TRUE,
    note = "partially crossed: a slope in the primary school"),
  crossed_ScotsSec_cells = list(dataset = "ScotsSec", formula = attain ~ verbal + sex + (1 | primary) + (1 | second) + (1 | primary:second), tmb = TRUE,
    note = "partially crossed factors and their interaction (303 cells)"),
  crossed_va_sim = list(dataset = "crossed_va_sim", formula = score ~ ses + female + grade + (1 | student) + (1 | teacher) + (1 + ses | school), tmb = TRUE,
    note = "SIMULATED value-added data: students who change teacher every year and school at times; string ids"),
  crossed_islands_sim = list(dataset = "crossed_islands_sim", formula = rating ~ service + (1 | student) + (1 | lecturer) + (1 | department), kr = TRUE, tmb = TRUE,
    note = "SIMULATED ratings: unconnected design, six universities without a common student or lecturer; shuffled rows"),
  crossed_InstEval_full = list(dataset = "InstEval", formula = y ~ studage + lectage + service + (1 | s) + (1 | d) + (1 | dept:service), anova = FALSE,
    note = "students x lecturers, and departments by service; studage and lectage as numbers"),
  crossed_InstEval_slope = list(dataset = "InstEval", formula = y ~ service + (1 | s) + (1 + service | d) + (1 | dept), anova = FALSE,
    note = "a slope in the denser of the crossed factors")
)
main_crossed(models)
