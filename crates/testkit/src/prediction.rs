//! Predicts a new row by the textbook formulas, with V formed explicitly.
//!
//! The predicted quantity is `t = x'β + Σ z_k'b_k`, summed over the requested terms. With
//! `c = Cov(y, t)/σ²`, the best linear unbiased prediction (Goldberger 1962; Henderson 1975) and its
//! prediction error variance are
//!
//! ```text
//! t̂ = x'β̂ + c'V⁻¹(y − Xβ̂)
//! Var(t̂ − t)/σ² = Var(t)/σ² − c'V⁻¹c + d'(X'V⁻¹X)⁻¹d,     d = x − X'V⁻¹c
//! ```

use crate::oracle::{Method, Problem};
use nalgebra::DVector;

/// A row without a response.
#[derive(Clone, Debug)]
pub struct NewRow {
    /// Its fixed-effects columns.
    pub x: DVector<f64>,
    /// Its random-effects columns, per term of the problem.
    pub z: Vec<DVector<f64>>,
    /// Its group, per term; `None` for a group that is not in the data.
    pub group: Vec<Option<usize>>,
    /// Whether the effects of each term are part of the predicted quantity.
    pub wanted: Vec<bool>,
    /// Weight of the new response.
    pub weight: f64,
}

/// A prediction with its error variances.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Predicted {
    /// t̂.
    pub value: f64,
    /// Var(t̂ − t).
    pub variance: f64,
    /// Var(t̂ − y₀) for a new response y₀ of the row, in new groups for the terms that are not requested.
    pub response_variance: f64,
}

impl Problem {
    /// Predicts new rows at θ.
    pub fn predict(&self, theta: &[f64], method: Method, rows: &[NewRow]) -> Vec<Predicted> {
        let relative = self.relative(theta);
        let parts = self.parts_at(&relative);
        let solution = self.solve(theta, method);
        let residual = &self.y - &self.x * &solution.beta;
        let z: Vec<_> = self.terms.iter().map(|term| term.z_full()).collect();
        let of_row = |row: &NewRow| {
            let own: Vec<f64> = relative.iter().zip(&row.z).map(|(g, z)| z.dot(&(g * z))).collect();
            let mut c = DVector::zeros(self.n());
            let mut variance = 0.0;
            for k in (0..self.terms.len()).filter(|&k| row.wanted[k]) {
                variance += own[k];
                if let Some(group) = row.group[k] {
                    let r = self.terms[k].z.ncols();
                    c += z[k].columns(group * r, r) * &relative[k] * &row.z[k];
                }
            }
            let vc = &parts.v_inv * &c;
            let d = &row.x - self.x.transpose() * &vc;
            variance += d.dot(&(&parts.xvx_inv * &d)) - c.dot(&vc);
            let left_out: f64 = own.iter().zip(&row.wanted).filter(|(_, wanted)| !**wanted).map(|(own, _)| own).sum();
            Predicted {
                value: row.x.dot(&solution.beta) + vc.dot(&residual),
                variance: solution.sigma2 * variance,
                response_variance: solution.sigma2 * (variance + left_out + 1.0 / row.weight),
            }
        };
        rows.iter().map(of_row).collect()
    }
}
