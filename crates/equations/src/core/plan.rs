//! Shapes of a crossed design and the leaf groups that each core group meets, found once.

use super::structure::{CoreRoute, Structure};
use super::supernodal::Pattern;
use std::sync::Arc;
use tiers_moments::{Crossed, Level};

/// Effects up to which every shard of the leaf has its own sums over pairs of effects of intercepts.
const SMALL: usize = 128;

/// What evaluations of a crossed design need to know about its structure.
#[derive(Clone, Debug)]
pub struct CrossedPlan {
    /// Number of columns of C.
    pub(super) m: usize,
    /// Number of random coefficients of a leaf group.
    pub(super) r: usize,
    /// Columns of C of the leaf's coefficients.
    pub(super) z: Vec<usize>,
    /// The factors of the core.
    pub(super) factors: Vec<FactorPlan>,
    /// Number of effects of the core.
    pub(super) effects: usize,
    /// Whether sums over pairs of effects are taken by shards of the leaf ([`super::plain`]).
    pub(super) by_shards: bool,
    /// Start of the visits of each core group, numbered factor by factor, followed by the number of all.
    starts: Vec<usize>,
    visits: Vec<Visit>,
    /// The pattern of a sparse core.
    pub(super) structure: Option<Arc<Structure>>,
}

/// One factor of the core.
#[derive(Clone, Debug)]
pub(super) struct FactorPlan {
    pub(super) r: usize,
    pub(super) z: Vec<usize>,
    pub(super) groups: usize,
    /// Its first effect in the core.
    pub(super) first: usize,
    /// Number of its first group among all groups of the core.
    pub(super) first_group: usize,
    /// For each coefficient, the leaf's coefficient with the same column of C.
    pub(super) in_leaf: Vec<Option<usize>>,
    /// Whether every leaf group is within one group of the factor.
    pub(super) contains_leaf: bool,
    /// For each coefficient, a power of two near the square root of its largest `Z_a'WZ_a`.
    pub(super) scale: Vec<f64>,
}

/// A leaf group that shares rows with a core group.
#[derive(Clone, Copy, Debug)]
pub(super) struct Visit {
    pub(super) shard: u32,
    pub(super) group: u32,
    /// Position of the core group among the neighbours of the shard.
    pub(super) entry: u32,
    /// Whether the core group contains all rows of the leaf group.
    pub(super) whole: bool,
}

impl FactorPlan {
    /// Returns the leaf's coefficient of which this coefficient's moments are sums over leaf groups.
    pub(super) fn summed(&self, coefficient: usize) -> Option<usize> {
        if self.contains_leaf { self.in_leaf[coefficient] } else { None }
    }

    /// Returns the effects of a group.
    pub(super) fn effects(&self, group: usize) -> std::ops::Range<usize> {
        let start = self.first + group * self.r;
        start..start + self.r
    }
}

impl CrossedPlan {
    /// Plans the elimination of a crossed design, with a sparse core where that takes less work.
    pub fn new(design: &Crossed) -> Self {
        let mut plan = Self::with_route(design, CoreRoute::Dense);
        plan.structure = Structure::choose(&plan, design).map(Arc::new);
        plan
    }

    /// Plans the elimination of a crossed design with a given layout of the core.
    pub fn with_route(design: &Crossed, route: CoreRoute) -> Self {
        let leaf = &design.levels[0];
        let mut first_group = 0;
        let factor = |(factor, level): (&tiers_moments::CoreFactor, &Level)| {
            let position = |c: &usize| leaf.z.iter().position(|z| z == c);
            let plan = FactorPlan {
                r: level.r(),
                z: level.z.clone(),
                groups: factor.groups,
                first: factor.first,
                first_group,
                in_leaf: level.z.iter().map(position).collect(),
                contains_leaf: true,
                scale: scales(&factor.moments, &level.z, design.m),
            };
            first_group += factor.groups;
            plan
        };
        let factors = design.core.iter().zip(&design.levels[1..]).map(factor).collect();
        let (m, effects) = (design.m, design.core_effects());
        let mut plan = CrossedPlan {
            m,
            r: leaf.r(),
            z: leaf.z.clone(),
            factors,
            effects,
            by_shards: effects <= SMALL,
            starts: Vec::new(),
            visits: Vec::new(),
            structure: None,
        };
        plan.find_visits(design);
        if route == CoreRoute::Sparse {
            let pattern = Pattern::of_core(&plan, design, usize::MAX).expect("without a limit");
            plan.structure = Some(Arc::new(Structure::new(pattern)));
        }
        plan
    }

    /// Lists the leaf groups that each core group meets, in the order of the shards.
    fn find_visits(&mut self, design: &Crossed) {
        let groups = self.factors.last().map_or(0, |f| f.first_group + f.groups);
        let mut counts = vec![0; groups + 1];
        for &effect in design.leaf.iter().flat_map(|shard| &shard.neighbours) {
            let (factor, group) = self.place(effect as usize);
            counts[self.factors[factor].first_group + group + 1] += 1;
        }
        for i in 0..groups {
            counts[i + 1] += counts[i];
        }
        self.starts = counts.clone();
        let none = Visit { shard: 0, group: 0, entry: 0, whole: false };
        self.visits = vec![none; counts[groups]];
        let mut of_factor = vec![0_u32; self.factors.len()];
        for (shard, leaf) in design.leaf.iter().enumerate() {
            for group in 0..leaf.groups {
                let entries = leaf.starts[group]..leaf.starts[group + 1];
                of_factor.fill(0);
                entries.clone().for_each(|e| of_factor[self.place(leaf.neighbours[e] as usize).0] += 1);
                self.factors.iter_mut().zip(&of_factor).for_each(|(f, &n)| f.contains_leaf &= n == 1);
                for entry in entries {
                    let (factor, number) = self.place(leaf.neighbours[entry] as usize);
                    let at = &mut counts[self.factors[factor].first_group + number];
                    let whole = of_factor[factor] == 1;
                    self.visits[*at] = Visit { shard: shard as u32, group: group as u32, entry: entry as u32, whole };
                    *at += 1;
                }
            }
        }
    }

    /// Returns the factor and the group of an effect of the core.
    pub(super) fn place(&self, effect: usize) -> (usize, usize) {
        let factor = self.factors.partition_point(|f| f.first <= effect) - 1;
        (factor, (effect - self.factors[factor].first) / self.factors[factor].r)
    }

    /// Returns the leaf groups that a core group meets.
    pub(super) fn visits(&self, factor: usize, group: usize) -> &[Visit] {
        let at = self.factors[factor].first_group + group;
        &self.visits[self.starts[at]..self.starts[at + 1]]
    }

    /// Returns the leaf groups that an effect of the core meets, where all factors have one coefficient.
    #[inline(always)]
    pub(super) fn visits_of_effect(&self, effect: usize) -> &[Visit] {
        &self.visits[self.starts[effect]..self.starts[effect + 1]]
    }

    /// Returns the layout of the core.
    pub fn route(&self) -> CoreRoute {
        if self.structure.is_some() { CoreRoute::Sparse } else { CoreRoute::Dense }
    }

    /// Returns the number of entries of a symmetric matrix of the core.
    pub(super) fn entries(&self) -> usize {
        self.structure.as_ref().map_or(self.effects * self.effects, |structure| structure.pattern.rows.len())
    }

    /// Returns the number of pairs of a leaf group and a core group that share rows.
    pub fn crossings(&self) -> usize {
        self.visits.len()
    }
}

/// Returns for each coefficient a power of two near the square root of its largest moment with itself.
fn scales(moments: &[f64], z: &[usize], m: usize) -> Vec<f64> {
    let r = z.len();
    let largest = |t: usize| moments.chunks_exact(r * m).map(|n| n[t * m + z[t]]).fold(0.0, f64::max);
    let power = |x: f64| if x > 0.0 && x.is_finite() { (x.log2() / 2.0).round().exp2() } else { 1.0 };
    (0..r).map(|t| power(largest(t))).collect()
}
