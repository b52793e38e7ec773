//! R² and design effects against those computed from the rows.

use crate::common::{METHODS, Sampled, reference};
use tiers_reml::Status;
use tiers_testkit::{Checks, Shape, Tolerance, simulate_nested};

#[test]
fn shares_of_variance_are_those_of_the_rows() {
    let mut compared = [0; 2];
    let mut checks = Checks::new("R² and design effects");
    for seed in 0..60 {
        let Some(sampled) = Sampled::new(&format!("seed {seed}"), simulate_nested(seed, &Shape::any(seed))) else {
            continue;
        };
        if !sampled.leaves_a_residual() {
            continue;
        }
        let problem = sampled.sample.problem();
        for method in METHODS {
            let fit = sampled.fit(method).fit;
            if fit.status == Status::NotConverged {
                continue;
            }
            let (marginal, conditional) = problem.r_squared(&fit.theta, reference(method));
            let got = fit.r_squared.as_ref().expect("an intercept");
            let name = |what: &str| format!("{what} of {} {method}", sampled.name);
            let close = Tolerance::both(1e-7, 1e-10);
            checks.check(&name("marginal R²"), got.marginal, marginal, close);
            checks.check(&name("conditional R²"), got.conditional, conditional, close);
            let shares: f64 = got.levels.iter().map(|level| level.share).sum();
            checks.check(&name("shares"), shares, conditional - marginal, close);
            compared[0] += 1;
            let intercepts = fit.variance_components.iter().all(|c| c.terms.len() == 1 && c.terms[0] == "(Intercept)");
            if intercepts && sampled.weights().is_none() {
                let top = &fit.design_effect[0];
                let want = problem.design_effect(&fit.theta);
                checks.check(&name("design effect"), top.design_effect, want, close);
                let n = fit.n_obs as f64;
                checks.check(&name("effective sample size"), top.effective_sample_size, n / want, close);
                compared[1] += 1;
            }
        }
    }
    checks.that("enough fits", compared[0] > 30 && compared[1] > 3);
    checks.finish();
}
