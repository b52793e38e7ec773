//! Times one evaluation by the tree route, on one or more threads, and by sparse LDL' on one thread.
//!
//! ```text
//! cargo run --release -p tiers-equations --example ldl_vs_tree [classes] [effects] [threads]
//! ```
//!
//! The forest has the shape of ten million students: 444,000 classes of 10 to 35 students in 31,000
//! schools, m = 10 columns of C (a constant, eight covariates and y), cut into 64 shards. The moments are
//! those of synthetic rows. With `effects` 1 (the default) classes and schools have a random
//! intercept; with 2, classes have a random slope too. Shards are dealt to the threads in turn.

#[path = "../benches/synthetic/mod.rs"]
mod synthetic;

use nalgebra::DMatrix;
use std::io::Write;
use std::time::Instant;
use synthetic::{M, forest};
use tiers_equations::{CurvatureAt, Direction, FixedEffects, SparseEquations, Sums, TreePlan, TreeScratch};
use tiers_moments::Forest;

const REPEATS: usize = 7;

/// Returns the median time of some repeats, in milliseconds, after a warm-up.
fn median(mut work: impl FnMut()) -> f64 {
    work();
    let mut times: Vec<f64> = (0..REPEATS)
        .map(|_| {
            let start = Instant::now();
            work();
            1e3 * start.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[REPEATS / 2]
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let classes: usize = arguments.next().map_or(Ok(444_000), |a| a.parse())?;
    let effects: usize = arguments.next().map_or(Ok(1), |a| a.parse())?;
    let threads: usize = arguments.next().map_or(Ok(1), |a| a.parse())?;
    let forest = forest(classes, effects);
    let mut out = std::io::stdout().lock();
    let schools = forest.levels[1].groups;
    writeln!(out, "{} rows, {classes} classes with {effects} effect(s), {schools} schools, m = {M}", forest.rows)?;
    let class = DMatrix::from_fn(effects, effects, |i, j| if i == j { 0.4 } else { 0.1 }).lower_triangle();
    let factors = vec![class, DMatrix::from_element(1, 1, 0.3)];
    let sums = time_trees(&forest, &factors, threads, &mut out)?;
    time_sparse(&forest, &factors, &sums, &mut out)
}

/// Runs the work on every shard, on several threads; returns the results in the order of the shards.
fn side_by_side<I: Send, T: Send>(threads: usize, shards: Vec<I>, work: impl Fn(I) -> T + Sync) -> Vec<T> {
    let mut of_thread: Vec<Vec<(usize, I)>> = (0..threads).map(|_| Vec::new()).collect();
    shards.into_iter().enumerate().for_each(|(i, shard)| of_thread[i % threads].push((i, shard)));
    let work = &work;
    let mut done: Vec<(usize, T)> = std::thread::scope(|scope| {
        let start = |own: Vec<(usize, I)>| {
            scope.spawn(move || own.into_iter().map(|(i, shard)| (i, work(shard))).collect::<Vec<_>>())
        };
        let started: Vec<_> = of_thread.into_iter().map(start).collect();
        started.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    });
    done.sort_by_key(|(i, _)| *i);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Times the tree route and returns its sums.
fn time_trees(
    forest: &Forest,
    factors: &[DMatrix<f64>],
    threads: usize,
    out: &mut impl Write,
) -> std::io::Result<Sums> {
    let plan = TreePlan::new(forest);
    let g: Vec<Vec<f64>> = factors.iter().map(|l| (l * l.transpose()).as_slice().to_vec()).collect();
    let mut scratch: Vec<TreeScratch> = forest.trees.iter().map(|tree| TreeScratch::new(&plan, tree)).collect();
    let evaluate = |derivatives: bool, scratch: &mut [TreeScratch]| {
        let shards = forest.trees.iter().zip(scratch).collect();
        let sums = side_by_side(threads, shards, |(tree, scratch)| plan.evaluate(tree, &g, derivatives, scratch));
        let mut sums = sums.into_iter();
        let mut total = sums.next().expect("shards");
        sums.for_each(|sum| total.merge(&sum));
        total
    };
    let total = evaluate(false, &mut scratch);
    let plain = median(|| drop(std::hint::black_box(evaluate(false, &mut scratch))));
    writeln!(out, "tree    log|A|, S                        {plain:9.1} ms")?;
    let with_derivatives = median(|| drop(std::hint::black_box(evaluate(true, &mut scratch))));
    writeln!(out, "tree    ... with first derivatives       {with_derivatives:9.1} ms")?;
    let fixed =
        FixedEffects::new(&forest.totals(), &total, &(0..M - 1).collect::<Vec<_>>()).expect("independent columns");
    let mut s_xx_inverse = vec![0.0; M * M];
    (0..(M - 1) * (M - 1)).for_each(|k| {
        let (i, j) = (k / (M - 1), k % (M - 1));
        s_xx_inverse[i * M + j] = fixed.xx_inverse[(i, j)];
    });
    let r = [factors[0].nrows(), 1];
    let of_level =
        |level: usize| (0..r[level]).flat_map(move |a| (a..r[level]).map(move |b| Direction { level, a, b }));
    let directions: Vec<Direction> = (0..2).flat_map(of_level).collect();
    let residual = fixed.residual(M);
    let at = CurvatureAt {
        g: &g,
        directions: &directions,
        residual: &residual,
        s_xx_inverse: Some(&s_xx_inverse),
        with_products: false,
    };
    let curvature = || side_by_side(threads, forest.trees.iter().collect(), |tree| plan.curvature(tree, &at));
    let second = median(|| drop(std::hint::black_box(curvature())));
    writeln!(out, "tree    second derivatives               {second:9.1} ms")?;
    Ok(total)
}

/// Times the sparse route and compares its sums with those of the tree route.
fn time_sparse(
    forest: &Forest,
    factors: &[DMatrix<f64>],
    sums: &Sums,
    out: &mut impl Write,
) -> Result<(), Box<dyn std::error::Error>> {
    let start = Instant::now();
    let mut equations = SparseEquations::new(forest)?;
    let set_up = 1e3 * start.elapsed().as_secs_f64();
    let unknowns: usize = equations.shards.iter().map(|shard| shard.unknowns()).sum();
    let entries: usize = equations.shards.iter().map(|shard| shard.l().nnz()).sum();
    writeln!(out, "sparse  set-up ({unknowns} unknowns, nnz(L) = {entries}) {set_up:6.1} ms")?;
    let refactor = median(|| equations.factor(factors).expect("positive definite"));
    writeln!(out, "sparse  values of A and LDL'             {refactor:9.1} ms")?;
    let solve = median(|| drop(std::hint::black_box(equations.sums())));
    writeln!(out, "sparse  log|A|, S                        {solve:9.1} ms")?;
    writeln!(out, "sparse  ... both: one evaluation         {:9.1} ms", refactor + solve)?;
    let got = equations.sums();
    let fixed = FixedEffects::new(&forest.totals(), &got, &(0..M - 1).collect::<Vec<_>>())?;
    let gamma = fixed.residual(M);
    let b = median(|| equations.shards.iter().for_each(|shard| drop(std::hint::black_box(shard.effects(&gamma)))));
    writeln!(out, "sparse  b                                {b:9.1} ms")?;
    let variances = median(|| {
        for shard in &equations.shards {
            let conditional = shard.conditional_covariances();
            drop(std::hint::black_box(shard.prediction_covariances(&conditional, &fixed)));
        }
    });
    writeln!(out, "sparse  conditional, prediction variance {variances:9.1} ms")?;
    let (got_s, want_s) = (got.downdate.to_dense(), sums.downdate.to_dense());
    let largest = want_s.iter().fold(0.0, |a: f64, v| a.max(v.abs()));
    let apart = got_s.iter().zip(&want_s).fold(0.0, |a: f64, (g, w)| a.max((g - w).abs())) / largest;
    let log_apart = (got.log_det - sums.log_det).abs() / sums.log_det.abs();
    writeln!(out, "relative difference of the routes: log|A| {log_apart:.1e}, S {apart:.1e}")?;
    Ok(())
}
