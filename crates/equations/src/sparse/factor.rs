//! `A = LDL'` by `sprs-ldl`: values written in place, factored anew at every theta.
//!
//! The kernel is that of Davis (2005), *Algorithm 849: a concise sparse Cholesky factorization
//! package* (LDL): up-looking, a row of L per step. It reads the entries (i, k) with i ≤ k of column
//! k and takes the order of the unknowns as it stands (the identity as permutation). It calls a
//! pivot an error only where it is exactly zero; here every pivot must be finite and positive.

use super::moments::GroupMoments;
use super::pattern::Pattern;
use nalgebra::DMatrix;
use sprs::{CsMatI, CsMatViewI, PermOwnedI, SymmetryCheck};
use sprs_ldl::{LdlNumeric, LdlSymbolic};
use tiers_moments::Level;

/// The factors L and D.
#[derive(Clone, Debug)]
enum Ldl {
    Sparse(LdlNumeric<f64, u32>),
    /// Of no or one unknown, which `sprs-ldl` does not take: L is empty, and D is A itself.
    Trivial(CsMatI<f64, u32>),
}

/// A at some theta with its factors L and D.
#[derive(Clone, Debug)]
pub(super) struct Factor {
    a: CsMatI<f64, u32>,
    ldl: Ldl,
    /// Λ_k per level, r×r row-major.
    lambda: Vec<Vec<f64>>,
}

impl Factor {
    /// Analyses a pattern; A starts as the identity, which is A at `Λ = 0`.
    pub(super) fn new(pattern: &Pattern) -> Self {
        let (a, q) = (pattern.identity(), pattern.unknowns());
        let ldl = if q > 1 {
            let order = PermOwnedI::identity(q);
            let symbolic = LdlSymbolic::new_perm(a.view(), order, SymmetryCheck::DontCheckSymmetry);
            Ldl::Sparse(symbolic.factor(a.view()).expect("the identity has no zero pivot"))
        } else {
            Ldl::Trivial(CsMatI::new_csc((q, q), vec![0; q + 1], Vec::new(), Vec::new()))
        };
        let lambda = (0..pattern.levels()).map(|k| vec![0.0; pattern.r(k) * pattern.r(k)]).collect();
        Factor { a, ldl, lambda }
    }

    /// Factors A at the covariance factors Λ_k; the unknown and its pivot where one is not positive.
    pub(super) fn set(
        &mut self,
        pattern: &Pattern,
        levels: &[Level],
        moments: &GroupMoments<'_>,
        factors: &[DMatrix<f64>],
    ) -> Result<(), (usize, f64)> {
        assert_eq!(factors.len(), pattern.levels(), "one covariance factor per level");
        for (k, (lambda, factor)) in self.lambda.iter_mut().zip(factors).enumerate() {
            assert_eq!(factor.shape(), (pattern.r(k), pattern.r(k)), "Λ of level {k} is r×r");
            lambda.copy_from_slice(factor.transpose().as_slice());
        }
        for k in 0..pattern.levels() {
            self.write_level(pattern, levels, moments, k);
        }
        // `update` fails at a pivot that is exactly zero, which is found below with the others that are
        // not positive; what d() holds behind it is left over from before.
        let Factor { a, ldl, .. } = self;
        let zero_pivot = match ldl {
            Ldl::Sparse(ldl) => ldl.update(a.view()).is_err(),
            Ldl::Trivial(_) => false,
        };
        match self.d().iter().position(|&d| !(d.is_finite() && d > 0.0)) {
            Some(unknown) => Err((unknown, self.d()[unknown])),
            None => {
                assert!(!zero_pivot, "sprs-ldl fails at a zero pivot only");
                Ok(())
            }
        }
    }

    /// Writes the blocks `Λ_k' Z_g'WZ_a Λ_a` of all groups g of a level, a being g or an ancestor.
    fn write_level(&mut self, pattern: &Pattern, levels: &[Level], moments: &GroupMoments<'_>, k: usize) {
        let (r, m) = (pattern.r(k), moments.columns());
        let mut left = vec![0.0; r * m];
        let Factor { a, lambda, .. } = self;
        let values = a.data_mut();
        for (group, moments) in moments.level(k).chunks_exact(r * m).enumerate() {
            spherical(&lambda[k], moments, r, m, &mut left);
            let unknown = pattern.unknown(k, group);
            let offset = pattern.own_offset(k, group);
            for t in 0..r {
                let into = &mut values[pattern.start(unknown + t) + offset..][..=t];
                times_column(&left, m, &levels[k].z, &lambda[k], t, into);
                into[t] += 1.0;
            }
            for (link, above) in pattern.links(k, group).iter().zip(k + 1..) {
                let ancestor = pattern.unknown(above, link.group as usize);
                for t in 0..pattern.r(above) {
                    let into = &mut values[pattern.start(ancestor + t) + link.offset as usize..][..r];
                    times_column(&left, m, &levels[above].z, &lambda[above], t, into);
                }
            }
        }
    }

    /// The upper triangle of A.
    pub(super) fn a(&self) -> CsMatViewI<'_, f64, u32> {
        self.a.view()
    }

    /// L, without its unit diagonal, by columns.
    pub(super) fn l(&self) -> CsMatViewI<'_, f64, u32> {
        match &self.ldl {
            Ldl::Sparse(ldl) => ldl.l(),
            Ldl::Trivial(l) => l.view(),
        }
    }

    /// D.
    pub(super) fn d(&self) -> &[f64] {
        match &self.ldl {
            Ldl::Sparse(ldl) => ldl.d(),
            Ldl::Trivial(_) => self.a.data(),
        }
    }

    /// Λ_k, r×r row-major.
    pub(super) fn lambda(&self, level: usize) -> &[f64] {
        &self.lambda[level]
    }
}

/// `B_g = Λ_k' Z_g'WC` from the moments of a group; r×m both.
pub(super) fn spherical(lambda: &[f64], moments: &[f64], r: usize, m: usize, out: &mut [f64]) {
    for (s, out) in out.chunks_exact_mut(m).enumerate() {
        let factor = lambda[s];
        out.iter_mut().zip(&moments[..m]).for_each(|(o, v)| *o = factor * v);
        for t in 1..r {
            let factor = lambda[t * r + s];
            out.iter_mut().zip(&moments[t * m..(t + 1) * m]).for_each(|(o, v)| *o += factor * v);
        }
    }
}

/// The first rows of column t of `left[:, z] Λ`, as many as there is room for.
#[inline(always)]
fn times_column(left: &[f64], m: usize, z: &[usize], lambda: &[f64], t: usize, out: &mut [f64]) {
    for (row, out) in left.chunks_exact(m).zip(out) {
        *out = z.iter().enumerate().map(|(u, &c)| row[c] * lambda[u * z.len() + t]).sum();
    }
}
