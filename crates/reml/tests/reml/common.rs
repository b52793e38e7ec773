//! Models, fits and simulated samples that several test modules use.

use nalgebra::DMatrix;
use std::error::Error;
use tiers_design::{DesignError, Formula, Plan, Settings, Source};
use tiers_equations::{Covariances, Want};
use tiers_moments::{Dropped, Forest, IngestError, Structure, accumulate};
use tiers_reml::{
    BuildError, DfMethod, Fit, Inference, LevelEffects, Method, Model, NewtonSettings, Objective, Optimum, Status,
    Step, Trial, build_model, find_optimum, random_effects,
};
use tiers_testdata::{Memory, table_of};
use tiers_testkit::{
    Checks, NestedSample, Shape, Tolerance, oracle, simulate_crossed, simulate_nested, simulate_regions,
};

/// Both likelihoods.
pub(crate) const METHODS: [Method; 2] = [Method::Reml, Method::Ml];

/// Builds a model from a table in memory.
pub(crate) fn model(table: &Memory, formula: &str, weights: Option<&str>) -> Result<(Model, Dropped), BuildError> {
    let settings = Settings { weights: weights.map(str::to_owned), ..Settings::default() };
    let formula: Formula = formula.parse().map_err(DesignError::from).map_err(IngestError::from)?;
    let plan = Plan::new(&formula, table.fields(), &settings).map_err(IngestError::from)?;
    build_model(accumulate(table, &plan, &mut ())?)
}

/// Scaled theta of a model for raw factors, given term by term, lower triangular by column.
pub(crate) fn internal_theta(model: &Model, objective: &Objective<'_>, raw: &[f64]) -> Vec<f64> {
    let mut factors: Vec<DMatrix<f64>> = objective.parameters.r.iter().map(|&r| DMatrix::zeros(r, r)).collect();
    for (entry, &value) in objective.parameters.entries.iter().zip(raw) {
        factors[entry.level][(entry.row, entry.column)] = value;
    }
    let maps = model.effect_maps();
    let shifted: Vec<_> = factors.iter().zip(maps).map(|(l, map)| map.try_inverse().expect("unimodular") * l).collect();
    objective.parameters.from_factors(&shifted)
}

/// Treats a given θ as the optimum.
pub(crate) fn as_optimum(objective: &Objective<'_>, raw: &[f64]) -> Optimum {
    let mut scratch = objective.scratch();
    let scaled = internal_theta(objective.model(), objective, raw);
    let at = objective.evaluate(&objective.parameters.covariances(&scaled), Want::Derivatives, &mut scratch);
    let second = objective.second_derivatives(&at);
    let (status, trace) = (Status::Converged, Vec::new());
    let singular = vec![false; objective.model().recipe.random.len()];
    Optimum { at, scaled, second, status, evaluations: 1, trace, decrement: 0.0, singular, undetermined: Vec::new() }
}

/// A fitted model with its results.
#[derive(Debug)]
pub(crate) struct Fitted {
    pub(crate) optimum: Optimum,
    pub(crate) fit: Fit,
    pub(crate) effects: Vec<LevelEffects>,
}

/// A fit with intervals by the normal approximation.
pub(crate) fn report(objective: &Objective<'_>, optimum: &Optimum, dropped: &Dropped) -> Fit {
    Fit::new(objective, optimum, dropped, Inference { df: DfMethod::None, ..Inference::default() })
}

/// Reads and fits a table in memory.
pub(crate) fn fit(
    table: &Memory,
    formula: &str,
    weights: Option<&str>,
    method: Method,
) -> Result<Fitted, Box<dyn Error>> {
    let (model, dropped) = model(table, formula, weights)?;
    let objective = Objective::new(&model, method);
    let optimum = find_optimum(&objective, &NewtonSettings::default(), &mut go_on)?;
    let fit = report(&objective, &optimum, &dropped);
    let effects = random_effects(&objective, &optimum)?;
    Ok(Fitted { optimum, fit, effects })
}

/// An observer that never cancels a search.
pub(crate) fn go_on(_: &Trial<'_>, _: &Step) -> bool {
    true
}

/// Factors that are `size` times the identity in scaled units.
pub(crate) fn diagonal(objective: &Objective<'_>, size: f64) -> Covariances {
    let entries = objective.parameters.entries.iter();
    let scaled: Vec<f64> = entries.map(|e| if e.row == e.column { size } else { 0.0 }).collect();
    objective.parameters.covariances(&scaled)
}

/// The forest of a nested model.
pub(crate) fn forest(model: &Model) -> &Forest {
    match model.structure() {
        Structure::Nested(forest) => forest,
        Structure::Crossed(_) => panic!("a crossed design"),
    }
}

/// A simulated sample with its table, unless the program refuses it because two levels have the same
/// groups, or a level has as many effects as rows.
pub(crate) struct Sampled {
    pub(crate) name: String,
    pub(crate) sample: NestedSample,
    pub(crate) table: Memory,
    pub(crate) formula: String,
    pub(crate) model: Model,
}

/// Simulated nests, and a third as many designs whose groupings cross.
pub(crate) fn samples(seeds: std::ops::Range<u64>) -> impl Iterator<Item = (u64, String, NestedSample)> {
    let nests = seeds.clone().map(|seed| (seed, format!("seed {seed}"), simulate_nested(seed, &Shape::any(seed))));
    let some = seeds.start..seeds.start + (seeds.end - seeds.start).div_ceil(3);
    nests.chain(some.map(|seed| (seed, format!("crossed {seed}"), simulate_crossed(seed))))
}

/// Simulated nests, and designs whose groupings cross within the groups of the last one.
pub(crate) fn clustered(nests: u64, regions: u64) -> impl Iterator<Item = (u64, NestedSample)> {
    let nests = (0..nests).map(|seed| (seed, simulate_nested(seed, &Shape::any(seed))));
    nests.chain((0..regions).map(|seed| (seed, simulate_regions(seed))))
}

/// A simulated nest for an even seed, a design whose groupings cross for an odd one.
pub(crate) fn sample(seed: u64) -> NestedSample {
    match seed % 2 {
        0 => simulate_nested(seed / 2, &Shape::any(seed / 2)),
        _ => simulate_crossed(seed / 2),
    }
}

impl Sampled {
    pub(crate) fn new(name: &str, sample: NestedSample) -> Option<Self> {
        let (table, formula) = table_of(&sample);
        let refused = |error: &dyn Error| {
            let text = error.to_string();
            assert!(
                ["same", "residual", "digits", "do not determine"].iter().any(|word| text.contains(word)),
                "{name}: {formula}: {error}"
            );
        };
        let model = match model(&table, &formula, sample.weights.as_ref().map(|_| "w")) {
            Ok((model, _)) => model,
            Err(error) => {
                refused(&error);
                return None;
            }
        };
        for method in [Method::Reml, Method::Ml] {
            let objective = Objective::new(&model, method);
            if let Err(error) = find_optimum(&objective, &NewtonSettings::default(), &mut go_on) {
                refused(&error);
                return None;
            }
        }
        Some(Sampled { name: format!("{name}: {formula}"), sample, table, formula, model })
    }

    /// Whether residual degrees of freedom are left when all effects, fixed and random, fit as closely as
    /// possible.
    ///
    /// Otherwise the residual variance is not identified: the criterion may decrease without bound as the
    /// other variances grow, and the point where an optimiser stops is not comparable.
    pub(crate) fn leaves_a_residual(&self) -> bool {
        let problem = self.sample.problem();
        let (n, p) = (problem.n(), problem.p());
        let z = problem.z_full();
        let all = DMatrix::from_fn(n, p + z.ncols(), |i, j| if j < p { problem.x[(i, j)] } else { z[(i, j - p)] });
        all.rank(1e-9) + 3 <= n
    }

    pub(crate) fn weights(&self) -> Option<&'static str> {
        self.sample.weights.as_ref().map(|_| "w")
    }

    pub(crate) fn fit(&self, method: Method) -> Fitted {
        fit(&self.table, &self.formula, self.weights(), method).expect("a model that was made before")
    }
}

/// Checks the criterion of a fit up to rounding.
pub(crate) fn same_criterion(checks: &mut Checks, got: &Fit, want: f64) {
    checks.check("criterion", got.criterion, want, Tolerance::both(1e-10, 1e-9));
}

/// Checks that two fits agree up to rounding, which moves the optimum by about its square root at most.
pub(crate) fn same_fit(checks: &mut Checks, got: &Fit, want: &Fit) {
    let close = Tolerance::of_largest(1e-6);
    same_criterion(checks, got, want.criterion);
    let numbers = |fit: &Fit| -> [Vec<f64>; 5] {
        [
            fit.fixed_effects.iter().map(|e| e.estimate).collect(),
            fit.fixed_effects.iter().map(|e| e.std_error).collect(),
            fit.vcov.concat(),
            fit.variance_components.iter().flat_map(|v| v.variance.clone()).collect(),
            fit.icc.iter().map(|i| i.icc).collect(),
        ]
    };
    for ((got, want), name) in numbers(got).iter().zip(&numbers(want)).zip(["beta", "se", "Cov(beta)", "Var(b)", "icc"])
    {
        checks.slice(name, got, want, close);
    }
    checks
        .equal("status", got.status, want.status)
        .check("sigma", got.sigma, want.sigma, close)
        .slice("theta", &got.theta, &want.theta, close)
        .equal("rows", got.n_obs, want.n_obs)
        .equal("levels", got.levels.clone(), want.levels.clone());
}

/// The oracle's name of a method.
pub(crate) fn reference(method: Method) -> oracle::Method {
    match method {
        Method::Reml => oracle::Method::Reml,
        Method::Ml => oracle::Method::Ml,
    }
}
