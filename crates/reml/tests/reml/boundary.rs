//! Optima where a variance is zero or a correlation ±1, against an independent minimiser of the textbook
//! criterion.

use crate::common::{METHODS, Sampled, fit, reference};
use nalgebra::{DMatrix, DVector};
use tiers_reml::{Fit, Method, Status};
use tiers_testdata::{Memory, Random, Values};
use tiers_testkit::{Checks, NestedSample, Problem, Shape, Tolerance, oracle, simulate_nested};

/// The lowest criterion that BFGS with the exact gradient finds from five starts.
fn lowest(problem: &Problem, method: oracle::Method, seed: u64) -> f64 {
    let mut random = Random(seed);
    let m = problem.theta_len();
    let start = |k: usize, random: &mut Random| match k {
        0 => identity(problem, 0.7),
        1 => identity(problem, 0.1),
        2 => identity(problem, 2.0),
        _ => (0..m).map(|_| random.normal()).collect(),
    };
    (0..5).map(|k| bfgs(problem, method, start(k, &mut random))).fold(f64::INFINITY, f64::min)
}

fn identity(problem: &Problem, size: f64) -> Vec<f64> {
    let relative: Vec<_> =
        problem.terms.iter().map(|t| DMatrix::identity(t.z.ncols(), t.z.ncols()) * size * size).collect();
    problem.theta_of(&relative)
}

fn bfgs(problem: &Problem, method: oracle::Method, start: Vec<f64>) -> f64 {
    let f = |t: &DVector<f64>| problem.criterion(t.as_slice(), method);
    let g = |t: &DVector<f64>| problem.gradient(t.as_slice(), method);
    let mut theta = DVector::from_vec(start);
    let m = theta.len();
    let (mut value, mut gradient, mut inverse) = (f(&theta), g(&theta), DMatrix::identity(m, m));
    for _ in 0..300 {
        let mut direction = -(&inverse * &gradient);
        if direction.dot(&gradient) >= 0.0 {
            inverse.fill_with_identity();
            direction = -gradient.clone();
        }
        let mut length = (2.0 / direction.norm()).min(1.0);
        let (next, lower) = loop {
            let next = &theta + &direction * length;
            let lower = f(&next);
            if lower <= value + 1e-4 * length * direction.dot(&gradient) || length < 1e-12 {
                break (next, lower);
            }
            length *= 0.4;
        };
        if lower > value - 1e-13 * value.abs() {
            break;
        }
        let (step, next_gradient) = (&next - &theta, g(&next));
        let change = &next_gradient - &gradient;
        let along = step.dot(&change);
        if along > 1e-14 {
            let moved = &inverse * &change;
            inverse += &step * step.transpose() * ((along + change.dot(&moved)) / (along * along))
                - (&moved * step.transpose() + &step * moved.transpose()) / along;
        }
        (theta, value, gradient) = (next, lower, next_gradient);
    }
    value
}

/// A sample redrawn with other true values: some variances zero, or correlations of one.
fn singular_sample(seed: u64) -> NestedSample {
    let shape = Shape { slopes: (seed % 3) as usize, uncorrelated: seed % 7 == 3, ..Shape::any(seed) };
    let mut sample = simulate_nested(seed, &shape);
    let mut random = Random(seed);
    let mut at = 0;
    for r in sample.levels.iter().flat_map(|l| &l.terms).map(Vec::len) {
        let kind = random.below(3);
        for column in 0..r {
            for _ in column..r {
                // 0: no variance; 1: rank one; 2: unchanged.
                if kind == 0 || (kind == 1 && column > 0) {
                    sample.theta[at] = 0.0;
                }
                at += 1;
            }
        }
    }
    redraw(&mut sample, &mut random);
    sample
}

/// Redraws the response.
fn redraw(sample: &mut NestedSample, random: &mut Random) {
    let problem = sample.problem();
    let mut y = &problem.x * DVector::from_column_slice(&sample.beta);
    for (term, lambda) in problem.terms.iter().zip(problem.lambdas(&sample.theta)) {
        let effects: Vec<DVector<f64>> =
            (0..term.groups()).map(|_| &lambda * DVector::from_fn(lambda.ncols(), |_, _| random.normal())).collect();
        for i in 0..y.len() {
            y[i] += sample.sigma * (term.z.row(i) * &effects[term.group[i]])[0];
        }
    }
    let spread = |i: usize| sample.weights.as_ref().map_or(1.0, |w| 1.0 / w[i].sqrt());
    sample.y = (0..y.len()).map(|i| y[i] + sample.sigma * spread(i) * random.normal()).collect();
}

#[test]
fn no_lower_criterion_exists_for_singular_truths() {
    let mut boundary = 0;
    let cases =
        (0..60).filter_map(|seed| Some((seed, Sampled::new(&format!("singular {seed}"), singular_sample(seed))?)));
    let mut checks = Checks::new("singular truths");
    for (seed, case) in cases {
        let method = if seed % 2 == 0 { Method::Reml } else { Method::Ml };
        let got = case.fit(method);
        let want = lowest(&case.sample.problem(), reference(method), seed);
        let name = format!("{method} {}, {} evaluations", case.name, got.fit.optimizer.evaluations);
        checks.not_above(&name, got.fit.criterion, want, Tolerance::absolute(1e-7));
        checks.that(&name, got.fit.status != Status::NotConverged);
        boundary += usize::from(got.fit.status == Status::Boundary);
    }
    checks.that(&format!("{boundary} fits on the boundary"), boundary > 20);
}

#[test]
fn every_search_converges() {
    let mut checks = Checks::new("300 problems");
    let mut most = 0;
    for seed in 1000..1300 {
        let Some(case) = Sampled::new(&format!("seed {seed}"), simulate_nested(seed, &Shape::any(seed))) else {
            continue;
        };
        for method in METHODS {
            let got = case.fit(method);
            let fit = &got.fit;
            let name = format!("{method} {}, {} evaluations", case.name, fit.optimizer.evaluations);
            checks.that(&format!("{name}: {:?}", fit.status), fit.status != Status::NotConverged);
            let figures = [fit.criterion, fit.sigma].into_iter().chain(fit.theta.iter().copied());
            let figures = figures.chain(fit.vcov.iter().flatten().copied());
            let effects = got.effects.iter().flat_map(|l| [&l.estimate, &l.conditional_sd, &l.prediction_sd]);
            checks.that(
                &format!("{name}: all figures are numbers"),
                figures.chain(effects.flatten().copied()).all(f64::is_finite),
            );
            most = most.max(longest_search(fit));
        }
    }
    checks.that(&format!("at most {most} steps"), most <= 40);
}

/// The steps of the longest of a fit's searches: each search begins with steps of length zero.
fn longest_search(fit: &Fit) -> usize {
    let searches = fit.optimizer.trace.split(|step| step.step == 0.0);
    searches.map(<[_]>::len).max().unwrap_or(0)
}

#[test]
fn a_small_pivot_takes_few_steps() {
    // The intercepts' variance is small compared with that of the slopes. With the intercept as the first
    // pivot, the slope rotates between its two columns, and one search took 170 steps.
    let case = Sampled::new("seed 1123", simulate_nested(1123, &Shape::any(1123))).expect("a model");
    let got = case.fit(Method::Ml);
    assert!(longest_search(&got.fit) <= 20, "{}", longest_search(&got.fit));
    assert_ne!(got.fit.status, Status::NotConverged);
}

#[test]
fn a_correlation_of_one_is_on_the_boundary_where_columns_of_x_cost_digits() {
    // x, t and their product vary little compared with their means, so the criterion is exact to about 1e-7.
    let (mut boundary, mut checks) = (0, Checks::new("a correlation of one"));
    for seed in 0..30 {
        let mut random = Random(7_000 + seed);
        let n = 44;
        let group: Vec<i64> = (0..n).map(|_| random.below(9) as i64).collect();
        let t: Vec<f64> = (0..n).map(|_| 2e6 + 3e4 * random.below(5) as f64).collect();
        let x: Vec<f64> = (0..n).map(|_| 0.3 + 2e-5 * random.normal()).collect();
        let effects: Vec<f64> = (0..9).map(|_| random.normal()).collect();
        let y = (0..n).map(|i| {
            let effect = effects[group[i] as usize] * (0.6 + (t[i] - 2.06e6) / 4e4);
            effect + (x[i] - 0.3) / 2e-5 + random.normal()
        });
        let y = Values::Numbers(y.collect());
        let table = Memory::new(vec![
            ("y", y),
            ("x", Values::Numbers(x)),
            ("t", Values::Numbers(t)),
            ("g", Values::Ids(group)),
        ]);
        for method in METHODS {
            let found = fit(&table, "y ~ x * t + (1 + t | g)", None, method).expect("a fit").fit;
            let correlation = found.variance_components[0].correlation[1][0];
            let is_one = correlation.is_none_or(|r| r.abs() > 1.0 - 1e-12);
            let name = format!("seed {seed}, {method}: {correlation:?}, {:?}", found.status);
            // If the precision does not suffice, the fit does not claim to have converged.
            let claims = found.status != Status::NotConverged;
            checks.that(&name, !claims || is_one == (found.status == Status::Boundary));
            boundary += usize::from(found.status == Status::Boundary);
        }
    }
    checks.that(&format!("{boundary} fits on the boundary"), boundary > 15);
}
