//! Models whose effects together fit every row, though no single level does.

use crate::common::{model, table_of};
use tiers_testkit::{Shape, simulate_nested};

/// Their criterion falls for ever as the variances grow: once such a fit came out as converged, at a
/// theta of a thousand and more, by rounding noise.
#[test]
fn effects_that_leave_no_residual_are_refused() {
    let mut refused = 0;
    for seed in (1300..1500).chain([44687]) {
        let sample = simulate_nested(seed, &Shape::any(seed));
        let (table, formula) = table_of(&sample);
        let weights = sample.weights.as_ref().map(|_| "w");
        if let Err(error) = model(&table, &formula, weights) {
            refused += usize::from(error.to_string().contains("together fit all"));
        } else {
            // What is accepted leaves rows over when nothing shrinks the effects.
            let problem = sample.problem();
            let mut all = problem.x.clone();
            let z = problem.z_full();
            all = all.clone().resize_horizontally(all.ncols() + z.ncols(), 0.0);
            all.columns_mut(problem.x.ncols(), z.ncols()).copy_from(&z);
            let rank = all.rank(1e-8);
            assert!(rank < sample.n(), "seed {seed}: {formula} spans all {} rows", sample.n());
        }
    }
    assert!(refused > 0, "none of the samples is saturated");
}
