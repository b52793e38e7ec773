//! Conditional covariances along the path from a group to the top level: the selected inverse of A.
//!
//! Let `D_a` be the covariance over σ² of the effects of all ancestors of g given y and β (R×R, where R is
//! the sum of their r; R = 0 at the top level), `B = K_g N_g[z_a]` and `U = Y_g[z_a]` (r×R). Then
//!
//! ```text
//! D_ga = -B D_a        D_gg = K_g + B D_a B'        H_g = Z_g'V⁻¹Z_g = Y_g[z] - U D_a U'
//! ```
//!
//! The path of g's children has `[D_gg D_ga; D_ga' D_a]`. See `docs/theory.md`, section 5.2. (`H_g` cannot
//! be read from the columns of `F_g` that belong to z: these are columns of C over all rows, so they
//! include the effects of other groups.)

/// Shapes and scratch memory for the paths of one level.
pub(super) struct Path {
    r: usize,
    /// Columns of C of the ancestors' effects, nearest ancestor first.
    za: Vec<usize>,
    /// `B D_a` or `U D_a`, r×R.
    product: Vec<f64>,
    /// B or U, and its derivative, r×R.
    left: Vec<f64>,
    d_left: Vec<f64>,
}

impl Path {
    pub(super) fn new(r: usize, za: Vec<usize>) -> Self {
        let room = || vec![0.0; r * za.len()];
        Path { r, product: room(), left: room(), d_left: room(), za }
    }

    /// Returns R.
    #[inline(always)]
    fn above(&self) -> usize {
        self.za.len()
    }

    /// Picks the ancestors' columns of r rows of m numbers.
    #[inline(always)]
    fn pick(za: &[usize], rows: &[f64], m: usize, out: &mut [f64]) {
        if za.is_empty() {
            return;
        }
        for (out, row) in out.chunks_exact_mut(za.len()).zip(rows.chunks_exact(m)) {
            out.iter_mut().zip(za).for_each(|(o, &c)| *o = row[c]);
        }
    }

    /// Computes `product = left D`.
    #[inline(always)]
    fn multiply_by(left: &[f64], d: &[f64], above: usize, product: &mut [f64]) {
        if above == 0 {
            return;
        }
        for (out, row) in product.chunks_exact_mut(above).zip(left.chunks_exact(above)) {
            for (j, out) in out.iter_mut().enumerate() {
                *out = (0..above).map(|s| row[s] * d[s * above + j]).sum();
            }
        }
    }

    /// Returns entry (i, j) of `product left'`.
    #[inline(always)]
    fn inner(product: &[f64], left: &[f64], above: usize, i: usize, j: usize) -> f64 {
        (0..above).map(|s| product[i * above + s] * left[j * above + s]).sum()
    }

    /// Computes D of the path from g, (r+R)×(r+R), from K, KN and the ancestors' D.
    #[inline(always)]
    pub(super) fn extend(&mut self, kernel: &[f64], kn: &[f64], m: usize, d_a: &[f64], out: &mut [f64]) {
        let (r, above) = (self.r, self.above());
        let size = r + above;
        Self::pick(&self.za, kn, m, &mut self.left);
        Self::multiply_by(&self.left, d_a, above, &mut self.product);
        for i in 0..r {
            for j in 0..r {
                out[i * size + j] = kernel[i * r + j] + Self::inner(&self.product, &self.left, above, i, j);
            }
            for j in 0..above {
                out[i * size + r + j] = -self.product[i * above + j];
                out[(r + j) * size + i] = -self.product[i * above + j];
            }
        }
        for i in 0..above {
            out[(r + i) * size + r..][..above].copy_from_slice(&d_a[i * above..(i + 1) * above]);
        }
    }

    /// Computes the derivative of [`Path::extend`] from dK, d(KN) and the ancestors' dD.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    pub(super) fn extend_tangent(
        &mut self,
        d_kernel: &[f64],
        kn: &[f64],
        d_kn: &[f64],
        m: usize,
        (d_a, dd_a): (&[f64], &[f64]),
        out: &mut [f64],
    ) {
        let (r, above) = (self.r, self.above());
        let size = r + above;
        Self::pick(&self.za, kn, m, &mut self.left);
        Self::pick(&self.za, d_kn, m, &mut self.d_left);
        // dD_ga = -dB D - B dD, and D_gg = K + B D B'.
        let mut moved = vec![0.0; r * above];
        Self::multiply_by(&self.left, dd_a, above, &mut moved);
        Self::multiply_by(&self.left, d_a, above, &mut self.product);
        for i in 0..r {
            for j in 0..r {
                out[i * size + j] = d_kernel[i * r + j]
                    + Self::inner(&self.product, &self.d_left, above, i, j)
                    + Self::inner(&self.product, &self.d_left, above, j, i)
                    + Self::inner(&moved, &self.left, above, i, j);
            }
        }
        Self::multiply_by(&self.d_left, d_a, above, &mut self.product);
        for i in 0..r {
            for j in 0..above {
                let value = -(self.product[i * above + j] + moved[i * above + j]);
                out[i * size + r + j] = value;
                out[(r + j) * size + i] = value;
            }
        }
        for i in 0..above {
            out[(r + i) * size + r..][..above].copy_from_slice(&dd_a[i * above..(i + 1) * above]);
        }
    }

    /// Computes `H_g`, r×r, from Y and the ancestors' D.
    #[inline(always)]
    pub(super) fn h(&mut self, y: &[f64], z: &[usize], m: usize, d_a: &[f64], out: &mut [f64]) {
        let (r, above) = (self.r, self.above());
        Self::pick(&self.za, y, m, &mut self.left);
        Self::multiply_by(&self.left, d_a, above, &mut self.product);
        for i in 0..r {
            for (j, &c) in z.iter().enumerate() {
                out[i * r + j] = y[i * m + c] - Self::inner(&self.product, &self.left, above, i, j);
            }
        }
    }

    /// Computes the derivative of [`Path::h`].
    #[inline(always)]
    pub(super) fn h_tangent(
        &mut self,
        (y, dy): (&[f64], &[f64]),
        z: &[usize],
        m: usize,
        (d_a, dd_a): (&[f64], &[f64]),
        out: &mut [f64],
    ) {
        let (r, above) = (self.r, self.above());
        Self::pick(&self.za, y, m, &mut self.left);
        Self::pick(&self.za, dy, m, &mut self.d_left);
        Self::multiply_by(&self.left, dd_a, above, &mut self.product);
        for i in 0..r {
            for (j, &c) in z.iter().enumerate() {
                out[i * r + j] = dy[i * m + c] - Self::inner(&self.product, &self.left, above, i, j);
            }
        }
        Self::multiply_by(&self.left, d_a, above, &mut self.product);
        for i in 0..r {
            for j in 0..r {
                out[i * r + j] -= Self::inner(&self.product, &self.d_left, above, i, j)
                    + Self::inner(&self.product, &self.d_left, above, j, i);
            }
        }
    }
}
