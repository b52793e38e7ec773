//! New rows in known groups.
//!
//! In a nest the groups' ancestors carry the information on their random effects. A new row with known groups is
//! eliminated like one more leaf of the tree, finest level first (`docs/theory.md`, "Prediction"): with `v_g` its z
//! on the groups it is in, and 0 on ancestors that only lie on the path,
//!
//! ```text
//! variance += v_g' K_g v_g,     x -= (K_g N_g[x])' v_g,     v_a -= (K_g N_g[z_a])' v_g
//! ```
//!
//! and the remaining x is combined with the covariance of β̂. [`CrossedPath`] does the same in a crossed design.

use crate::core::{CrossedPath, EliminatedCrossed};
use crate::covariances::Covariances;
use crate::equations::{Equations, Route};
use crate::error::EquationsError;
use crate::tree::Eliminated;
use rayon::prelude::*;
use tiers_moments::GroupPlace;

/// The equations after the elimination at one G, kept to condition the effects of single groups on the data.
#[derive(Debug)]
pub struct EliminatedEquations<'a> {
    equations: &'a Equations,
    of: EliminatedOf<'a>,
}

#[derive(Debug)]
enum EliminatedOf<'a> {
    Nested(Vec<Eliminated<'a>>),
    Crossed(EliminatedCrossed<'a>),
}

impl Equations {
    /// Repeats the elimination at the relative covariances, and keeps what new rows need. It takes as much
    /// memory as an evaluation.
    ///
    /// # Errors
    /// If the core of a crossed design cannot be factored.
    pub fn eliminate(&self, at: &Covariances) -> Result<EliminatedEquations<'_>, EquationsError> {
        let of = match self.route() {
            Route::Nested(forest, plan) => {
                let of_tree = |tree| Eliminated::new(plan, tree, at.by_level());
                EliminatedOf::Nested(forest.trees.par_iter().with_max_len(1).map(of_tree).collect())
            }
            Route::Crossed(design, plan) => EliminatedOf::Crossed(plan.eliminated(design, at)?),
        };
        Ok(EliminatedEquations { equations: self, of })
    }
}

impl<'a> EliminatedEquations<'a> {
    /// Returns the equations.
    pub fn equations(&self) -> &'a Equations {
        self.equations
    }
}

/// The known groups of a run of rows.
#[derive(Debug, Default)]
pub struct KnownPath {
    nest: NestPath,
    crossed: CrossedPath,
}

/// The known groups of a run of rows of a nest with their ancestors, finest level first.
#[derive(Debug, Default)]
struct NestPath {
    nodes: Vec<Node>,
    /// `K_g` and `K_g N_g` of all nodes, end to end.
    kernels: Vec<f64>,
    /// `v_g` of all nodes, end to end.
    v: Vec<f64>,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    level: usize,
    place: GroupPlace,
    /// Whether the row's own effects at this group are predicted.
    is_own: bool,
    /// Index of the parent's node.
    parent: Option<usize>,
    /// Where `K_g` begins in `kernels`; `K_g N_g` follows.
    kernel: usize,
    /// Where `v_g` begins in `v`.
    v: usize,
}

impl KnownPath {
    /// Sets the path of the given groups (level, place).
    pub fn set(&mut self, known: impl Iterator<Item = (usize, GroupPlace)>, eliminated: &EliminatedEquations<'_>) {
        match &eliminated.of {
            EliminatedOf::Nested(shards) => self.nest.set(known, eliminated.equations, shards),
            EliminatedOf::Crossed(eliminated) => self.crossed.set(known, eliminated),
        }
    }

    /// Eliminates one row: returns the variance over σ² of its random part given β, and leaves in `x`
    /// (columns `columns` of C) the coefficients of the error of β̂. `z` returns the row's value of a
    /// level's coefficient.
    pub fn eliminate_row(
        &mut self,
        eliminated: &EliminatedEquations<'_>,
        columns: &[usize],
        x: &mut [f64],
        z: impl Fn(usize, usize) -> f64,
    ) -> f64 {
        match &eliminated.of {
            EliminatedOf::Nested(_) => self.nest.eliminate_row(eliminated.equations, columns, x, z),
            EliminatedOf::Crossed(eliminated) => self.crossed.eliminate_row(eliminated, columns, x, z),
        }
    }
}

impl NestPath {
    fn set(
        &mut self,
        known: impl Iterator<Item = (usize, GroupPlace)>,
        equations: &Equations,
        shards: &[Eliminated<'_>],
    ) {
        let (levels, m) = (equations.levels(), equations.totals().m);
        self.nodes.clear();
        for (level, place) in known {
            self.node(level, place, true);
            for (level, group) in shards[place.shard].ancestors(level, place.group) {
                self.node(level, GroupPlace { shard: place.shard, group }, false);
            }
        }
        // Groups that were given separately may lie on one path.
        self.nodes.sort_by_key(|node| node.level);
        self.kernels.clear();
        let mut v = 0;
        for i in 0..self.nodes.len() {
            let Node { level, place, .. } = self.nodes[i];
            let r = levels[level].r();
            let parent = shards[place.shard].ancestors(level, place.group).next();
            let is_parent =
                |other: &Node| Some((other.level, other.place.group)) == parent && other.place.shard == place.shard;
            let node =
                Node { parent: self.nodes.iter().position(is_parent), kernel: self.kernels.len(), v, ..self.nodes[i] };
            self.nodes[i] = node;
            self.kernels.resize(node.kernel + r * r + r * m, 0.0);
            let (kernel, kn) = self.kernels[node.kernel..].split_at_mut(r * r);
            shards[place.shard].kernel(level, place.group, kernel, kn);
            v += r;
        }
        self.v.resize(v, 0.0);
    }

    fn node(&mut self, level: usize, place: GroupPlace, is_own: bool) {
        match self.nodes.iter_mut().find(|node| node.level == level && node.place == place) {
            Some(node) => node.is_own |= is_own,
            None => self.nodes.push(Node { level, place, is_own, parent: None, kernel: 0, v: 0 }),
        }
    }

    fn eliminate_row(
        &mut self,
        equations: &Equations,
        columns: &[usize],
        x: &mut [f64],
        z: impl Fn(usize, usize) -> f64,
    ) -> f64 {
        let (levels, m) = (equations.levels(), equations.totals().m);
        for node in &self.nodes {
            let own = &mut self.v[node.v..][..levels[node.level].r()];
            own.iter_mut().enumerate().for_each(|(t, v)| *v = if node.is_own { z(node.level, t) } else { 0.0 });
        }
        let mut variance = 0.0;
        for node in &self.nodes {
            let r = levels[node.level].r();
            let (kernel, rest) = self.kernels[node.kernel..].split_at(r * r);
            let (below, above) = self.v.split_at_mut(node.v + r);
            let v = &below[node.v..];
            for (s, row) in kernel.chunks_exact(r).enumerate() {
                variance += v[s] * row.iter().zip(v).map(|(k, v)| k * v).sum::<f64>();
            }
            for (v, row) in v.iter().zip(rest.chunks_exact(m)) {
                x.iter_mut().zip(columns).for_each(|(x, &c)| *x -= v * row[c]);
                let mut parent = node.parent;
                while let Some(ancestor) = parent.map(|i| &self.nodes[i]) {
                    let of_ancestor = &mut above[ancestor.v - node.v - r..];
                    let z = &levels[ancestor.level].z;
                    of_ancestor.iter_mut().zip(z).for_each(|(of, &c)| *of -= v * row[c]);
                    parent = ancestor.parent;
                }
            }
        }
        variance
    }
}
