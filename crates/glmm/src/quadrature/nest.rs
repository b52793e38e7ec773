//! The likelihood of a nest of scalar effects, integrated level by level.
//!
//! All levels have one effect a group, on the same column z (an intercept: z = 1). Given `c`, the sum of the effects
//! of all groups above, a group g of level k has the likelihood
//!
//! ```text
//! L_g(c) = ∫ φ(u) Π_children L_child(c + λ_k u) du,      L_row(c) = exp l(o + x'β + z c)
//! log L_g ≈ log τ + log Σ_j W_j exp(Σ log L_child(c + λ_k u_j) - u_j²/2),      u_j = û + τ nodes_j
//! ```
//!
//! where û is the joint mode of g and its descendants given c and τ⁻² the pivot of g in their elimination there.
//! A top-level group has c = 0.

use super::branch::Depth;
use super::leaf::Leaf;
use super::rule::Rule;
use crate::family::{Distribution, RowDerivatives};
use crate::visit::VisitRows;
use std::ops::Range;
use tiers_equations::reweighted::Groups;

/// What all integrals of a visit share.
pub(super) struct Nest<'a> {
    pub(super) distribution: Distribution,
    pub(super) groups: &'a Groups<'a>,
    pub(super) rows: &'a VisitRows,
    /// `offset + Xβ` of each row.
    pub(super) xb: &'a [f64],
    /// Standard deviation of each level, finest first.
    pub(super) lambda: &'a [f64],
    pub(super) rule: &'a Rule,
    /// The nodes in the order of their use, from the middle outwards on each side.
    pub(super) sides: &'a [Vec<usize>; 2],
}

/// A group's log-likelihood given the effects above it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Integral {
    /// `log L_g`; NaN where the modes could not be found.
    pub(super) value: f64,
    /// Its derivative by c.
    pub(super) slope: f64,
}

/// A group with its descendants.
pub(super) struct Subtree {
    /// The groups of each level up to the group's own.
    pub(super) groups: Vec<Range<usize>>,
    pub(super) rows: Range<usize>,
}

impl Nest<'_> {
    /// The rows of some consecutive finest groups.
    pub(super) fn rows_of(&self, groups: Range<usize>) -> Range<usize> {
        let start = if groups.start == 0 { 0 } else { self.rows.ends[groups.start - 1] };
        start..self.rows.ends[groups.end - 1]
    }

    /// The descendants of a group of level k.
    pub(super) fn subtree(&self, k: usize, g: usize) -> Subtree {
        let mut range = g..g + 1;
        let mut groups = vec![range.clone()];
        for j in (0..k).rev() {
            range = self.groups.children(j, range.start).start..self.groups.children(j, range.end - 1).end;
            groups.push(range.clone());
        }
        groups.reverse();
        Subtree { rows: self.rows_of(range), groups }
    }

    /// Integrates consecutive groups of one level, `depths` being those of the levels from the second finest up to
    /// it, given the same effects above them. Returns the sums over the groups, and adds the derivatives by λ of each
    /// level to `lambda`. Those by each row's linear predictor are left in `e` of the last depth.
    pub(super) fn integrate(
        &self,
        leaf: &mut Leaf,
        depths: &mut [Depth],
        groups: Range<usize>,
        c: f64,
        lambda: &mut [f64],
    ) -> Integral {
        let Some((own, below)) = depths.split_last_mut() else {
            let integral = self.integrate_leaves(leaf, groups, c);
            lambda[0] += leaf.lambda;
            return integral;
        };
        let mut all = Integral { value: 0.0, slope: 0.0 };
        for g in groups {
            let Integral { value, slope } = self.integrate_branch(leaf, own, below, g, c);
            all.value += value;
            all.slope += slope;
            lambda.iter_mut().zip(&own.lambda).for_each(|(sum, v)| *sum += v);
        }
        all
    }
}

/// Log-likelihoods of rows, with derivatives.
#[derive(Debug, Default)]
pub(super) struct RowValues {
    pub(super) eta: Vec<f64>,
    pub(super) l: Vec<f64>,
    pub(super) s: Vec<f64>,
    pub(super) w: Vec<f64>,
    pub(super) w1: Vec<f64>,
    pub(super) w2: Vec<f64>,
}

impl RowValues {
    pub(super) fn resize(&mut self, rows: usize) {
        for v in [&mut self.eta, &mut self.l, &mut self.s, &mut self.w, &mut self.w1, &mut self.w2] {
            v.resize(rows, 0.0);
        }
    }

    /// Evaluates a range of rows at the linear predictors in `eta`.
    pub(super) fn evaluate(&mut self, distribution: Distribution, rows: &VisitRows, range: Range<usize>) {
        let mut out = RowDerivatives {
            l: &mut self.l[range.clone()],
            s: &mut self.s[range.clone()],
            w: &mut self.w[range.clone()],
            w1: &mut self.w1[range.clone()],
            w2: &mut self.w2[range.clone()],
        };
        let (k, m) = (&rows.k[range.clone()], &rows.m[range.clone()]);
        distribution.rows(k, m, &self.eta[range], &mut out);
    }
}

/// Newton's method ends with the step after one whose squared length, relative to `1 + u'u`, is below this.
pub(super) const LAST_STEP: f64 = 1e-14;

/// A step whose squared relative length is below this is not taken: it is rounding error.
pub(super) const NO_STEP: f64 = 1e-28;

/// Largest number of steps, halvings included.
pub(super) const STEPS: usize = 200;

/// Whether a step from a point with the penalised deviance h to one with `next` is kept: h is convex, so that a rise
/// is rounding error or a step too far.
pub(super) fn keeps(next: f64, h: f64, size: f64) -> bool {
    next <= h + 1e-10 * (1.0 + h.abs()) || size < 1e-8
}
