//! Conditional modes and their variances, and predictions for new rows.

use super::curvature::fixed;
use super::evaluate::ROUTES;
use super::sample::{M, Random, Sample, close};
use crate::core::{CrossedPath, CrossedPlan, CrossedScratch};
use crate::covariances::Covariances;
use crate::fixed::FixedEffects;
use nalgebra::DVector;
use tiers_moments::GroupPlace;

/// V⁻¹ and the fixed effects with X the first two columns of C.
fn solved(sample: &Sample, at: &Covariances) -> (M, FixedEffects) {
    let vi = sample.v(at).cholesky().expect("positive definite").inverse();
    let (gamma, s_xx_inverse) = fixed(sample, &vi);
    let m = sample.m();
    let fixed = FixedEffects {
        x: vec![0, 1],
        beta: DVector::from_vec(vec![-gamma[0], -gamma[1]]),
        xx_inverse: M::from_fn(2, 2, |i, j| s_xx_inverse[i * m + j]),
        log_det_xx: 0.0,
        pwrss: 1.0,
        loss_y: 1.0,
        loss_x: 1.0,
    };
    (vi, fixed)
}

#[test]
fn modes_and_variances_agree_with_dense_v() {
    for seed in 0..15 {
        let sample = Sample::random(seed);
        let at = sample.covariances(seed, [1.0, 0.05, 10.0][seed as usize / 3 % 3]);
        let shards = 3;
        let design = sample.crossed(shards);
        let plan = CrossedPlan::with_route(&design, ROUTES[usize::from(seed % 3 == 2)]);
        let (vi, fixed) = solved(&sample, &at);
        let mut random = Random(seed);
        let maps: Vec<M> =
            (0..sample.factors.len()).map(|k| M::from_fn(sample.r(k), sample.r(k), |_, _| random.normal())).collect();
        let mut scratch = CrossedScratch::new(&plan, &design);
        let got = plan.effects(&design, &at, &fixed, &maps, &mut scratch).unwrap();
        let x = sample.c.columns(0, 2).into_owned();
        let e = sample.c.column(sample.m() - 1) - &x * &fixed.beta;
        let p = &vi - &vi * &x * &fixed.xx_inverse * x.transpose() * &vi;
        for (k, map) in maps.iter().enumerate() {
            let lambda = &at.factors()[k];
            let (z, g) = (sample.z(k), sample.spread(k, &(lambda * lambda.transpose())));
            let map = sample.spread(k, map);
            let modes = &map * &g * z.transpose() * &vi * &e;
            let variance =
                |inverse: &M| (&map * (&g - &g * z.transpose() * inverse * &z * &g) * map.transpose()).diagonal();
            let (conditional, prediction) = (variance(&vi), variance(&p));
            // The variances by their definition are differences of numbers of this size.
            let tolerance = 1e-12 * (&map * &g * map.transpose()).amax().max(1.0);
            let r = sample.r(k);
            let mut seen = vec![0; got[k].len()];
            for group in 0..sample.factors[k].groups() {
                let shard = if k == 0 { group * 5 % shards } else { 0 };
                let own = seen[shard] * r..(seen[shard] + 1) * r;
                seen[shard] += 1;
                let rows = group * r..(group + 1) * r;
                let name = format!("seed {seed} level {k} group {group}");
                let level = &got[k][shard];
                close(&format!("{name}: modes"), &level.modes[own.clone()], &modes.as_slice()[rows.clone()], 1e-11);
                let want = &conditional.as_slice()[rows.clone()];
                close(&format!("{name}: conditional"), &level.conditional[own.clone()], want, tolerance);
                close(&format!("{name}: prediction"), &level.prediction[own], &prediction.as_slice()[rows], tolerance);
            }
        }
    }
}

#[test]
fn new_rows_agree_with_dense_v() {
    for seed in 0..10 {
        let sample = Sample::random(seed);
        let at = sample.covariances(seed, 1.0);
        let design = sample.crossed(3);
        let plan = CrossedPlan::with_route(&design, ROUTES[usize::from(seed % 3 == 2)]);
        let (vi, fixed) = solved(&sample, &at);
        let eliminated = plan.eliminated(&design, &at).unwrap();
        let x = sample.c.columns(0, 2).into_owned();
        let mut random = Random(seed);
        for case in 0..20 {
            // Some factors are known; the group of a leaf is that of a row, so that its place is easy to find.
            let known: Vec<Option<usize>> = sample
                .factors
                .iter()
                .map(|factor| (random.below(3) > 0).then(|| factor.group[random.below(sample.n())]))
                .collect();
            let z: Vec<Vec<f64>> =
                (0..known.len()).map(|k| (0..sample.r(k)).map(|_| random.normal()).collect()).collect();
            let place = |k: usize, group: usize| match k {
                0 => GroupPlace {
                    shard: group * 5 % 3,
                    group: (0..group).filter(|g| g * 5 % 3 == group * 5 % 3).count(),
                },
                _ => GroupPlace { shard: 0, group },
            };
            let places = known.iter().enumerate().filter_map(|(k, group)| group.map(|group| (k, place(k, group))));
            let mut path = CrossedPath::default();
            path.set(places, &eliminated);
            let mut of_x = [1.0, random.normal()];
            let (mut want_x, mut want) = (DVector::from_row_slice(&of_x), 0.0);
            let got = path.eliminate_row(&eliminated, &fixed.x, &mut of_x, |k, t| z[k][t]);
            // Z G z of all factors.
            let mut spread = DVector::zeros(sample.n());
            for (k, group) in known.iter().enumerate() {
                let Some(group) = group else { continue };
                let lambda = &at.factors()[k];
                let mut own = DVector::zeros(sample.factors[k].groups() * sample.r(k));
                (0..sample.r(k)).for_each(|t| own[group * sample.r(k) + t] = z[k][t]);
                let g = sample.spread(k, &(lambda * lambda.transpose()));
                want += own.dot(&(&g * &own));
                spread += sample.z(k) * g * own;
            }
            want -= spread.dot(&(&vi * &spread));
            want_x -= x.transpose() * &vi * &spread;
            let name = format!("seed {seed} case {case}");
            close(&format!("{name}: variance"), &[got], &[want], 1e-11);
            close(&format!("{name}: x"), &of_x, want_x.as_slice(), 1e-11);
        }
    }
}
