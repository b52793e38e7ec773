//! Second derivatives on one tree shard: in which directions, at what, and the sums that they are. The
//! walk that takes them is in [`super::walk`].

use super::TreePlan;
use super::walk::Walk;
use pulp::Arch;
use tiers_moments::Tree;

/// A direction in which one entry of a level's G (and its mirror) grows: `dG = E_ab + E_ba`, or
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
    /// `dG`, r×r row-major.
    pub fn matrix(self, r: usize) -> Vec<f64> {
        let mut d = vec![0.0; r * r];
        d[self.a * r + self.b] = 1.0;
        d[self.b * r + self.a] = 1.0;
        d
    }
}

/// Sums over a shard's groups, each d×d row-major for d directions (i, j), and symmetric. Only the
/// entries where the level of j is no coarser than that of i are filled.
#[derive(Clone, Debug, PartialEq)]
pub struct Curvature {
    /// `-tr(V⁻¹V_i V⁻¹V_j)`, the second derivative of `log|V|` in the entries of G.
    pub trace: Vec<f64>,
    /// `-e'V⁻¹V_i V⁻¹V_j V⁻¹e`.
    pub residual: Vec<f64>,
    /// `-tr(S_xx⁻¹ X'V⁻¹V_i V⁻¹V_j V⁻¹X)`; zero where it was not asked for.
    pub fixed: Vec<f64>,
    /// `-C'V⁻¹V_i V⁻¹V_j V⁻¹C`, m×m row-major for each pair, e in the place of y; empty where it was
    /// not asked for.
    pub products: Vec<Vec<f64>>,
}

impl Curvature {
    /// Adds the sums of another shard.
    pub fn merge(&mut self, other: &Curvature) {
        let add = |a: &mut [f64], b: &[f64]| a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
        add(&mut self.trace, &other.trace);
        add(&mut self.residual, &other.residual);
        add(&mut self.fixed, &other.fixed);
        self.products.iter_mut().zip(&other.products).for_each(|(a, b)| add(a, b));
    }
}

/// Where the second derivatives are taken.
#[derive(Clone, Debug)]
pub struct CurvatureAt<'a> {
    /// Relative covariances per level, r×r row-major.
    pub g: &'a [Vec<f64>],
    /// The directions, finest level first.
    pub directions: &'a [Direction],
    /// `e = C γ`: minus β at the columns of X in use, 1 at y, 0 elsewhere.
    pub residual: &'a [f64],
    /// `S_xx⁻¹` at the columns of X in use, zero elsewhere, m×m row-major; without it
    /// [`Curvature::fixed`] is left out, and the walk carries the z columns and e alone.
    pub s_xx_inverse: Option<&'a [f64]>,
    /// Whether [`Curvature::products`] are wanted too; only with `s_xx_inverse`.
    pub with_products: bool,
}

impl TreePlan {
    /// Sums the second derivatives over one shard.
    pub fn curvature(&self, tree: &Tree, at: &CurvatureAt<'_>) -> Curvature {
        let d = at.directions.len();
        let square = || vec![0.0; d * d];
        let pairs = if at.with_products { d * d } else { 0 };
        let products = vec![vec![0.0; self.m * self.m]; pairs];
        let mut out = Curvature { trace: square(), residual: square(), fixed: square(), products };
        if tree.levels.iter().all(|level| level.groups == 0) {
            return out;
        }
        let columns = match at.s_xx_inverse {
            Some(_) => (0..self.m - 1).collect(),
            None => self.z_columns(),
        };
        let plan = self.reduced(&columns);
        let walk = Walk::new(&plan, self.m, &columns, tree, at);
        Arch::new().dispatch(|| walk.run(&mut out));
        out
    }
}
