//! Benchmarks of the parts of one evaluation by either route, on 20,000 classes (about 450,000 rows).
//!
//! ```text
//! cargo bench -p tiers-equations --bench routes
//! ```
//!
//! The argument is the number of effects of a class: 1 (intercept) or 2 (intercept and slope). Divide by
//! 20,000 for the time per class. `examples/ldl_vs_tree` compares the routes at the size of ten million rows.

mod synthetic;

use divan::{Bencher, black_box};
use nalgebra::DMatrix;
use synthetic::{M, forest};
use tiers_equations::{
    CurvatureAt, Direction, FixedEffects, SparseEquations, SparseShard, Sums, TreePlan, TreeScratch,
};
use tiers_moments::Forest;

const CLASSES: usize = 20_000;
const EFFECTS: [usize; 2] = [1, 2];

fn main() {
    divan::main();
}

/// Relative factors of classes and schools.
fn factors(effects: usize) -> Vec<DMatrix<f64>> {
    let class = DMatrix::from_fn(effects, effects, |i, j| if i == j { 0.4 } else { 0.1 });
    vec![class.lower_triangle(), DMatrix::from_element(1, 1, 0.3)]
}

fn covariances(effects: usize) -> Vec<Vec<f64>> {
    factors(effects).iter().map(|l| (l * l.transpose()).as_slice().to_vec()).collect()
}

/// Evaluates all shards by the tree route, on this thread.
fn evaluate(forest: &Forest, plan: &TreePlan, g: &[Vec<f64>], derivatives: bool, room: &mut [TreeScratch]) -> Sums {
    let pairs = forest.trees.iter().zip(room);
    let mut sums = pairs.map(|(tree, scratch)| plan.evaluate(tree, g, derivatives, scratch));
    let mut total = sums.next().expect("a forest has shards");
    sums.for_each(|sum| total.merge(&sum));
    total
}

fn room(forest: &Forest, plan: &TreePlan) -> Vec<TreeScratch> {
    forest.trees.iter().map(|tree| TreeScratch::new(plan, tree)).collect()
}

mod tree {
    use super::*;

    fn evaluation(bencher: Bencher, effects: usize, derivatives: bool) {
        let forest = forest(CLASSES, effects);
        let (plan, g) = (TreePlan::new(&forest), covariances(effects));
        let mut room = room(&forest, &plan);
        bencher.bench_local(|| evaluate(&forest, &plan, black_box(&g), derivatives, &mut room));
    }

    #[divan::bench(args = EFFECTS)]
    fn criterion(bencher: Bencher, effects: usize) {
        evaluation(bencher, effects, false);
    }

    #[divan::bench(args = EFFECTS)]
    fn criterion_and_gradient(bencher: Bencher, effects: usize) {
        evaluation(bencher, effects, true);
    }

    #[divan::bench(args = EFFECTS)]
    fn curvature(bencher: Bencher, effects: usize) {
        let forest = forest(CLASSES, effects);
        let (plan, g) = (TreePlan::new(&forest), covariances(effects));
        let sums = evaluate(&forest, &plan, &g, true, &mut room(&forest, &plan));
        let fixed =
            FixedEffects::new(&forest.totals(), &sums, &(0..M - 1).collect::<Vec<_>>()).expect("independent columns");
        let level = |level: usize, r: usize| (0..r).flat_map(move |a| (a..r).map(move |b| Direction { level, a, b }));
        let directions: Vec<Direction> = level(0, effects).chain(level(1, 1)).collect();
        let residual = fixed.residual(M);
        let at = CurvatureAt {
            g: &g,
            directions: &directions,
            residual: &residual,
            s_xx_inverse: None,
            with_products: false,
        };
        bencher.bench_local(|| {
            forest.trees.iter().for_each(|tree| drop(black_box(plan.curvature(tree, black_box(&at)))));
        });
    }
}

mod sparse {
    use super::*;

    #[divan::bench(args = EFFECTS)]
    fn analyse(bencher: Bencher, effects: usize) {
        let forest = forest(CLASSES, effects);
        bencher.bench_local(|| {
            (0..forest.trees.len()).for_each(|shard| drop(black_box(SparseShard::new(&forest, shard))));
        });
    }

    #[divan::bench(args = EFFECTS)]
    fn refactor(bencher: Bencher, effects: usize) {
        let forest = forest(CLASSES, effects);
        let mut equations = SparseEquations::new(&forest).expect("a nest");
        let factors = factors(effects);
        bencher.bench_local(|| equations.factor(black_box(&factors)).expect("positive definite"));
    }

    /// Returns factored equations.
    fn factored(forest: &Forest, effects: usize) -> SparseEquations<'_> {
        let mut equations = SparseEquations::new(forest).expect("a nest");
        equations.factor(&factors(effects)).expect("positive definite");
        equations
    }

    #[divan::bench(args = EFFECTS)]
    fn criterion(bencher: Bencher, effects: usize) {
        let forest = forest(CLASSES, effects);
        let mut equations = factored(&forest, effects);
        bencher.bench_local(|| equations.sums());
    }

    #[divan::bench(args = EFFECTS)]
    fn solve(bencher: Bencher, effects: usize) {
        let forest = forest(CLASSES, effects);
        let equations = factored(&forest, effects);
        let mut gamma = vec![-0.5; M];
        gamma[M - 1] = 1.0;
        bencher.bench_local(|| {
            equations.shards.iter().for_each(|shard| drop(black_box(shard.effects(&gamma))));
        });
    }

    #[divan::bench(args = EFFECTS)]
    fn selected_inverse(bencher: Bencher, effects: usize) {
        let forest = forest(CLASSES, effects);
        let equations = factored(&forest, effects);
        bencher.bench_local(|| {
            equations.shards.iter().for_each(|shard| drop(black_box(shard.conditional_covariances())));
        });
    }
}
