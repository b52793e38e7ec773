//! Kenward and Roger's covariance and degrees of freedom, as sums over groups.
//!
//! In the parameters ω in which `Σ = σ²V = Σ ω_i Σ_i` is linear (the entries of σ²G, and σ²), with
//! `Φ = (X'Σ⁻¹X)⁻¹`, `P_i = -X'Σ⁻¹Σ_iΣ⁻¹X`, `Q_ij = X'Σ⁻¹Σ_iΣ⁻¹Σ_jΣ⁻¹X` and 𝒲 the inverse of the
//! expected REML information:
//!
//! ```text
//! Φ_A = Φ + 2 Φ (Σ_ij 𝒲_ij (Q_ij - P_i Φ P_j)) Φ
//! ```
//!
//! The products come from the pass over the groups that computes the second derivatives; those with the
//! residual variance follow from `W⁻¹ = V - Σ g_i V_i`.

use super::packed;
use super::satterthwaite::pseudo_inverse;
use crate::estimate::Optimum;
use crate::objective::Objective;
use nalgebra::{DMatrix, DVector};
use serde::{Deserialize, Serialize};

/// Kenward and Roger's adjusted covariance and the terms of their tests, in the model's shifted columns.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KenwardRoger {
    /// Φ_A.
    #[serde(with = "packed::symmetric")]
    pub adjusted: DMatrix<f64>,
    #[serde(with = "packed::symmetric")]
    phi: DMatrix<f64>,
    /// `Φ P_i Φ`.
    #[serde(with = "packed::list")]
    spreads: Vec<DMatrix<f64>>,
    #[serde(with = "packed::symmetric")]
    w: DMatrix<f64>,
}

/// A scaled F test: `scale · F ~ F(q, df)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScaledF {
    /// Denominator degrees of freedom.
    pub df: f64,
    /// Scale λ.
    pub scale: f64,
}

impl KenwardRoger {
    /// Computes the terms of Kenward and Roger's formulas at an optimum.
    pub fn new(objective: &Objective<'_>, optimum: &Optimum) -> Self {
        let (at, p) = (&optimum.at, optimum.at.fixed.beta.len());
        let sigma2 = at.fixed.pwrss / objective.nu();
        let mut second = objective.products(at);
        let d = second.len();
        let g = at.covariances.entries(&objective.parameters.directions);
        let traces = -&optimum.second.log_det;
        let traces = with_residual_traces(&traces, &at.d_log_det, &g, objective.model().totals().rows as f64);

        // First and second products X'V⁻¹V_iV⁻¹X and X'V⁻¹V_iV⁻¹V_jV⁻¹X, residual variance last.
        let s_xx = at.fixed.xx_inverse.clone().try_inverse().unwrap_or_else(|| DMatrix::zeros(p, p));
        let mut first: Vec<DMatrix<f64>> = at.d_s.iter().map(|d_s| -d_s.view((0, 0), (p, p)).clone_owned()).collect();
        let weighted = |terms: &[DMatrix<f64>]| {
            terms.iter().zip(g.iter()).fold(DMatrix::zeros(p, p), |sum, (term, g)| sum + term * *g)
        };
        let to_residual: Vec<DMatrix<f64>> = (0..d).map(|i| &first[i] - weighted(&second[i])).collect();
        let residual = &s_xx - weighted(&first);
        let both = &residual - weighted(&to_residual.iter().map(|m| m.transpose()).collect::<Vec<_>>());
        let mut last: Vec<DMatrix<f64>> = to_residual.iter().map(|m| m.transpose()).collect();
        last.push(both);
        for (row, m) in second.iter_mut().zip(to_residual) {
            row.push(m);
        }
        second.push(last);
        first.push(residual);
        Self::assemble(optimum, sigma2, &first, &second, &traces)
    }

    /// Computes Φ_A from the products; powers of σ² come from Σ = σ²V.
    fn assemble(
        optimum: &Optimum,
        sigma2: f64,
        first: &[DMatrix<f64>],
        second: &[Vec<DMatrix<f64>>],
        traces: &DMatrix<f64>,
    ) -> Self {
        let phi = &optimum.at.fixed.xx_inverse * sigma2;
        let p: Vec<DMatrix<f64>> = first.iter().map(|m| -m / (sigma2 * sigma2)).collect();
        let spreads: Vec<DMatrix<f64>> = p.iter().map(|p| &phi * p * &phi).collect();
        let cubed = sigma2.powi(3);
        let information = DMatrix::from_fn(p.len(), p.len(), |i, j| {
            let trace = traces[(i, j)] / (sigma2 * sigma2);
            0.5 * (trace - 2.0 * phi.dot(&second[i][j]) / cubed + spreads[i].dot(&p[j]))
        });
        let w = pseudo_inverse(&(0.5 * (&information + information.transpose())));
        let mut adjustment = DMatrix::zeros(phi.nrows(), phi.ncols());
        for i in 0..p.len() {
            for j in 0..p.len() {
                adjustment += (&second[i][j] / cubed - &p[i] * &phi * &p[j]) * w[(i, j)];
            }
        }
        let adjusted = &phi + &phi * adjustment * &phi * 2.0;
        let adjusted = 0.5 * (&adjusted + adjusted.transpose());
        KenwardRoger {
            adjusted,
            phi: packed::mirrored(phi),
            spreads: spreads.into_iter().map(packed::mirrored).collect(),
            w: packed::mirrored(w),
        }
    }

    /// Whether all parts are of p coefficients.
    pub(super) fn has_size(&self, p: usize) -> bool {
        [&self.adjusted, &self.phi].into_iter().chain(&self.spreads).all(|c| c.nrows() == p)
            && self.w.nrows() == self.spreads.len()
    }

    /// Whether the numbers are valid: finite, and Φ a covariance matrix.
    pub(super) fn is_sound(&self) -> bool {
        let all = [&self.adjusted, &self.phi, &self.w].into_iter().chain(&self.spreads);
        let finite = all.into_iter().all(|matrix| matrix.iter().all(|number| number.is_finite()));
        finite && super::is_covariance(&self.phi)
    }

    /// Computes the test of L β = 0, L q×p of full row rank (Kenward and Roger 1997, section 3).
    pub fn test(&self, l: &DMatrix<f64>) -> ScaledF {
        let q = l.nrows() as f64;
        let middle =
            (l * &self.phi * l.transpose()).try_inverse().unwrap_or_else(|| DMatrix::zeros(l.nrows(), l.nrows()));
        // Θ Φ P_i Φ, restricted to L's rows.
        let products: Vec<DMatrix<f64>> = self.spreads.iter().map(|s| &middle * (l * s * l.transpose())).collect();
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

/// tr(V⁻¹V_iV⁻¹V_j) with the residual variance's `W⁻¹ = V - Σ g_i V_i` as the last parameter.
fn with_residual_traces(traces: &DMatrix<f64>, linear: &DVector<f64>, g: &DVector<f64>, n: f64) -> DMatrix<f64> {
    let d = g.len();
    let mut out = DMatrix::zeros(d + 1, d + 1);
    let column = linear - traces * g;
    out.view_mut((0, 0), (d, d)).copy_from(traces);
    out.view_mut((0, d), (d, 1)).copy_from(&column);
    out.view_mut((d, 0), (1, d)).copy_from(&column.transpose());
    out[(d, d)] = n - g.dot(linear) - g.dot(&column);
    out
}
