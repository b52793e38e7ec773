//! Predictions of generalised fits.

use crate::fit::fit;
use tiers_design::{Block, Source};
use tiers_glmm::{Family, FittedGlmm, GlmmPredictor, Link, PredictScale, marginal_mean};
use tiers_moments::RowPass;
use tiers_reml::{FixedPart, LevelEffects, PredictError, PredictedRows};
use tiers_testdata::{Memory, Random, Values};

/// Classes in schools, with a slope of x by school.
fn counts() -> Memory {
    let mut random = Random(5);
    let (mut y, mut x, mut school, mut class) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for s in 0..12_i64 {
        let (of_school, slope) = (0.5 * random.normal(), 0.3 * random.normal());
        for c in 0..4 {
            let of_class = 0.4 * random.normal();
            for _ in 0..6 {
                let value = random.normal();
                let mean = (0.6 + of_school + of_class + (0.4 + slope) * value).exp();
                y.push((mean + mean.sqrt() * random.normal()).round().max(0.0));
                x.push(value);
                school.push(s);
                class.push(c);
            }
        }
    }
    Memory::new(vec![
        ("y", Values::Numbers(y)),
        ("x", Values::Numbers(x)),
        ("school", Values::Ids(school)),
        ("class", Values::Ids(class)),
    ])
}

fn predicted(
    fitted: &FittedGlmm,
    effects: Vec<LevelEffects>,
    scale: PredictScale,
    errors: Option<f64>,
    rows: &dyn Source,
) -> PredictedRows {
    let (recipe, inference) = (&fitted.model.recipe, fitted.inference.as_ref().expect("estimates"));
    let fixed = &inference.fixed;
    let aliases = fixed.aliases(recipe);
    let (coefficients, beta) = (&fixed.coefficients[..], &fixed.inference.beta);
    let part = FixedPart { recipe, coefficients, beta, aliases: &aliases };
    let mut predictor = GlmmPredictor::new(part, effects, &fitted.fit.variance_components, fitted.fit.link, scale)
        .expect("a predictor");
    if errors.is_some() {
        predictor = predictor.with_errors(recipe, inference, errors);
    }
    let mut all = PredictedRows::default();
    RowPass::new(rows, predictor.requests().to_vec())
        .run(&mut (), |block| predictor.of_block(block), &mut |(_, some): (Block, PredictedRows)| {
            all.prediction.extend(some.prediction);
            all.std_error.extend(some.std_error);
            all.lower.extend(some.lower);
            all.upper.extend(some.upper);
            Ok(())
        })
        .map_err(|error: PredictError| error.to_string())
        .expect("predictions");
    all
}

const FORMULA: &str = "y ~ x + (1 + x | school) + (1 | school:class)";

/// With all groups known the linear predictor has the modes of all levels, and the mean nothing to integrate over.
#[test]
fn known_groups_are_predicted_at_their_modes() {
    let table = counts();
    let fitted = fit(&table, FORMULA, None, Family::Poisson, Link::Log).expect("a fit");
    let predict = |scale| predicted(&fitted, fitted.effects.clone(), scale, None, &table).prediction;
    let (eta, mean) = (predict(PredictScale::Link), predict(PredictScale::Response));
    let (x, beta) = (table.numbers("x"), &fitted.fit.fixed_effects);
    let [schools, classes] = &fitted.effects[..] else { panic!("two levels") };
    for (row, &x) in x.iter().enumerate() {
        let (school, class) = (row / 24, row / 6);
        let fixed = beta[0].estimate.unwrap() + beta[1].estimate.unwrap() * x;
        let random = schools.estimate[2 * school] + schools.estimate[2 * school + 1] * x + classes.estimate[class];
        assert!((eta[row] - fixed - random).abs() < 1e-12, "row {row}: {} {}", eta[row], fixed + random);
        assert!((mean[row] / eta[row].exp() - 1.0).abs() < 1e-12);
    }
}

/// Unknown groups are integrated over; with a slope the variance depends on the covariate.
#[test]
fn means_of_the_population_are_integrals_over_all_levels() {
    let table = counts();
    let fitted = fit(&table, FORMULA, None, Family::Poisson, Link::Log).expect("a fit");
    let mean = predicted(&fitted, Vec::new(), PredictScale::Response, None, &table).prediction;
    let beta: Vec<f64> = fitted.fit.fixed_effects.iter().map(|effect| effect.estimate.unwrap()).collect();
    let [class, school] = &fitted.fit.variance_components[..] else { panic!("two terms") };
    let covariance = school.correlation[1][0].unwrap() * school.sd[0] * school.sd[1];
    for (&x, mean) in table.numbers("x").iter().zip(mean) {
        let variance = school.variance[0] + 2.0 * x * covariance + x * x * school.variance[1] + class.variance[0];
        let want = (beta[0] + beta[1] * x + 0.5 * variance).exp();
        assert!((mean / want - 1.0).abs() < 1e-12, "{x}: {mean} {want}");
    }
}

/// The standard error of a mean is that of its linearisation in coefficients and variances, here by differences of
/// the mean at a row with x = 0: `exp(β0 + (g00 + g)/2)`.
#[test]
fn errors_of_means_have_the_uncertainty_of_the_variances() {
    let table = counts();
    let fitted = fit(&table, FORMULA, None, Family::Poisson, Link::Log).expect("a fit");
    let new = Memory::new(vec![("x", Values::Numbers(vec![0.0]))]);
    let found = predicted(&fitted, Vec::new(), PredictScale::Response, Some(0.9), &new);
    let covariance = &fitted.inference.as_ref().unwrap().covariance;
    // Coefficients, then the variance of classes, then (g00, g10, g11) of schools.
    let mean = found.prediction[0];
    let gradient = [mean, 0.0, 0.5 * mean, 0.5 * mean, 0.0, 0.0];
    let mut variance = 0.0;
    for i in 0..6 {
        for j in 0..6 {
            variance += gradient[i] * covariance[i][j] * gradient[j];
        }
    }
    assert!((found.std_error[0] / variance.sqrt() - 1.0).abs() < 1e-10, "{} {}", found.std_error[0], variance.sqrt());
    assert!(variance > mean * mean * covariance[0][0], "the variances add to the uncertainty");
    let half = 1.644_853_626_951_472_2 * found.std_error[0] / mean;
    assert!((found.lower[0] / (mean.ln() - half).exp() - 1.0).abs() < 1e-9);
    assert!((found.upper[0] / (mean.ln() + half).exp() - 1.0).abs() < 1e-9);
    let link = predicted(&fitted, Vec::new(), PredictScale::Link, Some(0.9), &new);
    assert!((link.std_error[0] / fitted.fit.fixed_effects[0].std_error.unwrap() - 1.0).abs() < 1e-10);
}

/// A group that the fit has not seen is averaged over; `g⁻¹(x'β)` would be the mean at an effect of zero.
#[test]
fn unknown_groups_have_means_over_all_groups() {
    let table = Memory::of_dataset("cbpp", &["incidence", "size"], &["herd", "period"]);
    let formula = "cbind(incidence, size - incidence) ~ factor(period) + (1 | herd)";
    let fitted = fit(&table, formula, None, Family::Binomial, Link::Logit).expect("a fit");
    let new = Memory::new(vec![
        ("period", Values::Texts(vec!["1".to_owned(), "1".to_owned()])),
        ("herd", Values::Texts(vec!["1".to_owned(), "99".to_owned()])),
    ]);
    let mean = predicted(&fitted, fitted.effects.clone(), PredictScale::Response, None, &new).prediction;
    let (beta, variance) =
        (fitted.fit.fixed_effects[0].estimate.unwrap(), fitted.fit.variance_components[0].variance[0]);
    let known = beta + fitted.effects[0].estimate[0];
    assert!((mean[0] - 1.0 / (1.0 + (-known).exp())).abs() < 1e-12);
    assert!((mean[1] - marginal_mean(Link::Logit, beta, variance).mean).abs() < 1e-12);
    assert!(mean[1] > 1.0 / (1.0 + (-beta).exp()) + 0.005, "averages of shares below a half are drawn to it");
}
