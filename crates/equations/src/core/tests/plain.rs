//! Sums over pairs of core effects by columns of the core and by shards of the leaf.

use super::sample::{Sample, close};
use crate::core::{CoreRoute, CrossedPlan, CrossedScratch};
use crate::covariances::Covariances;
use crate::equations::Want;
use crate::tree::{Curvature, CurvatureAt, Sums};

fn sums(sample: &Sample, at: &Covariances, by_shards: bool) -> (Sums, Curvature) {
    let design = sample.crossed(4);
    let mut plan = CrossedPlan::with_route(&design, CoreRoute::Dense);
    assert!(plan.is_plain());
    plan.by_shards = by_shards;
    let mut scratch = CrossedScratch::new(&plan, &design);
    let sums = plan.evaluate(&design, at, Want::Derivatives, &mut scratch);
    let mut residual = vec![0.0; sample.m()];
    residual[sample.m() - 1] = 1.0;
    let directions = super::curvature::directions(sample);
    let here = CurvatureAt {
        g: at.by_level(),
        directions: &directions,
        residual: &residual,
        s_xx_inverse: None,
        with_products: false,
    };
    (sums, plan.curvature(&design, at, &here, &mut scratch))
}

fn check(name: &str, sample: &Sample, at: &Covariances) {
    let (want, want_curvature) = sums(sample, at, false);
    let (got, curvature) = sums(sample, at, true);
    close(&format!("{name}: log_det"), &[got.log_det], &[want.log_det], 1e-12);
    close(&format!("{name}: downdate"), &got.downdate.to_dense(), &want.downdate.to_dense(), 1e-12);
    for (got, want) in got.derivatives.iter().zip(&want.derivatives) {
        close(&format!("{name}: h"), &got.h, &want.h, 1e-12);
        close(&format!("{name}: cross"), &got.cross[0].to_dense(), &want.cross[0].to_dense(), 1e-12);
    }
    close(&format!("{name}: trace"), &curvature.trace, &want_curvature.trace, 1e-11);
    close(&format!("{name}: residual"), &curvature.residual, &want_curvature.residual, 1e-11);
}

#[test]
fn sums_by_shards_are_those_by_columns() {
    for seed in 0..12 {
        let sample = Sample::intercepts(seed);
        check(&format!("seed {seed}"), &sample, &sample.covariances(seed, 1.0));
    }
    let large = Sample::large();
    check("large", &large, &large.covariances(4, 0.5));
    let (nest, at) = Sample::nest(1.0);
    check("nest", &nest, &at);
}
