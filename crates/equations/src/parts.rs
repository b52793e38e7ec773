//! The independent parts of the data: top-level groups with all groups within them. Their rows are
//! independent of those of other parts, so that sums over the data are sums over parts.

use crate::cluster::Cluster;
use crate::covariances::Covariances;
use crate::equations::{CurvaturePoint, Equations, Want};
use crate::fixed::FixedEffects;
use crate::tree::{Curvature, Sums, TreeScratch};
use rayon::prelude::*;
use tiers_moments::{Forest, GroupPlace, Structure, TopGroups, Tree, in_order};

/// The independent parts of the equations.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    equations: &'a Equations,
}

/// One independent part.
#[derive(Debug)]
pub struct Part<'a> {
    equations: &'a Equations,
    tree: Tree,
    place: GroupPlace,
}

impl Equations {
    /// Returns the independent parts: in a nest the top-level groups.
    pub fn independent_parts(&self) -> Parts<'_> {
        Parts { equations: self }
    }
}

impl<'a> Parts<'a> {
    /// Returns the level whose groups are the parts.
    pub fn level(&self) -> usize {
        match &self.equations.structure {
            Structure::Nested(forest) => forest.levels.len() - 1,
        }
    }

    /// Returns the groups that the parts belong to, in the order of their labels.
    pub fn groups(&self) -> Vec<GroupPlace> {
        self.equations.structure.sorted_groups(self.level())
    }

    /// Computes a result for every part, on all cores, in the order of [`Parts::groups`].
    pub fn map<T: Send>(&self, of_part: impl Fn(&Part<'a>) -> T + Sync) -> Vec<T> {
        let Structure::Nested(Forest { trees, .. }) = &self.equations.structure;
        let of_shard = |(shard, tree): (usize, &'a Tree)| {
            let tops = TopGroups::new(tree);
            (0..tops.len()).map(|group| Some(of_part(&self.part(&tops, shard, group)))).collect::<Vec<_>>()
        };
        let mut shards: Vec<Vec<Option<T>>> = trees.par_iter().enumerate().with_max_len(1).map(of_shard).collect();
        let take = |at: GroupPlace| shards[at.shard][at.group].take().expect("every group occurs once");
        self.groups().into_iter().map(take).collect()
    }

    /// Adds up the parts on all cores, in an order that does not depend on the number of threads.
    ///
    /// `none` returns the empty sum, of about `bytes` bytes; `add` adds a part; `merge` adds another sum.
    ///
    /// # Errors
    /// The first error of `add` in the order of the shards.
    pub fn fold<T: Send, E: Send>(
        &self,
        bytes: usize,
        none: impl Fn() -> T + Sync,
        add: impl Fn(&mut T, &Part<'a>) -> Result<(), E> + Sync,
        merge: impl Fn(&mut T, &T),
    ) -> Result<T, E> {
        let Structure::Nested(Forest { trees, .. }) = &self.equations.structure;
        let of_shard = |(shard, tree): (usize, &'a Tree)| {
            let tops = TopGroups::new(tree);
            let mut sum = none();
            (0..tops.len()).try_for_each(|group| add(&mut sum, &self.part(&tops, shard, group)))?;
            Ok(sum)
        };
        let at_once = in_order::at_once(bytes, trees.len());
        let shards = trees.chunks(at_once).enumerate().map(|(some, trees)| {
            let number = move |(i, tree)| (some * at_once + i, tree);
            trees.par_iter().enumerate().map(number)
        });
        let mut total = none();
        if let Some(sum) = in_order::merged(shards, of_shard, &merge)? {
            merge(&mut total, &sum);
        }
        Ok(total)
    }

    fn part(&self, tops: &TopGroups<'_>, shard: usize, group: usize) -> Part<'a> {
        Part { equations: self.equations, tree: tops.tree(group), place: GroupPlace { shard, group } }
    }
}

impl Part<'_> {
    /// Returns the group that the part belongs to.
    pub fn place(&self) -> GroupPlace {
        self.place
    }

    /// Evaluates the part alone, as [`Equations::evaluate`] does for all data.
    pub fn evaluate(&self, at: &Covariances, want: Want) -> Sums {
        let plan = &self.equations.plan;
        let mut scratch = TreeScratch::new(plan, &self.tree);
        plan.evaluate(&self.tree, at.by_level(), want == Want::Derivatives, &mut scratch)
    }

    /// Computes the sums of the second derivatives over the part.
    pub fn curvature(&self, at: &CurvaturePoint<'_>) -> Curvature {
        self.equations.curvature_of(std::slice::from_ref(&self.tree), at)
    }

    /// Computes the moments of the part in spherical random effects, from its `C'WC` (m×m row-major).
    pub fn cluster(&self, cross: &[f64], at: &Covariances, fixed: &FixedEffects) -> Cluster {
        let gamma = fixed.residual(self.equations.totals().m);
        Cluster::new(self.equations.levels(), &self.tree, cross, at.factors(), &fixed.x, &gamma)
    }
}
