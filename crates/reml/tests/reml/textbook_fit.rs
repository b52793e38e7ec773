//! Fits and random effects against the textbook formulas, at any θ and at the optimum.

use crate::common::{self, METHODS, Sampled, as_optimum, reference, report};
use nalgebra::DMatrix;
use tiers_moments::Dropped;
use tiers_reml::{Fit, LevelEffects, NewtonSettings, Objective, Optimum, Status, optimise, random_effects};
use tiers_testkit::{Checks, Problem, Solution, Tolerance};

fn samples(seeds: std::ops::Range<u64>) -> impl Iterator<Item = (u64, Sampled)> {
    common::samples(seeds).filter_map(|(seed, name, sample)| Some((seed, Sampled::new(&name, sample)?)))
}

/// Compares a fit at its θ with the oracle's.
fn compare(case: &Sampled, objective: &Objective<'_>, optimum: &Optimum, checks: &mut Checks) {
    let fit = report(objective, optimum, &Dropped::default());
    let problem = case.sample.problem();
    let want = problem.solve(&fit.theta, reference(objective.method));
    compare_fit(&fit, &problem, &want, checks);
    let effects = random_effects(objective, optimum).expect("effects");
    compare_effects(&effects, case, &problem, &want, checks);
}

fn compare_fit(fit: &Fit, problem: &Problem, want: &Solution, checks: &mut Checks) {
    let close = Tolerance::relative(1e-8);
    let (n, p) = (problem.n() as f64, problem.p());
    let k = p + problem.theta_len() + 1;
    checks
        .check("criterion", fit.criterion, want.criterion, Tolerance::both(1e-10, 1e-10))
        .check("log-likelihood", fit.log_likelihood, -0.5 * want.criterion, Tolerance::both(1e-10, 1e-10))
        .check("AIC", fit.aic, want.criterion + 2.0 * k as f64, Tolerance::both(1e-10, 1e-10))
        .check("BIC", fit.bic, want.criterion + k as f64 * n.ln(), Tolerance::both(1e-10, 1e-10))
        .check("sigma", fit.sigma, want.sigma2.sqrt(), close)
        .equal("parameters", fit.n_parameters, k)
        .equal("rows", fit.n_obs as usize, problem.n())
        .equal("dropped columns", fit.dropped_columns.len(), 0);
    let estimates: Vec<f64> = fit.fixed_effects.iter().map(|e| e.estimate).collect();
    checks.slice("beta", &estimates, want.beta.as_slice(), Tolerance::of_largest(1e-8));
    let vcov = DMatrix::from_fn(p, p, |i, j| fit.vcov[i][j]);
    checks.matrix("Cov(beta)", &vcov, &want.cov_beta, Tolerance::of_largest(1e-8));
    for (i, effect) in fit.fixed_effects.iter().enumerate() {
        let se = want.cov_beta[(i, i)].sqrt();
        checks
            .check("standard error", effect.std_error, se, close)
            .check("t", effect.t_value, want.beta[i] / se, Tolerance::both(1e-8, 1e-8))
            .check("upper end", effect.upper, want.beta[i] + 1.959_963_984_540_054 * se, Tolerance::both(1e-8, 1e-8));
    }
    variances(fit, problem, want, checks);
}

/// Compares variance components and the shares of the intercepts' variances.
fn variances(fit: &Fit, problem: &Problem, want: &Solution, checks: &mut Checks) {
    let relative = problem.relative(&fit.theta);
    checks.equal("terms", fit.variance_components.len(), relative.len());
    for (got, g) in fit.variance_components.iter().zip(&relative) {
        let r = got.sd.len();
        let covariance = g * want.sigma2;
        let sd: Vec<f64> = covariance.diagonal().iter().map(|v| v.sqrt()).collect();
        checks.slice("sd", &got.sd, &sd, Tolerance::of_largest(1e-8));
        checks.slice("variance", &got.variance, covariance.diagonal().as_slice(), Tolerance::of_largest(1e-8));
        for i in 0..r {
            for j in 0..r {
                let product = sd[i] * sd[j];
                match got.correlation[i][j] {
                    Some(c) => {
                        checks.check("correlation", c, covariance[(i, j)] / product, Tolerance::absolute(1e-8));
                    }
                    None => {
                        checks.equal("no correlation with a variance of zero", product, 0.0);
                    }
                }
            }
        }
    }
    // The intercepts by level, finest first.
    let mut intercepts: Vec<(String, f64)> = Vec::new();
    for (got, g) in fit.variance_components.iter().zip(&relative) {
        let own = got.terms.iter().position(|t| t == "(Intercept)").map_or(0.0, |i| g[(i, i)]);
        match intercepts.iter_mut().find(|(level, _)| *level == got.level) {
            Some((_, sum)) => *sum += own,
            None => intercepts.push((got.level.clone(), own)),
        }
    }
    let total = 1.0 + intercepts.iter().map(|i| i.1).sum::<f64>();
    for icc in &fit.icc {
        let k = intercepts.iter().position(|(level, _)| *level == icc.level).expect("a level");
        let end = if fit.crossed { k + 1 } else { intercepts.len() };
        let share = intercepts[k..end].iter().map(|i| i.1).sum::<f64>() / total;
        checks.check("icc", icc.icc, share, Tolerance::both(1e-8, 1e-14));
    }
}

/// Compares random effects and their standard deviations, groups sorted by their ids.
fn compare_effects(effects: &[LevelEffects], case: &Sampled, problem: &Problem, want: &Solution, checks: &mut Checks) {
    let mut term = 0;
    for (k, level) in case.sample.levels.iter().enumerate() {
        let got = &effects[effects.len() - 1 - k];
        let of_level = term..term + level.terms.len();
        term = of_level.end;
        let groups = problem.terms[of_level.start].groups();
        let r = got.terms.len();
        let tiers_reml::KeyLabels::Integer(ids) = &got.keys[0].labels else { panic!("ids are numbers") };
        checks.equal("groups in order", ids.clone(), (0..groups as i64).map(|g| g + 100).collect());
        let count = |g: usize| level.group.iter().filter(|&&of_row| of_row == g).count() as u64;
        checks.equal("rows of groups", got.rows.clone(), (0..groups).map(count).collect());
        let (mut estimate, mut conditional, mut prediction) = (Vec::new(), Vec::new(), Vec::new());
        for g in 0..groups {
            for t in of_level.clone() {
                let own = problem.terms[t].z.ncols();
                for j in 0..own {
                    let at = problem.effect_offset(t) + g * own + j;
                    estimate.push(want.b[t][(g, j)]);
                    conditional.push(want.conditional[(at, at)].max(0.0).sqrt());
                    prediction.push(want.prediction[(at, at)].max(0.0).sqrt());
                }
            }
        }
        checks.equal("figures", got.estimate.len(), groups * r);
        let close = Tolerance::of_largest(1e-8);
        checks
            .slice(&format!("b of {}", got.level), &got.estimate, &estimate, Tolerance { absolute: 1e-9, ..close })
            .slice(&format!("conditional sd of {}", got.level), &got.conditional_sd, &conditional, close)
            .slice(&format!("prediction sd of {}", got.level), &got.prediction_sd, &prediction, close);
    }
}

#[test]
fn figures_at_any_theta_agree_with_v_written_out() {
    for (seed, case) in samples(0..160) {
        for method in METHODS {
            let mut checks = Checks::new(format!("{method} {}", case.name));
            let objective = Objective::new(&case.model, method);
            for scale in [0.05, 1.0, 6.0] {
                let raw: Vec<f64> = case.sample.theta_near_truth(seed).iter().map(|t| scale * t).collect();
                let optimum = as_optimum(&objective, &raw);
                // The given factors, up to the signs of their columns.
                let problem = case.sample.problem();
                let fit = report(&objective, &optimum, &Dropped::default());
                for (got, want) in problem.relative(&fit.theta).iter().zip(&problem.relative(&raw)) {
                    checks.matrix("G", got, want, Tolerance::of_largest(1e-10));
                }
                compare(&case, &objective, &optimum, &mut checks);
            }
            checks.finish();
        }
    }
}

#[test]
fn figures_at_the_optimum_agree_with_v_written_out() {
    let (mut boundary, mut inside) = (0, 0);
    for (_, case) in samples(0..160) {
        for method in METHODS {
            let mut checks = Checks::new(format!("{method} {}", case.name));
            let objective = Objective::new(&case.model, method);
            let optimum = optimise(&objective, &NewtonSettings::default(), &mut |_, _| {});
            match optimum.status {
                Status::Converged => inside += 1,
                Status::Boundary => boundary += 1,
                Status::NotConverged => {
                    checks.that("converged", false);
                }
            }
            compare(&case, &objective, &optimum, &mut checks);
            let fit = report(&objective, &optimum, &Dropped::default());
            let gradient = case.sample.problem().gradient(&fit.theta, reference(method));
            checks.that(&format!("the oracle's gradient is zero, {gradient:?}"), gradient.amax() < 1e-4);
            checks.finish();
        }
    }
    assert!(boundary > 20 && inside > 20, "{boundary} on the boundary, {inside} inside");
}
