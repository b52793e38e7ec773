//! The log-determinant, the Schur complement and their derivatives.

use super::sample::{M, Sample, close};
use crate::core::{CoreRoute, CrossedParts, CrossedPlan, CrossedScratch};
use crate::covariances::Covariances;
use crate::equations::Want;
use crate::tree::{CurvatureAt, Sums, TreeScratch};

/// Both layouts of the core.
pub(super) const ROUTES: [CoreRoute; 2] = [CoreRoute::Dense, CoreRoute::Sparse];

fn evaluate(sample: &Sample, at: &Covariances, shards: usize) -> Sums {
    evaluate_by(CoreRoute::Dense, sample, at, shards)
}

fn evaluate_by(route: CoreRoute, sample: &Sample, at: &Covariances, shards: usize) -> Sums {
    let design = sample.crossed(shards);
    let plan = CrossedPlan::with_route(&design, route);
    assert_eq!(plan.route(), route);
    let mut scratch = CrossedScratch::new(&plan, &design);
    plan.evaluate(&design, at, Want::Derivatives, &mut scratch)
}

/// The sums by their definition: log|V|, `C'WC - C'V⁻¹C`, and h and the cross-products of each level.
fn check(name: &str, sample: &Sample, at: &Covariances, sums: &Sums, tolerance: f64) {
    let v = sample.v(at);
    let cholesky = v.clone().cholesky().expect("positive definite");
    let log_det = 2.0 * cholesky.l().diagonal().iter().map(|d| d.ln()).sum::<f64>();
    let log_weights: f64 = sample.w.iter().map(|w| w.ln()).sum();
    close(&format!("{name}: log_det"), &[sums.log_det], &[log_det + log_weights], tolerance);
    let vi = cholesky.inverse();
    let c = &sample.c;
    let downdate = c.transpose() * M::from_diagonal(&sample.w) * c - c.transpose() * &vi * c;
    close(&format!("{name}: downdate"), &sums.downdate.to_dense(), downdate.as_slice(), tolerance);
    for (k, derivatives) in sums.derivatives.iter().enumerate() {
        let (z, r) = (sample.z(k), sample.r(k));
        let (h, f) = (z.transpose() * &vi * &z, z.transpose() * &vi * c);
        let groups = sample.factors[k].groups();
        let want: M = (0..groups).map(|g| h.view((g * r, g * r), (r, r)).into_owned()).sum();
        close(&format!("{name}: h of level {k}"), &derivatives.h, want.as_slice(), tolerance);
        let mut cross = derivatives.cross.iter();
        for a in 0..r {
            for b in a..r {
                let row = |t: usize| f.select_rows((0..groups).map(|g| g * r + t).collect::<Vec<_>>().iter());
                let mut want = row(a).transpose() * row(b);
                if a != b {
                    want += want.transpose();
                }
                let got = cross.next().expect("one for each pair").to_dense();
                close(&format!("{name}: cross {a},{b} of level {k}"), &got, want.as_slice(), tolerance);
            }
        }
    }
}

#[test]
fn random_designs_agree_with_dense_v() {
    for seed in 0..12 {
        let sample = Sample::random(seed);
        for scale in [1.0, 0.02, 20.0] {
            let at = sample.covariances(seed, scale);
            for route in ROUTES {
                let sums = evaluate_by(route, &sample, &at, 1 + seed as usize % 4);
                check(&format!("{route:?}, seed {seed} scale {scale}"), &sample, &at, &sums, 1e-10);
            }
        }
    }
}

#[test]
fn unconnected_parts_are_taken_apart() {
    let mut several = 0;
    for seed in 0..12 {
        let sample = Sample::random(seed);
        let at = sample.covariances(seed, 1.0);
        let design = sample.crossed(3);
        let plan = CrossedPlan::new(&design);
        let parts = CrossedParts::new(&plan, &design);
        assert_eq!(parts.len(), components(&sample), "seed {seed}");
        several += usize::from(parts.len() > 1);
        let mut total: Option<Sums> = None;
        for part in parts.split(&plan, &design) {
            assert!(part.leaf.iter().all(|&place| parts.of_leaf(place) == parts.of_leaf(part.leaf[0])));
            let plan = CrossedPlan::new(&part.design);
            let mut scratch = CrossedScratch::new(&plan, &part.design);
            let sums = plan.evaluate(&part.design, &at, Want::Derivatives, &mut scratch);
            match &mut total {
                None => total = Some(sums),
                Some(total) => total.merge(&sums),
            }
        }
        check(&format!("seed {seed}"), &sample, &at, &total.expect("has parts"), 1e-10);
    }
    assert!(several >= 3, "{several} designs with several parts");
}

/// The number of connected components of the groups, by spreading labels until nothing changes.
fn components(sample: &Sample) -> usize {
    let mut label: Vec<usize> = (0..sample.n()).collect();
    loop {
        let before = label.clone();
        for factor in &sample.factors {
            for g in 0..factor.groups() {
                let rows: Vec<usize> = (0..sample.n()).filter(|&i| factor.group[i] == g).collect();
                let least = rows.iter().map(|&i| label[i]).min().expect("no group is empty");
                rows.iter().for_each(|&i| label[i] = least);
            }
        }
        if label == before {
            label.sort_unstable();
            label.dedup();
            return label.len();
        }
    }
}

#[test]
fn the_order_of_the_factors_does_not_matter() {
    for seed in [4, 5, 9] {
        let sample = Sample::random(seed);
        let at = sample.covariances(seed, 1.0);
        let sums = evaluate(&sample, &at, 2);
        // Another leaf, and the factors of the core in reverse.
        let mut other = sample.clone();
        other.factors.reverse();
        let reversed = Covariances::from_factors(at.factors().iter().rev().cloned().collect());
        let mut again = evaluate(&other, &reversed, 2);
        again.derivatives.reverse();
        close("log_det", &[again.log_det], &[sums.log_det], 1e-12);
        close("downdate", &again.downdate.to_dense(), &sums.downdate.to_dense(), 1e-12);
        for (a, b) in again.derivatives.iter().zip(&sums.derivatives) {
            close("h", &a.h, &b.h, 1e-12);
            a.cross.iter().zip(&b.cross).for_each(|(a, b)| close("cross", &a.to_dense(), &b.to_dense(), 1e-12));
        }
    }
}

#[test]
fn a_nest_gives_the_numbers_of_the_tree() {
    for (scale, route) in [1e-3, 1.0, 1e3, 1e6].into_iter().flat_map(|scale| ROUTES.map(|route| (scale, route))) {
        let (sample, at) = Sample::nest(scale);
        let sums = evaluate_by(route, &sample, &at, 2);
        let (plan, tree) = sample.tree();
        let mut scratch = TreeScratch::new(&plan, &tree);
        let want = plan.evaluate(&tree, at.by_level(), true, &mut scratch);
        let name = format!("scale {scale}");
        close(&format!("{name}: log_det"), &[sums.log_det], &[want.log_det], 1e-13);
        close(&format!("{name}: downdate"), &sums.downdate.to_dense(), &want.downdate.to_dense(), 1e-13);
        for (k, (got, want)) in sums.derivatives.iter().zip(&want.derivatives).enumerate() {
            let relative = (got.h[0] / want.h[0] - 1.0).abs();
            assert!(relative < 1e-10, "{name}: h of level {k}: {} instead of {}", got.h[0], want.h[0]);
            let size = want.cross[0].get(2, 2);
            for i in 0..3 {
                let error = (got.cross[0].get(i, i) - want.cross[0].get(i, i)).abs();
                assert!(error < 1e-9 * size.max(want.cross[0].get(i, i)), "{name}: cross {i} of level {k}: {error}");
            }
        }
    }
}

#[test]
fn the_sparse_route_gives_the_same_sums() {
    for seed in 0..15 {
        let sample = Sample::random(seed);
        let at = sample.covariances(seed, 1.0);
        let sums = evaluate(&sample, &at, 3);
        let design = sample.crossed(3);
        let plan = CrossedPlan::new(&design);
        let other = plan.sums_by_sparse_route(&design, &at).unwrap();
        close("log_det", &[other.log_det], &[sums.log_det], 1e-12);
        close("downdate", &other.downdate.to_dense(), &sums.downdate.to_dense(), 1e-12);
        assert!(plan.operations_of_check(&design) > 0.0);
    }
}

#[test]
fn covariances_that_are_not_finite_give_sums_that_are_not() {
    let sample = Sample::random(4);
    let mut factors = sample.covariances(4, 1.0).factors().to_vec();
    factors[1].fill(f64::INFINITY);
    let at = Covariances::from_factors(factors);
    for route in ROUTES {
        let sums = evaluate_by(route, &sample, &at, 2);
        assert!(sums.log_det.is_nan() && sums.derivatives.iter().all(|d| d.h[0].is_nan()));
        assert_eq!(sums.derivatives.len(), sample.factors.len());
    }
}

#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    let sample = Sample::large();
    let at = sample.covariances(4, 0.5);
    let design = sample.crossed(5);
    let directions = super::curvature::directions(&sample);
    let mut residual = vec![0.0; sample.m()];
    residual[sample.m() - 1] = 1.0;
    for route in ROUTES {
        let plan = CrossedPlan::with_route(&design, route);
        let run = || {
            let mut scratch = CrossedScratch::new(&plan, &design);
            let sums = plan.evaluate(&design, &at, Want::Derivatives, &mut scratch);
            let here = CurvatureAt {
                g: at.by_level(),
                directions: &directions,
                residual: &residual,
                s_xx_inverse: None,
                with_products: false,
            };
            (sums, plan.curvature(&design, &at, &here, &mut scratch))
        };
        let with_threads =
            |threads: usize| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(run);
        let want = with_threads(1);
        for threads in [2, 7] {
            assert!(with_threads(threads) == want, "{route:?}, {threads} threads");
        }
    }
}

#[test]
fn a_core_whose_groups_meet_few_others_is_sparse_and_one_that_fills_is_dense() {
    let route = |groups, range, leaves| CrossedPlan::new(&Sample::ring(groups, range, leaves)).route();
    assert_eq!(route(1200, 1, 2), CoreRoute::Sparse);
    assert_eq!(route(1200, 600, 20), CoreRoute::Dense);
    // Small ones are dense, whatever their pattern.
    assert_eq!(route(100, 1, 2), CoreRoute::Dense);
}
