//! Estimates without a group against the formulas on the other rows, and against fits to them.

use crate::common::{METHODS, clustered, fit, model, reference};
use nalgebra::{DMatrix, DVector};
use tiers_moments::ClusterMoments;
use tiers_reml::{Influence, KeyLabels, Method, NewtonSettings, Objective, Status, Variances, optimise};
use tiers_testdata::{Memory, Random, Values, table_of};
use tiers_testkit::{Checks, Problem, Term, Tolerance};

/// The problem restricted to some rows, with groups renumbered.
fn without(problem: &Problem, keep: &[usize]) -> Problem {
    let term = |term: &Term| {
        let mut known: Vec<usize> = Vec::new();
        let mut number = |g: usize| {
            known.iter().position(|&k| k == g).unwrap_or_else(|| {
                known.push(g);
                known.len() - 1
            })
        };
        Term { z: term.z.select_rows(keep), group: keep.iter().map(|&i| number(term.group[i])).collect() }
    };
    Problem {
        x: problem.x.select_rows(keep),
        y: problem.y.select_rows(keep),
        weights: problem.weights.as_ref().map(|w| w.select_rows(keep)),
        terms: problem.terms.iter().map(term).collect(),
    }
}

/// One step of Fisher scoring by its literal form: y'PV_iPy = Σ_j tr(PV_iPV_j) ω_j, with V⁻¹ for P in the
/// traces of ML. Returns the variances of the coefficients and of the residual, and whether they form
/// covariance matrices.
fn scored(problem: &Problem, theta: &[f64], method: Method) -> (Vec<f64>, bool) {
    let parts = problem.parts(theta);
    let mut directions = Vec::new();
    let mut places = Vec::new();
    for (k, term) in problem.terms.iter().enumerate() {
        let r = term.z.ncols();
        for (i, j) in (0..r).flat_map(|j| (j..r).map(move |i| (i, j))) {
            let mut unit = DMatrix::zeros(r, r);
            unit[(i, j)] = 1.0;
            unit[(j, i)] = 1.0;
            directions.push(problem.outer(k, &unit));
            places.push((k, i, j));
        }
    }
    directions.push(DMatrix::from_diagonal(&problem.w_inv()));
    let of_traces = if method == Method::Reml { &parts.p } else { &parts.v_inv };
    let products: Vec<_> = directions.iter().map(|v| of_traces * v).collect();
    let d = directions.len();
    let system = DMatrix::from_fn(d, d, |i, j| products[i].dot(&products[j].transpose()));
    let py = &parts.p * &problem.y;
    let right = DVector::from_iterator(d, directions.iter().map(|v| py.dot(&(v * &py))));
    let Some(solved) = system.lu().solve(&right) else { return (Vec::new(), false) };
    let mut definite = solved[d - 1] > 0.0;
    for (k, term) in problem.terms.iter().enumerate() {
        let r = term.z.ncols();
        let at = |i: usize, j: usize| places.iter().position(|place| *place == (k, i.max(j), i.min(j))).expect("one");
        let block = DMatrix::from_fn(r, r, |i, j| solved[at(i, j)]);
        definite &= block.symmetric_eigenvalues().min() > 1e-6 * solved.amax();
    }
    let variances = places.iter().enumerate().filter(|(_, (_, i, j))| i == j).map(|(at, _)| solved[at]);
    (variances.chain([solved[d - 1]]).collect(), definite)
}

#[test]
fn estimates_without_a_group_agree_with_the_formulas() {
    let mut checks = Checks::new("influence");
    let (mut compared, mut stepped) = (0, 0);
    for (seed, sample) in clustered(60, 16) {
        let (table, formula) = table_of(&sample);
        let Ok((model, _)) = model(&table, &formula, sample.weights.as_ref().map(|_| "w")) else { continue };
        for method in METHODS {
            let objective = Objective::new(&model, method);
            let optimum = optimise(&objective, &NewtonSettings::default(), &mut |_, _| {});
            let theta = Variances::new(&objective, &optimum).theta(&objective);
            if optimum.status != Status::Converged || theta.iter().any(|t| t.abs() > 1e2) {
                continue;
            }
            let clusters =
                ClusterMoments::read((&model.recipe, model.structure()), &table, None, &mut ()).expect("the same rows");
            let got = Influence::new(&objective, &optimum, &clusters);
            let problem = sample.problem();
            let all = problem.solve(&theta, reference(method));
            let KeyLabels::Integer(labels) = &got.keys[0].labels else { panic!("integers") };
            let top = &sample.levels.last().expect("a level").group;
            for (label, group) in labels.iter().zip(&got.groups) {
                let keep: Vec<usize> = (0..sample.n()).filter(|&i| top[i] as i64 + 100 != *label).collect();
                let rest = without(&problem, &keep);
                let gram = rest.x.transpose() * &rest.x;
                if gram.clone().cholesky().is_none() || gram.svd(false, false).singular_values.min() < 1e-6 {
                    continue;
                }
                let name = |what: &str| format!("seed {seed} {method} without {label} {what}: {formula}");
                let parts = rest.parts(&theta);
                let beta = &parts.xvx_inv * (rest.x.transpose() * &parts.v_inv * &rest.y);
                let change = &all.beta - &beta;
                let distance = |covariance: &DMatrix<f64>| {
                    let solved = covariance.clone().cholesky().expect("positive definite").solve(&change);
                    change.dot(&solved) / change.len() as f64
                };
                let covariance = &parts.xvx_inv * all.sigma2;
                let dfbetas = DVector::from_fn(beta.len(), |i, _| change[i] / covariance[(i, i)].sqrt());
                let close = Tolerance::both(1e-7, 1e-9);
                checks.slice(&name("β"), &group.beta, beta.as_slice(), Tolerance::of_largest(1e-8));
                checks.check(&name("Cook"), group.cooks_distance, distance(&all.cov_beta), close);
                checks.check(&name("MDFFITS"), group.mdffits, distance(&covariance), close);
                checks.slice(&name("DFBETAS"), &group.dfbetas, dfbetas.as_slice(), Tolerance::of_largest(1e-7));
                compared += 1;
                let (want, definite) = scored(&rest, &theta, method);
                if definite {
                    let got: Vec<f64> = group.deviations.iter().map(|sd| sd * sd).collect();
                    checks.slice(&name("variances"), &got, &want, Tolerance::of_largest(1e-6));
                    stepped += 1;
                }
            }
        }
    }
    checks.that(&format!("most are compared: {compared}, {stepped}"), compared > 200 && stepped > 30);
    checks.finish();
}

/// Error of the one-step standard deviations compared with a fit without the group, as a share of the
/// largest change due to any group.
fn one_step_error(table: &Memory, formula: &str, key: &str) -> f64 {
    let (model, _) = model(table, formula, None).expect("a model");
    let objective = Objective::new(&model, Method::Reml);
    let optimum = optimise(&objective, &NewtonSettings::default(), &mut |_, _| {});
    let clusters =
        ClusterMoments::read((&model.recipe, model.structure()), table, None, &mut ()).expect("the same rows");
    let got = Influence::new(&objective, &optimum, &clusters);
    let KeyLabels::Integer(labels) = &got.keys[0].labels else { panic!("integers") };
    let (mut error, mut change) = (0.0_f64, 0.0_f64);
    for (label, group) in labels.iter().zip(&got.groups) {
        let keep: Vec<usize> = (0..table.rows()).filter(|&i| table.ids(key)[i] != *label).collect();
        let refit = fit(&table.permuted(&keep), formula, None, Method::Reml).expect("a fit").fit;
        let want: Vec<f64> = refit.variance_components.iter().flat_map(|c| c.sd.clone()).chain([refit.sigma]).collect();
        for ((got, want), all) in group.deviations.iter().zip(&want).zip(&got.all) {
            error = error.max((got - want).abs() / all);
            change = change.max((want - all).abs() / all);
        }
    }
    error / change
}

/// Schools of 10 to 29 pupils with their own intercepts and slopes.
fn schools(count: i64) -> Memory {
    let mut random = Random(11);
    let (mut school, mut x, mut y) = (Vec::new(), Vec::new(), Vec::new());
    for s in 0..count {
        let (level, slope) = (0.8 * random.normal(), 0.4 * random.normal());
        for _ in 0..10 + random.below(20) {
            let covariate = random.normal();
            school.push(s);
            x.push(covariate);
            y.push(level + (0.5 + slope) * covariate + random.normal());
        }
    }
    Memory::new(vec![("y", Values::Numbers(y)), ("x", Values::Numbers(x)), ("school", Values::Ids(school))])
}

#[test]
fn one_step_is_near_a_fit_without_the_group() {
    let sleep = Memory::of_dataset("sleepstudy", &["Reaction", "Days"], &["Subject"]);
    let mut checks = Checks::new("one step");
    let near = Tolerance::absolute(0.0);
    let (forty, formula) = (schools(40), "y ~ x + (1 + x | school)");
    checks.not_above("forty schools", one_step_error(&forty, formula, "school"), 0.1, near);
    let formula = "Reaction ~ Days + (Days | Subject)";
    checks.not_above("sleepstudy", one_step_error(&sleep, formula, "Subject"), 1e-3, near);
    checks.finish();
}
