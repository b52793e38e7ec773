//! The streamed moments against products with a dense Z: `Z'WZ`, `Z'WX`, `Z'Wy`, `[X y]'W[X y]`.

use crate::common::{forest, model};
use nalgebra::{DMatrix, DVector};
use proptest::prelude::*;
use std::collections::HashMap;
use tiers_design::{Encoder, RowBlock, Source, ZMatrix, z_matrix};
use tiers_equations::SparseEquations;
use tiers_moments::GroupPlace;
use tiers_reml::Model;
use tiers_testdata::{Memory, table_of};
use tiers_testkit::{Checks, Shape, Tolerance, simulate_nested};

/// The rows of a table, encoded by a model's recipe.
fn encoded(table: &Memory, model: &Model) -> Vec<RowBlock> {
    let encoder = Encoder::new(&model.recipe);
    let blocks = table.scan(&model.recipe.requests).expect("a table in memory");
    blocks.map(|raw| encoder.encode(&raw.unwrap().decode().unwrap()).expect("clean rows")).collect()
}

/// Dense matrices: Z, C = [X, further z columns, y] and w.
struct Written {
    z: DMatrix<f64>,
    c: DMatrix<f64>,
    w: DVector<f64>,
}

impl Written {
    fn new(blocks: &[RowBlock], z: &ZMatrix) -> Self {
        let mut dense = DMatrix::zeros(z.z.rows(), z.z.cols());
        z.z.iter().for_each(|(&value, (i, j))| dense[(i, j)] = value);
        let row = |block: &RowBlock, i: usize| -> Vec<f64> { (0..block.columns).map(|j| block.column(j)[i]).collect() };
        let rows: Vec<f64> = blocks.iter().flat_map(|b| (0..b.rows).flat_map(move |i| row(b, i))).collect();
        let weights = |b: &RowBlock| b.weights.clone().unwrap_or_else(|| vec![1.0; b.rows]);
        let w: Vec<f64> = blocks.iter().flat_map(weights).collect();
        let c = DMatrix::from_row_slice(dense.nrows(), blocks[0].columns, &rows);
        Written { z: dense, c, w: DVector::from_vec(w) }
    }

    /// `left' W right`.
    fn cross(&self, left: &DMatrix<f64>, right: &DMatrix<f64>) -> DMatrix<f64> {
        let mut weighted = right.clone();
        weighted.row_iter_mut().zip(&self.w).for_each(|(mut row, &w)| row *= w);
        left.transpose() * weighted
    }
}

/// `Z'WZ` and `Z'WC` from the forest's moments, in the order of the columns of Z.
fn of_forest(model: &Model, z: &ZMatrix) -> (DMatrix<f64>, DMatrix<f64>) {
    let forest = forest(model);
    let named = z.columns.iter().enumerate().map(|(at, c)| ((&c.level, &c.group, c.column), at));
    let place: HashMap<_, _> = named.collect();
    let mut equations = SparseEquations::new(forest).expect("small");
    // At Λ = I, A is Z'WZ + I.
    let identity: Vec<_> = forest.levels.iter().map(|level| DMatrix::identity(level.r(), level.r())).collect();
    equations.factor(&identity).expect("positive definite");
    let (mut zz, mut zc) = (DMatrix::zeros(place.len(), place.len()), DMatrix::zeros(place.len(), forest.m));
    for shard in &equations.shards {
        let column_of = |unknown: usize| {
            let at = shard.place(unknown);
            let level = &forest.levels[at.level];
            let group = GroupPlace { shard: at.shard, group: at.group };
            let labels: Vec<String> =
                model.structure().group_labels(at.level, &[group]).iter().map(|labels| labels.label(0)).collect();
            place[&(&level.name, &labels, level.z[at.effect])]
        };
        for (&value, (i, j)) in shard.matrix().iter() {
            let value = if i == j { value - 1.0 } else { value };
            let (i, j) = (column_of(i as usize), column_of(j as usize));
            zz[(i, j)] = value;
            zz[(j, i)] = value;
        }
        let rows = (0..forest.levels.len()).flat_map(|k| shard.moments(k).chunks_exact(forest.m));
        for (unknown, row) in rows.enumerate() {
            zc.set_row(column_of(unknown), &DMatrix::from_row_slice(1, forest.m, row).row(0));
        }
    }
    (zz, zc)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn streamed_moments_are_those_of_z(seed in 0u64..100_000, block_rows in 1usize..70) {
        let sample = simulate_nested(seed, &Shape::any(seed));
        let (mut table, formula) = table_of(&sample);
        table.block_rows = block_rows;
        let weights = sample.weights.as_ref().map(|_| "w");
        // Samples with two equal levels, or one effect per row, are refused.
        let made = model(&table, &formula, weights);
        prop_assume!(made.is_ok());
        let (model, _) = made.unwrap();
        let forest = forest(&model);
        let blocks = encoded(&table, &model);
        let z = z_matrix(&model.recipe, &blocks);
        let written = Written::new(&blocks, &z);
        let (zz, zc) = of_forest(&model, &z);
        let mut checks = Checks::new(format!("seed {seed}, blocks of {block_rows}: {formula}"));
        let close = Tolerance::of_largest(1e-13);
        let random: usize = forest.levels.iter().map(|level| level.groups * level.r()).sum();
        checks.equal("columns of Z", z.columns.len(), random);
        let per_row: usize = forest.levels.iter().map(tiers_moments::Level::r).sum();
        checks.equal("entries of Z", z.z.nnz(), sample.n() * per_row);
        checks.matrix("Z'WZ", &zz, &written.cross(&written.z, &written.z), close);
        checks.matrix("Z'W[X y]", &zc, &written.cross(&written.z, &written.c), close);
        let cross = DMatrix::from_row_slice(forest.m, forest.m, &forest.cross);
        checks.matrix("[X y]'W[X y]", &cross, &written.cross(&written.c, &written.c), close);
        checks.equal("n", forest.rows, sample.n() as u64);
        let sum: f64 = written.w.iter().map(|w| w.ln()).sum();
        checks.check("sum of log w", forest.sum_log_weights, sum, Tolerance::both(1e-13, 1e-13));
        checks.finish();
    }
}
