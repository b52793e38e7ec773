//! Strategies for properties.

use proptest::prelude::*;
use tiers_testkit::{NestedSample, Shape, simulate_nested};

/// Samples of all kinds and sizes, which shrink to few levels and groups without slopes or weights.
pub fn samples() -> impl Strategy<Value = NestedSample> {
    let shape = (1_usize..=4).prop_flat_map(|levels| {
        // Samples are small enough to write V out.
        let (top_groups, most) = ([12_usize, 7, 5, 4][levels - 1], [6_usize, 4, 3, 3][levels - 1]);
        (Just(levels), 2..=top_groups, 1..=most, 0_usize..=2, any::<[bool; 3]>())
    });
    let values = 0_u64..1 << 40;
    (shape, values).prop_map(|((levels, top_groups, most, slopes, [uncorrelated, weights, shuffled]), seed)| {
        simulate_nested(seed, &Shape { levels, top_groups, most, slopes, uncorrelated, weights, shuffled })
    })
}
