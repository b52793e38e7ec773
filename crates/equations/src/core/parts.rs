//! The connected parts of a crossed design: groups that share rows, directly or through others. Parts are independent
//! of each other given the covariances.

use super::leaf::neighbour;
use super::plan::CrossedPlan;
use tiers_moments::{CoreFactor, CorePairs, Crossed, GroupPlace, LeafShard};

/// One connected part of a crossed design.
#[derive(Debug)]
pub struct CrossedPart {
    /// The design of the part alone, with its leaf groups in one shard, without labels and `C'WC`.
    pub design: Crossed,
    /// The places of its leaf groups in the whole design.
    pub leaf: Vec<GroupPlace>,
    /// The numbers of its core groups in the whole design, factor by factor.
    pub core: Vec<Vec<usize>>,
}

/// The groups of each connected part, in the order of their first leaf groups.
#[derive(Clone, Debug)]
pub struct CrossedParts {
    /// The part of each leaf group, by shard.
    leaf: Vec<Vec<usize>>,
    /// The part of each core group, numbered factor by factor.
    core: Vec<usize>,
    parts: usize,
}

/// Sets of groups that are joined one by one.
struct Sets(Vec<usize>);

impl Sets {
    fn root(&mut self, mut at: usize) -> usize {
        while self.0[at] != at {
            self.0[at] = self.0[self.0[at]];
            at = self.0[at];
        }
        at
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.0[a.max(b)] = a.min(b);
    }
}

impl CrossedParts {
    /// Finds the connected parts of a design.
    pub fn new(plan: &CrossedPlan, design: &Crossed) -> Self {
        // Core groups that share rows also meet the leaf groups of these rows.
        let groups = plan.factors.iter().map(|f| f.groups).sum();
        let mut sets = Sets((0..groups).collect());
        let number = |effect: u32| {
            let (factor, group) = plan.place(effect as usize);
            plan.factors[factor].first_group + group
        };
        for shard in &design.leaf {
            for entries in shard.starts.windows(2).filter(|w| w[0] < w[1]) {
                let first = number(shard.neighbours[entries[0]]);
                shard.neighbours[entries[0] + 1..entries[1]].iter().for_each(|&other| sets.join(first, number(other)));
            }
        }
        let mut of_root = vec![usize::MAX; groups];
        let mut parts = 0;
        let mut part_of = |core: usize, parts: &mut usize| {
            let part = &mut of_root[sets.root(core)];
            if *part == usize::MAX {
                *part = *parts;
                *parts += 1;
            }
            *part
        };
        let mut leaf = Vec::with_capacity(design.leaf.len());
        for shard in &design.leaf {
            let mut of_group = Vec::with_capacity(shard.groups);
            for entries in shard.starts.windows(2) {
                // A leaf group without neighbours would be a part of its own.
                of_group.push(match entries[0] < entries[1] {
                    true => part_of(number(shard.neighbours[entries[0]]), &mut parts),
                    false => {
                        parts += 1;
                        parts - 1
                    }
                });
            }
            leaf.push(of_group);
        }
        let core = (0..groups).map(|group| part_of(group, &mut parts)).collect();
        CrossedParts { leaf, core, parts }
    }

    /// Returns the number of parts.
    pub fn len(&self) -> usize {
        self.parts
    }

    /// Whether there are no groups at all.
    pub fn is_empty(&self) -> bool {
        self.parts == 0
    }

    /// Returns the part of a leaf group.
    pub fn of_leaf(&self, place: GroupPlace) -> usize {
        self.leaf[place.shard][place.group]
    }

    /// Takes a design apart.
    pub fn split(&self, plan: &CrossedPlan, design: &Crossed) -> Vec<CrossedPart> {
        let mut parts: Vec<CrossedPart> = (0..self.parts).map(|_| CrossedPart::empty(plan, design)).collect();
        let mut effect_of = vec![0; plan.effects];
        for (k, factor) in plan.factors.iter().enumerate() {
            for part in &mut parts {
                part.design.core[k].first = part.design.core_effects();
            }
            for group in 0..factor.groups {
                let part = &mut parts[self.core[factor.first_group + group]];
                effect_of[factor.effects(group).start] = part.add_core(design, plan, k, group);
            }
        }
        for factor in &plan.factors {
            for group in 0..factor.groups {
                parts[self.core[factor.first_group + group]].add_pairs(design, factor.first_group + group, &effect_of);
            }
        }
        for (shard, leaf) in design.leaf.iter().enumerate() {
            for group in 0..leaf.groups {
                parts[self.leaf[shard][group]].add_leaf(leaf, plan, GroupPlace { shard, group }, &effect_of);
            }
        }
        parts
    }
}

impl CrossedPart {
    fn empty(plan: &CrossedPlan, design: &Crossed) -> Self {
        let mut levels = design.levels.clone();
        levels.iter_mut().for_each(|level| level.groups = 0);
        let design = Crossed {
            m: design.m,
            levels,
            labels: Vec::new(),
            leaf: vec![LeafShard { starts: vec![0], block_starts: vec![0], ..LeafShard::default() }],
            core: vec![CoreFactor::default(); plan.factors.len()],
            pairs: CorePairs { starts: vec![0], block_starts: vec![0], ..CorePairs::default() },
            cross: Vec::new(),
            rows: 0,
            sum_log_weights: 0.0,
        };
        CrossedPart { design, leaf: Vec::new(), core: vec![Vec::new(); plan.factors.len()] }
    }

    /// Adds a core group; returns its first effect.
    fn add_core(&mut self, design: &Crossed, plan: &CrossedPlan, k: usize, group: usize) -> usize {
        let (size, from) = (plan.factors[k].r * plan.m, &design.core[k]);
        let own = &mut self.design.core[k];
        let first = own.first + own.groups * plan.factors[k].r;
        own.groups += 1;
        own.rows.extend(from.rows.get(group));
        own.moments.extend_from_slice(&from.moments[group * size..(group + 1) * size]);
        self.design.levels[k + 1].groups += 1;
        self.core[k].push(group);
        first
    }

    /// Adds the pairs of a core group with later ones; groups come in their order.
    fn add_pairs(&mut self, design: &Crossed, number: usize, effect_of: &[usize]) {
        let (from, own) = (&design.pairs, &mut self.design.pairs);
        for pair in from.starts[number]..from.starts[number + 1] {
            own.partners.push(effect_of[from.partners[pair] as usize] as u32);
            own.blocks.extend_from_slice(&from.blocks[from.block_starts[pair]..from.block_starts[pair + 1]]);
            own.block_starts.push(own.blocks.len());
        }
        own.starts.push(own.partners.len());
    }

    fn add_leaf(&mut self, leaf: &LeafShard, plan: &CrossedPlan, place: GroupPlace, effect_of: &[usize]) {
        let (size, group) = (plan.r * plan.m, place.group);
        let own = &mut self.design.leaf[0];
        own.groups += 1;
        own.rows.extend(leaf.rows.get(group));
        own.moments.extend_from_slice(&leaf.moments[group * size..(group + 1) * size]);
        for entry in leaf.starts[group]..leaf.starts[group + 1] {
            let (first, block) = neighbour(leaf, entry);
            own.neighbours.push(effect_of[first] as u32);
            own.blocks.extend_from_slice(block);
            own.block_starts.push(own.blocks.len());
        }
        own.starts.push(own.neighbours.len());
        self.design.rows += leaf.rows.get(group).copied().unwrap_or(0);
        self.design.levels[0].groups += 1;
        self.leaf.push(place);
    }
}
