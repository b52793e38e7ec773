//! The textbook oracle: a linear mixed model by its definition, with V (n×n) formed explicitly.
//!
//! It is deliberately simple. Every quantity is computed by its textbook formula, as an independent
//! check of the fast algorithms, which use moments (sufficient statistics) and a tree. The cost is
//! O(n³), for problems of a few hundred rows.
//!
//! The model, relative to σ²:
//!
//! ```text
//! y = Xβ + Σ_k Z_k b_k + ε,   Cov(b_k) = σ² (I ⊗ G_k),  G_k = Λ_k Λ_k',  Cov(ε) = σ² W⁻¹
//! V = W⁻¹ + Σ_k Z_k (I ⊗ G_k) Z_k'                      (the covariance of y is σ² V)
//! P = V⁻¹ − V⁻¹X (X'V⁻¹X)⁻¹ X'V⁻¹
//! ```
//!
//! and, with σ² at its optimal value for the given θ, the criterion −2 log L:
//!
//! ```text
//! ML:    log|V| + n (1 + log(2π y'Py / n))
//! REML:  log|V| + log|X'V⁻¹X| + (n−p) (1 + log(2π y'Py / (n−p)))
//! ```

use nalgebra::{DMatrix, DVector};
use std::f64::consts::PI;

/// The likelihood to maximise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Restricted (residual) likelihood.
    Reml,
    /// Likelihood.
    Ml,
}

/// One random-effect term: `z.ncols()` correlated coefficients per group.
#[derive(Clone, Debug)]
pub struct Term {
    /// The design of the coefficients, n×r: row i multiplies the coefficients of its group.
    pub z: DMatrix<f64>,
    /// Group of each row, from 0.
    pub group: Vec<usize>,
}

impl Term {
    /// Number of groups: one more than the largest index.
    pub fn groups(&self) -> usize {
        self.group.iter().max().map_or(0, |g| g + 1)
    }

    /// The dense form of the sparse Z_k: n×(q_k r_k), one block of r_k columns per group.
    pub fn z_full(&self) -> DMatrix<f64> {
        let r = self.z.ncols();
        let mut full = DMatrix::zeros(self.z.nrows(), self.groups() * r);
        for (i, &g) in self.group.iter().enumerate() {
            for j in 0..r {
                full[(i, g * r + j)] = self.z[(i, j)];
            }
        }
        full
    }

    /// Number of entries of θ for this term: r(r+1)/2.
    pub fn theta_len(&self) -> usize {
        let r = self.z.ncols();
        r * (r + 1) / 2
    }
}

/// The data and the random terms of a model.
#[derive(Clone, Debug)]
pub struct Problem {
    /// Fixed-effects design, n×p, of full column rank.
    pub x: DMatrix<f64>,
    /// Response.
    pub y: DVector<f64>,
    /// Weights w > 0 with Var(ε_i) = σ²/w_i; all 1 if `None`.
    pub weights: Option<DVector<f64>>,
    /// The random terms, in the order of θ's blocks.
    pub terms: Vec<Term>,
}

/// All quantities at one θ.
#[derive(Clone, Debug)]
pub struct Solution {
    /// −2 log-likelihood, profiled over β and σ².
    pub criterion: f64,
    /// The optimal σ² for this θ: y'Py / n (ML) or / (n−p) (REML).
    pub sigma2: f64,
    /// y'Py, the penalised weighted residual sum of squares.
    pub pwrss: f64,
    /// log|V|.
    pub log_det_v: f64,
    /// log|X'V⁻¹X|.
    pub log_det_x: f64,
    /// β = (X'V⁻¹X)⁻¹ X'V⁻¹y, the generalised least squares estimate.
    pub beta: DVector<f64>,
    /// Cov(β) = σ² (X'V⁻¹X)⁻¹.
    pub cov_beta: DMatrix<f64>,
    /// Conditional modes (BLUPs) per term, q_k×r_k: b = G Z'V⁻¹(y − Xβ).
    pub b: Vec<DMatrix<f64>>,
    /// Cov(b | y, β, θ) = σ² (G − G Z'V⁻¹Z G) of all effects, in the order of [`Problem::z_full`].
    pub conditional: DMatrix<f64>,
    /// Cov(b̂ − b) = σ² (G − G Z'P Z G), the prediction error variance (Henderson).
    pub prediction: DMatrix<f64>,
    /// Xβ + Zb.
    pub fitted: DVector<f64>,
}

/// V and quantities derived from it; separate, so that derivatives compute them only once.
#[derive(Clone, Debug)]
pub struct Parts {
    /// V, n×n.
    pub v: DMatrix<f64>,
    /// V⁻¹.
    pub v_inv: DMatrix<f64>,
    /// log|V|.
    pub log_det_v: f64,
    /// (X'V⁻¹X)⁻¹.
    pub xvx_inv: DMatrix<f64>,
    /// log|X'V⁻¹X|.
    pub log_det_x: f64,
    /// P.
    pub p: DMatrix<f64>,
}

/// Returns the inverse and log-determinant of a symmetric positive definite matrix.
pub(crate) fn inverse_log_det(a: &DMatrix<f64>) -> (DMatrix<f64>, f64) {
    let cholesky = a.clone().cholesky().expect("positive definite");
    let log_det = 2.0 * cholesky.l_dirty().diagonal().iter().map(|d| d.ln()).sum::<f64>();
    (cholesky.inverse(), log_det)
}

impl Problem {
    /// Number of rows.
    pub fn n(&self) -> usize {
        self.y.len()
    }

    /// Number of fixed-effects columns.
    pub fn p(&self) -> usize {
        self.x.ncols()
    }

    /// Length of θ.
    pub fn theta_len(&self) -> usize {
        self.terms.iter().map(Term::theta_len).sum()
    }

    /// Returns the relative covariance factor Λ_k of every term, lower triangular, from θ (per term by column).
    pub fn lambdas(&self, theta: &[f64]) -> Vec<DMatrix<f64>> {
        assert_eq!(theta.len(), self.theta_len(), "length of theta");
        let mut entries = theta.iter();
        let lower = |term: &Term| {
            let r = term.z.ncols();
            let mut lambda = DMatrix::zeros(r, r);
            for j in 0..r {
                for i in j..r {
                    lambda[(i, j)] = *entries.next().expect("length checked");
                }
            }
            lambda
        };
        self.terms.iter().map(lower).collect()
    }

    /// Returns the θ of these relative covariances: their Cholesky factors.
    pub fn theta_of(&self, relative: &[DMatrix<f64>]) -> Vec<f64> {
        let mut theta = Vec::new();
        for g in relative {
            let l = g.clone().cholesky().expect("positive definite relative covariance").l();
            for j in 0..l.ncols() {
                theta.extend((j..l.nrows()).map(|i| l[(i, j)]));
            }
        }
        theta
    }

    /// Returns the whole of Z: n×q, terms side by side.
    pub fn z_full(&self) -> DMatrix<f64> {
        let blocks: Vec<_> = self.terms.iter().map(Term::z_full).collect();
        let q = blocks.iter().map(DMatrix::ncols).sum();
        let mut z = DMatrix::zeros(self.n(), q);
        let mut at = 0;
        for block in blocks {
            z.columns_mut(at, block.ncols()).copy_from(&block);
            at += block.ncols();
        }
        z
    }

    /// Returns the relative covariance of all random effects, q×q: block-diagonal, with G_k once per group.
    pub fn g_full(&self, g: &[DMatrix<f64>]) -> DMatrix<f64> {
        let q = self.terms.iter().map(|t| t.groups() * t.z.ncols()).sum();
        let mut full = DMatrix::zeros(q, q);
        let mut at = 0;
        for (term, block) in self.terms.iter().zip(g) {
            let r = term.z.ncols();
            for _ in 0..term.groups() {
                full.view_mut((at, at), (r, r)).copy_from(block);
                at += r;
            }
        }
        full
    }

    /// Returns the diagonal of W⁻¹.
    pub fn w_inv(&self) -> DVector<f64> {
        match &self.weights {
            Some(w) => w.map(|w| 1.0 / w),
            None => DVector::repeat(self.n(), 1.0),
        }
    }

    /// Returns Z_k (I ⊗ D) Z_k' for a symmetric r×r matrix D: n×n, nonzero where two rows share a group.
    pub fn outer(&self, k: usize, d: &DMatrix<f64>) -> DMatrix<f64> {
        let z = self.terms[k].z_full();
        let identity = DMatrix::identity(self.terms[k].groups(), self.terms[k].groups());
        &z * identity.kronecker(d) * z.transpose()
    }

    /// Returns V at the relative covariances G.
    pub fn v(&self, g: &[DMatrix<f64>]) -> DMatrix<f64> {
        let mut v = DMatrix::from_diagonal(&self.w_inv());
        for (k, g) in g.iter().enumerate() {
            v += self.outer(k, g);
        }
        v
    }

    /// Returns V, its inverse, P and the determinants, at the relative covariances G.
    pub fn parts_at(&self, g: &[DMatrix<f64>]) -> Parts {
        let v = self.v(g);
        let (v_inv, log_det_v) = inverse_log_det(&v);
        let vx = &v_inv * &self.x;
        let (xvx_inv, log_det_x) = inverse_log_det(&(self.x.transpose() * &vx));
        let p = &v_inv - &vx * &xvx_inv * vx.transpose();
        Parts { v, v_inv, log_det_v, xvx_inv, log_det_x, p }
    }

    /// [`Problem::parts_at`] for the G of θ.
    pub fn parts(&self, theta: &[f64]) -> Parts {
        self.parts_at(&self.relative(theta))
    }

    /// Returns G_k = Λ_k Λ_k' of every term.
    pub fn relative(&self, theta: &[f64]) -> Vec<DMatrix<f64>> {
        self.lambdas(theta).iter().map(|l| l * l.transpose()).collect()
    }

    /// Degrees of freedom of the residual sum of squares: n or n−p.
    pub fn dof(&self, method: Method) -> f64 {
        match method {
            Method::Ml => self.n() as f64,
            Method::Reml => (self.n() - self.p()) as f64,
        }
    }

    /// Returns the criterion at θ.
    pub fn criterion(&self, theta: &[f64], method: Method) -> f64 {
        let parts = self.parts(theta);
        self.criterion_from(&parts, method)
    }

    fn criterion_from(&self, parts: &Parts, method: Method) -> f64 {
        let pwrss = self.y.dot(&(&parts.p * &self.y));
        let dof = self.dof(method);
        let fixed = if method == Method::Reml { parts.log_det_x } else { 0.0 };
        parts.log_det_v + fixed + dof * (1.0 + (2.0 * PI * pwrss / dof).ln())
    }

    /// Returns the −2 log-likelihood at θ and any σ², profiled over β only.
    pub fn criterion_unprofiled(&self, theta: &[f64], sigma2: f64, method: Method) -> f64 {
        let parts = self.parts(theta);
        let pwrss = self.y.dot(&(&parts.p * &self.y));
        let fixed = if method == Method::Reml { parts.log_det_x } else { 0.0 };
        parts.log_det_v + fixed + self.dof(method) * (2.0 * PI * sigma2).ln() + pwrss / sigma2
    }

    /// Computes all quantities at θ.
    pub fn solve(&self, theta: &[f64], method: Method) -> Solution {
        let relative = self.relative(theta);
        let parts = self.parts_at(&relative);
        let vy = &parts.v_inv * &self.y;
        let beta = &parts.xvx_inv * (self.x.transpose() * vy);
        let residual = &self.y - &self.x * &beta;
        let pwrss = residual.dot(&(&parts.v_inv * &residual));
        let sigma2 = pwrss / self.dof(method);

        let (z, g) = (self.z_full(), self.g_full(&relative));
        let zg = &z * &g;
        let b_all = zg.transpose() * &parts.v_inv * &residual;
        let conditional = (&g - zg.transpose() * &parts.v_inv * &zg) * sigma2;
        let prediction = (&g - zg.transpose() * &parts.p * &zg) * sigma2;
        let fitted = &self.x * &beta + &z * &b_all;

        let mut at = 0;
        let mut b = Vec::new();
        for term in &self.terms {
            let (q, r) = (term.groups(), term.z.ncols());
            b.push(DMatrix::from_row_slice(q, r, &b_all.as_slice()[at..at + q * r]));
            at += q * r;
        }
        Solution {
            criterion: self.criterion_from(&parts, method),
            sigma2,
            pwrss,
            log_det_v: parts.log_det_v,
            log_det_x: parts.log_det_x,
            beta,
            cov_beta: &parts.xvx_inv * sigma2,
            b,
            conditional,
            prediction,
            fitted,
        }
    }

    /// Position of the first effect of term k among the q effects of [`Problem::z_full`].
    pub fn effect_offset(&self, k: usize) -> usize {
        self.terms[..k].iter().map(|t| t.groups() * t.z.ncols()).sum()
    }
}
