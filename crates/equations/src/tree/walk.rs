//! The walk over a tree shard that computes second derivatives by differentiating the recursions of the
//! elimination.
//!
//! For a direction j in which `G` of one level changes by `dG_j`, the derivative of every quantity of the
//! elimination is computed by the same walk over the tree:
//!
//! ```text
//! B   = dN[z] G + N[z] dG          dT = -T B T
//! dY  = T (dN - B Y)               dK = (dG - K B) T
//! dF  = dY - Σ_a (dY[z_a] G_a F_a + Y[z_a] (dG_a F_a + G_a dF_a))
//! ```
//!
//! and likewise for D and H ([`super::path`]). All second derivatives are sums over groups of terms in
//! `dF = -Z'V⁻¹ V_j V⁻¹ C` ([`super::contraction`]). The column of y is replaced by that of the residuals
//! `e = y - Xβ` from the start. See `docs/theory.md`, "Second derivatives".

use super::contraction::Contraction;
use super::curvature::{Curvature, CurvatureAt};
use super::evaluate::{TreeScratch, subtract_spread};
use super::group::{Local, transfer};
use super::path::Path;
use super::small::{add_scaled, apply, dot};
use super::{Action, LevelPlan, TreePlan, ancestors};
use tiers_moments::{RowSource, Tree};

/// Derivatives of the quantities of a coarser level, one block per direction.
#[derive(Clone, Debug, Default)]
pub(super) struct Tangents {
    /// dN by direction and group, r×m each.
    pub(super) dn: Vec<f64>,
    /// d(G F) by direction and group, r×m each.
    pub(super) dgf: Vec<f64>,
    /// dD of the path by direction and group.
    dd: Vec<f64>,
}

/// One walk up and down a tree.
pub(super) struct Walk<'a> {
    /// Plan of the elimination over the carried columns and e.
    pub(super) plan: &'a TreePlan,
    /// Number of columns of C, the width of the moments.
    m: usize,
    /// The carried columns of C.
    columns: &'a [usize],
    pub(super) tree: &'a Tree,
    pub(super) at: &'a CurvatureAt<'a>,
    /// dG of each direction.
    dg: Vec<Vec<f64>>,
    pub(super) scratch: TreeScratch,
    pub(super) tangents: Vec<Tangents>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        plan: &'a TreePlan,
        m: usize,
        columns: &'a [usize],
        tree: &'a Tree,
        at: &'a CurvatureAt<'a>,
    ) -> Self {
        let d = at.directions.len();
        let scratch = TreeScratch::new(plan, tree);
        let room = |len: usize| vec![0.0; d * len];
        let levels = scratch.levels.iter();
        let tangents = levels.map(|l| Tangents { dn: room(l.n.len()), dgf: room(l.n.len()), dd: room(l.d.len()) });
        let tangents = tangents.collect();
        let dg = at.directions.iter().map(|dir| dir.matrix(plan.levels[dir.level].r)).collect();
        Walk { plan, m, columns, tree, at, dg, scratch, tangents }
    }

    /// Walks up and down, adding to the sums.
    #[inline(always)]
    pub(super) fn run(&mut self, out: &mut Curvature) {
        let levels = self.plan.levels.len();
        self.start();
        // The walk for a single coefficient computes no products.
        let single = !self.at.with_products && self.plan.levels[0].r == 1 && self.at.directions[0].level == 0;
        for k in 0..levels {
            if k == 0 && single {
                self.up_single();
            } else {
                self.up(k);
            }
        }
        for k in (0..levels).rev() {
            if k == 0 && single {
                self.down_single(out);
            } else {
                self.down(k, out);
            }
        }
    }

    /// Initialises N of the coarser levels: stored rows to their moments; rows that are sums stay zero.
    #[inline(always)]
    fn start(&mut self) {
        for (k, level) in self.plan.levels.iter().enumerate().skip(1) {
            let stored = &self.tree.levels[k].moments;
            for (group, n) in self.scratch.levels[k].n.chunks_exact_mut(level.r * self.plan.m).enumerate() {
                for (row, source) in n.chunks_exact_mut(self.plan.m).zip(&level.source) {
                    if let RowSource::Stored(i) = *source {
                        let from = &stored[(group * level.stored + i) * self.m..][..self.m];
                        carry(from, self.columns, self.at.residual, row);
                    }
                }
            }
        }
    }

    /// Loads N_g of a group.
    #[inline(always)]
    pub(super) fn load(&self, k: usize, group: usize, n: &mut [f64]) {
        let size = n.len();
        if k > 0 {
            n.copy_from_slice(&self.scratch.levels[k].n[group * size..(group + 1) * size]);
            return;
        }
        let r = self.plan.levels[0].r;
        let rows = &self.tree.levels[0].moments[group * r * self.m..(group + 1) * r * self.m];
        for (from, to) in rows.chunks_exact(self.m).zip(n.chunks_exact_mut(self.plan.m)) {
            carry(from, self.columns, self.at.residual, to);
        }
    }

    /// Eliminates one level, with derivatives.
    #[inline(always)]
    fn up(&mut self, k: usize) {
        let (plan, m) = (self.plan, self.plan.m);
        let LevelPlan { r, z, actions, .. } = &plan.levels[k];
        let (r, g) = (*r, &self.at.g[k]);
        let mut local = Local::new(r, m);
        for group in 0..self.tree.levels[k].groups {
            let mut n = std::mem::take(&mut local.n);
            self.load(k, group, &mut n);
            transfer(&n, g, z, m, &mut local.t);
            local.n = n;
            self.scratch.levels[k].t[group * r * r..(group + 1) * r * r].copy_from_slice(&local.t);
            local.prepare(g);
            self.pass_up(k, group, actions, &local);
            for j in 0..self.directions_up_to(k) {
                if local.differentiate(self.block(k, j, group), g, z, self.dg_at(k, j)) {
                    self.pass_up_tangent(k, group, j, actions, &local);
                }
            }
        }
    }

    /// Returns the number of directions of level k and finer levels, which come first. Directions of coarser
    /// levels are not needed at level k: they do not change N, and the sums are symmetric.
    #[inline(always)]
    fn directions_up_to(&self, k: usize) -> usize {
        self.at.directions.partition_point(|direction| direction.level <= k)
    }

    /// Returns the range of a group's block in direction j, for a coarser level.
    #[inline(always)]
    fn range(&self, k: usize, j: usize, group: usize) -> std::ops::Range<usize> {
        let size = self.plan.levels[k].r * self.plan.m;
        let start = (j * self.tree.levels[k].groups + group) * size;
        start..start + size
    }

    /// Returns dN of a group in direction j; `None` at the finest level, where it is zero.
    #[inline(always)]
    fn block(&self, k: usize, j: usize, group: usize) -> Option<&[f64]> {
        (k > 0).then(|| &self.tangents[k].dn[self.range(k, j, group)])
    }

    /// Returns dG in direction j if it is a direction of this level.
    #[inline(always)]
    fn dg_at(&self, k: usize, j: usize) -> Option<&[f64]> {
        (self.at.directions[j].level == k).then(|| &self.dg[j][..])
    }

    /// Updates the ancestors' N.
    #[inline(always)]
    fn pass_up(&mut self, k: usize, group: usize, actions: &[Vec<Action>], local: &Local) {
        let (m, r) = (self.plan.m, local.r);
        for (actions, (a, ancestor)) in actions.iter().zip(ancestors(self.tree, k, group)) {
            let rows = &mut self.scratch.levels[a].n[ancestor * actions.len() * m..][..actions.len() * m];
            for (row, action) in rows.chunks_exact_mut(m).zip(actions) {
                match *action {
                    Action::None => {}
                    Action::AddRow(t) => add_scaled(row, 1.0, &local.y[t * m..(t + 1) * m]),
                    Action::Subtract(c) => {
                        (0..r).for_each(|s| add_scaled(row, -local.n[s * m + c], &local.kn[s * m..(s + 1) * m]));
                    }
                }
            }
        }
    }

    /// Updates the ancestors' dN in direction j.
    #[inline(always)]
    fn pass_up_tangent(&mut self, k: usize, group: usize, j: usize, actions: &[Vec<Action>], local: &Local) {
        let (m, r) = (self.plan.m, local.r);
        for (actions, (a, ancestor)) in actions.iter().zip(ancestors(self.tree, k, group)) {
            let range = self.range(a, j, ancestor);
            let rows = &mut self.tangents[a].dn[range];
            for (row, action) in rows.chunks_exact_mut(m).zip(actions) {
                match *action {
                    Action::None => {}
                    Action::AddRow(t) => add_scaled(row, 1.0, &local.dy[t * m..(t + 1) * m]),
                    // d(N[c]' K N) = dN[c]' (K N) + N[c]' d(K N)
                    Action::Subtract(c) => {
                        for s in 0..r {
                            add_scaled(row, -local.dn[s * m + c], &local.kn[s * m..(s + 1) * m]);
                            add_scaled(row, -local.n[s * m + c], &local.dkn[s * m..(s + 1) * m]);
                        }
                    }
                }
            }
        }
    }

    /// Returns D of the path above a group, and its derivative in direction j.
    #[inline(always)]
    pub(super) fn d_above(&self, k: usize, group: usize, j: usize) -> (&[f64], &[f64]) {
        let d = self.plan.d_above(self.tree, k, group, &self.scratch);
        if d.is_empty() {
            return (d, &[]);
        }
        let (parent, groups) = (self.tree.levels[k].parent[group] as usize, self.tree.levels[k + 1].groups);
        let start = (j * groups + parent) * d.len();
        (d, &self.tangents[k + 1].dd[start..start + d.len()])
    }

    /// Back-substitutes one level, with derivatives, and adds its groups to the sums.
    #[inline(always)]
    fn down(&mut self, k: usize, out: &mut Curvature) {
        let (plan, m, d) = (self.plan, self.plan.m, self.dg.len());
        let LevelPlan { r, z, za, .. } = &plan.levels[k];
        let (r, g) = (*r, &self.at.g[k]);
        let mut local = Local::new(r, m);
        let mut path = Path::new(r, za.clone());
        let mut contraction = Contraction::new(self.at, k, r, m);
        let mut dh = vec![0.0; r * r];
        for group in 0..self.tree.levels[k].groups {
            let mut n = std::mem::take(&mut local.n);
            self.load(k, group, &mut n);
            local.n = n;
            local.t.copy_from_slice(&self.scratch.levels[k].t[group * r * r..(group + 1) * r * r]);
            local.prepare(g);
            local.f.copy_from_slice(&local.y);
            for (a, ancestor) in ancestors(self.tree, k, group) {
                let size = plan.levels[a].r * m;
                let gf = &self.scratch.levels[a].gf[ancestor * size..(ancestor + 1) * size];
                subtract_spread(&mut local.f, &local.y, &plan.levels[a].z, gf, m);
            }
            contraction.load(&local.f);
            for j in 0..self.directions_up_to(k) {
                if !local.differentiate(self.block(k, j, group), g, z, self.dg_at(k, j)) {
                    local.no_change();
                }
                self.back_substitute_tangent(k, group, j, &mut local);
                path.h_tangent((&local.y, &local.dy), z, m, self.d_above(k, group, j), &mut dh);
                contraction.add(j, d, &local.df, &dh, out);
                if k > 0 {
                    self.keep_tangent(k, group, j, &mut local, &mut path);
                }
            }
            if k > 0 {
                self.keep(k, group, &local, &mut path);
            }
        }
    }

    /// Computes dF of a group in direction j.
    #[inline(always)]
    fn back_substitute_tangent(&self, k: usize, group: usize, j: usize, local: &mut Local) {
        let m = self.plan.m;
        local.df.copy_from_slice(&local.dy);
        for (a, ancestor) in ancestors(self.tree, k, group) {
            let (size, za) = (self.plan.levels[a].r * m, &self.plan.levels[a].z);
            let gf = &self.scratch.levels[a].gf[ancestor * size..(ancestor + 1) * size];
            subtract_spread(&mut local.df, &local.dy, za, gf, m);
            let dgf = &self.tangents[a].dgf[self.range(a, j, ancestor)];
            subtract_spread(&mut local.df, &local.y, za, dgf, m);
        }
    }

    /// Stores d(GF) and dD of a group of a coarser level for the groups below it.
    #[inline(always)]
    fn keep_tangent(&mut self, k: usize, group: usize, j: usize, local: &mut Local, path: &mut Path) {
        let (m, r, size) = (self.plan.m, local.r, self.plan.levels[k].path());
        apply(&self.at.g[k], &local.df, r, m, &mut local.dn);
        if let Some(dg) = self.dg_at(k, j) {
            for a in 0..r {
                for b in 0..r {
                    add_scaled(&mut local.dn[a * m..(a + 1) * m], dg[a * r + b], &local.f[b * m..(b + 1) * m]);
                }
            }
        }
        let mut dd = vec![0.0; size * size];
        path.extend_tangent(&local.d_kernel, &local.kn, &local.dkn, m, self.d_above(k, group, j), &mut dd);
        let range = self.range(k, j, group);
        let start = (j * self.tree.levels[k].groups + group) * size * size;
        self.tangents[k].dgf[range].copy_from_slice(&local.dn);
        self.tangents[k].dd[start..start + size * size].copy_from_slice(&dd);
    }

    /// Stores GF and D of a group of a coarser level for the groups below it.
    #[inline(always)]
    fn keep(&mut self, k: usize, group: usize, local: &Local, path: &mut Path) {
        let (m, r, size) = (self.plan.m, local.r, self.plan.levels[k].path());
        let mut d = vec![0.0; size * size];
        path.extend(&local.kernel, &local.kn, m, self.plan.d_above(self.tree, k, group, &self.scratch), &mut d);
        self.scratch.levels[k].d[group * size * size..(group + 1) * size * size].copy_from_slice(&d);
        apply(&self.at.g[k], &local.f, r, m, &mut self.scratch.levels[k].gf[group * r * m..(group + 1) * r * m]);
    }
}

/// Copies the carried columns of a row, and appends the residual.
#[inline(always)]
fn carry(from: &[f64], columns: &[usize], residual: &[f64], to: &mut [f64]) {
    to.iter_mut().zip(columns).for_each(|(to, &c)| *to = from[c]);
    to[columns.len()] = dot(from, residual);
}
