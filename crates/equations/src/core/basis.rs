//! The basis of a factor's effects in which their relative covariance is diagonal.
//!
//! With d the scales of the coefficients and the singular values of `dΛ = U diag(s) V'`,
//!
//! ```text
//! G = M diag(s²) M',    M = d⁻¹ U,    M'⁻¹ = d U
//! ```
//!
//! so that in the basis M of every group's columns `S = I + s (M'NM) s`, whatever the factor. A component with
//! s = 0 has no variance; one with s > 1 has more variance than the rows of the largest group leave.

use super::plan::FactorPlan;
use nalgebra::DMatrix;

/// The basis of one factor.
#[derive(Clone, Debug)]
pub(super) struct Basis {
    /// The standard deviation of each component.
    pub(super) s: Vec<f64>,
    /// M, r×r row-major.
    pub(super) m: Vec<f64>,
    /// `M'⁻¹`, r×r row-major.
    pub(super) dual: Vec<f64>,
}

impl Basis {
    /// Returns the basis of the columns as they are, with variances of 1.
    pub(super) fn identity(r: usize) -> Self {
        let matrix: Vec<f64> = (0..r * r).map(|k| f64::from(u8::from(k / r == k % r))).collect();
        Basis { s: vec![1.0; r], m: matrix.clone(), dual: matrix }
    }

    /// Returns the basis at the relative covariance factor Λ.
    pub(super) fn new(plan: &FactorPlan, lambda: &DMatrix<f64>) -> Self {
        let (r, d) = (plan.r, &plan.scale);
        if r == 1 {
            return Basis { s: vec![(d[0] * lambda[(0, 0)]).abs()], m: vec![1.0 / d[0]], dual: vec![d[0]] };
        }
        let scaled = DMatrix::from_fn(r, r, |i, j| d[i] * lambda[(i, j)]);
        let finite = scaled.iter().all(|x| x.is_finite());
        if !finite {
            let nan = vec![f64::NAN; r * r];
            return Basis { s: vec![f64::NAN; r], m: nan.clone(), dual: nan };
        }
        let svd = scaled.svd(true, false);
        let u = svd.u.expect("requested");
        let entries = |f: &dyn Fn(usize, usize) -> f64| (0..r * r).map(|k| f(k / r, k % r)).collect();
        Basis {
            s: svd.singular_values.iter().copied().collect(),
            m: entries(&|i, j| u[(i, j)] / d[i]),
            dual: entries(&|i, j| u[(i, j)] * d[i]),
        }
    }
}

/// Replaces rows b (r×width, row-major) by `A'b`, or by `A b`.
#[inline(always)]
pub(super) fn transform(a: &[f64], transposed: bool, b: &mut [f64], width: usize, work: &mut Vec<f64>) {
    let r = b.len() / width.max(1);
    if r == 1 {
        b.iter_mut().for_each(|b| *b *= a[0]);
        return;
    }
    work.clear();
    work.resize(b.len(), 0.0);
    for i in 0..r {
        for j in 0..r {
            let factor = if transposed { a[j * r + i] } else { a[i * r + j] };
            let row = &b[j * width..(j + 1) * width];
            work[i * width..(i + 1) * width].iter_mut().zip(row).for_each(|(o, b)| *o += factor * b);
        }
    }
    b.copy_from_slice(work);
}
