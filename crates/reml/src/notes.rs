//! Notes on a fit: where its numbers may not mean what the user expects.
//!
//! A note is not an error: the model was fitted as requested. Each is one paragraph of plain text
//! that names the column, term or group that it is about and says what to do if something else was
//! meant. All notes of a fit are in [`crate::Fit::notes`], from where the summary, `fit.json` and the
//! page take them. To add a note on a model, write a function here and call it in [`of_model`].

use crate::estimate::Optimum;
use crate::inference::Robust;
use crate::model::Model;
use tiers_design::{Factor, Formula, Recipe, VariableKind};
use tiers_moments::{Code, Dropped, Reused};

/// The notes on a model and its data.
pub fn of_model(model: &Model, dropped: &Dropped) -> Vec<String> {
    let mut notes = Vec::new();
    notes.extend(weights(model));
    notes.extend(reused_labels(model));
    notes.extend(factors_without_correlations(&model.recipe));
    notes.extend(factors_of_many_levels(&model.recipe, model.totals().rows));
    notes.extend(dropped.codes.iter().map(code));
    notes
}

/// The notes on a fit: those on its model, and on parameters that the data do not determine.
pub(crate) fn of_fit(model: &Model, optimum: &Optimum, dropped: &Dropped) -> Vec<String> {
    let mut notes = of_model(model, dropped);
    notes.extend(model.nearly_dependent.iter().map(|&(i, share)| too_few_digits(&model.recipe.x[i].name, share)));
    notes.extend(undetermined(&optimum.undetermined));
    notes
}

/// A column that was dropped as nearly dependent, though the others do not determine it exactly.
fn too_few_digits(name: &str, share: f64) -> String {
    format!(
        "The column {name} was dropped because of its digits: the columns before it leave {share:.0e} of its sum of \
         squares, too little to compute with in 16 digits. Centre the variables in it (subtract a value near their \
         mean, as in I((x - 2010)^2)), and its coefficient can be estimated."
    )
}

/// Variances of which the data determine only a combination.
fn undetermined(parameters: &[String]) -> Option<String> {
    (!parameters.is_empty()).then(|| {
        format!(
            "The data do not determine {} one by one: many values of them give the same covariance of the response, \
             and these are one choice. The criterion, the fixed effects and the fitted values are the same for all; to \
             have variances with a meaning, leave one of the terms out.",
            parameters.join(" and ")
        )
    })
}

/// Groupings that cross, though one probably numbers its groups within each group of the other.
fn reused_labels(model: &Model) -> Option<String> {
    let crossed = model.structure().crossed()?;
    let Reused { inner, outer, pairs } = crossed.reused()?;
    let [inner, outer] = [inner, outer].map(|level| &crossed.levels[level]);
    let share = 100.0 * pairs as f64 / (inner.groups * outer.groups) as f64;
    Some(format!(
        "The groupings {i} and {o} were taken as crossed, since the labels of {i} occur in several groups of {o} \
         ({share:.0} % of all pairs of a {i} and a {o}). If a label of {i} stands for a different group in each {o}, write \
         (1 | {o}/{i}), outer grouping first; if {o} is the inner one, (1 | {i}/{o}).",
        i = inner.name,
        o = outer.name
    ))
}

/// Weights whose mean is more than this factor away from 1 may be sampling weights.
const FAR_FROM_ONE: f64 = 2.0;

/// Weights that are all the same, or whose mean is far from 1.
fn weights(model: &Model) -> Option<String> {
    let column = &model.recipe.requests[model.recipe.weights?].column;
    let totals = model.totals();
    let constant = model.recipe.columns.iter().position(|column| column.atoms.is_empty())?;
    let mean = totals.get(constant, constant) / totals.rows as f64;
    // The arithmetic mean exceeds the geometric one unless all weights are the same.
    let (mean_log, log_mean) = (totals.sum_log_weights / totals.rows as f64, mean.ln());
    if log_mean - mean_log <= 1e-12 * (1.0 + mean_log.abs()) {
        return Some(format!(
            "All weights in column `{column}` are {}: the fixed effects and the variances of the random effects are \
             those of the fit without weights.",
            in_short(mean)
        ));
    }
    let far = !(1.0 / FAR_FROM_ONE..=FAR_FROM_ONE).contains(&mean);
    far.then(|| {
        format!(
            "The mean of the weights in column `{column}` is {}. They are taken as precision weights: a row of weight w \
             has the residual variance sigma^2 / w, as if it were the mean of w observations. Sampling (survey) weights, \
             which say how many members of a population a row stands for, are not supported: standard errors would be \
             wrong.",
            in_short(mean)
        )
    })
}

/// A value that looks like a code for missing values.
fn code(code: &Code) -> String {
    let Code { column, value, rows, others: [low, high] } = code;
    let rows = match rows {
        1 => "1 row".to_owned(),
        n => format!("{n} rows"),
    };
    format!(
        "Column `{column}` is {value} in {rows}, far from its other values, which lie between {} and {}. It was taken as a \
         number; if it stands for a missing value, make it missing and fit again.",
        in_short(*low),
        in_short(*high)
    )
}

/// A number with six significant digits at most.
fn in_short(value: f64) -> String {
    let exponent = if value == 0.0 { 0.0 } else { value.abs().log10().floor() };
    let decimals = (5 - exponent as i32).clamp(0, 12) as usize;
    let text = format!("{value:.decimals$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// Terms `(f || g)` with a factor f, whose levels stay correlated.
fn factors_without_correlations(recipe: &Recipe) -> Vec<String> {
    let Ok(formula) = recipe.formula.parse::<Formula>() else { return Vec::new() };
    let mut notes: Vec<String> = Vec::new();
    for (term, spec) in formula.random.iter().zip(&recipe.random).filter(|(term, _)| term.uncorrelated) {
        let is_factor = |column: &String| recipe.factors.iter().any(|factor| factor.column == *column);
        let factor = term.coefficients.variables.iter().find_map(|variable| match &variable.kind {
            VariableKind::Factor(column) => Some(column),
            VariableKind::Column(column) if is_factor(column) => Some(column),
            _ => None,
        });
        let (Some(factor), k) = (factor, spec.names.len()) else { continue };
        if k < 2 {
            continue;
        }
        let parameters = k * (k + 1) / 2;
        notes.push(format!(
            "`||` leaves out the correlations between terms, not those within a term: in ({}) the {k} coefficients for \
             the levels of {factor} are correlated ({parameters} variances and covariances), as in lme4. For independent \
             effects of equal variance write (1 | {}:{factor}).",
            term.text,
            term.grouping.join(":")
        ));
    }
    notes
}

/// A factor of more levels than this may be meant as a number or as a grouping.
const MANY_LEVELS: usize = 50;

/// Factors with many levels, and fewer than five rows for each.
fn factors_of_many_levels(recipe: &Recipe, rows: u64) -> Vec<String> {
    let many = recipe.factors.iter().filter(|factor| {
        let levels = factor.levels.len();
        levels > MANY_LEVELS && 5 * levels as u64 > rows
    });
    many.map(|Factor { column, levels, .. }| {
        format!(
            "`{column}` is a factor with {} levels for {rows} rows. If it holds numbers, find the values that are not \
             numbers and name those that stand for missing values; if it names groups, write (1 | {column}) for random effects.",
            levels.len()
        )
    })
    .collect()
}

/// Coefficients without a robust standard error.
pub(crate) fn of_robust(robust: &Robust) -> impl Iterator<Item = String> + '_ {
    robust.one_cluster.iter().map(|one| {
        let names: Vec<String> = one.coefficients.iter().map(|name| format!("`{name}`")).collect();
        let (names, verb) = match &names[..] {
            [name] => (name.clone(), "has"),
            [names @ .., last] => (format!("{} and {last}", names.join(", ")), "have"),
            [] => (String::new(), "have"),
        };
        format!(
            "{names} {verb} no robust standard error (NA): without the cluster {} of {} there would be no estimate, so \
             that its residuals do not show how far the estimate may be off. The standard error of the model, without \
             --robust, does not depend on residuals of single clusters.",
            one.cluster, robust.cluster
        )
    })
}

#[cfg(test)]
mod tests {
    use super::in_short;

    #[test]
    fn six_digits_at_most() {
        assert_eq!(in_short(2.0), "2");
        assert_eq!(in_short(1234567.8), "1234568");
        assert_eq!(in_short(0.125), "0.125");
        assert_eq!(in_short(53.21849), "53.2185");
    }
}
