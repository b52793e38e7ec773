//! The log-determinant, the Schur complement and their derivatives.

use super::sample::{M, Sample, close};
use crate::core::{CrossedPlan, CrossedScratch};
use crate::covariances::Covariances;
use crate::equations::Want;
use crate::tree::Sums;

pub(super) fn evaluate(sample: &Sample, at: &Covariances, shards: usize) -> Sums {
    let design = sample.crossed(shards);
    let plan = CrossedPlan::new(&design);
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
    for seed in 0..30 {
        let sample = Sample::random(seed);
        for scale in [1.0, 0.02, 20.0] {
            let at = sample.covariances(seed, scale);
            let sums = evaluate(&sample, &at, 1 + seed as usize % 4);
            check(&format!("seed {seed} scale {scale}"), &sample, &at, &sums, 1e-10);
        }
    }
}
