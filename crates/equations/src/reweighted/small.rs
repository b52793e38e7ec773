//! Dense operations on the few random coefficients of a path, row-major.

/// Factors the leading r×r block of a symmetric matrix as `L L'`, in place in the lower triangle. Returns its
/// determinant; the factor is NaN if it is not positive definite.
#[inline(always)]
pub(super) fn cholesky(a: &mut [f64], r: usize) -> f64 {
    let mut determinant = 1.0;
    for j in 0..r {
        let mut pivot = a[j * r + j];
        for s in 0..j {
            pivot -= a[j * r + s] * a[j * r + s];
        }
        determinant *= pivot;
        let root = pivot.sqrt();
        a[j * r + j] = root;
        for i in j + 1..r {
            let mut sum = a[i * r + j];
            for s in 0..j {
                sum -= a[i * r + s] * a[j * r + s];
            }
            a[i * r + j] = sum / root;
        }
    }
    determinant
}

/// Solves `L L' x = b` in place.
#[inline(always)]
pub(super) fn solve(l: &[f64], r: usize, b: &mut [f64]) {
    for i in 0..r {
        let mut sum = b[i];
        for s in 0..i {
            sum -= l[i * r + s] * b[s];
        }
        b[i] = sum / l[i * r + i];
    }
    for i in (0..r).rev() {
        let mut sum = b[i];
        for s in i + 1..r {
            sum -= l[s * r + i] * b[s];
        }
        b[i] = sum / l[i * r + i];
    }
}

/// Computes `out = a b`, where a is n×k and b is k×m.
#[inline(always)]
pub(super) fn multiply(a: &[f64], b: &[f64], (n, k, m): (usize, usize, usize), out: &mut [f64]) {
    for i in 0..n {
        for j in 0..m {
            let mut sum = 0.0;
            for s in 0..k {
                sum += a[i * k + s] * b[s * m + j];
            }
            out[i * m + j] = sum;
        }
    }
}

/// Computes `out = a b'`, where a is n×k and b is m×k.
#[inline(always)]
pub(super) fn multiply_transposed(a: &[f64], b: &[f64], (n, k, m): (usize, usize, usize), out: &mut [f64]) {
    for i in 0..n {
        for j in 0..m {
            let mut sum = 0.0;
            for s in 0..k {
                sum += a[i * k + s] * b[j * k + s];
            }
            out[i * m + j] = sum;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cholesky_solves() {
        let a = [4.0, 2.0, 0.4, 2.0, 5.0, 1.0, 0.4, 1.0, 3.0];
        let (mut l, mut x) = (a, [1.0, -2.0, 0.5]);
        let determinant = cholesky(&mut l, 3);
        solve(&l, 3, &mut x);
        let mut back = [0.0; 3];
        multiply(&a, &x, (3, 3, 1), &mut back);
        for (got, want) in back.iter().zip([1.0, -2.0, 0.5]) {
            assert!((got - want).abs() < 1e-14);
        }
        // 4 (5·3 - 1) - 2 (2·3 - 0.4) + 0.4 (2 - 5·0.4)
        assert!((determinant - 44.8).abs() < 1e-13, "{determinant}");
    }
}
