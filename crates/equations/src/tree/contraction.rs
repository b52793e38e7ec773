//! Adds the derivatives of groups to the sums of [`Curvature`].

use super::curvature::{Curvature, CurvatureAt};
use super::small::{add_scaled, dot};

/// Adds the derivatives of the groups of one level to the sums of [`Curvature`].
pub(crate) struct Contraction<'a> {
    /// Directions of this level: (index, a, b).
    pub(crate) own: Vec<(usize, usize, usize)>,
    /// Number of carried columns, e included.
    pub(crate) m: usize,
    pub(crate) s_xx_inverse: Option<&'a [f64]>,
    pub(crate) with_products: bool,
    pub(crate) f: Vec<f64>,
    /// `F_x S_xx⁻¹`, a row of carried columns for each random coefficient.
    pub(crate) fs: Vec<f64>,
}

impl<'a> Contraction<'a> {
    pub(crate) fn new(at: &'a CurvatureAt<'a>, k: usize, r: usize, m: usize) -> Self {
        let own = at.directions.iter().enumerate().filter(|(_, dir)| dir.level == k);
        let own = own.map(|(i, dir)| (i, dir.a, dir.b)).collect();
        let (s_xx_inverse, with_products) = (at.s_xx_inverse, at.with_products);
        Contraction { own, m, s_xx_inverse, with_products, f: vec![0.0; r * m], fs: vec![0.0; r * m] }
    }

    /// Loads F of a group.
    #[inline(always)]
    pub(crate) fn load(&mut self, f: &[f64]) {
        let m = self.m;
        self.f.copy_from_slice(f);
        let Some(inverse) = self.s_xx_inverse else { return };
        for (f, fs) in self.f.chunks_exact(m).zip(self.fs.chunks_exact_mut(m)) {
            fs.fill(0.0);
            for (&f, row) in f[..m - 1].iter().zip(inverse.chunks_exact(m)) {
                add_scaled(&mut fs[..m - 1], f, &row[..m - 1]);
            }
        }
    }

    /// Adds the contribution of a group's dF and dH in direction j.
    #[inline(always)]
    pub(crate) fn add(&self, j: usize, d: usize, df: &[f64], dh: &[f64], out: &mut Curvature) {
        let (m, r) = (self.m, self.f.len() / self.m);
        let mut entry = |i: usize, a: usize, b: usize| {
            out.trace[i * d + j] += dh[b * r + a];
            out.residual[i * d + j] += self.f[a * m + m - 1] * df[b * m + m - 1];
            if self.s_xx_inverse.is_some() {
                out.fixed[i * d + j] += dot(&self.fs[a * m..(a + 1) * m - 1], &df[b * m..(b + 1) * m - 1]);
            }
            if self.with_products {
                let product = &mut out.products[i * d + j];
                for (row, &f) in product.chunks_exact_mut(m).zip(&self.f[a * m..(a + 1) * m]) {
                    add_scaled(row, f, &df[b * m..(b + 1) * m]);
                }
            }
        };
        for &(i, a, b) in &self.own {
            entry(i, a, b);
            if a != b {
                entry(i, b, a);
            }
        }
    }
}
