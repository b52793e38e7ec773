//! Sums over rows in a fixed order, with vector instructions.
//!
//! The functions are meant to be called within [`pulp::Arch::dispatch`]. They use fused multiply-adds, which give the
//! same bits with any instruction set.

/// Columns of a tile.
const WIDTH: usize = 4;

/// `n` rounded up to a multiple of a tile's width.
pub(super) fn padded(n: usize) -> usize {
    n.div_ceil(WIDTH) * WIDTH
}

/// Adds `Σ_i a_i b_i'` over the rows of a (q columns) and b (p columns), both row-major, to `out`, whose rows begin
/// every `stride` numbers. With `lower`, entries above the diagonal may be left out.
#[inline(always)]
pub(super) fn add_products(
    (a, q): (&[f64], usize),
    (b, p): (&[f64], usize),
    (out, stride): (&mut [f64], usize),
    lower: bool,
) {
    if q == 0 || p == 0 {
        return;
    }
    if q < WIDTH || p < WIDTH {
        for (a, b) in a.chunks_exact(q).zip(b.chunks_exact(p)) {
            for (i, &a) in a.iter().enumerate() {
                add_scaled(a, b, &mut out[i * stride..i * stride + p]);
            }
        }
        return;
    }
    for i in (0..q).step_by(WIDTH) {
        // The last tile overlaps the one before it, and adds its new columns only.
        let first_i = i.min(q - WIDTH);
        let end = if lower { p.min(first_i + WIDTH) } else { p };
        let mut j = 0;
        while j < end {
            if j + 2 * WIDTH <= p && j + WIDTH < end {
                let tile = tile::<{ 2 * WIDTH }>((a, q, first_i), (b, p, j));
                add_tile(&tile[i - first_i..], 0, (out, stride), i, j);
                j += 2 * WIDTH;
            } else {
                let first_j = j.min(p - WIDTH);
                let tile = tile::<WIDTH>((a, q, first_i), (b, p, first_j));
                add_tile(&tile[i - first_i..], j - first_j, (out, stride), i, j);
                j += WIDTH;
            }
        }
    }
}

/// The sums of four columns of a with C columns of b, held in registers over all rows.
#[inline(always)]
fn tile<const C: usize>((a, q, i): (&[f64], usize, usize), (b, p, j): (&[f64], usize, usize)) -> [[f64; C]; WIDTH] {
    let mut sums = [[0.0; C]; WIDTH];
    for (a, b) in a.chunks_exact(q).zip(b.chunks_exact(p)) {
        let a: &[f64; WIDTH] = a[i..i + WIDTH].try_into().expect("columns of a tile");
        let b: &[f64; C] = b[j..j + C].try_into().expect("columns of a tile");
        for (sums, a) in sums.iter_mut().zip(a) {
            for (sum, b) in sums.iter_mut().zip(b) {
                *sum = a.mul_add(*b, *sum);
            }
        }
    }
    sums
}

/// Adds a tile from its column `skip` on to `out` at row i and column j.
#[inline(always)]
fn add_tile<const C: usize>(tile: &[[f64; C]], skip: usize, (out, stride): (&mut [f64], usize), i: usize, j: usize) {
    for (t, sums) in tile.iter().enumerate() {
        let out = &mut out[(i + t) * stride + j..];
        out.iter_mut().zip(&sums[skip..]).for_each(|(o, s)| *o += s);
    }
}

/// Adds `Σ_i w_i x_i` over rows of p numbers to `out`.
#[inline(always)]
pub(super) fn add_weighted(w: &[f64], (x, p): (&[f64], usize), out: &mut [f64]) {
    if p == 0 {
        return;
    }
    let out = &mut out[..p];
    if p < WIDTH {
        w.iter().zip(x.chunks_exact(p)).for_each(|(&w, x)| add_scaled(w, x, out));
        return;
    }
    for j in (0..p).step_by(WIDTH) {
        let first = j.min(p - WIDTH);
        // Four rows at a time, since each sum waits for the one before it.
        let mut sums = [[0.0; WIDTH]; 4];
        let rows = |i: usize| -> &[f64; WIDTH] {
            x[i * p + first..i * p + first + WIDTH].try_into().expect("columns of a tile")
        };
        let whole = w.len() / 4 * 4;
        for i in (0..whole).step_by(4) {
            for (t, sums) in sums.iter_mut().enumerate() {
                let (w, x) = (w[i + t], rows(i + t));
                sums.iter_mut().zip(x).for_each(|(sum, x)| *sum = w.mul_add(*x, *sum));
            }
        }
        for (i, w) in w.iter().enumerate().skip(whole) {
            sums[0].iter_mut().zip(rows(i)).for_each(|(sum, x)| *sum = w.mul_add(*x, *sum));
        }
        for c in j - first..WIDTH {
            out[first + c] += (sums[0][c] + sums[1][c]) + (sums[2][c] + sums[3][c]);
        }
    }
}

/// `out += factor · values`.
#[inline(always)]
fn add_scaled(factor: f64, values: &[f64], out: &mut [f64]) {
    out.iter_mut().zip(values).for_each(|(o, v)| *o = v.mul_add(factor, *o));
}

/// Sums a function of the numbers from 0 to n - 1 in four accumulators.
#[inline(always)]
pub(super) fn sum_of(n: usize, f: impl Fn(usize) -> f64) -> f64 {
    let mut lanes = [0.0; WIDTH];
    let whole = n / WIDTH * WIDTH;
    for i in (0..whole).step_by(WIDTH) {
        for (lane, sum) in lanes.iter_mut().enumerate() {
            *sum += f(i + lane);
        }
    }
    let mut rest = 0.0;
    for i in whole..n {
        rest += f(i);
    }
    (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]) + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use tiers_moments::vectorised;

    #[test]
    fn products_are_those_of_a_plain_loop_for_any_width() {
        let number = |i: usize| (i * 37 % 23) as f64 - 11.0;
        for rows in [0, 1, 6, 9] {
            for q in [1, 3, 4, 6, 8, 9] {
                for p in [1, 2, 4, 5, 7, 8, 9, 12, 13] {
                    let a: Vec<f64> = (0..rows * q).map(number).collect();
                    let b: Vec<f64> = (0..rows * p).map(|i| number(i + 5)).collect();
                    let stride = padded(p);
                    let want = |i: usize, j: usize| -> f64 { (0..rows).map(|r| a[r * q + i] * b[r * p + j]).sum() };
                    for lower in [false, true] {
                        let mut out = vec![1.0; q * stride];
                        vectorised(
                            #[inline(always)]
                            || add_products((&a, q), (&b, p), (&mut out, stride), lower),
                        );
                        for i in 0..q {
                            for j in 0..p {
                                if !lower || j <= i {
                                    assert_eq!(out[i * stride + j], 1.0 + want(i, j), "{rows} {q} {p} {i} {j}");
                                }
                            }
                        }
                    }
                    let mut out = vec![1.0; p];
                    let w: Vec<f64> = a.chunks_exact(q).map(|a| a[0]).collect();
                    add_weighted(&w, (&b, p), &mut out);
                    (0..p).for_each(|j| assert_eq!(out[j], 1.0 + want(0, j)));
                }
            }
            assert_eq!(sum_of(rows, |i| i as f64), (0..rows).map(|i| i as f64).sum::<f64>());
        }
    }

    #[inline(always)]
    fn all_sums(a: &[f64], b: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; 7 * 12];
        add_products((a, 7), (b, 9), (&mut out, 12), false);
        add_weighted(&a[..9], (b, 9), &mut out);
        out.push(sum_of(63, |i| a[i] * b[i]));
        out
    }

    /// The scalar code has no instruction for a fused multiply-add, and calls a function.
    #[test]
    fn sums_have_the_same_bits_with_and_without_vector_instructions() {
        let a: Vec<f64> = (0..63).map(|i| f64::from(i).sin()).collect();
        let b: Vec<f64> = (0..81).map(|i| f64::from(i).cos()).collect();
        let scalar = all_sums(&a, &b);
        let vector = vectorised(
            #[inline(always)]
            || all_sums(&a, &b),
        );
        assert!(scalar.iter().zip(&vector).all(|(a, b)| a.to_bits() == b.to_bits()));
    }
}
