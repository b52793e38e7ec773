//! A copy of a model whose response is drawn anew for every replicate, and refitted.

use super::simulator::{ShardScratch, Simulator};
use super::streams::Stream;
use crate::estimate::{Optimum, Status, optimise, optimise_near};
use crate::model::Model;
use crate::newton::Settings;
use crate::objective::{Method, Objective, Scratch};
use nalgebra::DMatrix;
use tiers_moments::{Forest, Level, Tree, TreeLevel};

/// The moments of a model with room for drawn responses: nothing else is copied.
pub(super) struct Replica {
    model: Model,
    scratch: Option<Scratch>,
    draws: Vec<ShardScratch>,
}

/// How replicates are refitted.
pub(super) struct Refitting<'a> {
    pub(super) method: Method,
    /// Where the search starts: the estimates.
    pub(super) start: &'a [f64],
    /// Second derivatives by the entries of G to step by, where there are so many groups that they
    /// hardly differ between replicates.
    pub(super) hessian_g: Option<&'a DMatrix<f64>>,
    pub(super) settings: &'a Settings,
}

impl Replica {
    /// Copies the moments of a model.
    pub(super) fn new(model: &Model, simulator: &Simulator) -> Self {
        let forest = &model.forest;
        let level = |level: &TreeLevel| TreeLevel {
            groups: level.groups,
            parent: level.parent.clone(),
            moments: level.moments.clone(),
            ..TreeLevel::default()
        };
        let tree = |tree: &Tree| Tree { levels: tree.levels.iter().map(level).collect(), labels: Vec::new() };
        let copy = Forest {
            m: forest.m,
            levels: forest.levels.iter().map(Level::clone).collect(),
            trees: forest.trees.iter().map(tree).collect(),
            labels: Vec::new(),
            cross: forest.cross.clone(),
            rows: forest.rows,
            sum_log_weights: forest.sum_log_weights,
        };
        let model = Model {
            recipe: model.recipe.clone(),
            forest: copy,
            coefficients: model.coefficients.clone(),
            dropped: model.dropped.clone(),
            nearly_dependent: model.nearly_dependent.clone(),
        };
        Replica { draws: simulator.scratch(&model.forest), model, scratch: None }
    }

    /// Draws a replicate and refits it; `read` sees the optimum.
    pub(super) fn run<T>(
        &mut self,
        simulator: &Simulator,
        (seed, replicate): (u64, u64),
        refitting: &Refitting<'_>,
        read: impl FnOnce(&Objective<'_>, &Optimum) -> T,
    ) -> T {
        let draws = |shard: usize| -> Box<dyn super::Draws> { Box::new(Stream::new(seed, replicate, shard)) };
        simulator.draw_with(&mut self.model.forest, &mut self.draws, &draws);
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

/// Bytes of the moments that a copy holds.
pub(super) fn bytes(forest: &Forest) -> usize {
    let levels = forest.trees.iter().flat_map(|tree| &tree.levels);
    levels.map(|level| 8 * level.moments.len() + 4 * level.parent.len()).sum()
}
