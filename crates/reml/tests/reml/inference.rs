//! Degrees of freedom and adjusted covariances against the literal formulas with V.

use crate::common::{model, samples};
use nalgebra::{DMatrix, DVector};
use tiers_reml::{DfMethod, FixedInference, Inference, Method, NewtonSettings, Objective, Status, Variances, optimise};
use tiers_testdata::{Memory, table_of};
use tiers_testkit::{Checks, NestedSample, Tolerance, oracle};

/// Compares a fit's inference by `df` with the oracle's at the same theta, for interior optima.
fn compare(of: &str, sample: &NestedSample, df: DfMethod, checks: &mut Checks) -> bool {
    let (table, formula) = table_of(sample);
    let Ok((model, _)) = model(&table, &formula, sample.weights.as_ref().map(|_| "w")) else { return false };
    let objective = Objective::new(&model, Method::Reml);
    let optimum = optimise(&objective, &NewtonSettings::default(), &mut |_, _| {});
    if optimum.status != Status::Converged {
        return false;
    }
    let inference = FixedInference::new(&objective, &optimum, Inference { df, confidence: 0.95 });
    let theta = Variances::new(&objective, &optimum).theta(&objective);
    let problem = sample.problem();
    let p = model.p();
    let unit = |i: usize| DVector::from_fn(p, |j, _| f64::from(u8::from(i == j)));
    let name = |what: &str, i: usize| format!("{of} {what} {i}: {formula}");
    match df {
        DfMethod::Satterthwaite => {
            for i in 0..p {
                let want = problem.satterthwaite(&unit(i), &theta, oracle::Method::Reml);
                let got = inference.t_test(&unit(i)).df.expect("degrees of freedom");
                checks.check(&name("df", i), got, want, Tolerance::relative(1e-4));
            }
        }
        DfMethod::KenwardRoger => {
            let want = problem.kenward_roger(&theta);
            checks.matrix(&name("Φ_A", 0), &inference.covariance, &want.adjusted, Tolerance::of_largest(1e-7));
            let slopes = DMatrix::from_fn(p - 1, p, |i, j| f64::from(u8::from(i + 1 == j)));
            let (got, want_f) = (inference.f_test(&slopes), want.test(&slopes));
            checks.check(
                &name("F df", 0),
                got.den_df.expect("degrees of freedom"),
                want_f.df,
                Tolerance::relative(1e-5),
            );
            for i in 0..p {
                let want = want.test(&DMatrix::from_rows(&[unit(i).transpose()])).df;
                let got = inference.t_test(&unit(i)).df.expect("degrees of freedom");
                checks.check(&name("df", i), got, want, Tolerance::relative(1e-5));
            }
        }
        DfMethod::None => {}
    }
    true
}

#[test]
fn satterthwaite_agrees_with_the_formulas() {
    let mut checks = Checks::new("Satterthwaite");
    let compared =
        samples(0..80).filter(|(_, name, sample)| compare(name, sample, DfMethod::Satterthwaite, &mut checks));
    let compared = compared.count();
    checks.that("interior optima among the samples", compared >= 20);
    checks.finish();
}

#[test]
fn kenward_roger_agrees_with_the_formulas() {
    let mut checks = Checks::new("Kenward and Roger");
    let compared =
        samples(0..80).filter(|(_, name, sample)| compare(name, sample, DfMethod::KenwardRoger, &mut checks));
    let compared = compared.count();
    checks.that("interior optima among the samples", compared >= 20);
    checks.finish();
}

/// Inference that was saved to a file is bit-identical to that of the fit.
#[test]
fn saved_inference_is_bit_identical() {
    let table = Memory::of_dataset("sleepstudy", &["Reaction", "Days"], &["Subject"]);
    let (model, _) = model(&table, "Reaction ~ Days + I(Days^2) + (1 + Days | Subject)", None).expect("a model");
    let objective = Objective::new(&model, Method::Reml);
    let optimum = optimise(&objective, &NewtonSettings::default(), &mut |_, _| {});
    for df in [DfMethod::Satterthwaite, DfMethod::KenwardRoger, DfMethod::None] {
        let inference = FixedInference::new(&objective, &optimum, Inference { df, ..Inference::default() });
        let text = serde_json::to_string(&inference).expect("plain data");
        let kept: FixedInference = serde_json::from_str(&text).expect("the same type");
        for place in 0..model.p() {
            assert_eq!(kept.coefficient(place), inference.coefficient(place), "{df:?}");
        }
        let all = DMatrix::identity(model.p(), model.p());
        assert_eq!(kept.f_test(&all), inference.f_test(&all), "{df:?}");
    }
}
