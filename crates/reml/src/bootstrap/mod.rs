//! The parametric bootstrap, in moment space: a replicate costs O(groups), not O(rows).
//!
//! Responses are drawn from the fitted model and refitted; [`Simulator`] draws their sums without rows.
//! Every replicate has its own stream of random numbers, so that the result does not depend on the
//! number of threads.

mod intervals;
mod replica;
mod streams;

pub use intervals::IntervalType;

use crate::components::{Component, intraclass};
use crate::estimate::{Optimum, Status};
use crate::fit::Variances;
use crate::model::Model;
use crate::newton::Settings;
use crate::objective::Objective;
use crate::order::by_groups;
use crate::profile::Target;
use crate::watched::Watched;
use nalgebra::DVector;
use rayon::prelude::*;
use replica::{Refitting, Replica};
use std::sync::atomic::{AtomicU64, Ordering};
use tiers_equations::Simulator;

/// A quantity that is bootstrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// A parameter of the model.
    Parameter(Target),
    /// The (adjusted) intraclass correlation of a level of the model.
    Icc(usize),
}

/// Settings of a bootstrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BootstrapSettings {
    /// Number of replicates (default 1000).
    pub replicates: u64,
    /// Seed of the random numbers (default 1).
    pub seed: u64,
}

impl Default for BootstrapSettings {
    fn default() -> Self {
        BootstrapSettings { replicates: 1000, seed: 1 }
    }
}

/// One refitted replicate.
#[derive(Clone, Debug, PartialEq)]
pub struct Replicate {
    /// How the search ended.
    pub status: Status,
    /// Evaluations of criterion and gradient.
    pub evaluations: usize,
    /// All quantities, in the order of [`Bootstrap::quantities`]; NaN for a correlation with an effect of
    /// zero variance.
    pub values: Vec<f64>,
}

/// The result of a bootstrap.
#[derive(Clone, Debug)]
pub struct Bootstrap {
    /// All quantities of the model, in the order of [`Quantity::all`].
    pub quantities: Vec<Quantity>,
    /// Names of the quantities: lme4's, and `icc_LEVEL`.
    pub names: Vec<String>,
    /// The estimates from which replicates are drawn.
    pub estimates: Vec<f64>,
    /// The replicates, by number.
    pub replicates: Vec<Replicate>,
}

/// If the moments take at most this number of bytes, every thread has a copy; otherwise replicates are
/// processed one after the other, by all threads together.
const SMALL: usize = 32 << 20;

/// With more groups than this, replicates are refitted with the second derivatives at the estimates, which
/// differ from those of a replicate by one part in the root of the number of groups.
const FROZEN_FROM: usize = 20_000;

/// Draws and refits replicates of a fit. `observe` is called, from any thread, with the number of finished
/// replicates; if it returns `false`, the bootstrap is cancelled and the result is `None`.
pub fn bootstrap(
    objective: &Objective<'_>,
    optimum: &Optimum,
    settings: &BootstrapSettings,
    observe: &(dyn Fn(u64) -> bool + Sync),
) -> Option<Bootstrap> {
    let watched = Watched::new(observe);
    if !watched.go_on() {
        return None;
    }
    let model = objective.model();
    let quantities = Quantity::all(objective);
    let estimates = values(objective, optimum, &quantities, None);
    let sigma = (optimum.at.fixed.pwrss / objective.nu()).sqrt();
    let factors: Vec<_> = optimum.at.covariances.factors().iter().map(|f| f * sigma).collect();
    let simulator = Simulator::new(&model.equations, &factors, sigma);
    // Starts are close to the optima, and the last step is about a thousandth of a standard error: see
    // `Settings`.
    let newton = Settings { tolerance: 1e-6, ..Settings::default() };
    let freezes = model.equations.groups() > FROZEN_FROM && optimum.status == Status::Converged;
    let refitting = Refitting {
        method: objective.method,
        start: &optimum.scaled,
        hessian_g: freezes.then_some(&optimum.second.hessian),
        settings: &newton,
    };
    let copies = match model.equations.bytes_of_moments() {
        0..=SMALL => rayon::current_num_threads().min(settings.replicates as usize).max(1),
        _ => 1,
    };
    let beta = FixedPart { at: &optimum.at.fixed.beta };
    let next = AtomicU64::new(0);
    let work = |_: usize| {
        let mut replica = Replica::new(model, &simulator);
        let mut done = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= settings.replicates || watched.is_called_off() {
                return done;
            }
            let read = |objective: &Objective<'_>, optimum: &Optimum| Replicate {
                status: optimum.status,
                evaluations: optimum.evaluations,
                values: values(objective, optimum, &quantities, Some(&beta)),
            };
            done.push((number, replica.run(&simulator, (settings.seed, number), &refitting, read)));
            watched.one_more();
        }
    };
    let mut replicates: Vec<(u64, Replicate)> =
        (0..copies).into_par_iter().with_max_len(1).flat_map_iter(work).collect();
    if watched.is_called_off() {
        return None;
    }
    replicates.sort_unstable_by_key(|(number, _)| *number);
    Some(Bootstrap {
        names: quantities.iter().map(|quantity| quantity.name(objective)).collect(),
        quantities,
        estimates,
        replicates: replicates.into_iter().map(|(_, replicate)| replicate).collect(),
    })
}

/// The fixed part Xβ, which the drawn responses omit, with the β of the shifted columns.
struct FixedPart<'a> {
    at: &'a DVector<f64>,
}

/// Values of the quantities at an optimum; `beside` is added to β.
fn values(
    objective: &Objective<'_>,
    optimum: &Optimum,
    quantities: &[Quantity],
    beside: Option<&FixedPart<'_>>,
) -> Vec<f64> {
    let model = objective.model();
    let covariances = Variances::new(objective, optimum);
    let beta = beside.map_or_else(|| optimum.at.fixed.beta.clone(), |fixed| fixed.at + &optimum.at.fixed.beta);
    let order = by_groups(model.levels());
    let mut place = vec![0; order.len()];
    order.iter().rev().enumerate().for_each(|(at, &level)| place[level] = at);
    let shares = intraclass(model, &covariances, (&beta, &optimum.at.fixed.xx_inverse), None);
    let coefficients = model.unshift_map() * beta + model.response_offset();
    let value = |quantity: &Quantity| match *quantity {
        Quantity::Parameter(Target::Component(component)) => component.value(&covariances),
        Quantity::Parameter(Target::Coefficient(i)) => coefficients[i],
        Quantity::Icc(level) => shares[place[level]].icc,
    };
    quantities.iter().map(value).collect()
}

impl Quantity {
    /// Returns all quantities of a model: parameters in lme4's order, then intraclass correlations,
    /// in the order of [`crate::Fit::levels`].
    pub fn all(objective: &Objective<'_>) -> Vec<Quantity> {
        let parameters = Target::all(objective).into_iter().map(Quantity::Parameter);
        let levels = by_groups(objective.model().levels()).into_iter().rev();
        parameters.chain(levels.map(Quantity::Icc)).collect()
    }

    /// Returns lme4's name, or `icc_LEVEL`.
    pub fn name(self, objective: &Objective<'_>) -> String {
        match self {
            Quantity::Parameter(target) => target.name(objective),
            Quantity::Icc(level) => icc_name(objective.model(), level),
        }
    }

    /// The range of the quantity.
    fn range(self) -> (f64, f64) {
        match self {
            Quantity::Icc(_) => (0.0, 1.0),
            Quantity::Parameter(Target::Component(Component::Correlation { .. })) => (-1.0, 1.0),
            Quantity::Parameter(Target::Component(_)) => (0.0, f64::INFINITY),
            Quantity::Parameter(Target::Coefficient(_)) => (f64::NEG_INFINITY, f64::INFINITY),
        }
    }
}

fn icc_name(model: &Model, level: usize) -> String {
    format!("icc_{}", model.levels()[level].name)
}

impl Bootstrap {
    /// Returns the values of a quantity in the replicates that converged and in which it is defined.
    pub fn values_of(&self, quantity: usize) -> Vec<f64> {
        let converged = self.replicates.iter().filter(|replicate| replicate.status != Status::NotConverged);
        converged.map(|replicate| replicate.values[quantity]).filter(|value| value.is_finite()).collect()
    }

    /// Returns the interval of a quantity, clamped to its range; `None` if too few replicates have it.
    pub fn interval(&self, quantity: usize, level: f64, kind: IntervalType) -> Option<(f64, f64)> {
        let (least, most) = self.quantities[quantity].range();
        let found = intervals::interval(&self.values_of(quantity), self.estimates[quantity], level, kind);
        found.map(|(low, high)| (low.clamp(least, most), high.clamp(least, most)))
    }

    /// Mean and standard deviation of a quantity over the replicates.
    pub fn mean_sd(&self, quantity: usize) -> (f64, f64) {
        intervals::mean_sd(&self.values_of(quantity))
    }

    /// Number of replicates whose search did not converge.
    pub fn failed(&self) -> usize {
        self.count(Status::NotConverged)
    }

    /// Number of replicates that ended on the boundary (singular fits).
    pub fn singular(&self) -> usize {
        self.count(Status::Boundary)
    }

    fn count(&self, status: Status) -> usize {
        self.replicates.iter().filter(|replicate| replicate.status == status).count()
    }
}
