//! The criterion by adaptive Gauss–Hermite quadrature, with its exact gradient.
//!
//! The nodes of each integral lie around the conditional mode, scaled by the observed curvature there (Pinheiro and
//! Bates 1995; Rabe-Hesketh, Skrondal and Pickles 2005 for nests). Both depend on the parameters, and the gradient
//! follows them; one that held the nodes would not vanish at the optimum. With one node this is Laplace's criterion.
//! See `docs/theory.md`, "Quadrature".

mod branch;
mod joint;
mod leaf;
mod mixture;
mod nest;
mod plane;
mod rule;
mod visit;

pub(crate) use rule::Rule;

use crate::criterion::{AllModes, Criterion, Evaluation};
use crate::rows::ShardOrder;
use crate::search::Objective;
use crate::visit::Modes;
use nalgebra::{DMatrix, DVector};
use rayon::prelude::*;
use visit::{QuadratureSums, QuadratureVisit};

/// Why a model cannot be fitted by quadrature.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum QuadratureError {
    /// A number of nodes out of range.
    #[error("quadrature takes from 1 to {most} nodes, not {0}: 7 to 25 do for most models", most = MAX_NODES)]
    Nodes(usize),
    /// Random effects that are not supported.
    #[error(
        "quadrature (--agq) is there for intercepts at any number of levels, or for one or two coefficients of a single \
         level; this model has {0}. Leave out --agq (Laplace's approximation), or leave out random slopes or levels"
    )]
    Effects(String),
}

/// Largest number of nodes of a fit.
pub const MAX_NODES: usize = 101;

/// Half the distance of the gradients whose difference is the Hessian, in units of the coordinates.
const DIFFERENCE: f64 = 1e-4;

/// The criterion with a number of nodes for each random effect.
#[derive(Debug)]
pub(crate) struct Quadrature<'a> {
    criterion: &'a Criterion<'a>,
    rule: Rule,
    sides: [Vec<usize>; 2],
}

impl<'a> Quadrature<'a> {
    pub(crate) fn new(criterion: &'a Criterion<'a>, nodes: usize) -> Result<Quadrature<'a>, QuadratureError> {
        dimensions(criterion)?;
        if nodes == 0 {
            return Err(QuadratureError::Nodes(nodes));
        }
        let rule = Rule::new(nodes);
        Ok(Quadrature { criterion, sides: rule.sides(), rule })
    }
}

/// Number of nested integrals of a row: with Q nodes its likelihood is met `Q^dimensions` times.
pub(crate) fn dimensions(criterion: &Criterion<'_>) -> Result<usize, QuadratureError> {
    let path = &criterion.shape.path;
    match path.levels() {
        1 if path.r(0) <= 2 => Ok(path.r(0)),
        levels if path.distinct() == 1 && path.path() == levels => Ok(levels),
        levels => {
            let of_level = |(k, level): (usize, &tiers_moments::Level)| match path.r(k) {
                1 => format!("one coefficient of {}", level.name),
                r => format!("{r} coefficients of {}", level.name),
            };
            let all: Vec<String> = criterion.model.levels().iter().enumerate().rev().map(of_level).collect();
            debug_assert_eq!(all.len(), levels);
            Err(QuadratureError::Effects(all.join(" and ")))
        }
    }
}

impl Objective for Quadrature<'_> {
    fn criterion(&self) -> &Criterion<'_> {
        self.criterion
    }

    fn evaluate(&self, coordinates: &[f64], mut modes: AllModes) -> Evaluation {
        let criterion = self.criterion;
        let at = criterion.point(coordinates);
        let of_shard = |(shard, modes): (&ShardOrder, &mut Modes)| {
            let mut visit = QuadratureVisit::default();
            let mut sums = QuadratureSums::new(&criterion.shape);
            for top in 0..shard.tops() {
                criterion.rows.load(&criterion.shape, shard, top..top + 1, &mut visit.rows);
                let place = (&shard.within(top..top + 1), &shard.ranges(top..top + 1)[..]);
                visit.run(&criterion.shape, (&self.rule, &self.sides), place, &at, modes, &mut sums);
            }
            sums
        };
        let shards = criterion.rows.shards.par_iter().zip(modes.par_iter_mut()).with_max_len(1);
        let sums: Vec<QuadratureSums> = shards.map(of_shard).collect();
        let mut total = QuadratureSums::new(&criterion.shape);
        sums.iter().for_each(|sums| total.merge(sums));
        let value = -2.0 * (total.value + criterion.rows.constant);
        let value = if value.is_finite() { value } else { f64::INFINITY };
        if value == f64::INFINITY {
            modes = criterion.no_modes();
        }
        let beta = total.beta.iter().zip(&criterion.beta_scale).map(|(g, s)| -2.0 * g * s);
        let entry = |&(k, i, j): &(usize, usize, usize)| {
            -2.0 * total.lambda[k][i * criterion.shape.path.r(k) + j] * criterion.parameters.scale[k][i]
        };
        let gradient = DVector::from_iterator(criterion.len(), beta.chain(criterion.shape.entries.iter().map(entry)));
        Evaluation { coordinates: coordinates.to_vec(), value, gradient, modes }
    }

    /// By central differences of the gradient.
    fn hessian(&self, evaluation: &Evaluation) -> DMatrix<f64> {
        let n = evaluation.coordinates.len();
        let mut hessian = DMatrix::zeros(n, n);
        for j in 0..n {
            let gradient = |by: f64| {
                let mut coordinates = evaluation.coordinates.clone();
                coordinates[j] += by;
                self.evaluate(&coordinates, evaluation.modes.clone()).gradient
            };
            let column = (gradient(DIFFERENCE) - gradient(-DIFFERENCE)) / (2.0 * DIFFERENCE);
            hessian.set_column(j, &column);
        }
        (&hessian + hessian.transpose()) * 0.5
    }

    fn evaluations_of_hessian(&self) -> usize {
        2 * self.criterion.len()
    }
}

#[cfg(test)]
mod tests;
