//! A copy of a model whose response is redrawn for every replicate, and refitted.

use super::streams::Stream;
use crate::estimate::{Optimum, Status, optimise, optimise_near};
use crate::model::Model;
use crate::newton::Settings;
use crate::objective::{Method, Objective};
use nalgebra::DMatrix;
use tiers_equations::{DrawScratch, Draws, Scratch, Simulator};

/// A copy of a model's moments, in which drawn responses replace y; nothing else is copied.
pub(super) struct Replica {
    model: Model,
    scratch: Option<Scratch>,
    draws: DrawScratch,
}

/// How replicates are refitted.
pub(super) struct Refitting<'a> {
    pub(super) method: Method,
    /// Start of the search: the estimates.
    pub(super) start: &'a [f64],
    /// Second derivatives by the entries of G for all steps, if there are enough groups that they hardly
    /// differ between replicates.
    pub(super) hessian_g: Option<&'a DMatrix<f64>>,
    pub(super) settings: &'a Settings,
}

impl Replica {
    /// Copies the moments of a model.
    pub(super) fn new(model: &Model, simulator: &Simulator) -> Self {
        let draws = simulator.scratch(&model.equations);
        let model = Model {
            recipe: model.recipe.clone(),
            equations: model.equations.copy_of_moments(),
            coefficients: model.coefficients.clone(),
            dropped: model.dropped.clone(),
            nearly_dependent: model.nearly_dependent.clone(),
        };
        Replica { model, scratch: None, draws }
    }

    /// Draws a replicate and refits it; `read` computes the result from the optimum.
    pub(super) fn run<T>(
        &mut self,
        simulator: &Simulator,
        (seed, replicate): (u64, u64),
        refitting: &Refitting<'_>,
        read: impl FnOnce(&Objective<'_>, &Optimum) -> T,
    ) -> T {
        let draws = |shard: usize| -> Box<dyn Draws> { Box::new(Stream::new(seed, replicate, shard)) };
        simulator.draw(&mut self.model.equations, &mut self.draws, &draws);
        let objective = Objective::new(&self.model, refitting.method);
        let scratch = self.scratch.take().unwrap_or_else(|| objective.scratch());
        let Refitting { start, hessian_g, settings, .. } = *refitting;
        let (mut optimum, mut scratch) = optimise_near(&objective, scratch, start, hessian_g, settings);
        if optimum.status == Status::NotConverged && hessian_g.is_some() {
            (optimum, scratch) = optimise_near(&objective, scratch, start, None, settings);
        }
        if optimum.status == Status::NotConverged {
            optimum = optimise(&objective, &Settings::default(), &mut |_, _| {});
        }
        self.scratch = Some(scratch);
        read(&objective, &optimum)
    }
}
