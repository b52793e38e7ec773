//! One evaluation on one tree shard: log|A|, `C'V⁻¹C` and their first derivatives.

use super::path::Path;
use super::small::{add_scaled, apply, invert, multiply, symmetrise};
use super::{Action, LevelPlan, TreePlan, ancestors};
use crate::log_sum::LogSum;
use crate::row_buffers::{FBuffers, Pairs};
use tiers_moments::{Cross, RowSource, Tree, padded, vectorised};

/// Contribution of a shard to the derivatives by the entries of `G_k` of one level.
#[derive(Clone, Debug, PartialEq)]
pub struct Derivatives {
    /// `Σ_g Z_g'V⁻¹Z_g`, r×r row-major: `d log|V| = tr(h dG)`.
    pub h: Vec<f64>,
    /// For each entry (a, b), b ≥ a, in row order: `Σ_g F_a'F_b` (both orders if a ≠ b) with
    /// `F = Z_g'V⁻¹C`; `dS = -cross` in the direction of that entry (and its mirror) of G.
    pub cross: Vec<Cross>,
}

/// Sums of an evaluation over shards.
#[derive(Clone, Debug, PartialEq)]
pub struct Sums {
    /// `log|A|` of the shard, which is `log|V|` without the contribution of the weights.
    pub log_det: f64,
    /// `Σ N'KN`, which the elimination of the random effects subtracts from `C'WC`: the Schur complement is
    /// `S = C'WC - downdate`.
    pub downdate: Cross,
    /// Derivatives of each level, finest first; empty if they were not requested.
    pub derivatives: Vec<Derivatives>,
}

impl Sums {
    /// Subtracts the sums of some of the groups.
    pub fn remove(&mut self, other: &Sums) {
        self.log_det -= other.log_det;
        self.downdate.remove(&other.downdate);
        for (mine, theirs) in self.derivatives.iter_mut().zip(&other.derivatives) {
            mine.h.iter_mut().zip(&theirs.h).for_each(|(a, b)| *a -= b);
            mine.cross.iter_mut().zip(&theirs.cross).for_each(|(a, b)| a.remove(b));
        }
    }

    /// Adds the sums of another shard.
    pub fn merge(&mut self, other: &Sums) {
        self.log_det += other.log_det;
        self.downdate.merge(&other.downdate);
        for (mine, theirs) in self.derivatives.iter_mut().zip(&other.derivatives) {
            mine.h.iter_mut().zip(&theirs.h).for_each(|(a, b)| *a += b);
            mine.cross.iter_mut().zip(&theirs.cross).for_each(|(a, b)| a.merge(b));
        }
    }
}

/// Scratch memory of one tree, allocated once and overwritten by every evaluation.
#[derive(Clone, Debug, Default)]
pub struct TreeScratch {
    pub(super) levels: Vec<LevelScratch>,
}

/// Quantities of the groups of a level; for the finest level only `t`, because its N are the moments.
#[derive(Clone, Debug, Default)]
pub(super) struct LevelScratch {
    /// N_g, r×m.
    pub(super) n: Vec<f64>,
    /// T_g, r×r.
    pub(super) t: Vec<f64>,
    /// G F_g, r×m.
    pub(super) gf: Vec<f64>,
    /// D of the path from g to the top level.
    pub(super) d: Vec<f64>,
}

impl TreeScratch {
    /// Allocates memory for the evaluations of one tree.
    pub fn new(plan: &TreePlan, tree: &Tree) -> Self {
        let room = |(k, level): (usize, &LevelPlan)| {
            let groups = tree.levels[k].groups;
            let rows = if k == 0 { 0 } else { groups * level.r * plan.m };
            let path = if k == 0 { 0 } else { groups * level.path() * level.path() };
            let t = vec![0.0; groups * level.r * level.r];
            LevelScratch { n: vec![0.0; rows], t, gf: vec![0.0; rows], d: vec![0.0; path] }
        };
        TreeScratch { levels: plan.levels.iter().enumerate().map(room).collect() }
    }
}

impl TreePlan {
    /// Evaluates one shard at the relative covariances `g` (r×r row-major for each level).
    pub fn evaluate(&self, tree: &Tree, g: &[Vec<f64>], with_derivatives: bool, scratch: &mut TreeScratch) -> Sums {
        let mut sums = Sums { log_det: 0.0, downdate: Cross::new(self.m), derivatives: Vec::new() };
        vectorised(
            #[inline(always)]
            || {
                self.start(tree, scratch);
                for (k, g) in g.iter().enumerate() {
                    self.eliminate_level(tree, k, g, scratch, Some(&mut sums));
                }
            },
        );
        if with_derivatives {
            sums.derivatives = (0..self.levels.len()).map(|k| self.no_derivatives(k)).collect();
            vectorised(
                #[inline(always)]
                || {
                    for k in (0..self.levels.len()).rev() {
                        self.back_substitute_level(tree, k, &g[k], scratch, &mut sums.derivatives[k]);
                    }
                },
            );
        }
        sums
    }

    fn no_derivatives(&self, k: usize) -> Derivatives {
        let r = self.levels[k].r;
        Derivatives { h: vec![0.0; r * r], cross: (0..r * (r + 1) / 2).map(|_| Cross::new(self.m)).collect() }
    }

    /// Initialises N of the coarser levels: stored rows to their moments, rows that are sums to zero.
    #[inline(always)]
    pub(super) fn start(&self, tree: &Tree, scratch: &mut TreeScratch) {
        let m = self.m;
        for (k, level) in self.levels.iter().enumerate().skip(1) {
            for (group, n) in scratch.levels[k].n.chunks_exact_mut(level.r * m).enumerate() {
                for (row, source) in n.chunks_exact_mut(m).zip(&level.source) {
                    match *source {
                        RowSource::Stored(i) => {
                            row.copy_from_slice(&tree.levels[k].moments[(group * level.stored + i) * m..][..m]);
                        }
                        RowSource::Sum(..) => row.fill(0.0),
                    }
                }
            }
        }
    }

    /// Eliminates all groups of one level: fills T, updates the ancestors' N and adds to the sums.
    #[inline(always)]
    pub(super) fn eliminate_level(
        &self,
        tree: &Tree,
        k: usize,
        g: &[f64],
        scratch: &mut TreeScratch,
        sums: Option<&mut Sums>,
    ) {
        let (m, r, width) = (self.m, self.levels[k].r, padded(self.m));
        let plan = &self.levels[k];
        let (below, above) = scratch.levels.split_at_mut(k + 1);
        let LevelScratch { n: own, t: t_of, .. } = &mut below[k];
        let n_of: &[f64] = if k == 0 { &tree.levels[0].moments } else { own };
        let mut log_det = LogSum::new();
        let mut buffers = Pairs::new(width);
        let mut downdate = sums;
        let (mut kernel, mut y, mut kn) = (vec![0.0; r * r], vec![0.0; r * m], vec![0.0; r * m]);
        for (group, n) in n_of.chunks_exact(r * m).enumerate() {
            let t = &mut t_of[group * r * r..(group + 1) * r * r];
            log_det.add(self.transfer(k, n, g, t));
            multiply(g, t, r, &mut kernel);
            symmetrise(&mut kernel, r);
            apply(&kernel, n, r, m, &mut kn);
            if k + 1 < self.levels.len() {
                apply(t, n, r, m, &mut y);
                for (actions, (a, ancestor)) in plan.actions.iter().zip(ancestors(tree, k, group)) {
                    let rows = &mut above[a - k - 1].n[ancestor * actions.len() * m..][..actions.len() * m];
                    for (row, action) in rows.chunks_exact_mut(m).zip(actions) {
                        match *action {
                            Action::None => {}
                            Action::AddRow(t) => add_scaled(row, 1.0, &y[t * m..(t + 1) * m]),
                            Action::Subtract(c) => {
                                (0..r).for_each(|s| add_scaled(row, -n[s * m + c], &kn[s * m..(s + 1) * m]));
                            }
                        }
                    }
                }
            }
            if let Some(sums) = &mut downdate {
                for (kn, n) in kn.chunks_exact(m).zip(n.chunks_exact(m)) {
                    buffers.push(kn, n, &mut sums.downdate);
                }
            }
        }
        if let Some(sums) = downdate {
            buffers.flush(&mut sums.downdate);
            sums.log_det += log_det.total();
        }
    }

    /// Computes `T_g = (I + N_g[z] G)⁻¹`; returns `|I + N_g[z] G|`.
    #[inline(always)]
    fn transfer(&self, k: usize, n: &[f64], g: &[f64], t: &mut [f64]) -> f64 {
        let (m, LevelPlan { r, z, .. }) = (self.m, &self.levels[k]);
        let r = *r;
        if r == 1 {
            t[0] = 1.0 + n[z[0]] * g[0];
            return invert(t, 1);
        }
        for i in 0..r {
            for j in 0..r {
                let sum: f64 = z.iter().enumerate().map(|(s, &c)| n[i * m + c] * g[s * r + j]).sum();
                t[i * r + j] = sum + f64::from(u8::from(i == j));
            }
        }
        invert(t, r)
    }

    /// Computes `F_g`, `H_g` and the path's D of all groups of one level from those of the ancestors.
    #[inline(always)]
    fn back_substitute_level(
        &self,
        tree: &Tree,
        k: usize,
        g: &[f64],
        scratch: &mut TreeScratch,
        out: &mut Derivatives,
    ) {
        let (m, plan) = (self.m, &self.levels[k]);
        let r = plan.r;
        let mut path = Path::new(r, plan.za.clone());
        let mut buffers = FBuffers::new(r, padded(m));
        let (mut f, mut y, mut h) = (vec![0.0; r * m], vec![0.0; r * m], vec![0.0; r * r]);
        for group in 0..tree.levels[k].groups {
            self.f_of(tree, k, group, scratch, &mut y, &mut f);
            path.h(&y, &plan.z, m, self.d_above(tree, k, group, scratch), &mut h);
            out.h.iter_mut().zip(&h).for_each(|(sum, h)| *sum += h);
            buffers.push(&f, m, &mut out.cross);
            if k > 0 {
                apply(g, &f, r, m, &mut scratch.levels[k].gf[group * r * m..(group + 1) * r * m]);
                self.extend_path(tree, k, group, g, scratch, &mut path);
            }
        }
        buffers.flush(&mut out.cross);
    }

    /// Returns D of the path from the parent of a group to the top level; empty at the top level.
    #[inline(always)]
    pub(super) fn d_above<'a>(&self, tree: &Tree, k: usize, group: usize, scratch: &'a TreeScratch) -> &'a [f64] {
        match self.levels.get(k + 1) {
            None => &[],
            Some(above) => {
                let (parent, size) = (tree.levels[k].parent[group] as usize, above.path() * above.path());
                &scratch.levels[k + 1].d[parent * size..(parent + 1) * size]
            }
        }
    }

    /// Computes D of the path from a group of a coarser level.
    #[inline(always)]
    fn extend_path(&self, tree: &Tree, k: usize, group: usize, g: &[f64], scratch: &mut TreeScratch, path: &mut Path) {
        let (m, r, size) = (self.m, self.levels[k].r, self.levels[k].path());
        let (mut kernel, mut kn, mut d) = (vec![0.0; r * r], vec![0.0; r * m], vec![0.0; size * size]);
        let own = &scratch.levels[k];
        multiply(g, &own.t[group * r * r..(group + 1) * r * r], r, &mut kernel);
        symmetrise(&mut kernel, r);
        apply(&kernel, &own.n[group * r * m..(group + 1) * r * m], r, m, &mut kn);
        path.extend(&kernel, &kn, m, self.d_above(tree, k, group, scratch), &mut d);
        scratch.levels[k].d[group * size * size..(group + 1) * size * size].copy_from_slice(&d);
    }

    /// Computes `Y_g` and `F_g = Y_g - Σ_a Y_g[z_a] G_a F_a` of one group, r×m.
    #[inline(always)]
    fn f_of(&self, tree: &Tree, k: usize, group: usize, scratch: &TreeScratch, y: &mut [f64], f: &mut [f64]) {
        let (m, r) = (self.m, self.levels[k].r);
        let own = &scratch.levels[k];
        let n_of: &[f64] = if k == 0 { &tree.levels[0].moments } else { &own.n };
        let n = &n_of[group * r * m..(group + 1) * r * m];
        apply(&own.t[group * r * r..(group + 1) * r * r], n, r, m, y);
        f.copy_from_slice(y);
        for (a, ancestor) in ancestors(tree, k, group) {
            let ra = self.levels[a].r;
            let gf = &scratch.levels[a].gf[ancestor * ra * m..(ancestor + 1) * ra * m];
            subtract_spread(f, y, &self.levels[a].z, gf, m);
        }
    }
}

/// Computes `out -= y[z] rows`: subtracts the contribution of an ancestor's effects (`rows`, r_a×m) from r
/// rows.
#[inline(always)]
pub(super) fn subtract_spread(out: &mut [f64], y: &[f64], z: &[usize], rows: &[f64], m: usize) {
    for (out, y) in out.chunks_exact_mut(m).zip(y.chunks_exact(m)) {
        for (&c, row) in z.iter().zip(rows.chunks_exact(m)) {
            add_scaled(out, -y[c], row);
        }
    }
}
