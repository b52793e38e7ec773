//! Cholesky factors of small covariance matrices that may be singular.

/// A pivot below this share of the column's scale counts as zero.
pub(crate) const SINGULAR: f64 = 1e-11;

/// Factors a positive semidefinite matrix `a = L L'`, s×s row-major: L replaces the lower triangle, with
/// zero columns where a pivot is zero relative to `scale`. Returns the rank.
pub(crate) fn factor(a: &mut [f64], scale: impl Fn(usize) -> f64, s: usize) -> usize {
    let mut rank = 0;
    for j in 0..s {
        let pivot = a[j * s + j];
        let root = if pivot > SINGULAR * scale(j) { pivot.sqrt() } else { 0.0 };
        rank += usize::from(root > 0.0);
        for i in j..s {
            a[i * s + j] = if root > 0.0 { a[i * s + j] / root } else { 0.0 };
        }
        for i in j + 1..s {
            for l in j + 1..=i {
                a[i * s + l] -= a[i * s + j] * a[l * s + j];
            }
        }
    }
    rank
}

/// `v = L ξ`.
pub(crate) fn spread(l: &[f64], xi: &[f64], v: &mut [f64]) {
    let s = xi.len();
    for i in 0..s {
        v[i] = (0..=i).map(|j| l[i * s + j] * xi[j]).sum();
    }
}

/// Solves `L L' x = L ξ`, that is, `L' x = ξ` over the nonzero columns.
pub(crate) fn solve(l: &[f64], xi: &[f64], x: &mut [f64]) {
    let s = xi.len();
    for i in (0..s).rev() {
        let pivot = l[i * s + i];
        let rest: f64 = (i + 1..s).map(|j| l[j * s + i] * x[j]).sum();
        x[i] = if pivot > 0.0 { (xi[i] - rest) / pivot } else { 0.0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_singular_matrix_is_factored_and_solved() {
        // The second column is twice the first; the third is independent.
        let a = [1.0, 2.0, 0.5, 2.0, 4.0, 1.0, 0.5, 1.0, 3.0];
        let mut l = a;
        assert_eq!(factor(&mut l, |j| a[j * 4], 3), 2);
        for i in 0..3 {
            for j in 0..=i {
                let product: f64 = (0..=j).map(|k| l[i * 3 + k] * l[j * 3 + k]).sum();
                assert!((product - a[i * 3 + j]).abs() < 1e-14);
            }
        }
        let (xi, mut v, mut x) = ([0.3, 9.0, -1.2], [0.0; 3], [0.0; 3]);
        // The entry of ξ at a zero pivot has no effect.
        spread(&l, &xi, &mut v);
        solve(&l, &xi, &mut x);
        for i in 0..3 {
            let product: f64 = (0..3).map(|j| a[i * 3 + j] * x[j]).sum();
            assert!((product - v[i]).abs() < 1e-14, "{v:?} {x:?}");
        }
    }
}
