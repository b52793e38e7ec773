//! Checks that `fit.json` and `model.json` describe a possible fit: every list has the right length,
//! and every name occurs in the formula. Code that reads a saved fit relies on that.
//!
//! Without a fingerprint, numbers that are in the files more than once, or follow from others, are
//! compared too.

use super::fingerprint::Fingerprint;
use super::model::SavedModel;
use crate::report::Report;
use serde::Serialize;
use serde_json::{Value, to_value};
use tiers_design::Recipe;
use tiers_moments::Totals;
use tiers_reml::{AnovaType, Fit, FixedModel, Method, VarianceComponent};

/// Relative tolerance for numbers that were computed from others on another machine.
const ROUNDING: f64 = 1e-7;
/// Relative tolerance for sums that are in the files twice.
const SAME: f64 = 1e-12;

/// Result of a check; the error is a clause that says what is wrong.
type Checked = Result<(), String>;

/// Runs all checks; numbers are compared with each other only if `numbers` is set.
pub(super) fn check(report: &Report, model: &SavedModel, recipe: &Recipe, numbers: bool) -> Checked {
    let fit = &report.fit;
    described(report, model, recipe)?;
    fixed(fit, &model.fixed, recipe)?;
    levels(fit, recipe)?;
    components(fit, recipe)?;
    if numbers {
        likelihood(fit, model)?;
        variances(fit)?;
        tests(fit, &model.fixed, recipe)?;
        data(fit, model, recipe)?;
        errors(fit)?;
    }
    Ok(())
}

fn ensure(sound: bool, what: impl FnOnce() -> String) -> Checked {
    if sound { Ok(()) } else { Err(what()) }
}

/// Checks the formula, the data and the settings.
fn described(report: &Report, model: &SavedModel, recipe: &Recipe) -> Checked {
    let (fit, of_data) = (&report.fit, &model.fingerprint);
    ensure(fit.formula == recipe.formula, || "they have different formulas".to_owned())?;
    let weights = [&report.data.weights, &model.definition.weights, &of_data.weights];
    ensure(weights[0] == weights[1] && weights[1] == weights[2], || "they have different weights".to_owned())?;
    ensure(fit.n_obs == of_data.rows && fit.n_obs > 0, || "they are of different numbers of rows".to_owned())?;
    ensure(fit.n_obs.checked_add(fit.n_dropped).is_some(), || "there are too many rows".to_owned())?;
    ensure(model.criterion == fit.criterion && fit.criterion.is_finite(), || "their criteria differ".to_owned())?;
    let confidence = report.confidence_level;
    let in_range = confidence > 0.0 && confidence < 1.0;
    ensure(in_range && model.fixed.inference.confidence() == confidence, || {
        "they have different confidence levels".to_owned()
    })?;
    ensure(model.max_evaluations > 0, || "the search was allowed no evaluation".to_owned())
}

/// Checks the coefficients.
fn fixed(fit: &Fit, model: &FixedModel, recipe: &Recipe) -> Checked {
    let FixedModel { coefficients, inference, cross } = model;
    let p = coefficients.len();
    let rising = coefficients.windows(2).all(|pair| pair[0] < pair[1]);
    ensure(rising && coefficients.iter().all(|&i| i < recipe.x.len()), || {
        "they have different coefficients".to_owned()
    })?;
    ensure(inference.p() == Some(p), || "the inference on the coefficients has inconsistent sizes".to_owned())?;
    ensure(fit.df_method == inference.df_method(), || "they have different degrees of freedom".to_owned())?;
    let m = recipe.columns.len() + 1;
    ensure(cross.nrows() == m && cross.ncols() == m, || "the sums are not of the formula's columns".to_owned())?;
    let name = |i: usize| recipe.x[i].name.as_str();
    let used = coefficients.iter().map(|&i| name(i));
    let dropped = (0..recipe.x.len()).filter(|i| !coefficients.contains(i)).map(name);
    let other = || "they have different coefficients".to_owned();
    ensure(fit.fixed_effects.iter().map(|effect| effect.term.as_str()).eq(used.clone()), other)?;
    ensure(fit.dropped_columns.iter().map(String::as_str).eq(dropped), other)?;
    ensure(is_square(&fit.vcov, p), || "the covariance of the coefficients is of another size".to_owned())?;
    let terms = &recipe.term_names;
    ensure(fit.anova.iter().all(|test| terms.contains(&test.term)), || {
        "a test is not of a term of the formula".to_owned()
    })?;
    let Some(robust) = &fit.robust else { return Ok(()) };
    let same = robust.coefficients.iter().map(|effect| effect.term.as_str()).eq(used)
        && is_square(&robust.vcov, p)
        && robust.satterthwaite_df.len() == p
        && fit.levels.iter().any(|level| level.name == robust.cluster && level.groups == robust.clusters);
    ensure(same, || "the robust standard errors are not of these coefficients and groups".to_owned())
}

/// Checks the levels.
fn levels(fit: &Fit, recipe: &Recipe) -> Checked {
    let mut names: Vec<&str> = fit.levels.iter().map(|level| level.name.as_str()).collect();
    ensure(!names.is_empty(), || "there is no level".to_owned())?;
    let in_order = fit.levels.windows(2).all(|pair| pair[0].groups <= pair[1].groups);
    let counts = fit.levels.iter().all(|level| level.groups > 0 && level.groups as u64 <= fit.n_obs);
    ensure(in_order && counts, || "the numbers of groups are impossible".to_owned())?;
    let same = |others: &mut dyn Iterator<Item = &str>| names.iter().copied().eq(others);
    let icc = same(&mut fit.icc.iter().map(|icc| icc.level.as_str()));
    let effects =
        fit.design_effect.is_empty() || same(&mut fit.design_effect.iter().map(|effect| effect.level.as_str()));
    let explained = fit.r_squared.iter().all(|shares| same(&mut shares.levels.iter().map(|of| of.level.as_str())));
    ensure(icc && effects && explained, || "some levels lack their statistics".to_owned())?;
    let mut groupings: Vec<&str> = recipe.groupings.iter().map(|grouping| grouping.name.as_str()).collect();
    names.sort_unstable();
    groupings.sort_unstable();
    ensure(names == groupings, || "the levels are not those of the formula".to_owned())
}

/// Checks that the covariances of the random effects are those of the terms of the formula.
fn components(fit: &Fit, recipe: &Recipe) -> Checked {
    let of_fit = fit.variance_components.iter().map(|component| (component.level.as_str(), &component.terms));
    let of_formula = recipe.random.iter().map(|term| (recipe.groupings[term.grouping].name.as_str(), &term.names));
    let (mut of_fit, mut of_formula): (Vec<_>, Vec<_>) = (of_fit.collect(), of_formula.collect());
    of_fit.sort_unstable();
    of_formula.sort_unstable();
    ensure(of_fit == of_formula, || "the random effects are not those of the formula".to_owned())?;
    let lengths = |component: &VarianceComponent| {
        let r = component.terms.len();
        let optional = |n: usize| n == 0 || n == r;
        component.sd.len() == r
            && component.variance.len() == r
            && is_square(&component.correlation, r)
            && optional(component.sd_std_error.len())
            && optional(component.variance_std_error.len())
            && (component.correlation_std_error.is_empty() || is_square(&component.correlation_std_error, r))
    };
    ensure(fit.variance_components.iter().all(lengths), || {
        "a covariance of random effects is of another size".to_owned()
    })?;
    let positive = |values: &[f64]| values.iter().all(|value| (0.0..f64::INFINITY).contains(value));
    let signs =
        fit.variance_components.iter().all(|component| positive(&component.sd) && positive(&component.variance));
    let correlations = fit.variance_components.iter().flat_map(|component| component.correlation.iter().flatten());
    let bounded = correlations.flatten().all(|r| r.abs() <= 1.0);
    ensure(signs && bounded && positive(&[fit.sigma]), || {
        "a variance is negative, or a correlation beyond 1".to_owned()
    })?;
    let entries: usize = fit.variance_components.iter().map(|c| c.terms.len() * (c.terms.len() + 1) / 2).sum();
    ensure(fit.theta.len() == entries, || "theta is of another size".to_owned())
}

fn is_square<T>(rows: &[Vec<T>], n: usize) -> bool {
    rows.len() == n && rows.iter().all(|row| row.len() == n)
}

fn near(one: f64, two: f64, room: f64) -> bool {
    (one - two).abs() <= room * one.abs().max(two.abs())
}

/// Checks the criterion and the numbers that follow from it.
fn likelihood(fit: &Fit, model: &SavedModel) -> Checked {
    let (p, k) = (model.fixed.coefficients.len(), fit.n_parameters as f64);
    let (n, criterion) = (fit.n_obs as f64, fit.criterion);
    let df = if fit.method == Method::Reml { n - p as f64 } else { n };
    let sound = fit.n_parameters == p + fit.theta.len() + 1
        && fit.residual_df == df
        && near(fit.log_likelihood, -0.5 * criterion, SAME)
        && near(fit.aic - criterion, 2.0 * k, ROUNDING)
        && near(fit.bic - criterion, k * n.ln(), ROUNDING);
    ensure(sound, || "the criterion and the numbers that follow from it do not agree".to_owned())?;
    let trace = &fit.optimizer.trace;
    let least = trace.iter().filter_map(|step| step.criterion).fold(f64::INFINITY, f64::min);
    // The end may be better than all trials if a variance was set to exactly zero there.
    let searched = !trace.is_empty() && trace.len() <= fit.optimizer.evaluations && least >= criterion - 1e-3;
    ensure(searched, || "the search does not end at the criterion".to_owned())
}

/// Checks that variances and correlations are those of theta and sigma.
fn variances(fit: &Fit) -> Checked {
    let mut theta = fit.theta.iter().copied();
    for component in &fit.variance_components {
        let r = component.terms.len();
        let mut factor = vec![vec![0.0; r]; r];
        for column in 0..r {
            factor.iter_mut().skip(column).for_each(|row| row[column] = theta.next().unwrap_or(f64::NAN));
        }
        let product = |i: usize, j: usize| factor[i].iter().zip(&factor[j]).map(|(a, b)| a * b).sum::<f64>();
        let covariance = |i: usize, j: usize| product(i, j) * fit.sigma * fit.sigma;
        for i in 0..r {
            let (variance, sd) = (component.variance[i], component.sd[i]);
            let same = near(variance, covariance(i, i), ROUNDING) && near(sd * sd, variance, ROUNDING);
            let correlations = (0..r).all(|j| match component.correlation[i][j] {
                None => variance == 0.0 || component.variance[j] == 0.0 || component.correlation[j][i].is_none(),
                Some(rho) => {
                    let size = (variance * component.variance[j]).sqrt();
                    (rho * size - covariance(i, j)).abs() <= ROUNDING * size
                }
            });
            ensure(same && correlations, || {
                format!("the variances of {} are not those of theta and sigma", component.level)
            })?;
        }
    }
    Ok(())
}

/// Checks that tests and intervals follow from the saved inference on the coefficients.
fn tests(fit: &Fit, fixed: &FixedModel, recipe: &Recipe) -> Checked {
    ensure(fixed.inference.is_sound(), || "a covariance matrix of the coefficients is invalid".to_owned())?;
    let effects = fixed.inference.coefficients(fit.fixed_effects.iter().map(|effect| effect.term.as_str()));
    same("the coefficients", &fit.fixed_effects, &effects)?;
    let covariance: Vec<Vec<f64>> =
        fixed.inference.covariance.row_iter().map(|row| row.iter().copied().collect()).collect();
    same("the covariances of the coefficients", &fit.vcov, &covariance)?;
    same("the tests of terms", &fit.anova, &fixed.anova(recipe, AnovaType::Three, fit.sigma))
}

/// Checks that the saved sums match the fingerprint of the data.
fn data(fit: &Fit, model: &SavedModel, recipe: &Recipe) -> Checked {
    let (rows, sum_log_weights) = (fit.n_obs, model.fingerprint.sum_log_weights);
    let cross = model.fixed.cross.as_slice();
    let totals = Totals { rows, sum_log_weights, cross: cross.to_vec() };
    totals.check_products(recipe).map_err(|error| error.to_string())?;
    let own = Fingerprint::of_sums(recipe, rows, sum_log_weights, cross);
    own.difference(&model.fingerprint)
        .map_or(Ok(()), |difference| Err(format!("the data are described inconsistently: {difference}")))?;
    let most: u64 = fit.missing.iter().map(|(_, rows)| *rows).max().unwrap_or(0);
    let all: u128 = fit.missing.iter().map(|(_, rows)| u128::from(*rows)).sum();
    let dropped = most <= fit.n_dropped && u128::from(fit.n_dropped) <= all;
    ensure(dropped, || "the rows that were dropped are not those with missing values".to_owned())
}

/// Checks standard errors and other numbers that follow from saved ones.
fn errors(fit: &Fit) -> Checked {
    for component in &fit.variance_components {
        let (sds, variances) = (&component.sd_std_error, &component.variance_std_error);
        let both = sds.iter().zip(variances).zip(&component.sd);
        let agree = both.into_iter().all(|((of_sd, of_variance), sd)| match (of_sd, of_variance) {
            (Some(of_sd), Some(of_variance)) => *of_sd >= 0.0 && near(*of_variance, 2.0 * sd * of_sd, ROUNDING),
            _ => true,
        });
        ensure(agree, || format!("the standard errors of {} do not agree", component.level))?;
    }
    let n = fit.n_obs as f64;
    let sizes = fit.design_effect.iter().zip(&fit.levels).all(|(effect, level)| {
        near(effect.mean_group_size, n / level.groups as f64, ROUNDING)
            && near(effect.effective_sample_size * effect.design_effect, n, ROUNDING)
    });
    ensure(sizes, || "the design effects are not of these groups".to_owned())?;
    ensure(has_shares(fit), || "the intraclass correlations are not those of the variances".to_owned())?;
    let Some(robust) = &fit.robust else { return Ok(()) };
    let agree = robust.coefficients.iter().zip(&fit.fixed_effects).enumerate().all(|(i, (effect, own))| {
        let (robust_error, plain) = (to_value(effect.std_error), to_value(own.estimate));
        let variance = robust.vcov[i][i];
        let error = robust_error.ok().and_then(|error| error.as_f64());
        to_value(effect.estimate).ok() == plain.ok()
            && error.is_none_or(|error| near(error * error, variance, ROUNDING))
    });
    ensure(agree, || "the robust standard errors do not agree".to_owned())
}

/// Whether the intraclass correlations are shares of the variances of the intercepts: in a nest, coarsest first, of
/// all levels so far.
fn has_shares(fit: &Fit) -> bool {
    let of_component = |component: &VarianceComponent| {
        let terms = component.terms.iter().zip(&component.variance);
        terms.filter(|(term, _)| *term == "(Intercept)").map(|(_, variance)| variance).sum::<f64>()
    };
    let of_level = |name: &str| {
        let own = fit.variance_components.iter().filter(|component| component.level == name);
        own.map(of_component).sum::<f64>()
    };
    let variances: Vec<f64> = fit.icc.iter().map(|icc| of_level(&icc.level)).collect();
    let whole = variances.iter().sum::<f64>() + fit.sigma * fit.sigma;
    let first = |k: usize| if fit.crossed { k } else { 0 };
    let share = |k: usize| variances[first(k)..=k].iter().sum::<f64>() / whole;
    fit.icc.iter().enumerate().all(|(k, icc)| near(icc.icc, share(k), ROUNDING))
}

/// Checks that two values are the same in JSON, up to rounding.
fn same(what: &str, one: &impl Serialize, two: &impl Serialize) -> Checked {
    let json = |error: serde_json::Error| error.to_string();
    let (one, two) = (to_value(one).map_err(json)?, to_value(two).map_err(json)?);
    ensure(alike(&one, &two), || format!("{what} do not follow from the saved inference"))
}

fn alike(one: &Value, two: &Value) -> bool {
    match (one, two) {
        (Value::Number(one), Value::Number(two)) => match (one.as_f64(), two.as_f64()) {
            (Some(one), Some(two)) => near(one, two, ROUNDING) || (one - two).abs() < f64::MIN_POSITIVE,
            _ => false,
        },
        (Value::Array(one), Value::Array(two)) => {
            one.len() == two.len() && one.iter().zip(two).all(|(one, two)| alike(one, two))
        }
        (Value::Object(one), Value::Object(two)) => {
            one.len() == two.len() && one.iter().all(|(key, value)| two.get(key).is_some_and(|two| alike(value, two)))
        }
        _ => one == two,
    }
}
