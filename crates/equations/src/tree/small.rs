//! Operations on r×r matrices of one group's random effects; r is almost always 1 or 2.
//!
//! Matrices are row-major slices of length r². Sizes 1 and 2 have their own code, because they are
//! inverted once per group and evaluation; larger ones use `nalgebra`.

use nalgebra::DMatrix;

/// Replaces a matrix by its inverse and returns its determinant.
///
/// Used for `I + N G`, whose eigenvalues are those of `I + Λ' N Λ`: real and at least 1.
pub(crate) fn invert(a: &mut [f64], r: usize) -> f64 {
    match r {
        1 => {
            let det = a[0];
            a[0] = 1.0 / det;
            det
        }
        2 => invert_2(a),
        _ => {
            let lu = DMatrix::from_row_slice(r, r, a).lu();
            let det = lu.determinant();
            match lu.try_inverse() {
                Some(inverse) => a.copy_from_slice(inverse.transpose().as_slice()),
                None => a.fill(f64::NAN),
            }
            det
        }
    }
}

/// Inverts [a b; c d] by Gaussian elimination with row pivoting.
fn invert_2(m: &mut [f64]) -> f64 {
    let swap = m[2].abs() > m[0].abs();
    let (a, b, c, d) = if swap { (m[2], m[3], m[0], m[1]) } else { (m[0], m[1], m[2], m[3]) };
    let factor = c / a;
    let pivot = d - factor * b;
    // Solve for the two unit vectors to get the rows of the inverse of the (swapped) matrix.
    let (x10, x11) = (-factor / pivot, 1.0 / pivot);
    let (x00, x01) = ((1.0 - b * x10) / a, -b * x11 / a);
    // Swapping the rows of a matrix swaps the columns of its inverse.
    let (inverse, sign) = if swap { ([x01, x00, x11, x10], -1.0) } else { ([x00, x01, x10, x11], 1.0) };
    m.copy_from_slice(&inverse);
    sign * a * pivot
}

/// Computes `out = a b` for r×r matrices.
pub(crate) fn multiply(a: &[f64], b: &[f64], r: usize, out: &mut [f64]) {
    for i in 0..r {
        for j in 0..r {
            out[i * r + j] = (0..r).map(|k| a[i * r + k] * b[k * r + j]).sum();
        }
    }
}

/// Makes a matrix that is symmetric up to rounding exactly symmetric.
pub(crate) fn symmetrise(a: &mut [f64], r: usize) {
    for i in 0..r {
        for j in 0..i {
            let mean = 0.5 * (a[i * r + j] + a[j * r + i]);
            a[i * r + j] = mean;
            a[j * r + i] = mean;
        }
    }
}

/// Returns `a'b`.
#[inline(always)]
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Computes `out += factor · row`.
#[inline(always)]
pub(crate) fn add_scaled(out: &mut [f64], factor: f64, row: &[f64]) {
    out.iter_mut().zip(row).for_each(|(o, v)| *o += factor * v);
}

/// Computes `out = factor · row`.
#[inline(always)]
pub(crate) fn set_scaled(out: &mut [f64], factor: f64, row: &[f64]) {
    out.iter_mut().zip(row).for_each(|(o, v)| *o = factor * v);
}

/// Computes `out = a rows`, where a is r×r and rows and out are r×m.
#[inline(always)]
pub(crate) fn apply(a: &[f64], rows: &[f64], r: usize, m: usize, out: &mut [f64]) {
    for i in 0..r {
        let out = &mut out[i * m..(i + 1) * m];
        set_scaled(out, a[i * r], &rows[..m]);
        for j in 1..r {
            add_scaled(out, a[i * r + j], &rows[j * m..(j + 1) * m]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inverse_of_two_by_two_pivots() {
        for m in [[1e-20, 1.0, 1.0, 1.0], [3.0, 1.0, -2.0, 5.0], [1.0, 0.0, 0.0, 1.0], [2.0, 7.0, 9.0, 1.0]] {
            let (mut inverse, mut product) = (m, [0.0; 4]);
            let det = invert(&mut inverse, 2);
            multiply(&m, &inverse, 2, &mut product);
            assert!((det - (m[0] * m[3] - m[1] * m[2])).abs() < 1e-14 * det.abs());
            for (got, want) in product.iter().zip([1.0, 0.0, 0.0, 1.0]) {
                assert!((got - want).abs() < 1e-14, "{m:?}: {product:?}");
            }
        }
    }

    #[test]
    fn inverse_of_three_by_three_is_row_major() {
        let m = [1.0, 2.0, 0.0, 0.0, 1.0, 3.0, 4.0, 0.0, 1.0];
        let (mut inverse, mut product) = (m, [0.0; 9]);
        let det = invert(&mut inverse, 3);
        multiply(&m, &inverse, 3, &mut product);
        assert!((det - 25.0).abs() < 1e-12);
        for (k, got) in product.iter().enumerate() {
            assert!((got - f64::from(u8::from(k % 4 == 0))).abs() < 1e-14);
        }
    }
}
