//! The quantities of one group and their derivatives in one direction; see [`super::walk`].

use super::small::{add_scaled, apply, invert, multiply};

/// Computes `T = (I + N[z] G)⁻¹`.
#[inline(always)]
pub(super) fn transfer(n: &[f64], g: &[f64], z: &[usize], m: usize, t: &mut [f64]) {
    let r = z.len();
    for i in 0..r {
        for j in 0..r {
            let sum: f64 = z.iter().enumerate().map(|(s, &c)| n[i * m + c] * g[s * r + j]).sum();
            t[i * r + j] = sum + f64::from(u8::from(i == j));
        }
    }
    invert(t, r);
}

/// Quantities of one group, r×m each unless stated otherwise.
pub(super) struct Local {
    pub(super) r: usize,
    pub(super) m: usize,
    pub(super) n: Vec<f64>,
    pub(super) y: Vec<f64>,
    pub(super) kn: Vec<f64>,
    pub(super) f: Vec<f64>,
    /// T, K and dK, r×r.
    pub(super) t: Vec<f64>,
    pub(super) kernel: Vec<f64>,
    pub(super) d_kernel: Vec<f64>,
    pub(super) dn: Vec<f64>,
    pub(super) dy: Vec<f64>,
    pub(super) dkn: Vec<f64>,
    pub(super) df: Vec<f64>,
    /// B and a product with it, r×r.
    pub(super) b: Vec<f64>,
    pub(super) work: Vec<f64>,
}

impl Local {
    pub(super) fn new(r: usize, m: usize) -> Self {
        let rows = || vec![0.0; r * m];
        let square = || vec![0.0; r * r];
        Local {
            r,
            m,
            n: rows(),
            y: rows(),
            kn: rows(),
            f: rows(),
            t: square(),
            kernel: square(),
            d_kernel: square(),
            dn: rows(),
            dy: rows(),
            dkn: rows(),
            df: rows(),
            b: square(),
            work: square(),
        }
    }

    /// Computes Y, K and KN from N and T.
    #[inline(always)]
    pub(super) fn prepare(&mut self, g: &[f64]) {
        let (r, m) = (self.r, self.m);
        apply(&self.t, &self.n, r, m, &mut self.y);
        multiply(g, &self.t, r, &mut self.kernel);
        apply(&self.kernel, &self.n, r, m, &mut self.kn);
    }

    /// Computes dY and d(KN) from dN and dG; returns false, without computing them, if they are zero.
    #[inline(always)]
    pub(super) fn differentiate(&mut self, dn: Option<&[f64]>, g: &[f64], z: &[usize], dg: Option<&[f64]>) -> bool {
        let (r, m) = (self.r, self.m);
        match dn {
            Some(dn) => self.dn.copy_from_slice(dn),
            None if dg.is_none() => return false,
            None => self.dn.fill(0.0),
        }
        // B = dN[z] G + N[z] dG
        for i in 0..r {
            for j in 0..r {
                let mut sum = 0.0;
                for (s, &c) in z.iter().enumerate() {
                    sum += self.dn[i * m + c] * g[s * r + j];
                    sum += dg.map_or(0.0, |dg| self.n[i * m + c] * dg[s * r + j]);
                }
                self.b[i * r + j] = sum;
            }
        }
        // dY = T (dN - B Y)
        self.df.copy_from_slice(&self.dn);
        for i in 0..r {
            for j in 0..r {
                let y = &self.y[j * m..(j + 1) * m];
                add_scaled(&mut self.df[i * m..(i + 1) * m], -self.b[i * r + j], y);
            }
        }
        apply(&self.t, &self.df, r, m, &mut self.dy);
        // d(KN) = dK N + K dN, dK = (dG - K B) T
        multiply(&self.kernel, &self.b, r, &mut self.work);
        for (i, w) in self.work.iter_mut().enumerate() {
            *w = dg.map_or(0.0, |dg| dg[i]) - *w;
        }
        multiply(&self.work, &self.t, r, &mut self.d_kernel);
        apply(&self.d_kernel, &self.n, r, m, &mut self.dkn);
        for i in 0..r {
            for j in 0..r {
                let dn = &self.dn[j * m..(j + 1) * m];
                add_scaled(&mut self.dkn[i * m..(i + 1) * m], self.kernel[i * r + j], dn);
            }
        }
        true
    }

    /// Sets the results of [`Local::differentiate`] to zero.
    #[inline(always)]
    pub(super) fn no_change(&mut self) {
        self.dy.fill(0.0);
        self.dkn.fill(0.0);
        self.d_kernel.fill(0.0);
    }
}
