//! A report as text, in the order and with the digits of lme4's summary.

use crate::layout::{Column, paragraph, table};
use crate::numbers::{column, decimals_of_smallest, fixed_point, p_values, round, trim_number};
use crate::report::Report;
use tiers_reml::{DfMethod, Fit, FixedEffect, Method, Robust, Sandwich, Status, VarianceComponent};

/// Significant digits, as in lme4's summary.
const DIGITS: usize = 4;

/// The whole summary.
pub(crate) fn text(report: &Report) -> String {
    let fit = &report.fit;
    let mut sections = vec![heading(report), criterion(fit), random_effects(fit), correlations(report)];
    sections.push(fixed_effects(report));
    sections.extend(verdict(fit));
    sections.join("\n")
}

/// What was fitted to what.
fn heading(report: &Report) -> String {
    let (fit, data) = (&report.fit, &report.data);
    let by = match fit.method {
        Method::Reml => "REML",
        Method::Ml => "maximum likelihood",
    };
    let mut text = format!("Linear mixed model fit by {by}\n");
    text += &paragraph(&format!("Formula: {}", breakable(&fit.formula)), 9).replace(NO_BREAK, " ");
    let paths: Vec<String> = data.paths.iter().map(|path| path.display().to_string()).collect();
    let paths = match paths.len() {
        0..=3 => paths.join(", "),
        n => format!("{}, … ({n} paths)", paths[..2].join(", ")),
    };
    let files = if data.files > 1 { format!(" ({} files)", data.files) } else { String::new() };
    text += &paragraph(&format!("   Data: {paths}{files}"), 9);
    if fit.n_dropped > 0 {
        let counts: Vec<String> = fit.missing.iter().map(|(column, n)| format!("{column} {n}")).collect();
        let (dropped, rows) = (fit.n_dropped, report.rows());
        let line = format!("   Rows: {} used of {rows}, {dropped} dropped for missing values: ", fit.n_obs);
        text += &paragraph(&(line + &counts.join(", ")), 9);
    }
    if let Some(weights) = &data.weights {
        text += &format!("Weights: {weights}\n");
    }
    text
}

const NO_BREAK: char = '\u{a0}';

/// A formula, however it was typed, with single spaces, of which only those after a `+` outside of
/// parentheses are places for a line to break.
fn breakable(formula: &str) -> String {
    let (mut out, mut depth, mut last) = (String::new(), 0_i32, ' ');
    for word in formula.split_whitespace() {
        if !out.is_empty() {
            out.push(if depth == 0 && last == '+' { ' ' } else { NO_BREAK });
        }
        for c in word.chars() {
            depth += i32::from(c == '(') - i32::from(c == ')');
            last = c;
        }
        out += word;
    }
    out
}

/// How well it fits.
fn criterion(fit: &Fit) -> String {
    let end = match fit.status {
        Status::NotConverged => "NOT at convergence",
        Status::Converged | Status::Boundary => "at convergence",
    };
    let mut text = match fit.method {
        Method::Reml => format!("REML criterion {end}: {:.1}\n\n", fit.criterion),
        Method::Ml => format!("Deviance (-2 log-likelihood) {end}: {:.1}\n\n", fit.criterion),
    };
    let one = |head: &str, value: f64| Column::numbers(head, vec![fixed_point(value, 1)]);
    let df_residual = fit.n_obs.saturating_sub(fit.n_parameters as u64);
    text += &table(
        1,
        &[
            one("     AIC", fit.aic),
            one("     BIC", fit.bic),
            one("  logLik", fit.log_likelihood),
            one("-2logLik", fit.criterion),
            Column::numbers("df.resid", vec![df_residual.to_string()]),
        ],
    );
    text + "\nScaled residuals: not computed from the sums that the fit uses;\n--fitted writes them row by row\n"
}

/// Variances and correlations of the random effects, and the sizes of everything.
fn random_effects(fit: &Fit) -> String {
    let components = &fit.variance_components;
    let mut groups = Vec::new();
    let (mut names, mut variances, mut deviations, mut errors) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for component in components {
        for (i, term) in component.terms.iter().enumerate() {
            groups.push(if i == 0 { component.level.clone() } else { String::new() });
            names.push(term.clone());
            variances.push(component.variance[i]);
            deviations.push(component.sd[i]);
            errors.push(component.sd_std_error.get(i).copied().flatten());
        }
    }
    groups.push("Residual".to_owned());
    names.push(String::new());
    variances.push(fit.sigma * fit.sigma);
    deviations.push(fit.sigma);
    errors.push(fit.sigma_std_error);
    let mut columns = vec![
        Column::names("Groups", groups),
        Column::names("Name", names),
        Column::numbers("Variance", column(&variances, DIGITS)),
        Column::numbers("Std.Dev.", column(&deviations, DIGITS)),
        Column::numbers("SE(Std.Dev.)", known(&errors, |errors| column(errors, DIGITS - 1))),
    ];
    let most = components.iter().map(|c| c.terms.len()).max().unwrap_or(1);
    for j in 0..most - 1 {
        let cells = components.iter().flat_map(|component| correlations_with(component, j)).collect();
        columns.push(Column::numbers(if j == 0 { "Corr" } else { "" }, cells));
    }
    let sizes = |level: &str| fit.levels.iter().find(|size| size.name == level).map_or(0, |size| size.groups);
    let mut seen: Vec<&str> = Vec::new();
    for component in components {
        if !seen.contains(&component.level.as_str()) {
            seen.push(&component.level);
        }
    }
    let groups: Vec<String> = seen.iter().map(|level| format!("{level}, {}", sizes(level))).collect();
    let counts = paragraph(&format!("Number of obs: {}, groups: {}", fit.n_obs, groups.join("; ")), 2);
    format!("Random effects:\n{}{counts}", table(1, &columns))
}

/// Formats the numbers that are there; the others are `NA`.
fn known(values: &[Option<f64>], format: impl Fn(&[f64]) -> Vec<String>) -> Vec<String> {
    let mut cells = format(&values.iter().copied().flatten().collect::<Vec<f64>>()).into_iter();
    let cell = |value: &Option<f64>| value.and_then(|_| cells.next()).unwrap_or_else(|| "NA".to_owned());
    values.iter().map(cell).collect()
}

/// Per coefficient of a term its correlation with coefficient `j`, below the diagonal.
fn correlations_with(component: &VarianceComponent, j: usize) -> Vec<String> {
    let cell = |i: usize| match component.correlation[i].get(j) {
        Some(Some(value)) if i > j => fixed_point(*value, 2),
        Some(None) if i > j => "NaN".to_owned(),
        _ => String::new(),
    };
    (0..component.terms.len()).map(cell).collect()
}

/// The intraclass correlations in words: of two observations that share a group of a level but none
/// of the finer ones.
fn correlations(report: &Report) -> String {
    let fit = &report.fit;
    // Finest level first, as in the table above.
    let levels: Vec<_> = fit.icc.iter().rev().collect();
    let shared = |k: usize| match k {
        0 => format!("the same {}", levels[0].level),
        _ => format!("the same {}, different {}", levels[k].level, levels[k - 1].level),
    };
    let words = (0..levels.len()).map(shared).collect();
    let values = levels.iter().map(|icc| fixed_point(icc.icc, 4)).collect();
    let mut text = "Intraclass correlation of two observations of\n".to_owned();
    let errors: Vec<Option<f64>> = levels.iter().map(|icc| icc.std_error).collect();
    let errors = known(&errors, |errors| errors.iter().map(|&error| fixed_point(error, 4)).collect());
    text +=
        &table(1, &[Column::names("", words), Column::numbers("ICC", values), Column::numbers("Std. Error", errors)]);
    let slopes = fit.variance_components.iter().flat_map(|c| &c.terms).any(|term| term != "(Intercept)");
    let weights = report.data.weights.is_some();
    let note = match (slopes, weights) {
        (false, false) => return text + &explained(fit),
        (true, false) => "where the variables with random slopes are 0",
        (false, true) => "for observations of weight 1",
        (true, true) => "where the variables with random slopes are 0, for observations of weight 1",
    };
    text += &format!(" ({note})\n");
    text + &explained(fit)
}

/// How much the model explains, and how many independent rows the mean of all is worth.
fn explained(fit: &Fit) -> String {
    let mut text = String::new();
    if let Some(shares) = &fit.r_squared {
        let [marginal, conditional] = [shares.marginal, shares.conditional].map(|share| fixed_point(share, 4));
        text += &format!("R-squared: {marginal} by the fixed effects, {conditional} with the random effects\n");
    }
    if let Some(top) = fit.design_effect.first() {
        let [size, effect] = [top.effective_sample_size, top.design_effect].map(|value| fixed_point(value, 1));
        text += &format!("Effective sample size of a mean: {size} (design effect {effect})\n");
    }
    text
}

/// Coefficients with their uncertainty.
fn fixed_effects(report: &Report) -> String {
    let robust = report.fit.robust.as_ref();
    let effects = robust.map_or(&report.fit.fixed_effects, |robust| &robust.coefficients);
    let dropped = dropped_columns(&report.fit);
    if effects.is_empty() {
        return format!("No fixed effects\n{dropped}");
    }
    let of = |value: fn(&FixedEffect) -> f64| -> Vec<f64> { effects.iter().map(value).collect() };
    let (estimates, errors) = (of(|e| e.estimate), of(|e| e.std_error));
    let both = [&estimates[..], &errors[..]].concat();
    let decimals = decimals_of_smallest(&both, DIGITS as i32);
    let rounded: Vec<f64> = both.iter().map(|&value| round(value, decimals)).collect();
    let cells = column(&rounded, DIGITS);
    let (estimate_cells, error_cells) = cells.split_at(effects.len());
    // The intervals get the decimals of the estimates.
    let decimals = estimate_cells[0].split_once('.').map_or(0, |(_, rest)| rest.len());
    let scientific = cells.iter().any(|cell| cell.contains('e'));
    let bounds = [of(|e| e.lower), of(|e| e.upper)].concat();
    let bounds: Vec<String> = match scientific {
        true => column(&bounds, DIGITS),
        false => bounds.iter().map(|&value| fixed_point(value, decimals)).collect(),
    };
    let (lower, upper) = bounds.split_at(effects.len());
    let statistics: Vec<f64> = of(|e| e.t_value).iter().map(|&t| round(t, DIGITS - 1)).collect();
    let percent = |share: f64| format!("{} %", trim_number(100.0 * share));
    let tail = 0.5 * (1.0 - report.confidence_level);
    let (letter, by) = tests_by(report.fit.df_method);
    let letter = if robust.is_some() { 't' } else { letter };
    let mut columns = vec![
        Column::names("", effects.iter().map(|e| e.term.clone()).collect()),
        Column::numbers("Estimate", estimate_cells.to_vec()),
        Column::numbers(if robust.is_some() { "Robust SE" } else { "Std. Error" }, error_cells.to_vec()),
        Column::numbers(&format!("{letter} value"), column(&statistics, DIGITS)),
        Column::numbers(&format!("Pr(>|{letter}|)"), p_values(&of(|e| e.p_value))),
        Column::numbers(&percent(tail), lower.to_vec()),
        Column::numbers(&percent(1.0 - tail), upper.to_vec()),
    ];
    if report.fit.df_method != DfMethod::None || robust.is_some() {
        columns.insert(3, Column::numbers("df", degrees(effects)));
    }
    let text = table(0, &columns);
    let level = trim_number(100.0 * report.confidence_level);
    let by = robust.map_or_else(|| by.to_owned(), robust_by);
    let note = paragraph(&format!("{letter}, Pr and the {level} % confidence intervals {by}"), 0);
    format!("Fixed effects:\n{text}{note}{dropped}")
}

/// The letter of the test statistic, and what its distribution rests on.
fn tests_by(method: DfMethod) -> (char, &'static str) {
    match method {
        DfMethod::Satterthwaite => ('t', "with Satterthwaite's degrees of freedom"),
        DfMethod::KenwardRoger => ('t', "with Kenward and Roger's covariance and degrees of freedom"),
        DfMethod::None => ('z', "by the normal approximation"),
    }
}

/// What robust tests rest on.
fn robust_by(robust: &Robust) -> String {
    let Robust { kind, cluster, clusters, .. } = robust;
    let df = match kind {
        Sandwich::Cr2 => "Satterthwaite's degrees of freedom",
        _ => "clusters - 1 degrees of freedom",
    };
    format!("with standard errors robust to clusters ({kind}, {clusters} clusters of {cluster}) and {df}")
}

/// Degrees of freedom, with a decimal where there are few; where there are none, or too many to
/// count, the normal distribution serves.
fn degrees(effects: &[FixedEffect]) -> Vec<String> {
    const UNCOUNTED: f64 = 1e9;
    let counted = |effect: &FixedEffect| effect.df.filter(|df| df.abs() < UNCOUNTED);
    let fewest = effects.iter().filter_map(counted).fold(f64::INFINITY, f64::min);
    let decimals = usize::from(fewest < 100.0);
    let one = |effect| counted(effect).map_or_else(|| "Inf".to_owned(), |df| fixed_point(df, decimals));
    effects.iter().map(one).collect()
}

fn dropped_columns(fit: &Fit) -> String {
    let names = &fit.dropped_columns;
    match names.len() {
        0 => String::new(),
        n => {
            let what = if n == 1 { "column / coefficient" } else { "columns / coefficients" };
            let text =
                format!("fixed-effect model matrix is rank deficient so dropping {n} {what}: {}", names.join(", "));
            paragraph(&text, 2)
        }
    }
}

/// What is to be said of how the optimisation ended, in plain words.
fn verdict(fit: &Fit) -> Option<String> {
    let told = verdict_in_words(fit).join(" ");
    match fit.status {
        Status::Converged => None,
        Status::Boundary => Some(paragraph(&format!("On the boundary: {told}"), 2)),
        Status::NotConverged => Some(paragraph(&format!("NOT CONVERGED: {told}"), 2)),
    }
}

/// The verdict sentence by sentence; nothing where all is well.
pub(crate) fn verdict_in_words(fit: &Fit) -> Vec<String> {
    match fit.status {
        Status::Converged => Vec::new(),
        Status::Boundary => {
            let mut told: Vec<String> = fit.variance_components.iter().flat_map(boundaries).collect();
            if told.is_empty() {
                told.push(
                    "A covariance matrix of the random effects is singular: some combination of them does not vary."
                        .to_owned(),
                );
            }
            told.push(
                "This is the best fit, not a failure; the model without what does not vary fits as well. There is no \
                 standard error (NA) of a variance on the boundary; `tiers confint` gives intervals."
                    .to_owned(),
            );
            told
        }
        Status::NotConverged => vec![format!(
            "the search for the optimum stopped after {} evaluations of the likelihood, so these are not the estimates. \
             Allow more by --max-evaluations; if that does not help, the data cannot tell the variances of this model \
             apart: take out random slopes or a level.",
            fit.optimizer.evaluations
        )],
    }
}

/// Variances of zero and perfect correlations of one term.
fn boundaries(component: &VarianceComponent) -> Vec<String> {
    let VarianceComponent { level, terms, variance, correlation, .. } = component;
    let mut told = Vec::new();
    for (i, term) in terms.iter().enumerate() {
        if variance[i] == 0.0 {
            told.push(format!(
                "The variance of {term} between groups of {level} is estimated as zero: they differ no more than the \
                 variation within them brings about by itself."
            ));
        }
        for (j, other) in terms.iter().enumerate().take(i) {
            if let Some(r) = correlation[i][j]
                && r.abs() > 1.0 - 1e-6
            {
                let sign = if r > 0.0 { "1" } else { "-1" };
                told.push(format!(
                    "The correlation of {other} and {term} between groups of {level} is estimated as {sign}: each \
                     determines the other, and the data do not tell two variances apart."
                ));
            }
        }
    }
    told
}
