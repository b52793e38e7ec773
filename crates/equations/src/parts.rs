//! The independent parts of the data: top-level groups with all groups within them. Their rows are
//! independent of those of other parts, so that sums over the data are sums over parts. A crossed design has them
//! only if one of its levels contains the groups of all others: these are then its connected parts.

use crate::cluster::Cluster;
use crate::core::{CrossedPart, CrossedParts, CrossedPlan, CrossedScratch};
use crate::covariances::Covariances;
use crate::equations::{CurvaturePoint, Equations, Route, Want};
use crate::fixed::FixedEffects;
use crate::tree::{Curvature, Sums, TreePlan, TreeScratch};
use rayon::prelude::*;
use tiers_moments::{Crossed, GroupPlace, TopGroups, Tree, in_order};

/// The independent parts of the equations.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    equations: &'a Equations,
}

/// One independent part.
#[derive(Debug)]
pub struct Part<'a> {
    equations: &'a Equations,
    of: PartOf<'a>,
    place: GroupPlace,
}

#[derive(Debug)]
enum PartOf<'a> {
    Nested(&'a TreePlan, Tree),
    Crossed(Box<(Crossed, CrossedPlan)>),
}

/// Number of portions in which the parts of a crossed design are summed.
const PORTIONS: usize = 64;

impl Equations {
    /// Returns the independent parts: in a nest the top-level groups.
    pub fn independent_parts(&self) -> Parts<'_> {
        Parts { equations: self }
    }
}

impl<'a> Parts<'a> {
    /// Returns the level whose groups are the parts.
    ///
    /// # Panics
    /// If no level contains the groups of all others ([`Structure::top`](tiers_moments::Structure::top)).
    pub fn level(&self) -> usize {
        self.equations.structure().top().expect("a level that contains the groups of all others")
    }

    /// Returns the groups that the parts belong to, in the order of their labels.
    pub fn groups(&self) -> Vec<GroupPlace> {
        self.equations.structure().sorted_groups(self.level())
    }

    /// Computes a result for every part, on all cores, in the order of [`Parts::groups`].
    pub fn map<T: Send>(&self, of_part: impl Fn(&Part<'a>) -> T + Sync) -> Vec<T> {
        let (forest, plan) = match self.equations.route() {
            Route::Nested(forest, plan) => (forest, plan),
            Route::Crossed(design, plan) => return self.connected(design, plan).par_iter().map(&of_part).collect(),
        };
        let of_shard = |(shard, tree): (usize, &'a Tree)| {
            let tops = TopGroups::new(tree);
            (0..tops.len()).map(|group| Some(of_part(&self.part(plan, &tops, shard, group)))).collect::<Vec<_>>()
        };
        let shards = forest.trees.par_iter().enumerate().with_max_len(1);
        let mut shards: Vec<Vec<Option<T>>> = shards.map(of_shard).collect();
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
        let (forest, plan) = match self.equations.route() {
            Route::Nested(forest, plan) => (forest, plan),
            Route::Crossed(design, plan) => {
                let parts = self.connected(design, plan);
                let of_portion = |parts: &[Part<'a>]| {
                    let mut sum = none();
                    parts.iter().try_for_each(|part| add(&mut sum, part))?;
                    Ok(sum)
                };
                let portion = parts.len().div_ceil(PORTIONS).max(1);
                let at_once = in_order::at_once(bytes, PORTIONS) * portion;
                let portions = parts.chunks(at_once).map(|parts| parts.par_chunks(portion));
                return Ok(in_order::merged(portions, of_portion, &merge)?.unwrap_or_else(none));
            }
        };
        let trees = &forest.trees;
        let of_shard = |(shard, tree): (usize, &'a Tree)| {
            let tops = TopGroups::new(tree);
            let mut sum = none();
            (0..tops.len()).try_for_each(|group| add(&mut sum, &self.part(plan, &tops, shard, group)))?;
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

    fn part(&self, plan: &'a TreePlan, tops: &TopGroups<'_>, shard: usize, group: usize) -> Part<'a> {
        let of = PartOf::Nested(plan, tops.tree(group));
        Part { equations: self.equations, of, place: GroupPlace { shard, group } }
    }

    /// Returns the connected parts of a crossed design in the order of their groups of the top level. Effects of
    /// such a group connect all groups within it.
    fn connected(&self, design: &Crossed, plan: &CrossedPlan) -> Vec<Part<'a>> {
        let top = self.level();
        let part = |part: CrossedPart| {
            let plan = CrossedPlan::new(&part.design);
            let place = GroupPlace { shard: 0, group: part.core[top - 1][0] };
            Part { equations: self.equations, of: PartOf::Crossed(Box::new((part.design, plan))), place }
        };
        let mut parts: Vec<Part<'a>> =
            CrossedParts::new(plan, design).split(plan, design).into_iter().map(part).collect();
        parts.sort_by_key(|part| part.place.group);
        parts
    }
}

impl Part<'_> {
    /// Returns the group that the part belongs to.
    pub fn place(&self) -> GroupPlace {
        self.place
    }

    /// Evaluates the part alone, as [`Equations::evaluate`] does for all data.
    pub fn evaluate(&self, at: &Covariances, want: Want) -> Sums {
        match &self.of {
            PartOf::Nested(plan, tree) => {
                let mut scratch = TreeScratch::new(plan, tree);
                plan.evaluate(tree, at.by_level(), want == Want::Derivatives, &mut scratch)
            }
            PartOf::Crossed(of) => of.1.evaluate(&of.0, at, want, &mut CrossedScratch::new(&of.1, &of.0)),
        }
    }

    /// Computes the sums of the second derivatives over the part.
    pub fn curvature(&self, at: &CurvaturePoint<'_>) -> Curvature {
        match &self.of {
            PartOf::Nested(plan, tree) => self.equations.curvature_of(plan, std::slice::from_ref(tree), at),
            PartOf::Crossed(of) => self.equations.curvature_of_design(&of.1, &of.0, at),
        }
    }

    /// Computes the moments of the part in spherical random effects, from its `C'WC` (m×m row-major).
    pub fn cluster(&self, cross: &[f64], at: &Covariances, fixed: &FixedEffects) -> Cluster {
        let gamma = fixed.residual(self.equations.totals().m);
        match &self.of {
            PartOf::Nested(_, tree) => {
                Cluster::new(self.equations.levels(), tree, cross, at.factors(), &fixed.x, &gamma)
            }
            PartOf::Crossed(of) => Cluster::of_crossed(&of.0, cross, at.factors(), &fixed.x, &gamma),
        }
    }
}
