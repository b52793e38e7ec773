//! The criterion -2 log L (restricted likelihood for REML, likelihood for ML) as a function of the relative
//! covariances G, with its exact first derivatives; second derivatives are in `second`.
//!
//! Eliminating the random effects leaves the Schur complement `S = C'V⁻¹C = C'WC - downdate`, from which
//! β, pwrss and the criterion follow. Coordinates of a search are no concern of the criterion: all
//! derivatives are by the entries of G.

mod second;

pub use second::SecondDerivatives;

use crate::model::Model;
use crate::parameters::Parameters;
use nalgebra::{DMatrix, DVector};
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;
use tiers_equations::{Covariances, Direction, FixedEffects, Scratch, Sums, Want};
use tiers_moments::{Cross, RowTotals};

/// Which likelihood is maximised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Method {
    /// Restricted maximum likelihood (Patterson & Thompson 1971).
    #[serde(rename = "REML")]
    Reml,
    /// Maximum likelihood.
    #[serde(rename = "ML")]
    Ml,
}

impl std::fmt::Display for Method {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Method::Reml => "REML",
            Method::Ml => "ML",
        })
    }
}

/// The criterion of a model. Evaluations do not change its state.
#[derive(Debug)]
pub struct Objective<'a> {
    model: &'a Model,
    /// Layout of the entries of the covariance factors, and the coordinates of a search.
    pub parameters: Parameters,
    /// REML or ML.
    pub method: Method,
    x: Vec<usize>,
}

/// Rounding error of the entries of `S = C'WC - downdate` relative to `C'WC`. Both are sums of terms of
/// one sign, exact up to a few units in the last place; the largest error seen against exact arithmetic
/// was 22 units.
pub(crate) const PIVOT_ROUNDING: f64 = 32.0 * f64::EPSILON;

/// The criterion, and by-products of its evaluation.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Evaluation {
    /// The relative covariances at which the criterion was evaluated.
    pub covariances: Covariances,
    /// -2 log L; +∞ where `X'V⁻¹X` was not positive definite in floating point.
    pub criterion: f64,
    /// log|V| without the term of the weights.
    pub log_det_v: f64,
    /// The fixed effects of the shifted columns.
    pub fixed: FixedEffects,
    /// Derivatives of log|V| by the entries of G; empty if no gradient was requested.
    pub d_log_det: DVector<f64>,
    /// Derivatives of `S` on the columns [X, y] by the entries of G, (p+1)×(p+1) each.
    pub d_s: Vec<DMatrix<f64>>,
    /// Derivatives of the criterion by the entries of G; empty if they were not requested.
    pub gradient: DVector<f64>,
}

impl<'a> Objective<'a> {
    /// Sets up the criterion of a model.
    pub fn new(model: &'a Model, method: Method) -> Self {
        Objective { model, parameters: Parameters::new(model.levels(), &model.totals()), method, x: model.x() }
    }

    /// The model.
    pub fn model(&self) -> &'a Model {
        self.model
    }

    /// The entries of G by which derivatives are taken.
    pub fn directions(&self) -> &[Direction] {
        &self.parameters.directions
    }

    /// Degrees of freedom of the criterion: n - p for REML, n for ML.
    pub fn nu(&self) -> f64 {
        self.nu_of(self.model.totals().rows)
    }

    /// Degrees of freedom for a part of the data with n rows.
    fn nu_of(&self, n: u64) -> f64 {
        let n = n as f64;
        match self.method {
            Method::Reml => n - self.x.len() as f64,
            Method::Ml => n,
        }
    }

    /// Allocates a workspace for evaluations.
    pub fn scratch(&self) -> Scratch {
        self.model.equations.scratch()
    }

    /// Evaluates the criterion at the relative covariances, and its gradient if derivatives are requested.
    pub fn evaluate(&self, at: &Covariances, want: Want, scratch: &mut Scratch) -> Evaluation {
        let sums = self.model.equations.evaluate(at, want, scratch);
        self.finish(at, &sums, &self.model.totals())
    }

    /// Computes the criterion from the sums over all groups of a sample and its totals over rows.
    pub(crate) fn finish(&self, at: &Covariances, sums: &Sums, totals: &RowTotals<'_>) -> Evaluation {
        let fixed = FixedEffects::new(totals, sums, &self.x);
        let exists = fixed.is_ok();
        let mut out = Evaluation {
            covariances: at.clone(),
            criterion: f64::INFINITY,
            log_det_v: sums.log_det,
            fixed: fixed.unwrap_or_else(|_| FixedEffects::undefined(&self.x)),
            d_log_det: DVector::zeros(0),
            d_s: Vec::new(),
            gradient: DVector::zeros(0),
        };
        if !exists {
            return out;
        }
        let nu = self.nu_of(totals.rows);
        out.criterion = sums.log_det - totals.sum_log_weights + nu * (1.0 + (2.0 * PI * out.fixed.pwrss / nu).ln());
        if self.method == Method::Reml {
            out.criterion += out.fixed.log_det_xx;
        }
        if !out.criterion.is_finite() {
            out.criterion = f64::INFINITY;
            return out;
        }
        if !sums.derivatives.is_empty() {
            self.first_derivatives(sums, nu, &mut out);
        }
        out
    }

    /// Builds a matrix over the columns [X in use, y].
    fn pick(&self, entry: impl Fn(usize, usize) -> f64) -> DMatrix<f64> {
        let size = self.x.len() + 1;
        DMatrix::from_fn(size, size, |i, j| entry(self.column(i), self.column(j)))
    }

    /// Returns the column of C that is the i-th of [X in use, y].
    fn column(&self, i: usize) -> usize {
        self.x.get(i).copied().unwrap_or(self.model.totals().y())
    }

    /// Bound on the rounding error of the criterion at an evaluation.
    pub fn rounding(&self, at: &Evaluation) -> f64 {
        let pivots = match self.method {
            Method::Reml => at.fixed.loss_x * self.x.len() as f64,
            Method::Ml => 0.0,
        };
        16.0 * f64::EPSILON * at.criterion.abs() + PIVOT_ROUNDING * (self.nu() * at.fixed.loss_y + pivots)
    }

    /// `[-β; 1]`.
    pub(crate) fn residual_combination(beta: &DVector<f64>) -> DVector<f64> {
        let p = beta.len();
        DVector::from_fn(p + 1, |i, _| if i < p { -beta[i] } else { 1.0 })
    }

    fn first_derivatives(&self, sums: &Sums, nu: f64, out: &mut Evaluation) {
        let p = self.x.len();
        let gamma = Self::residual_combination(&out.fixed.beta);
        let d = self.parameters.directions.len();
        out.d_log_det = DVector::zeros(d);
        out.gradient = DVector::zeros(d);
        for (i, direction) in self.parameters.directions.iter().enumerate() {
            let (level, r) = (&sums.derivatives[direction.level], self.parameters.r[direction.level]);
            let (a, b) = (direction.a, direction.b);
            out.d_log_det[i] = if a == b { level.h[a * r + a] } else { level.h[a * r + b] + level.h[b * r + a] };
            let cross: &Cross = &level.cross[a * r - a * (a + 1) / 2 + b];
            let d_s = -self.pick(|i, j| cross.get(i, j));
            let d_pwrss = gamma.dot(&(&d_s * &gamma));
            out.gradient[i] = out.d_log_det[i] + nu * d_pwrss / out.fixed.pwrss;
            if self.method == Method::Reml {
                out.gradient[i] += out.fixed.xx_inverse.dot(&d_s.view((0, 0), (p, p)));
            }
            out.d_s.push(d_s);
        }
    }
}
