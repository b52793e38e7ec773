//! Inference on β by the textbook formulas: Satterthwaite, Kenward–Roger, cluster-robust.
//!
//! With V̇_i as in the oracle's derivatives, C(θ, σ) = σ² (X'V⁻¹X)⁻¹ and e = y − Xβ.

use crate::oracle::{Method, Parts, Problem};
use crate::oracle_derivatives::difference;
use nalgebra::{DMatrix, DVector};

/// Small-sample adjustment of the cluster-robust covariance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sandwich {
    /// No adjustment.
    Cr0,
    /// Residuals times √(m/(m−1)), m clusters.
    Cr1,
    /// Residuals times √(m/(m−p)).
    Cr1p,
    /// Residuals times √(m(n−1)/((m−1)(n−p))).
    Cr1s,
    /// The bias-reducing adjustment with V as working covariance (Pustejovsky and Tipton 2018), applied
    /// to rows multiplied by √w.
    Cr2,
}

/// The Kenward–Roger adjusted covariance, and the quantities that the tests need.
#[derive(Clone, Debug)]
pub struct KenwardRoger {
    /// Φ = Cov(β).
    pub phi: DMatrix<f64>,
    /// Φ_A, adjusted for the estimated variances.
    pub adjusted: DMatrix<f64>,
    /// P_i = −X'Σ⁻¹ Σ_i Σ⁻¹X.
    p: Vec<DMatrix<f64>>,
    /// Covariance of the variance parameters: the inverse of their expected information.
    w: DMatrix<f64>,
}

/// A scaled F test: λ F ~ F(q, df).
#[derive(Clone, Copy, Debug)]
pub struct ScaledF {
    /// Denominator degrees of freedom.
    pub df: f64,
    /// Scale λ.
    pub scale: f64,
}

impl Problem {
    /// Returns the Hessian of the unprofiled criterion in (θ, σ), by differences of the exact gradient.
    pub fn hessian_unprofiled(&self, theta: &[f64], sigma: f64, method: Method) -> DMatrix<f64> {
        let psi: Vec<f64> = theta.iter().copied().chain([sigma]).collect();
        let columns: Vec<_> =
            (0..psi.len()).map(|i| difference(|at| self.gradient_unprofiled(at, method), &psi, i)).collect();
        let h = DMatrix::from_columns(&columns);
        (&h + h.transpose()) / 2.0
    }

    /// Gradient of log|V| (+ log|X'V⁻¹X|) + ν log σ² + y'Py/σ² in ψ = (θ, σ).
    fn gradient_unprofiled(&self, psi: &[f64], method: Method) -> DVector<f64> {
        let (theta, sigma) = psi.split_at(psi.len() - 1);
        let sigma = sigma[0];
        let parts = self.parts(theta);
        let py = &parts.p * &self.y;
        let trace_of = if method == Method::Reml { &parts.p } else { &parts.v_inv };
        let in_theta = self.v_dot(theta).into_iter().map(|v| trace_of.dot(&v) - py.dot(&(&v * &py)) / (sigma * sigma));
        let in_sigma = 2.0 * self.dof(method) / sigma - 2.0 * self.y.dot(&py) / sigma.powi(3);
        DVector::from_iterator(psi.len(), in_theta.chain([in_sigma]))
    }

    /// Returns ∂C/∂ψ_i of the covariance of β, for ψ = (θ, σ): σ² (X'V⁻¹X)⁻¹ X'V⁻¹V̇_iV⁻¹X (X'V⁻¹X)⁻¹.
    pub fn cov_beta_dot(&self, theta: &[f64], sigma: f64) -> Vec<DMatrix<f64>> {
        let parts = self.parts(theta);
        let side = &parts.v_inv * &self.x * &parts.xvx_inv;
        let mut dot: Vec<_> =
            self.v_dot(theta).iter().map(|v| side.transpose() * v * &side * (sigma * sigma)).collect();
        dot.push(&parts.xvx_inv * (2.0 * sigma));
        dot
    }

    /// Returns the Satterthwaite degrees of freedom of l'β at an interior optimum:
    /// 2 (l'Cl)² / g'𝒱g, g = ∂(l'Cl)/∂ψ, 𝒱 = 2H⁻¹.
    pub fn satterthwaite(&self, l: &DVector<f64>, theta: &[f64], method: Method) -> f64 {
        let solution = self.solve(theta, method);
        let sigma = solution.sigma2.sqrt();
        let hessian = self.hessian_unprofiled(theta, sigma, method);
        let covariance = hessian.try_inverse().expect("an interior optimum") * 2.0;
        let dot = self.cov_beta_dot(theta, sigma);
        let g = DVector::from_iterator(dot.len(), dot.iter().map(|c| l.dot(&(c * l))));
        let variance = l.dot(&(&solution.cov_beta * l));
        2.0 * variance * variance / g.dot(&(covariance * &g))
    }

    /// Computes the inference of Kenward and Roger (1997) at a REML optimum, in the parameters in which
    /// Σ = σ²V is linear: the entries of σ²G_k (lower triangles by column), and σ².
    pub fn kenward_roger(&self, theta: &[f64]) -> KenwardRoger {
        let solution = self.solve(theta, Method::Reml);
        let sigma_inv = self.parts(theta).v_inv / solution.sigma2;
        let phi = solution.cov_beta;

        let mut directions = Vec::new();
        for (k, term) in self.terms.iter().enumerate() {
            let r = term.z.ncols();
            for (i, j) in (0..r).flat_map(|j| (j..r).map(move |i| (i, j))) {
                let mut unit = DMatrix::zeros(r, r);
                unit[(i, j)] = 1.0;
                unit[(j, i)] = 1.0;
                directions.push(self.outer(k, &unit));
            }
        }
        directions.push(DMatrix::from_diagonal(&self.w_inv()));

        let m = directions.len();
        let sx = &sigma_inv * &self.x;
        let p: Vec<_> = directions.iter().map(|d| -(sx.transpose() * d * &sx)).collect();
        let scaled: Vec<_> = directions.iter().map(|d| &sigma_inv * d).collect();
        let q = |i: usize, j: usize| sx.transpose() * &directions[i] * &sigma_inv * &directions[j] * &sx;
        let information = DMatrix::from_fn(m, m, |i, j| {
            let trace = scaled[i].dot(&scaled[j].transpose());
            (trace - 2.0 * phi.dot(&q(i, j)) + (&phi * &p[i] * &phi).dot(&p[j])) / 2.0
        });
        let w = information.try_inverse().expect("variance parameters that are identified");
        let mut u = DMatrix::zeros(phi.nrows(), phi.ncols());
        for i in 0..m {
            for j in 0..m {
                u += (q(i, j) - &p[i] * &phi * &p[j]) * w[(i, j)];
            }
        }
        let adjusted = &phi + &phi * u * &phi * 2.0;
        KenwardRoger { phi, adjusted, p, w }
    }

    /// Returns the cluster-robust covariance of β; V must be block-diagonal over the clusters.
    pub fn cluster_robust(&self, theta: &[f64], cluster: &[usize], kind: Sandwich) -> DMatrix<f64> {
        let whole = self.without_weights();
        let parts = whole.parts(theta);
        let residual = &whole.y - &whole.x * whole.solve(theta, Method::Reml).beta;
        let mut meat = DMatrix::zeros(self.p(), self.p());
        for rows in rows_of(cluster) {
            let x = whole.x.select_rows(&rows);
            let w = block(&parts.v_inv, &rows);
            let adjustment = whole.adjustment(&parts, &rows, rows_of(cluster).len(), kind);
            let score = x.transpose() * w * adjustment * residual.select_rows(&rows);
            meat += &score * score.transpose();
        }
        &parts.xvx_inv * meat * &parts.xvx_inv
    }

    /// Returns the Satterthwaite degrees of freedom of l'β with a sandwich covariance and V as working
    /// covariance: with g_c = (I − H)' (rows of c)' A_c'W_cX_c M l, df = (Σ_c g_c'Vg_c)² / Σ_cd (g_c'Vg_d)².
    pub fn robust_df(&self, theta: &[f64], cluster: &[usize], kind: Sandwich, l: &DVector<f64>) -> f64 {
        let whole = self.without_weights();
        let parts = whole.parts(theta);
        let n = self.n();
        let hat = &whole.x * &parts.xvx_inv * whole.x.transpose() * &parts.v_inv;
        let residual_maker = DMatrix::identity(n, n) - hat;
        let clusters = rows_of(cluster);
        let mut g = DMatrix::zeros(n, clusters.len());
        for (c, rows) in clusters.iter().enumerate() {
            let x = whole.x.select_rows(rows);
            let w = block(&parts.v_inv, rows);
            let a = whole.adjustment(&parts, rows, clusters.len(), kind);
            let weights = a.transpose() * w * x * &parts.xvx_inv * l;
            g.set_column(c, &(residual_maker.select_rows(rows).transpose() * weights));
        }
        let gram = g.transpose() * &parts.v * g;
        gram.trace().powi(2) / gram.norm_squared()
    }

    /// Returns A_c: the identity, a multiple of it, or `A = D'B^{+1/2}D` with `V_c = D'D` and
    /// `B = D (V_c − X_c (X'V⁻¹X)⁻¹ X_c') D'`.
    fn adjustment(&self, parts: &Parts, rows: &[usize], clusters: usize, kind: Sandwich) -> DMatrix<f64> {
        let (m, n, p) = (clusters as f64, self.n() as f64, self.p() as f64);
        let identity = DMatrix::identity(rows.len(), rows.len());
        match kind {
            Sandwich::Cr0 => identity,
            Sandwich::Cr1 => identity * (m / (m - 1.0)).sqrt(),
            Sandwich::Cr1p => identity * (m / (m - p)).sqrt(),
            Sandwich::Cr1s => identity * (m * (n - 1.0) / ((m - 1.0) * (n - p))).sqrt(),
            Sandwich::Cr2 => {
                let (x, v) = (self.x.select_rows(rows), block(&parts.v, rows));
                let d = v.clone().cholesky().expect("positive definite").l().transpose();
                let b = &d * (v - &x * &parts.xvx_inv * x.transpose()) * d.transpose();
                d.transpose() * inverse_root(&b) * d
            }
        }
    }

    /// Returns the same model for rows multiplied by √w, which no longer need weights.
    fn without_weights(&self) -> Problem {
        let mut out = self.clone();
        if let Some(weights) = out.weights.take() {
            let root = DMatrix::from_diagonal(&weights.map(f64::sqrt));
            out.x = &root * &out.x;
            out.y = &root * &out.y;
            out.terms.iter_mut().for_each(|term| term.z = &root * &term.z);
        }
        out
    }
}

/// Returns the rows of each cluster.
fn rows_of(cluster: &[usize]) -> Vec<Vec<usize>> {
    let mut rows = vec![Vec::new(); 1 + cluster.iter().max().expect("rows")];
    cluster.iter().enumerate().for_each(|(row, &c)| rows[c].push(row));
    rows
}

fn block(matrix: &DMatrix<f64>, rows: &[usize]) -> DMatrix<f64> {
    matrix.select_rows(rows).select_columns(rows)
}

impl KenwardRoger {
    /// Tests L β = 0 (L is q×p): returns the scale and degrees of freedom of Kenward and Roger (1997).
    pub fn test(&self, l: &DMatrix<f64>) -> ScaledF {
        let q = l.nrows() as f64;
        let phi = &self.phi;
        let theta = l.transpose() * (l * phi * l.transpose()).try_inverse().expect("L of full rank") * l;
        let products: Vec<_> = self.p.iter().map(|p| &theta * phi * p * phi).collect();
        let (mut a1, mut a2) = (0.0, 0.0);
        for (i, a) in products.iter().enumerate() {
            for (j, b) in products.iter().enumerate() {
                a1 += self.w[(i, j)] * a.trace() * b.trace();
                a2 += self.w[(i, j)] * a.dot(&b.transpose());
            }
        }
        let b = (a1 + 6.0 * a2) / (2.0 * q);
        let g = ((q + 1.0) * a1 - (q + 4.0) * a2) / ((q + 2.0) * a2);
        let below = 3.0 * q + 2.0 * (1.0 - g);
        let (c1, c2, c3) = (g / below, (q - g) / below, (q + 2.0 - g) / below);
        let mean = 1.0 / (1.0 - a2 / q);
        let variance = 2.0 / q * (1.0 + c1 * b) / ((1.0 - c2 * b).powi(2) * (1.0 - c3 * b));
        let rho = variance / (2.0 * mean * mean);
        let df = 4.0 + (q + 2.0) / (q * rho - 1.0);
        ScaledF { df, scale: df / (mean * (df - 2.0)) }
    }
}

/// Returns the symmetric square root of the pseudo-inverse of a positive semidefinite matrix.
fn inverse_root(b: &DMatrix<f64>) -> DMatrix<f64> {
    let eigen = b.clone().symmetric_eigen();
    let largest = eigen.eigenvalues.max();
    let roots = eigen.eigenvalues.map(|v| if v > 1e-10 * largest { 1.0 / v.sqrt() } else { 0.0 });
    &eigen.eigenvectors * DMatrix::from_diagonal(&roots) * eigen.eigenvectors.transpose()
}
