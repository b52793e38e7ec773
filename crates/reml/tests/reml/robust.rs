//! Cluster-robust inference against the literal formulas with V.

use crate::common::{clustered, model};
use nalgebra::{DMatrix, DVector};
use tiers_moments::ClusterMoments;
use tiers_reml::{Fit, Inference, Method, NewtonSettings, Objective, Robust, Sandwich, Variances, optimise};
use tiers_testdata::{Memory, Random, Values, table_of};
use tiers_testkit::{Checks, Problem, Term, Tolerance, inference};

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
    for (seed, sample) in clustered(80, 24) {
        let (table, formula) = table_of(&sample);
        let Ok((model, _)) = model(&table, &formula, sample.weights.as_ref().map(|_| "w")) else { continue };
        let objective = Objective::new(&model, Method::Reml);
        let optimum = optimise(&objective, &NewtonSettings::default(), &mut |_, _| {});
        let theta = Variances::new(&objective, &optimum).theta(&objective);
        if theta.iter().any(|t| t.abs() > 1e3) {
            continue;
        }
        let clusters =
            ClusterMoments::read((&model.recipe, model.structure()), &table, None, &mut ()).expect("the same rows");
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

/// Five schools of 90 to 150 classes with random slopes: more random effects in a cluster than are kept
/// without reduction, and no two classes alike.
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
    let theta = Variances::new(&objective, &optimum).theta(&objective);
    let clusters =
        ClusterMoments::read((&model.recipe, model.structure()), &table, None, &mut ()).expect("the same rows");
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

/// Nine clinics; only clinic 104 tried the new device, and only clinic 102 measured at night.
fn clinics() -> Memory {
    let mut random = Random(23);
    let (mut clinic, mut device, mut night, mut x, mut y) = (vec![], vec![], vec![], vec![], vec![]);
    for c in 0..9 {
        let of_clinic = random.normal();
        for i in 0..8 {
            let (new, late) = (c == 4, c == 2 && i % 3 == 0);
            clinic.push(100 + c);
            device.push(
                (if new {
                    "new"
                } else if c % 2 == 0 {
                    "old"
                } else {
                    "basic"
                })
                .to_owned(),
            );
            night.push(f64::from(u8::from(late)));
            x.push(50.0 + random.normal());
            y.push(3.0 + of_clinic + 0.5 * x[x.len() - 1] + f64::from(u8::from(new)) + random.normal());
        }
    }
    Memory::new(vec![
        ("y", Values::Numbers(y)),
        ("x", Values::Numbers(x)),
        ("night", Values::Numbers(night)),
        ("device", Values::Texts(device)),
        ("clinic", Values::Ids(clinic)),
    ])
}

/// A coefficient that cannot be estimated without one of the clusters has no robust standard error for
/// any sandwich, since the residuals of that cluster are zero in its direction.
#[test]
fn coefficients_of_one_cluster_have_no_robust_error() {
    let table = clinics();
    for (formula, expected) in [
        ("y ~ 0 + device + x + (1 | clinic)", vec![("104", vec!["devicenew"])]),
        // The reference level is basic: comparisons with new need clinic 104, others do not.
        ("y ~ device + x + (1 | clinic)", vec![("104", vec!["devicenew"])]),
        ("y ~ night + x + (1 | clinic)", vec![("102", vec!["night"])]),
        ("y ~ device * night + (1 | clinic)", vec![("102", vec!["night"]), ("104", vec!["devicenew"])]),
        ("y ~ x + (1 | clinic)", vec![]),
    ] {
        let (model, dropped) = model(&table, formula, None).expect("a model");
        let objective = Objective::new(&model, Method::Reml);
        let optimum = optimise(&objective, &NewtonSettings::default(), &mut |_, _| {});
        let clusters =
            ClusterMoments::read((&model.recipe, model.structure()), &table, None, &mut ()).expect("the same rows");
        for (kind, _) in KINDS {
            let Ok(robust) = Robust::new(&objective, &optimum, &clusters, kind, 0.95) else { continue };
            let mut found: Vec<(&str, Vec<&str>)> = robust
                .one_cluster
                .iter()
                .map(|one| (&one.cluster[..], one.coefficients.iter().map(|name| &name[..]).collect()))
                .collect();
            found.sort_unstable();
            assert_eq!(found, expected, "{formula} {kind}");
            let names: Vec<&str> = expected.iter().flat_map(|(_, names)| names.clone()).collect();
            for (i, effect) in robust.coefficients.iter().enumerate() {
                let none = names.contains(&&effect.term[..]);
                assert_eq!(effect.std_error.is_nan(), none, "{formula} {kind} {}", effect.term);
                assert_eq!(effect.p_value.is_nan() && effect.lower.is_nan() && effect.df.is_none(), none);
                assert_eq!(robust.satterthwaite_df[i].is_nan(), none);
                assert!(none || effect.std_error > 1e-6, "{formula} {kind} {}: {}", effect.term, effect.std_error);
            }
            let fit = Fit::new(&objective, &optimum, &dropped, Inference::default()).with_robust(robust);
            assert_eq!(fit.notes.len(), expected.len());
            for (cluster, names) in &expected {
                let named = |note: &&String| note.contains(cluster) && names.iter().all(|name| note.contains(name));
                assert_eq!(fit.notes.iter().filter(named).count(), 1, "{:?}", fit.notes);
            }
            // NaN is null in JSON, and read back as NaN.
            let text = serde_json::to_string(&fit).expect("JSON");
            let again: Fit = serde_json::from_str(&text).expect("a fit");
            let again = again.robust.expect("robust");
            assert_eq!(again.coefficients.iter().filter(|effect| effect.std_error.is_nan()).count(), names.len());
        }
    }
}
