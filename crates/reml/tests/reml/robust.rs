//! Cluster-robust inference against its literal formulas with V.

use crate::common::{Random, model, table_of};
use crate::memory::{Memory, Values};
use nalgebra::{DMatrix, DVector};
use tiers_reml::{ClusterMoments, Covariances, Method, NewtonSettings, Objective, Robust, Sandwich, optimise};
use tiers_testkit::{Checks, Problem, Shape, Term, Tolerance, inference, simulate_nested};

const KINDS: [(Sandwich, inference::Sandwich); 5] = [
    (Sandwich::Cr0, inference::Sandwich::Cr0),
    (Sandwich::Cr1, inference::Sandwich::Cr1),
    (Sandwich::Cr1p, inference::Sandwich::Cr1p),
    (Sandwich::Cr1s, inference::Sandwich::Cr1s),
    (Sandwich::Cr2, inference::Sandwich::Cr2),
];

fn matrix(rows: &[Vec<f64>]) -> DMatrix<f64> {
    DMatrix::from_fn(rows.len(), rows.len(), |i, j| rows[i][j])
}

#[test]
fn sandwiches_agree_with_v_written_out() {
    let mut checks = Checks::new("sandwiches");
    let mut compared = 0;
    for seed in 0..80 {
        let sample = simulate_nested(seed, &Shape::any(seed));
        let (table, formula) = table_of(&sample);
        let Ok((model, _)) = model(&table, &formula, sample.weights.as_ref().map(|_| "w")) else { continue };
        let objective = Objective::new(&model, Method::Reml);
        let optimum = optimise(&objective, &NewtonSettings::default(), &mut |_, _| {});
        let theta = Covariances::new(&objective, &optimum).theta(&objective);
        if theta.iter().any(|t| t.abs() > 1e3) {
            continue;
        }
        let clusters = ClusterMoments::read(&model, &table, None, &mut ()).expect("the same rows");
        let (problem, p) = (sample.problem(), model.p());
        let top = &sample.levels.last().expect("a level").group;
        for (kind, literal) in KINDS {
            let Ok(got) = Robust::new(&objective, &optimum, &clusters, kind, 0.95) else {
                checks.that("CR1p alone needs more clusters than coefficients", kind == Sandwich::Cr1p);
                continue;
            };
            let name = |what: &str| format!("seed {seed} {kind} {what}: {formula}");
            let want = problem.cluster_robust(&theta, top, literal);
            checks.matrix(&name("Cov(β)"), &matrix(&got.vcov), &want, Tolerance::of_largest(1e-8));
            for i in 0..p {
                let unit = DVector::from_fn(p, |j, _| f64::from(u8::from(i == j)));
                let want = problem.robust_df(&theta, top, literal, &unit);
                checks.check(&name("df"), got.satterthwaite_df[i], want, Tolerance::relative(1e-7));
            }
            compared += 1;
        }
    }
    checks.that("most samples are compared", compared > 250);
    checks.finish();
}

/// Five schools of 90 to 150 classes with a random slope each: more random effects in a cluster than
/// are carried along, and no two classes alike.
#[test]
fn large_clusters_are_reduced_without_loss() {
    let mut random = Random(7);
    let (mut school, mut class, mut x, mut t, mut y) = (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut classes = 0;
    for s in 0..5 {
        let of_school = random.normal();
        for _ in 0..90 + 15 * s {
            let (level, slope) = (random.normal(), 0.5 * random.normal());
            for _ in 0..1 + random.below(3) {
                let covariate = random.normal();
                school.push(s);
                class.push(classes);
                x.push(covariate);
                t.push(if classes % 2 == 0 { 1.0 } else { 0.0 });
                y.push(1.0 + covariate * (1.0 + slope) + of_school + level + random.normal());
            }
            classes += 1;
        }
    }
    let n = y.len();
    let ids = |values: &[usize]| Values::Ids(values.iter().map(|&v| v as i64).collect());
    let table = Memory::new(vec![
        ("y", Values::Numbers(y.clone())),
        ("x", Values::Numbers(x.clone())),
        ("t", Values::Numbers(t.clone())),
        ("school", ids(&school)),
        ("class", ids(&class)),
    ]);
    let (model, _) = model(&table, "y ~ x + t + (1 + x | class) + (1 | school)", None).expect("a model");
    let objective = Objective::new(&model, Method::Reml);
    let optimum = optimise(&objective, &NewtonSettings::default(), &mut |_, _| {});
    let theta = Covariances::new(&objective, &optimum).theta(&objective);
    let clusters = ClusterMoments::read(&model, &table, None, &mut ()).expect("the same rows");
    let got = Robust::new(&objective, &optimum, &clusters, Sandwich::Cr2, 0.95).expect("CR2");
    let problem = Problem {
        x: DMatrix::from_fn(n, 3, |i, j| [1.0, x[i], t[i]][j]),
        y: DVector::from_vec(y),
        weights: None,
        terms: vec![
            Term { z: DMatrix::from_fn(n, 2, |i, j| [1.0, x[i]][j]), group: class },
            Term { z: DMatrix::from_element(n, 1, 1.0), group: school.clone() },
        ],
    };
    let mut checks = Checks::new("large clusters");
    let want = problem.cluster_robust(&theta, &school, inference::Sandwich::Cr2);
    checks.matrix("Cov(β)", &matrix(&got.vcov), &want, Tolerance::of_largest(1e-8));
    for i in 0..3 {
        let unit = DVector::from_fn(3, |j, _| f64::from(u8::from(i == j)));
        let want = problem.robust_df(&theta, &school, inference::Sandwich::Cr2, &unit);
        checks.check("df", got.satterthwaite_df[i], want, Tolerance::relative(1e-7));
    }
    checks.finish();
}
