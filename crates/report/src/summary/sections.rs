//! Sections of the summary: heading, criterion, random effects, intraclass correlations.

use super::DIGITS;
use crate::layout::{Column, paragraph};
use crate::numbers::{column, fixed_point};
use crate::report::{Data, Report};
use crate::section::{Note, Section};
use tiers_reml::{Fit, LevelSize, Method, Status, VarianceComponent};

/// Heading of the summary: model and data.
#[derive(Clone, Debug)]
pub struct Heading {
    /// Kind and method of the model.
    pub title: String,
    /// The formula with single spaces; [`NO_BREAK`] marks spaces where a line may not break.
    formula: String,
    /// Source of the rows.
    pub data: String,
    /// Numbers of rows used and dropped, if some were dropped.
    pub rows: Option<String>,
    /// Column of the weights.
    pub weights: Option<String>,
}

const NO_BREAK: char = '\u{a0}';

/// Returns the heading of a report.
pub fn heading(report: &Report) -> Heading {
    let (fit, data) = (&report.fit, &report.data);
    let (data_name, rows) = source_of(data, fit.n_obs, fit.n_dropped, &fit.missing);
    let by = match fit.method {
        Method::Reml => "REML",
        Method::Ml => "maximum likelihood",
    };
    Heading {
        title: format!("Linear mixed model fit by {by}"),
        formula: breakable(&fit.formula),
        data: data_name,
        rows,
        weights: data.weights.clone(),
    }
}

/// Describes the source of the rows, and the numbers of rows used and dropped if some were dropped.
fn source_of(data: &Data, used: u64, dropped: u64, missing: &[(String, u64)]) -> (String, Option<String>) {
    let paths: Vec<String> = data.paths.iter().map(|path| path.display().to_string()).collect();
    let paths = match paths.len() {
        0..=3 => paths.join(", "),
        n => format!("{}, … ({n} paths)", paths[..2].join(", ")),
    };
    let files = if data.files > 1 { format!(" ({} files)", data.files) } else { String::new() };
    let rows = || {
        let counts: Vec<String> = missing.iter().map(|(column, n)| format!("{column} {n}")).collect();
        format!("{used} used of {}, {dropped} dropped for missing values: {}", used + dropped, counts.join(", "))
    };
    (paths + &files, (dropped > 0).then(rows))
}

/// Returns the lines on the source of the rows that stand below a formula.
pub(crate) fn source_lines(data: &Data, used: u64, dropped: u64, missing: &[(String, u64)]) -> String {
    let (source, rows) = source_of(data, used, dropped, missing);
    let optional = [("Rows", rows), ("Weights", data.weights.clone())];
    let optional = optional.into_iter().filter_map(|(name, value)| Some((name, value?)));
    std::iter::once(("Data", source))
        .chain(optional)
        .map(|(name, value)| paragraph(&format!("{name:>7}: {value}"), 9))
        .collect()
}

impl Heading {
    /// Returns the heading as text.
    pub fn text(&self) -> String {
        let formula = paragraph(&format!("Formula: {}", self.formula), 9).replace(NO_BREAK, " ");
        let line = |(name, value): (&str, &String)| paragraph(&format!("{name:>7}: {value}"), 9);
        let lines: String = self.facts().into_iter().map(line).collect();
        format!("{}\n{formula}{lines}", self.title)
    }

    /// Returns the lines after the formula, as names and values.
    pub fn facts(&self) -> Vec<(&'static str, &String)> {
        let optional = [("Rows", &self.rows), ("Weights", &self.weights)];
        let optional = optional.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
        std::iter::once(("Data", &self.data)).chain(optional).collect()
    }

    /// Returns the formula with single spaces.
    pub fn formula(&self) -> String {
        self.formula.replace(NO_BREAK, " ")
    }
}

/// Formats a formula with single spaces, where a line may break only after a `+` outside of
/// parentheses.
pub(crate) fn breakable(formula: &str) -> String {
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

/// Returns the section of the criterion.
pub fn criterion(fit: &Fit) -> Section {
    let end = match fit.status {
        Status::NotConverged => "NOT at convergence",
        Status::Converged | Status::Boundary => "at convergence",
    };
    let name = match fit.method {
        Method::Reml => "REML criterion",
        Method::Ml => "Deviance (-2 log-likelihood)",
    };
    let one = |head: &str, value: f64| Column::numbers(head, vec![fixed_point(value, 1)]);
    let df_residual = fit.n_obs.saturating_sub(fit.n_parameters as u64);
    Section {
        title: format!("{name} {end}:"),
        lead: format!("{:.1}", fit.criterion),
        indent: 1,
        columns: vec![
            one("     AIC", fit.aic),
            one("     BIC", fit.bic),
            one("  logLik", fit.log_likelihood),
            one("-2logLik", fit.criterion),
            Column::numbers("df.resid", vec![df_residual.to_string()]),
        ],
        notes: Vec::new(),
    }
}

/// Returns the section of the random effects: variances and correlations, and numbers of rows and
/// groups.
pub fn random_effects(fit: &Fit) -> Section {
    components(&fit.variance_components, Some((fit.sigma, fit.sigma_std_error)), &fit.levels, fit.n_obs)
}

/// The same from the variance components, the residual standard deviation with its error if there is one, and
/// the numbers of groups and rows.
pub(crate) fn components(
    components: &[VarianceComponent],
    residual: Option<(f64, Option<f64>)>,
    levels: &[LevelSize],
    rows: u64,
) -> Section {
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
    if let Some((sigma, std_error)) = residual {
        groups.push("Residual".to_owned());
        names.push(String::new());
        variances.push(sigma * sigma);
        deviations.push(sigma);
        errors.push(std_error);
    }
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
    let sizes = |level: &str| levels.iter().find(|size| size.name == level).map_or(0, |size| size.groups);
    let mut seen: Vec<&str> = Vec::new();
    for component in components {
        if !seen.contains(&component.level.as_str()) {
            seen.push(&component.level);
        }
    }
    let groups: Vec<String> = seen.iter().map(|level| format!("{level}, {}", sizes(level))).collect();
    let counts = Note::new(format!("Number of obs: {}, groups: {}", rows, groups.join("; ")), 2);
    Section { title: "Random effects:".to_owned(), indent: 1, columns, notes: vec![counts], ..Section::default() }
}

/// Formats numbers; missing ones become `NA`.
fn known(values: &[Option<f64>], format: impl Fn(&[f64]) -> Vec<String>) -> Vec<String> {
    let mut cells = format(&values.iter().copied().flatten().collect::<Vec<f64>>()).into_iter();
    let cell = |value: &Option<f64>| value.and_then(|_| cells.next()).unwrap_or_else(|| "NA".to_owned());
    values.iter().map(cell).collect()
}

/// Returns the correlations of a term's coefficients with coefficient `j`, below the diagonal.
fn correlations_with(component: &VarianceComponent, j: usize) -> Vec<String> {
    let cell = |i: usize| match component.correlation[i].get(j) {
        Some(Some(value)) if i > j => fixed_point(*value, 2),
        Some(None) if i > j => "NaN".to_owned(),
        _ => String::new(),
    };
    (0..component.terms.len()).map(cell).collect()
}

/// Returns the section of the intraclass correlations, each of two observations that share a group of
/// a level but none of the finer ones, in a crossed design none of the others.
pub fn correlations(report: &Report) -> Section {
    let fit = &report.fit;
    // Finest level first, as in the table above.
    let levels: Vec<_> = fit.icc.iter().rev().collect();
    let shared = |k: usize| match k {
        _ if fit.crossed => format!("the same {} alone", levels[k].level),
        0 => format!("the same {}", levels[0].level),
        _ => format!("the same {}, different {}", levels[k].level, levels[k - 1].level),
    };
    let words = (0..levels.len()).map(shared).collect();
    let values = levels.iter().map(|icc| fixed_point(icc.icc, 4)).collect();
    let errors: Vec<Option<f64>> = levels.iter().map(|icc| icc.std_error).collect();
    let errors = known(&errors, |errors| errors.iter().map(|&error| fixed_point(error, 4)).collect());
    let slopes = fit.variance_components.iter().flat_map(|c| &c.terms).any(|term| term != "(Intercept)");
    let condition = match (slopes, report.data.weights.is_some()) {
        (false, false) => None,
        (true, false) => Some("where the variables with random slopes are 0"),
        (false, true) => Some("for observations of weight 1"),
        (true, true) => Some("where the variables with random slopes are 0, for observations of weight 1"),
    };
    let sums = fit.crossed.then_some("of observations that share several of these groups, the sum");
    let conditions = sums.into_iter().chain(condition).map(|words| Note::new(format!(" ({words})"), 1));
    Section {
        title: "Intraclass correlation".to_owned(),
        lead: "of two observations of".to_owned(),
        indent: 1,
        columns: vec![Column::names("", words), Column::numbers("ICC", values), Column::numbers("Std. Error", errors)],
        notes: conditions.chain(explained(fit)).collect(),
    }
}

/// Returns notes on R², the effective sample size and the design effect.
fn explained(fit: &Fit) -> impl Iterator<Item = Note> {
    let shares = fit.r_squared.as_ref().map(|shares| {
        let [marginal, conditional] = [shares.marginal, shares.conditional].map(|share| fixed_point(share, 4));
        format!("R-squared: {marginal} by the fixed effects, {conditional} with the random effects")
    });
    let worth = fit.design_effect.first().map(|top| {
        let [size, effect] = [top.effective_sample_size, top.design_effect].map(|value| fixed_point(value, 1));
        format!("Effective sample size of a mean: {size} (design effect {effect})")
    });
    shares.into_iter().chain(worth).map(|text| Note::new(text, 2))
}
