//! Standard errors of standard deviations, correlations and intraclass correlations.

use crate::common::{METHODS, Sampled, fit, reference, samples};
use nalgebra::DVector;
use std::ops::Range;
use tiers_reml::{Fit, Method, Status};
use tiers_testdata::Memory;
use tiers_testkit::{Checks, NestedSample, Tolerance, difference};

/// Standard errors in lme4's order: per term the lower triangle by column, then σ.
fn std_errors(fit: &Fit) -> Vec<Option<f64>> {
    let mut out = Vec::new();
    for component in &fit.variance_components {
        for j in 0..component.terms.len() {
            out.push(component.sd_std_error[j]);
            out.extend((j + 1..component.terms.len()).map(|i| component.correlation_std_error[i][j]));
        }
    }
    out.push(fit.sigma_std_error);
    out
}

/// The variance of the random intercepts of each level of the sample.
fn intercepts(sample: &NestedSample, theta: &[f64], sigma: f64) -> Vec<f64> {
    let relative = sample.problem().relative(theta);
    let mut terms = relative.iter();
    let of_level = |level: &tiers_testkit::simulate::SampleLevel| {
        let of_term = |z: &Vec<usize>| {
            let g = terms.next().expect("a covariance per term");
            z.iter().position(|&c| c == 0).map_or(0.0, |i| g[(i, i)] * sigma * sigma)
        };
        level.terms.iter().map(of_term).sum()
    };
    sample.levels.iter().map(of_level).collect()
}

/// The share of some levels in the total variance, with `besides` added to the total.
fn share(by_level: &[f64], shared: Range<usize>, sigma: f64, besides: f64) -> f64 {
    by_level[shared].iter().sum::<f64>() / (by_level.iter().sum::<f64>() + sigma * sigma + besides)
}

#[test]
fn standard_errors_agree_with_the_delta_method_on_v() {
    let mut compared = 0;
    for (_, name, sample) in samples(0..60) {
        let Some(sampled) = Sampled::new(&name, sample) else { continue };
        if !sampled.leaves_a_residual() {
            continue;
        }
        for method in METHODS {
            let got = sampled.fit(method).fit;
            if got.status != Status::Converged {
                continue;
            }
            compared += 1;
            let (sample, problem) = (&sampled.sample, sampled.sample.problem());
            let mut checks = Checks::new(format!("{} {method}", sampled.name));
            let close = Tolerance::relative(1e-4);
            let want = problem.std_errors(&got.theta, reference(method), |t, s| problem.components(t, s));
            let all: Vec<f64> = std_errors(&got).into_iter().map(|e| e.expect("in the inside")).collect();
            checks.slice("standard errors", &all, &want, close);
            let solution = problem.solve(&got.theta, reference(method));
            let of_fixed = problem.fixed_variance(&solution.beta);
            for icc in &got.icc {
                let k: usize = icc.level[1..].parse().expect("g0, g1 …");
                // In a nest, rows of a group share those of all coarser levels, too.
                let shared = || k..if got.crossed { k + 1 } else { sample.levels.len() };
                let shares = |besides: f64| {
                    let of = |t: &[f64], s: f64| vec![share(&intercepts(sample, t, s), shared(), s, besides)];
                    (of(&got.theta, got.sigma)[0], problem.std_errors(&got.theta, reference(method), of)[0])
                };
                let ((icc_want, error), (unadjusted, part)) = (shares(0.0), shares(of_fixed));
                checks.check("icc", icc.icc, icc_want, Tolerance::both(1e-8, 1e-12));
                if icc_want == 0.0 {
                    continue;
                }
                checks.check("its standard error", icc.std_error.expect("inside"), error, close);
                checks.check(
                    "unadjusted",
                    icc.unadjusted.expect("an intercept"),
                    unadjusted,
                    Tolerance::both(1e-8, 1e-12),
                );
                // β contributes through the share's derivative in the variance of the predictions.
                let slope = (shares(of_fixed * 1.001).0 - shares(of_fixed * 0.999).0) / (0.002 * of_fixed);
                let f =
                    |beta: &[f64]| DVector::from_element(1, problem.fixed_variance(&DVector::from_column_slice(beta)));
                let partial = |i: usize| difference(f, solution.beta.as_slice(), i)[0];
                let gradient = DVector::from_fn(solution.beta.len(), |i, _| partial(i));
                let of_beta = gradient.dot(&(&solution.cov_beta * &gradient)) * slope * slope;
                let want = (part * part + of_beta).sqrt();
                checks.check("unadjusted error", icc.unadjusted_std_error.expect("inside"), want, close);
            }
            checks.finish();
        }
    }
    assert!(compared >= 30, "only {compared} interior optima among the samples");
}

/// R 4.2.2, lme4 1.1-31: numDeriv's Hessian of the unprofiled criterion in (sd, cor, σ).
#[test]
fn standard_errors_are_those_of_r() {
    let sleepstudy = Memory::of_dataset("sleepstudy", &["Reaction", "Days"], &["Subject"]);
    let pastes = Memory::of_dataset("pastes", &["strength"], &["batch", "cask"]);
    let (days, casks) = ("Reaction ~ Days + (1 + Days | Subject)", "strength ~ 1 + (1 | batch/cask)");
    let cases: [(_, _, _, &[f64]); 4] = [
        (&sleepstudy, days, Method::Reml, &[5.836243395983, 0.325024264556, 1.248035314596, 1.508012239143]),
        (&sleepstudy, days, Method::Ml, &[5.577370343085, 0.323502452806, 1.187070929537, 1.508012226006]),
        (&pastes, casks, Method::Reml, &[0.477869591321, 0.912480925440, 0.106301448236]),
        (&pastes, casks, Method::Ml, &[0.477869643537, 0.941912071938, 0.106301463232]),
    ];
    for (table, formula, method, want) in cases {
        let got = fit(table, formula, None, method).expect("a fit").fit;
        let got: Vec<f64> = std_errors(&got).into_iter().map(|e| e.expect("in the inside")).collect();
        let mut checks = Checks::new(format!("{formula} {method}"));
        // The error of numDeriv's extrapolated differences, and of lme4's bobyqa (rhoend 1e-10).
        checks.slice("standard errors", &got, want, Tolerance::relative(1e-6));
    }
}

#[test]
fn boundary_estimates_have_no_standard_error() {
    let dyestuff2 = Memory::of_dataset("dyestuff2", &["Yield"], &["Batch"]);
    let got = fit(&dyestuff2, "Yield ~ 1 + (1 | Batch)", None, Method::Reml).expect("a fit").fit;
    assert_eq!(got.status, Status::Boundary);
    assert_eq!(got.variance_components[0].sd_std_error, [None]);
    assert_eq!(got.variance_components[0].variance_std_error, [None]);
    assert_eq!((got.icc[0].std_error, got.icc[0].unadjusted_std_error), (None, None));
    // As without batches: σ/√(2 (n - 1)).
    let want = got.sigma / (2.0 * 29.0_f64).sqrt();
    assert!((got.sigma_std_error.expect("σ is in the inside") - want).abs() < 1e-9 * want);
}
