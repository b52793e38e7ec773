//! An eliminated shard that is kept, for the conditional distribution of single groups' effects: predictions
//! for new rows of a group need it.

use super::evaluate::{LevelScratch, TreeScratch};
use super::small::{apply, multiply, symmetrise};
use super::{LevelPlan, TreePlan, ancestors};
use tiers_moments::Tree;
use tiers_moments::vectorised;

/// One shard, eliminated at one G.
///
/// Holds `N_g` of the coarser levels and `T_g` of all levels, the results of the upward walk of an
/// evaluation.
#[derive(Debug)]
pub struct Eliminated<'a> {
    plan: TreePlan,
    tree: &'a Tree,
    g: Vec<Vec<f64>>,
    scratch: TreeScratch,
}

impl<'a> Eliminated<'a> {
    /// Eliminates a shard at the relative covariances `g` (r×r row-major for each level).
    pub fn new(plan: &TreePlan, tree: &'a Tree, g: &[Vec<f64>]) -> Self {
        let room = |(k, level): (usize, &LevelPlan)| {
            let groups = tree.levels[k].groups;
            let rows = if k == 0 { 0 } else { groups * level.r * plan.m };
            LevelScratch { n: vec![0.0; rows], t: vec![0.0; groups * level.r * level.r], ..LevelScratch::default() }
        };
        let mut scratch = TreeScratch { levels: plan.levels.iter().enumerate().map(room).collect() };
        vectorised(
            #[inline(always)]
            || {
                plan.start(tree, &mut scratch);
                g.iter().enumerate().for_each(|(k, g)| plan.eliminate_level(tree, k, g, &mut scratch, None));
            },
        );
        Eliminated { plan: plan.clone(), tree, g: g.to_vec(), scratch }
    }

    /// Computes `K_g` (r×r) and `K_g N_g` (r×m) of one group, row-major.
    ///
    /// Given the data, β and the effects of the ancestors, `b_g` has the conditional covariance σ² K_g and
    /// the conditional mean `K_g (N_g[y] - N_g[x] β - Σ_a N_g[z_a] b_a)`.
    pub fn kernel(&self, level: usize, group: usize, kernel: &mut [f64], kn: &mut [f64]) {
        let (m, r) = (self.plan.m, self.plan.levels[level].r);
        let own = &self.scratch.levels[level];
        let n: &[f64] = if level == 0 { &self.tree.levels[0].moments } else { &own.n };
        multiply(&self.g[level], &own.t[group * r * r..(group + 1) * r * r], r, kernel);
        symmetrise(kernel, r);
        apply(kernel, &n[group * r * m..(group + 1) * r * m], r, m, kn);
    }

    /// Returns the groups of coarser levels that contain a group, as (level, group), nearest first.
    pub fn ancestors(&self, level: usize, group: usize) -> impl Iterator<Item = (usize, usize)> + '_ {
        ancestors(self.tree, level, group)
    }
}
