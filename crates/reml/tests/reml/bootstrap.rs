//! The bootstrap in moment space: its draws are distributed like sums of simulated rows.

use crate::common::{Sampled, fit, forest as forest_of, internal_theta, model};
use nalgebra::{DMatrix, DVector};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tiers_equations::{Draws, Simulator};
use tiers_reml::{
    Bootstrap, BootstrapSettings, IntervalType, Method, Model, NewtonSettings, Objective, Status, bootstrap, optimise,
};
use tiers_testdata::{Memory, Random, Values};
use tiers_testkit::{Checks, Shape, Tolerance, simulate_nested};

/// All sums of y in a fit, those of C's columns last; then the sum of squares.
fn sums(model: &Model) -> (DVector<f64>, f64) {
    let (forest, m) = (forest_of(model), model.totals().m);
    let rows = forest.trees.iter().flat_map(|tree| &tree.levels).flat_map(|level| level.moments.chunks_exact(m));
    let mut out: Vec<f64> = rows.map(|row| row[m - 1]).collect();
    out.extend((0..m - 1).map(|c| forest.cross[c * m + m - 1]));
    (DVector::from_vec(out), forest.cross[m * m - 1])
}

/// The sums of the constant.
fn sums_of_one(model: &Model) -> DVector<f64> {
    let (forest, m) = (forest_of(model), model.totals().m);
    let one = model.recipe.columns.iter().position(|c| c.atoms.is_empty()).expect("an intercept");
    let rows = forest.trees.iter().flat_map(|tree| &tree.levels).flat_map(|level| level.moments.chunks_exact(m));
    let mut out: Vec<f64> = rows.map(|row| row[one]).collect();
    out.extend((0..m - 1).map(|c| forest.cross[c * m + one]));
    DVector::from_vec(out)
}

/// The matrix that maps y to its sums, a column per row of data.
fn sums_by_row(sampled: &Sampled) -> DMatrix<f64> {
    let n = sampled.sample.n();
    let of = |y: Vec<f64>| {
        let table = sampled.table.with("y", Values::Numbers(y));
        let (model, _) = model(&table, &sampled.formula, sampled.weights()).expect("a model");
        sums(&model).0 + sums_of_one(&model) * model.recipe.response_shift
    };
    let base = of(sampled.sample.y.clone());
    let column = |i: usize| {
        let mut y = sampled.sample.y.clone();
        y[i] += 1.0;
        of(y) - &base
    };
    DMatrix::from_columns(&(0..n).map(column).collect::<Vec<_>>())
}

/// Draws zeros except for a single number of one shard; counts the draws.
struct Unit {
    counts: Arc<Vec<AtomicUsize>>,
    shard: usize,
    hot: Option<usize>,
    drawn: usize,
}

impl Draws for Unit {
    fn normal(&mut self) -> f64 {
        let value = f64::from(u8::from(self.hot == Some(self.drawn)));
        self.drawn += 1;
        self.counts[self.shard].store(self.drawn, Ordering::Relaxed);
        value
    }

    fn chi_squared(&mut self, degrees: f64) -> f64 {
        self.counts[self.shard + 1].store(degrees as usize, Ordering::Relaxed);
        0.0
    }
}

/// Draws nonzero numbers of poor randomness.
struct Some12(Random);

impl Draws for Some12 {
    fn normal(&mut self) -> f64 {
        self.0.normal()
    }

    fn chi_squared(&mut self, _: f64) -> f64 {
        0.0
    }
}

/// The sums are linear in the drawn numbers, so their covariance is known exactly and must be σ² B V B'.
/// The sum of squares is the least one for these sums, plus a χ² number.
#[test]
fn sums_have_exactly_the_distribution_of_those_of_rows() {
    let mut compared = 0;
    for seed in 0..40 {
        let Some(sampled) = Sampled::new(&format!("seed {seed}"), simulate_nested(seed, &Shape::any(seed))) else {
            continue;
        };
        if !sampled.leaves_a_residual() {
            continue;
        }
        compared += 1;
        let (sample, problem, sigma) = (&sampled.sample, sampled.sample.problem(), sampled.sample.sigma);
        let mut checks = Checks::new(sampled.name.clone());
        let b = sums_by_row(&sampled);
        let objective = Objective::new(&sampled.model, Method::Ml);
        let theta = internal_theta(&sampled.model, &objective, &sample.theta);
        let factors: Vec<_> = objective.parameters.factors(&theta).iter().map(|f| f * sigma).collect();
        let simulator = Simulator::new(&sampled.model.equations, &factors, sigma);
        let (mut drawn, _) = model(&sampled.table, &sampled.formula, sampled.weights()).expect("a model");
        let mut scratch = simulator.scratch(&drawn.equations);

        let shards = forest_of(&drawn).trees.len();
        let counts: Arc<Vec<AtomicUsize>> = Arc::new((0..shards + 2).map(|_| AtomicUsize::new(0)).collect());
        let mut unit = |at: Option<(usize, usize)>| {
            let counts = Arc::clone(&counts);
            let draws = move |shard: usize| -> Box<dyn Draws> {
                let hot = at.filter(|at| at.0 == shard).map(|at| at.1);
                Box::new(Unit { counts: Arc::clone(&counts), shard, hot, drawn: 0 })
            };
            simulator.draw(&mut drawn.equations, &mut scratch, &draws);
            sums(&drawn)
        };
        let (zero, square) = unit(None);
        checks.that("no numbers, no sums", zero.amax() == 0.0 && square == 0.0);
        let numbers: Vec<usize> = counts[..=shards].iter().map(|c| c.load(Ordering::Relaxed)).collect();
        let (mut covariance, mut trace) = (DMatrix::zeros(zero.len(), zero.len()), 0.0);
        for (shard, &count) in numbers.iter().enumerate() {
            for i in 0..count {
                let (sums, square) = unit(Some((shard, i)));
                covariance += &sums * sums.transpose();
                trace += square;
            }
        }
        let v = problem.v(&problem.relative(&sample.theta)) * (sigma * sigma);
        checks.matrix("covariance of the sums", &covariance, &(&b * &v * b.transpose()), Tolerance::of_largest(1e-11));
        let degrees = counts[shards + 1].load(Ordering::Relaxed) as f64;
        let w_v: f64 = problem.w_inv().iter().zip(v.diagonal().iter()).map(|(w, v)| v / w).sum();
        checks.check("mean of the squares", trace + sigma * sigma * degrees, w_v, Tolerance::relative(1e-11));

        // The least y'Wy over all y with these sums: s'(B W⁻¹ B')⁺ s.
        let gram = &b * DMatrix::from_diagonal(&problem.w_inv()) * b.transpose();
        let scale = DMatrix::from_diagonal(&gram.diagonal().map(|d| if d > 0.0 { 1.0 / d.sqrt() } else { 1.0 }));
        let eigen = (&scale * &gram * &scale).symmetric_eigen();
        let rank = eigen.eigenvalues.iter().filter(|v| **v > 1e-9).count();
        checks.check("degrees of freedom", degrees, (sample.n() - rank) as f64, Tolerance::relative(0.0));
        for turn in 0..3 {
            let some = |shard: usize| -> Box<dyn Draws> { Box::new(Some12(Random(1000 * turn + shard as u64))) };
            simulator.draw(&mut drawn.equations, &mut scratch, &some);
            let (s, square) = sums(&drawn);
            let along = eigen.eigenvectors.transpose() * &scale * s;
            let least: f64 =
                along.iter().zip(eigen.eigenvalues.iter()).filter(|(_, v)| **v > 1e-9).map(|(a, v)| a * a / v).sum();
            checks.check("least sum of squares", square, least, Tolerance::relative(1e-8));
        }
        checks.finish();
    }
    assert!(compared >= 20, "only {compared} samples");
}

/// Largest distance of two empirical distribution functions.
fn distance(mut one: Vec<f64>, mut two: Vec<f64>) -> f64 {
    one.sort_by(f64::total_cmp);
    two.sort_by(f64::total_cmp);
    let share = |sorted: &[f64], value: f64| sorted.partition_point(|v| *v <= value) as f64 / sorted.len() as f64;
    one.iter().chain(&two).map(|&v| (share(&one, v) - share(&two, v)).abs()).fold(0.0, f64::max)
}

fn of_fit(table: &Memory, formula: &str, method: Method, settings: &BootstrapSettings) -> Bootstrap {
    let (model, _) = model(table, formula, None).expect("a model");
    let objective = Objective::new(&model, method);
    let optimum = optimise(&objective, &NewtonSettings::default(), &mut |_, _| {});
    bootstrap(&objective, &optimum, settings, &|_| true).expect("not cancelled")
}

/// Replicates from moments and from simulated and refitted rows have the same distribution, by the test of
/// Kolmogorov and Smirnov at the level 0.001 for every quantity.
#[test]
fn replicates_are_distributed_as_those_of_simulated_rows() {
    let sleepstudy = Memory::of_dataset("sleepstudy", &["Reaction", "Days"], &["Subject"]);
    let pastes = Memory::of_dataset("pastes", &["strength"], &["batch", "cask"]);
    slopes(&sleepstudy);
    nested(&pastes);
}

fn compare(name: &str, drawn: &Bootstrap, simulated: &[Vec<f64>]) {
    let r = simulated.len() as f64;
    let critical = 1.95 * (2.0 / r).sqrt();
    for (i, quantity) in drawn.names.iter().enumerate() {
        let other: Vec<f64> = simulated.iter().map(|values| values[i]).filter(|v| v.is_finite()).collect();
        let apart = distance(drawn.values_of(i), other);
        assert!(apart < critical, "{name}, {quantity}: the distributions are {apart} apart, {critical} is much");
    }
}

/// The values of a fit in the order of a bootstrap of it.
fn values_of(fit: &tiers_reml::Fit) -> Vec<f64> {
    let mut out = Vec::new();
    for component in &fit.variance_components {
        for j in 0..component.terms.len() {
            out.push(component.sd[j]);
            out.extend((j + 1..component.terms.len()).map(|i| component.correlation[i][j].unwrap_or(f64::NAN)));
        }
    }
    out.push(fit.sigma);
    out.extend(fit.fixed_effects.iter().map(|effect| effect.estimate));
    out.extend(fit.icc.iter().map(|icc| icc.icc));
    out
}

const REPLICATES: u64 = 600;

fn slopes(table: &Memory) {
    let formula = "Reaction ~ Days + (1 + Days | Subject)";
    let drawn = of_fit(table, formula, Method::Reml, &BootstrapSettings { replicates: REPLICATES, seed: 5 });
    let base = fit(table, formula, None, Method::Reml).expect("a fit").fit;
    assert!(drawn.estimates.iter().zip(values_of(&base)).all(|(a, b)| (a - b).abs() < 1e-9 * b.abs()));
    let (days, subjects) = (table.numbers("Days"), table.ids("Subject"));
    let factor = DMatrix::from_row_slice(2, 2, &[base.theta[0], 0.0, base.theta[1], base.theta[2]]) * base.sigma;
    let beta: Vec<f64> = base.fixed_effects.iter().map(|e| e.estimate).collect();
    let mut random = Random(11);
    let simulated: Vec<Vec<f64>> = (0..REPLICATES)
        .map(|_| {
            let mut effects = std::collections::BTreeMap::new();
            let mut y = Vec::new();
            for (day, subject) in days.iter().zip(subjects) {
                let b =
                    effects.entry(*subject).or_insert_with(|| &factor * DVector::from_fn(2, |_, _| random.normal()));
                y.push(beta[0] + b[0] + (beta[1] + b[1]) * day + base.sigma * random.normal());
            }
            let again = fit(&table.with("Reaction", Values::Numbers(y)), formula, None, Method::Reml);
            values_of(&again.expect("a fit").fit)
        })
        .collect();
    compare("sleepstudy", &drawn, &simulated);
}

fn nested(table: &Memory) {
    let formula = "strength ~ 1 + (1 | batch/cask)";
    let drawn = of_fit(table, formula, Method::Ml, &BootstrapSettings { replicates: REPLICATES, seed: 6 });
    let base = fit(table, formula, None, Method::Ml).expect("a fit").fit;
    let (batches, casks) = (table.texts("batch"), table.texts("cask"));
    let sd = |k: usize| base.variance_components[k].sd[0];
    let mut random = Random(12);
    let simulated: Vec<Vec<f64>> = (0..REPLICATES)
        .map(|_| {
            let mut effects = std::collections::BTreeMap::new();
            let mut effect = |name: String, sd: f64, random: &mut Random| {
                *effects.entry(name).or_insert_with(|| sd * random.normal())
            };
            let mut y = Vec::new();
            for (batch, cask) in batches.iter().zip(casks) {
                let inner = effect(format!("{batch}:{cask}"), sd(0), &mut random);
                let outer = effect(batch.clone(), sd(1), &mut random);
                y.push(base.fixed_effects[0].estimate + inner + outer + base.sigma * random.normal());
            }
            let again = fit(&table.with("strength", Values::Numbers(y)), formula, None, Method::Ml);
            values_of(&again.expect("a fit").fit)
        })
        .collect();
    compare("pastes", &drawn, &simulated);
}

#[test]
fn a_seed_gives_the_same_bits_on_any_number_of_threads() {
    let table = Memory::of_dataset("sleepstudy", &["Reaction", "Days"], &["Subject"]);
    let with = |threads: usize, seed: u64| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        let settings = BootstrapSettings { replicates: 40, seed };
        pool.install(|| of_fit(&table, "Reaction ~ Days + (1 + Days | Subject)", Method::Reml, &settings))
    };
    let bits = |found: &Bootstrap| -> Vec<u64> {
        found.replicates.iter().flat_map(|r| r.values.iter().map(|v| v.to_bits())).collect()
    };
    let one = with(1, 3);
    assert_eq!(one.replicates.len(), 40);
    assert_eq!(bits(&one), bits(&with(3, 3)));
    assert_ne!(bits(&one), bits(&with(1, 4)));
    let interval = |kind| one.interval(0, 0.9, kind).expect("an interval");
    for kind in [IntervalType::Percentile, IntervalType::Basic, IntervalType::Normal] {
        let (low, high) = interval(kind);
        assert!(low < one.estimates[0] && one.estimates[0] < high, "{kind:?}: {low} {high}");
    }
}

/// A variance of zero is simulated as zero, and most replicates are singular, too, which is not a failure.
#[test]
fn a_fit_on_the_boundary_has_a_bootstrap() {
    let table = Memory::of_dataset("dyestuff2", &["Yield"], &["Batch"]);
    let settings = BootstrapSettings { replicates: 200, seed: 1 };
    let found = of_fit(&table, "Yield ~ 1 + (1 | Batch)", Method::Reml, &settings);
    assert_eq!(found.failed(), 0);
    assert!(found.singular() > 80 && found.singular() < 180, "{} of 200", found.singular());
    assert!(found.replicates.iter().all(|r| (r.status == Status::Boundary) == (r.values[0] == 0.0)));
    let (low, high) = found.interval(0, 0.95, IntervalType::Basic).expect("an interval");
    assert!(low == 0.0 && high == 0.0, "cut to the range: {low} {high}");
    assert!(found.interval(0, 0.95, IntervalType::Percentile).expect("an interval").1 > 0.5);
}

/// With many groups, replicates are refitted with the second derivatives at the estimates: this takes few
/// evaluations, and the spread of the replicates agrees with the standard errors.
#[test]
fn many_groups_take_few_evaluations() {
    let (groups, rows) = (22_000, 3);
    let mut random = Random(3);
    let (mut y, mut x, mut g) = (Vec::new(), Vec::new(), Vec::new());
    for group in 0..groups {
        let b = 0.7 * random.normal();
        for _ in 0..rows {
            let covariate = random.normal();
            y.push(1.0 + 0.5 * covariate + b + random.normal());
            x.push(covariate);
            g.push(group);
        }
    }
    let table = Memory::new(vec![("y", Values::Numbers(y)), ("x", Values::Numbers(x)), ("g", Values::Ids(g))]);
    let found = of_fit(&table, "y ~ x + (1 | g)", Method::Reml, &BootstrapSettings { replicates: 12, seed: 2 });
    let fit = fit(&table, "y ~ x + (1 | g)", None, Method::Reml).expect("a fit").fit;
    let errors = [
        fit.variance_components[0].sd_std_error[0].expect("inside"),
        fit.sigma_std_error.expect("inside"),
        fit.fixed_effects[0].std_error,
        fit.fixed_effects[1].std_error,
    ];
    for replicate in &found.replicates {
        assert_eq!(replicate.status, Status::Converged);
        assert!(replicate.evaluations <= 5, "{} evaluations", replicate.evaluations);
    }
    for (i, error) in errors.iter().enumerate() {
        // The root of the mean square of twelve deviations, in standard errors: χ² with 12 degrees of freedom.
        let square: f64 = found.values_of(i).iter().map(|v| ((v - found.estimates[i]) / error).powi(2)).sum::<f64>();
        assert!(2.0 < square && square < 33.0, "{}: {square}", found.names[i]);
    }
}
