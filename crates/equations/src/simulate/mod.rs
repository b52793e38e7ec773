//! Draws the responses of the parametric bootstrap as sums, the sufficient statistics of a fit.
//!
//! A replicate is `y = Zb + ε` with `b ~ N(0, σ² Λ Λ')`, `ε ~ N(0, σ² W⁻¹)`; Xβ is left out, since adding Xδ to
//! y only adds δ to the estimates. A fit needs y through `Z'Wy` per group, `C'Wy` and `y'Wy`. The random
//! effects are drawn directly. Of ε only the sums are drawn, by Gaussian conditioning in the order of the
//! elimination: see `docs/theory.md`, "The bootstrap in moment space".

mod nest;
pub(crate) mod semidefinite;

use crate::core::CrossedSimulator;
use crate::equations::{Equations, Route};
use nalgebra::DMatrix;
use nest::{NestSimulator, ShardScratch};
use tiers_moments::Structure;

/// Random numbers of one shard.
pub trait Draws {
    /// Draws a standard normal number.
    fn normal(&mut self) -> f64;
    /// Draws a χ² number with these degrees of freedom.
    fn chi_squared(&mut self, degrees: f64) -> f64;
}

/// Draws replicates of a fit.
#[derive(Debug)]
pub struct Simulator {
    of: SimulatorOf,
}

#[derive(Debug)]
enum SimulatorOf {
    Nested(NestSimulator),
    Crossed(CrossedSimulator),
}

/// Workspace of draws, overwritten by every draw.
#[derive(Clone, Debug)]
pub struct DrawScratch {
    /// That of the shards of a nest.
    shards: Vec<ShardScratch>,
}

impl Simulator {
    /// Prepares draws with the factors `σ Λ_k` of the shifted columns.
    pub fn new(equations: &Equations, factors: &[DMatrix<f64>], sigma: f64) -> Self {
        let of = match equations.route() {
            Route::Nested(forest, _) => SimulatorOf::Nested(NestSimulator::new(forest, factors, sigma)),
            Route::Crossed(design, _) => SimulatorOf::Crossed(CrossedSimulator::new(design, factors, sigma)),
        };
        Simulator { of }
    }

    /// Allocates scratch for draws.
    pub fn scratch(&self, equations: &Equations) -> DrawScratch {
        let shards = match (&self.of, equations.structure()) {
            (SimulatorOf::Nested(simulator), Structure::Nested(forest)) => simulator.scratch(forest),
            _ => Vec::new(),
        };
        DrawScratch { shards }
    }

    /// Replaces the moments of y by those of a drawn response. `draws` returns the random numbers of a shard
    /// or, called with the number of shards, those that all shards share.
    ///
    /// # Panics
    /// If the equations are not a copy of those that the simulator was prepared for.
    pub fn draw(
        &self,
        equations: &mut Equations,
        scratch: &mut DrawScratch,
        draws: &(dyn Fn(usize) -> Box<dyn Draws> + Sync),
    ) {
        match (&self.of, equations.structure_mut()) {
            (SimulatorOf::Nested(simulator), Structure::Nested(forest)) => {
                simulator.draw(forest, &mut scratch.shards, draws);
            }
            (SimulatorOf::Crossed(simulator), Structure::Crossed(design)) => simulator.draw(design, draws),
            _ => panic!("the simulator is that of other equations"),
        }
    }
}
