//! Times one evaluation by the tree route and by sparse LDL', on one thread.
//!
//! ```text
//! cargo run --release -p tiers-equations --example ldl_vs_tree [classes] [effects]
//! ```
//!
//! The forest has the shape of ten million students: 444,000 classes of 10 to 35 students in 31,000
//! schools, m = 10 columns of C (a constant, eight covariates and y), cut into 64 shards. Moments are
//! those of synthetic rows. With `effects` 1 (the default) classes and schools have a random
//! intercept; with 2, classes have a random slope too.

use nalgebra::DMatrix;
use std::io::Write;
use std::time::Instant;
use tiers_design::{CHUNK, Cross, Forest, Level, RowSource, Tree, TreeLevel, padded};
use tiers_equations::{CurvatureAt, Direction, FixedEffects, SparseEquations, TreePlan, TreeScratch, TreeSums};

const M: usize = 10;
const SHARDS: usize = 64;
const REPEATS: usize = 7;

/// A small generator of uniform numbers in [-1, 1): splitmix64.
struct Uniform(u64);

impl Uniform {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn next(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }
}

/// Random intercepts of classes (and slopes of column 1) and of schools.
fn levels(effects: usize, classes: usize, schools: usize) -> Vec<Level> {
    let level = |name: &str, grouping, groups, r: usize, source: Vec<RowSource>| Level {
        name: name.to_owned(),
        grouping,
        groups,
        z: (0..r).collect(),
        terms: vec![(grouping, 0)],
        source,
    };
    let stored = (0..effects).map(RowSource::Stored).collect();
    vec![level("school:class", 0, classes, effects, stored), level("school", 1, schools, 1, vec![RowSource::Sum(0, 0)])]
}

/// Rows of synthetic students as moments.
fn forest(classes: usize, effects: usize) -> Forest {
    let schools = classes * 31 / 444;
    let (mut random, mut cross, mut n) = (Uniform(1), Cross::new(M), 0);
    let mut trees = Vec::new();
    for shard in 0..SHARDS {
        let share = |of: usize| of * (shard + 1) / SHARDS - of * shard / SHARDS;
        let (classes, schools) = (share(classes), share(schools));
        let mut class = TreeLevel { groups: classes, ..TreeLevel::default() };
        for at in 0..classes {
            class.parent.push((at * schools / classes) as u32);
            let rows = 10 + (random.bits() % 26) as usize;
            class.moments.extend(class_moments(rows, effects, &mut random, &mut cross));
            n += rows as u64;
        }
        let school = TreeLevel { groups: schools, ..TreeLevel::default() };
        trees.push(Tree { levels: vec![class, school], labels: Vec::new() });
    }
    Forest {
        m: M,
        levels: levels(effects, classes, schools),
        trees,
        labels: Vec::new(),
        cross: cross.to_dense(),
        rows: n,
        sum_log_weights: 0.0,
    }
}

/// `z'C` of one class; adds its rows to `C'C`.
fn class_moments(rows: usize, effects: usize, random: &mut Uniform, cross: &mut Cross) -> Vec<f64> {
    let width = padded(M);
    let (mut out, mut c) = (vec![0.0; effects * M], vec![0.0; CHUNK * width]);
    let effect = random.next();
    for row in c.chunks_exact_mut(width).take(rows) {
        row[0] = 1.0;
        (1..M).for_each(|j| row[j] = random.next());
        row[M - 1] += effect + row[1..M - 1].iter().sum::<f64>();
        for (z, out) in out.chunks_exact_mut(M).enumerate() {
            let factor = row[z];
            out.iter_mut().zip(&*row).for_each(|(o, v)| *o += factor * v);
        }
    }
    cross.add(&c[..rows * width], &c[..rows * width]);
    out
}

/// Median time of some repeats, in milliseconds, after one that does not count.
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
    let forest = forest(classes, effects);
    let mut out = std::io::stdout().lock();
    let schools = forest.levels[1].groups;
    writeln!(out, "{} rows, {classes} classes with {effects} effect(s), {schools} schools, m = {M}", forest.rows)?;
    let class = DMatrix::from_fn(effects, effects, |i, j| if i == j { 0.4 } else { 0.1 }).lower_triangle();
    let factors = vec![class, DMatrix::from_element(1, 1, 0.3)];
    let sums = time_trees(&forest, &factors, &mut out)?;
    time_sparse(&forest, &factors, &sums, &mut out)
}

/// Times the tree route; gives its sums.
fn time_trees(forest: &Forest, factors: &[DMatrix<f64>], out: &mut impl Write) -> std::io::Result<TreeSums> {
    let plan = TreePlan::new(forest);
    let g: Vec<Vec<f64>> = factors.iter().map(|l| (l * l.transpose()).as_slice().to_vec()).collect();
    let mut scratch: Vec<TreeScratch> = forest.trees.iter().map(|tree| TreeScratch::new(&plan, tree)).collect();
    let evaluate = |derivatives: bool, scratch: &mut [TreeScratch]| {
        let pairs = forest.trees.iter().zip(scratch);
        let mut sums = pairs.map(|(tree, scratch)| plan.evaluate(tree, &g, derivatives, scratch));
        let mut total = sums.next().expect("shards");
        sums.for_each(|sum| total.merge(&sum));
        total
    };
    let total = evaluate(false, &mut scratch);
    let plain = median(|| drop(std::hint::black_box(evaluate(false, &mut scratch))));
    writeln!(out, "tree    log|A|, S                        {plain:9.1} ms")?;
    let with_derivatives = median(|| drop(std::hint::black_box(evaluate(true, &mut scratch))));
    writeln!(out, "tree    ... with first derivatives       {with_derivatives:9.1} ms")?;
    let fixed = FixedEffects::new(forest, &total, &(0..M - 1).collect::<Vec<_>>()).expect("independent columns");
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
    let at = CurvatureAt { g: &g, directions: &directions, residual: &residual, s_xx_inverse: Some(&s_xx_inverse) };
    let second = median(|| forest.trees.iter().for_each(|tree| drop(std::hint::black_box(plan.curvature(tree, &at)))));
    writeln!(out, "tree    second derivatives               {second:9.1} ms")?;
    Ok(total)
}

/// Times the sparse route and compares it with the sums of the other.
fn time_sparse(
    forest: &Forest,
    factors: &[DMatrix<f64>],
    sums: &TreeSums,
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
    let fixed = FixedEffects::new(forest, &got, &(0..M - 1).collect::<Vec<_>>())?;
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
