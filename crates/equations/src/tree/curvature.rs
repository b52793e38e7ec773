//! Second derivatives on one tree shard: the directions, the point and the sums. [`super::walk`] computes
//! them.

use super::TreePlan;
use super::walk::Walk;
use tiers_moments::Tree;
use tiers_moments::vectorised;

/// A direction in which one entry of a level's G (and its mirror) increases: `dG = E_ab + E_ba`, or
/// `E_aa` on the diagonal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Direction {
    /// The level, finest first.
    pub level: usize,
    /// Row of the entry.
    pub a: usize,
    /// Column of the entry.
    pub b: usize,
}

impl Direction {
    /// Returns `dG`, r×r row-major.
    pub fn matrix(self, r: usize) -> Vec<f64> {
        let mut d = vec![0.0; r * r];
        d[self.a * r + self.b] = 1.0;
        d[self.b * r + self.a] = 1.0;
        d
    }
}

/// Sums over a shard's groups, each symmetric and d×d row-major over pairs (i, j) of d directions. Only
/// the entries where the level of j is not coarser than that of i are filled.
#[derive(Clone, Debug, PartialEq)]
pub struct Curvature {
    /// `-tr(V⁻¹V_i V⁻¹V_j)`, the second derivative of `log|V|` by the entries of G.
    pub trace: Vec<f64>,
    /// `-e'V⁻¹V_i V⁻¹V_j V⁻¹e`.
    pub residual: Vec<f64>,
    /// `-tr(S_xx⁻¹ X'V⁻¹V_i V⁻¹V_j V⁻¹X)`; zero if it was not requested.
    pub fixed: Vec<f64>,
    /// `-C'V⁻¹V_i V⁻¹V_j V⁻¹C`, m×m row-major for each pair, with e in place of y; empty if it was not
    /// requested.
    pub products: Vec<Vec<f64>>,
}

impl Curvature {
    /// Returns sums over no groups, of d directions and m columns.
    pub(crate) fn none(d: usize, m: usize, with_products: bool) -> Self {
        let square = || vec![0.0; d * d];
        let pairs = if with_products { d * d } else { 0 };
        let products = vec![vec![0.0; m * m]; pairs];
        Curvature { trace: square(), residual: square(), fixed: square(), products }
    }

    /// Returns sums of the same size that are all NaN.
    pub(crate) fn undefined(mut self) -> Self {
        let all = [&mut self.trace, &mut self.residual, &mut self.fixed];
        all.into_iter().chain(&mut self.products).for_each(|sums| sums.fill(f64::NAN));
        self
    }

    /// Adds the sums of another shard.
    pub fn merge(&mut self, other: &Curvature) {
        let add = |a: &mut [f64], b: &[f64]| a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
        add(&mut self.trace, &other.trace);
        add(&mut self.residual, &other.residual);
        add(&mut self.fixed, &other.fixed);
        self.products.iter_mut().zip(&other.products).for_each(|(a, b)| add(a, b));
    }
}

/// Point at which the second derivatives are taken, and the requested sums.
#[derive(Clone, Debug)]
pub struct CurvatureAt<'a> {
    /// Relative covariances of each level, r×r row-major.
    pub g: &'a [Vec<f64>],
    /// The directions, finest level first.
    pub directions: &'a [Direction],
    /// γ with `e = C γ`: minus β at the columns of X in use, 1 at y, 0 elsewhere.
    pub residual: &'a [f64],
    /// `S_xx⁻¹` at the columns of X in use, zero elsewhere, m×m row-major. If `None`,
    /// [`Curvature::fixed`] is not computed, and the walk carries only the z columns and e.
    pub s_xx_inverse: Option<&'a [f64]>,
    /// Whether to compute [`Curvature::products`] too; requires `s_xx_inverse`.
    pub with_products: bool,
}

impl TreePlan {
    /// Sums the second derivatives over one shard.
    pub fn curvature(&self, tree: &Tree, at: &CurvatureAt<'_>) -> Curvature {
        let mut out = Curvature::none(at.directions.len(), self.m, at.with_products);
        if tree.levels.iter().all(|level| level.groups == 0) {
            return out;
        }
        let columns = match at.s_xx_inverse {
            Some(_) => (0..self.m - 1).collect(),
            None => self.z_columns(),
        };
        let plan = self.reduced(&columns);
        let mut walk = Walk::new(&plan, self.m, &columns, tree, at);
        vectorised(
            #[inline(always)]
            || walk.run(&mut out),
        );
        out
    }
}
