//! Derivatives of one group's small matrices, in four directions at once.

use super::factor::{Split, complement, kernel_cross};
use super::lanes::add;
use super::{Lanes, ZERO};

/// Views into the derivatives of one group's moments, as [`Split`].
pub(super) struct Dot<'a> {
    n: &'a [Lanes],
    path: usize,
    r: usize,
}

impl<'a> Dot<'a> {
    #[inline(always)]
    pub(super) fn of(n: &'a [Lanes], g: usize, path: usize, r: usize) -> Dot<'a> {
        Dot { n: &n[g * path * path..(g + 1) * path * path], path, r }
    }

    #[inline(always)]
    pub(super) fn own(&self, i: usize, j: usize) -> Lanes {
        self.n[i * self.path + j]
    }

    #[inline(always)]
    pub(super) fn cross(&self, i: usize, j: usize) -> Lanes {
        self.n[i * self.path + self.r + j]
    }

    #[inline(always)]
    pub(super) fn up(&self, i: usize, j: usize) -> Lanes {
        self.n[(self.r + i) * self.path + self.r + j]
    }
}

/// `out = a b` for a an n×k matrix of numbers and b a k×m matrix of lanes.
#[inline(always)]
pub(super) fn product(
    n: usize,
    k: usize,
    m: usize,
    a: impl Fn(usize, usize) -> f64,
    b: impl Fn(usize, usize) -> Lanes,
    out: &mut [Lanes],
) {
    out[..n * m].fill(ZERO);
    add_product(n, k, m, a, b, |i, j| i * m + j, out);
}

/// Adds `a b` to the entries of `out` at the places given.
#[inline(always)]
pub(super) fn add_product(
    n: usize,
    k: usize,
    m: usize,
    a: impl Fn(usize, usize) -> f64,
    b: impl Fn(usize, usize) -> Lanes,
    at: impl Fn(usize, usize) -> usize,
    out: &mut [Lanes],
) {
    for i in 0..n {
        for j in 0..m {
            let sum = &mut out[at(i, j)];
            (0..k).for_each(|s| add(sum, a(i, s), &b(s, j)));
        }
    }
}

/// GroupTangent matrices of one group: r×r, or r×size for those that end in the levels above.
#[derive(Clone, Debug, Default)]
pub(super) struct GroupTangent {
    pub(super) j: Vec<f64>,
    pub(super) jd: Vec<Lanes>,
    /// `Y_u = J N_gu` and its derivative.
    y: Vec<f64>,
    yd: Vec<Lanes>,
    /// `B = K N_gu` and its derivative.
    pub(super) b: Vec<f64>,
    pub(super) bd: Vec<Lanes>,
    /// Products with D_u and Ḋ_u.
    left: Vec<f64>,
    right: Vec<Lanes>,
}

impl GroupTangent {
    #[inline(always)]
    pub(super) fn resize(&mut self, r: usize, size: usize) {
        self.j.resize(r * r, 0.0);
        self.jd.resize(r * r, ZERO);
        for values in [&mut self.y, &mut self.b, &mut self.left] {
            values.resize(r * size, 0.0);
        }
        for values in [&mut self.yd, &mut self.bd, &mut self.right] {
            values.resize(r * size, ZERO);
        }
    }

    /// `Ḃ = K̇ N_gu + K Ṅ_gu`.
    #[inline(always)]
    pub(super) fn set_kernel_tangent(
        &mut self,
        n: &Split<'_>,
        nd: &Dot<'_>,
        kernel: &[f64],
        kd: &[Lanes],
        (r, size): (usize, usize),
    ) {
        for a in 0..r {
            for b in 0..size {
                let mut sum = ZERO;
                for s in 0..r {
                    add(&mut sum, n.cross(s, b), &kd[a * r + s]);
                    add(&mut sum, kernel[a * r + s], &nd.cross(s, b));
                }
                self.bd[a * size + b] = sum;
            }
        }
    }

    /// Sets J and `J̇ = -(Ṅ K + N K̇)`, and adds `J̇ N + J Ṅ` to Ḣ.
    #[inline(always)]
    pub(super) fn add_precision(
        &mut self,
        n: &Split<'_>,
        nd: &Dot<'_>,
        (kernel, kd): (&[f64], &[Lanes]),
        r: usize,
        precision: &mut [Lanes],
    ) {
        complement(n, kernel, r, &mut self.j);
        for a in 0..r {
            for b in 0..r {
                let mut sum = ZERO;
                for s in 0..r {
                    add(&mut sum, -kernel[s * r + b], &nd.own(a, s));
                    add(&mut sum, -n.own(a, s), &kd[s * r + b]);
                }
                self.jd[a * r + b] = sum;
            }
        }
        for a in 0..r {
            for b in 0..r {
                for s in 0..r {
                    add(&mut precision[a * r + b], n.own(s, b), &self.jd[a * r + s]);
                    add(&mut precision[a * r + b], self.j[a * r + s], &nd.own(s, b));
                }
            }
        }
    }

    /// Sets `Y_u`, B and their derivatives.
    #[inline(always)]
    pub(super) fn set_cross(
        &mut self,
        n: &Split<'_>,
        nd: &Dot<'_>,
        (kernel, kd): (&[f64], &[Lanes]),
        (r, size): (usize, usize),
    ) {
        kernel_cross(kernel, n, (r, size), &mut self.b);
        self.set_kernel_tangent(n, nd, kernel, kd, (r, size));
        for a in 0..r {
            for b in 0..size {
                let (mut y, mut yd) = (0.0, ZERO);
                for s in 0..r {
                    y += self.j[a * r + s] * n.cross(s, b);
                    add(&mut yd, n.cross(s, b), &self.jd[a * r + s]);
                    add(&mut yd, self.j[a * r + s], &nd.cross(s, b));
                }
                (self.y[a * size + b], self.yd[a * size + b]) = (y, yd);
            }
        }
    }

    /// `left = m D_u` and `right = m Ḋ_u`, for an r×size matrix m.
    #[inline(always)]
    fn times_above(&mut self, of_y: bool, (d, dd): (&[f64], &[Lanes]), (r, size): (usize, usize)) {
        let m = if of_y { &self.y } else { &self.b };
        for a in 0..r {
            for b in 0..size {
                let (mut left, mut right) = (0.0, ZERO);
                for s in 0..size {
                    left += m[a * size + s] * d[s * size + b];
                    add(&mut right, m[a * size + s], &dd[s * size + b]);
                }
                (self.left[a * size + b], self.right[a * size + b]) = (left, right);
            }
        }
    }

    /// `Ḣ -= Ẏ_u D_u Y_u' + Y_u Ḋ_u Y_u' + Y_u D_u Ẏ_u'`.
    #[inline(always)]
    pub(super) fn subtract_precision(
        &mut self,
        above: (&[f64], &[Lanes]),
        (r, size): (usize, usize),
        precision: &mut [Lanes],
    ) {
        self.times_above(true, above, (r, size));
        for a in 0..r {
            for b in 0..r {
                let sum = &mut precision[a * r + b];
                for s in 0..size {
                    let (at, bt) = (a * size + s, b * size + s);
                    add(sum, -self.left[at], &self.yd[bt]);
                    add(sum, -self.left[bt], &self.yd[at]);
                    add(sum, -self.y[bt], &self.right[at]);
                }
            }
        }
    }

    /// Ḋ along the group's path.
    #[inline(always)]
    pub(super) fn set_covariance(
        &mut self,
        above: (&[f64], &[Lanes]),
        kd: &[Lanes],
        (r, size): (usize, usize),
        d: &mut [Lanes],
    ) {
        self.times_above(false, above, (r, size));
        let path = r + size;
        for a in 0..r {
            for b in 0..r {
                let mut sum = kd[a * r + b];
                for s in 0..size {
                    let (at, bt) = (a * size + s, b * size + s);
                    add(&mut sum, self.left[at], &self.bd[bt]);
                    add(&mut sum, self.left[bt], &self.bd[at]);
                    add(&mut sum, self.b[bt], &self.right[at]);
                }
                d[a * path + b] = sum;
            }
            for b in 0..size {
                let mut value: Lanes = std::array::from_fn(|lane| -self.right[a * size + b][lane]);
                (0..size).for_each(|s| add(&mut value, -above.0[s * size + b], &self.bd[a * size + s]));
                d[a * path + r + b] = value;
                d[(r + b) * path + a] = value;
            }
        }
        for a in 0..size {
            d[(r + a) * path + r..][..size].copy_from_slice(&above.1[a * size..(a + 1) * size]);
        }
    }
}
