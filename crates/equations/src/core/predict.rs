//! New rows in known groups of a crossed design.
//!
//! A new row is eliminated like one more row of its leaf group g, and then of the core (`docs/theory.md`,
//! "Prediction"): with v its z at the leaf and u at the core, zero at groups that are not known,
//!
//! ```text
//! variance += v'K_gv,     x -= (K_gN_g[x])'v,     u_a -= (K_gB_ga)'v     for the neighbours a of g
//! variance += u'D u,      x -= (D Ñ_x)'u
//! ```

use super::evaluate::CrossedScratch;
use super::leaf::{Rows, neighbour};
use super::plan::CrossedPlan;
use crate::covariances::Covariances;
use crate::error::EquationsError;
use crate::tree::small::apply;
use tiers_moments::{Crossed, GroupPlace};

/// A crossed design after the elimination at one G, kept for new rows.
#[derive(Debug)]
pub struct EliminatedCrossed<'a> {
    plan: &'a CrossedPlan,
    design: &'a Crossed,
    scratch: CrossedScratch,
    /// `D Ñ_cC`, c×m.
    gf: Vec<f64>,
}

/// The known groups of a run of rows.
#[derive(Clone, Debug, Default)]
pub struct CrossedPath {
    /// K and KN of the leaf group, r×r and r×m; empty if it is not known.
    kernel: Vec<f64>,
    kn: Vec<f64>,
    /// The effects of the core that the row depends on.
    effects: Vec<usize>,
    /// For each effect of a neighbour of the leaf group, its column of `K_gB_g`, r numbers; the neighbours come first.
    kb: Vec<f64>,
    /// Known core groups: (level, position of its first effect in `effects`).
    known: Vec<(usize, usize)>,
    /// D of the effects.
    d: Vec<f64>,
    u: Vec<f64>,
}

impl CrossedPlan {
    /// Eliminates a design at the relative covariances and keeps what new rows need: three matrices of the size of
    /// the core.
    ///
    /// # Errors
    /// If a pivot of the core is not positive in floating point.
    pub fn eliminated<'a>(
        &'a self,
        design: &'a Crossed,
        at: &Covariances,
    ) -> Result<EliminatedCrossed<'a>, EquationsError> {
        let mut scratch = CrossedScratch::new(self, design);
        self.eliminate(design, at, &mut scratch).ok_or(EquationsError::Core)?;
        let (_, gf) = self.core_residuals(design, &scratch, &Rows::of_design(design));
        if self.structure.is_none() {
            scratch.core.inverse(&mut scratch.inverse);
            scratch.core.covariances(self, &mut scratch.inverse);
        }
        Ok(EliminatedCrossed { plan: self, design, scratch, gf })
    }
}

impl EliminatedCrossed<'_> {
    /// Returns D between some effects of the core, row by row.
    fn covariances(&self, effects: &[usize]) -> Vec<f64> {
        let (plan, core) = (self.plan, &self.scratch.core);
        let width = effects.len();
        if plan.structure.is_none() {
            let entry = |k: usize| core.entry(&self.scratch.inverse, effects[k / width], effects[k % width]);
            return (0..width * width).map(entry).collect();
        }
        // D = (L⁻¹sM')'(L⁻¹sM'), since groups that do not meet are off the pattern.
        let mut columns = vec![0.0; plan.effects * width];
        for (at, &effect) in effects.iter().enumerate() {
            let (k, group) = plan.place(effect);
            let (basis, own) = (&core.bases[k], plan.factors[k].effects(group));
            let row = &basis.m[(effect - own.start) * plan.factors[k].r..];
            own.clone().zip(row).for_each(|(e, m)| columns[e * width + at] = core.s[e] * m);
        }
        let half = core.solve_lower(columns, width);
        let mut out = vec![0.0; width * width];
        for row in half.chunks_exact(width.max(1)) {
            for (out, a) in out.chunks_exact_mut(width).zip(row) {
                out.iter_mut().zip(row).for_each(|(x, b)| *x += a * b);
            }
        }
        out
    }
}

impl CrossedPath {
    /// Sets the known groups (level, place) of rows.
    pub fn set(&mut self, known: impl Iterator<Item = (usize, GroupPlace)>, eliminated: &EliminatedCrossed<'_>) {
        let EliminatedCrossed { plan, design, scratch, .. } = eliminated;
        let (r, m) = (plan.r, plan.m);
        self.kernel.clear();
        self.kn.clear();
        self.effects.clear();
        self.kb.clear();
        self.known.clear();
        let mut core = Vec::new();
        for (level, place) in known {
            if level > 0 {
                core.push((level, plan.factors[level - 1].effects(place.group)));
                continue;
            }
            let (shard, group) = (&design.leaf[place.shard], place.group);
            let kernel = &scratch.leaf[place.shard].kernel[group * r * r..(group + 1) * r * r];
            self.kernel.extend_from_slice(kernel);
            self.kn.resize(r * m, 0.0);
            apply(kernel, &shard.moments[group * r * m..(group + 1) * r * m], r, m, &mut self.kn);
            for entry in shard.starts[group]..shard.starts[group + 1] {
                let (first, block) = neighbour(shard, entry);
                let columns = block.len() / r;
                let mut kb = vec![0.0; block.len()];
                apply(kernel, block, r, columns, &mut kb);
                for j in 0..columns {
                    self.effects.push(first + j);
                    self.kb.extend((0..r).map(|t| kb[t * columns + j]));
                }
            }
        }
        for (level, effects) in core {
            let at = self.effects.iter().position(|&effect| effect == effects.start);
            let at = at.unwrap_or(self.effects.len());
            if at == self.effects.len() {
                self.effects.extend(effects);
            }
            self.known.push((level, at));
        }
        self.d = eliminated.covariances(&self.effects);
    }

    /// Eliminates one row: returns the variance over σ² of its random part given β, and leaves in `x` (columns
    /// `columns` of C) the coefficients of the error of β̂. `z` returns the row's value of a level's coefficient.
    pub fn eliminate_row(
        &mut self,
        eliminated: &EliminatedCrossed<'_>,
        columns: &[usize],
        x: &mut [f64],
        z: impl Fn(usize, usize) -> f64,
    ) -> f64 {
        let (plan, size) = (eliminated.plan, self.effects.len());
        let (r, m) = (plan.r, plan.m);
        let mut variance = 0.0;
        self.u.clear();
        self.u.resize(size, 0.0);
        if !self.kernel.is_empty() {
            let v: Vec<f64> = (0..r).map(|t| z(0, t)).collect();
            for (s, row) in self.kernel.chunks_exact(r).enumerate() {
                variance += v[s] * row.iter().zip(&v).map(|(k, v)| k * v).sum::<f64>();
            }
            for (v, row) in v.iter().zip(self.kn.chunks_exact(m)) {
                x.iter_mut().zip(columns).for_each(|(x, &c)| *x -= v * row[c]);
            }
            for (u, kb) in self.u.iter_mut().zip(self.kb.chunks_exact(r)) {
                *u -= kb.iter().zip(&v).map(|(k, v)| k * v).sum::<f64>();
            }
        }
        for &(level, at) in &self.known {
            (0..plan.factors[level - 1].r).for_each(|t| self.u[at + t] += z(level, t));
        }
        for ((u, row), &effect) in self.u.iter().zip(self.d.chunks_exact(size.max(1))).zip(&self.effects) {
            variance += u * row.iter().zip(&self.u).map(|(d, u)| d * u).sum::<f64>();
            let gf = &eliminated.gf[effect * m..(effect + 1) * m];
            x.iter_mut().zip(columns).for_each(|(x, &c)| *x -= u * gf[c]);
        }
        variance
    }
}
