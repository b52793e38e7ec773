//! The criterion -2 log L (restricted likelihood for REML, likelihood for ML) at theta with its exact first
//! derivatives; second derivatives are in `second`.
//!
//! Eliminating the random effects leaves the Schur complement `S = C'V⁻¹C = C'WC - downdate`, from which
//! β, pwrss and the criterion follow.

mod minque;
mod second;

pub use second::SecondDerivatives;

use crate::model::Model;
use crate::parameters::Parameters;
use nalgebra::{Cholesky, DMatrix, DVector, Dyn};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::f64::consts::PI;
use tiers_equations::{TreePlan, TreeScratch, TreeSums};
use tiers_moments::{Cross, in_order, padded};

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
    plan: TreePlan,
    /// Layout of theta.
    pub parameters: Parameters,
    /// REML or ML.
    pub method: Method,
    x: Vec<usize>,
}

/// Totals over all rows that the criterion needs besides the sums over groups.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample<'a> {
    /// `C'WC`, m×m.
    pub(crate) cross: &'a [f64],
    /// n.
    pub(crate) rows: f64,
    /// `Σ log w`.
    pub(crate) sum_log_weights: f64,
}

/// Workspace for evaluations; one per objective and caller.
#[derive(Debug)]
pub struct Scratch {
    trees: Vec<TreeScratch>,
}

/// Rounding error of the entries of `S = C'WC - downdate` relative to `C'WC`. Both are sums of terms of
/// one sign, exact up to a few units in the last place; the largest error seen against exact arithmetic
/// was 22 units.
pub(crate) const PIVOT_ROUNDING: f64 = 32.0 * f64::EPSILON;

/// The criterion, and by-products of its evaluation.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Evaluation {
    /// Scaled entries of the factors at which the criterion was evaluated.
    pub theta: Vec<f64>,
    /// -2 log L; +∞ where `X'V⁻¹X` was not positive definite in floating point.
    pub criterion: f64,
    /// Gradient with respect to theta; empty if not requested.
    pub gradient: DVector<f64>,
    /// log|V| without the term of the weights.
    pub log_det_v: f64,
    /// log|X'V⁻¹X|.
    pub log_det_xx: f64,
    /// Penalised weighted residual sum of squares.
    pub pwrss: f64,
    /// `(C'WC)_yy / pwrss`: the relative rounding error of pwrss is about 32 ε times this.
    pub loss_y: f64,
    /// The largest such ratio for the pivots of `X'V⁻¹X`, with the same meaning.
    pub loss_x: f64,
    /// GLS β of the shifted columns.
    pub beta: DVector<f64>,
    /// `(X'V⁻¹X)⁻¹`, p×p, of the shifted columns.
    pub xx_inverse: DMatrix<f64>,
    /// Derivatives of log|V| by the entries of G.
    pub d_log_det: DVector<f64>,
    /// Derivatives of `S` on the columns [X, y] by the entries of G, (p+1)×(p+1) each.
    pub d_s: Vec<DMatrix<f64>>,
    /// Derivatives of the criterion by the entries of G.
    pub gradient_g: DVector<f64>,
}

impl<'a> Objective<'a> {
    /// Sets up the criterion of a model.
    pub fn new(model: &'a Model, method: Method) -> Self {
        let plan = TreePlan::new(&model.forest);
        Objective { model, plan, parameters: Parameters::new(&model.forest), method, x: model.x() }
    }

    /// The elimination plan.
    pub(crate) fn plan(&self) -> &TreePlan {
        &self.plan
    }

    /// The model.
    pub fn model(&self) -> &'a Model {
        self.model
    }

    /// Degrees of freedom of the criterion: n - p for REML, n for ML.
    pub fn nu(&self) -> f64 {
        self.nu_of(self.model.forest.rows as f64)
    }

    /// Degrees of freedom for a part of the data with n rows.
    fn nu_of(&self, n: f64) -> f64 {
        match self.method {
            Method::Reml => n - self.x.len() as f64,
            Method::Ml => n,
        }
    }

    /// Allocates a workspace for evaluations.
    pub fn scratch(&self) -> Scratch {
        let trees = &self.model.forest.trees;
        Scratch { trees: trees.par_iter().map(|tree| TreeScratch::new(&self.plan, tree)).collect() }
    }

    /// Evaluates the criterion, and its gradient if requested.
    pub fn evaluate(&self, theta: &[f64], with_gradient: bool, scratch: &mut Scratch) -> Evaluation {
        let (forest, sums) = (&self.model.forest, self.sums(theta, with_gradient, scratch));
        let sum_log_weights = forest.sum_log_weights;
        self.finish(theta, &sums, &Sample { cross: &forest.cross, rows: forest.rows as f64, sum_log_weights })
    }

    /// Computes the sums over all groups.
    pub(crate) fn sums(&self, theta: &[f64], with_gradient: bool, scratch: &mut Scratch) -> TreeSums {
        let g = self.parameters.covariances(theta);
        let forest = &self.model.forest;
        let at_once = in_order::at_once(self.bytes_of_sums(with_gradient), forest.trees.len());
        let trees = forest.trees.chunks(at_once).zip(scratch.trees.chunks_mut(at_once));
        let made = in_order::merged(
            trees.map(|(trees, scratch)| trees.par_iter().zip(scratch)),
            |(tree, scratch)| Ok::<_, Infallible>(self.plan.evaluate(tree, &g, with_gradient, scratch)),
            TreeSums::merge,
        );
        let Ok(total) = made;
        total.expect("a forest has shards")
    }

    /// Bytes of the sums of a shard.
    fn bytes_of_sums(&self, with_gradient: bool) -> usize {
        let width = padded(self.model.forest.m);
        let matrices = 1 + if with_gradient { self.parameters.directions.len() } else { 0 };
        8 * matrices * width * width
    }

    /// Computes the criterion from the sums over all groups of a sample.
    pub(crate) fn finish(&self, theta: &[f64], sums: &TreeSums, sample: &Sample<'_>) -> Evaluation {
        let (m, p) = (self.model.forest.m, self.x.len());
        let s = self.pick(|i, j| sample.cross[i * m + j] - sums.downdate.get(i, j));
        let mut out = Evaluation {
            theta: theta.to_vec(),
            criterion: f64::INFINITY,
            gradient: DVector::zeros(0),
            log_det_v: sums.log_det,
            log_det_xx: f64::NAN,
            pwrss: f64::NAN,
            loss_y: f64::INFINITY,
            loss_x: f64::INFINITY,
            beta: DVector::zeros(p),
            xx_inverse: DMatrix::zeros(p, p),
            d_log_det: DVector::zeros(0),
            d_s: Vec::new(),
            gradient_g: DVector::zeros(0),
        };
        let Some(factor) = Cholesky::<f64, Dyn>::new(s.clone()) else { return out };
        let r = factor.l();
        out.pwrss = r[(p, p)].powi(2);
        let loss = |j: usize| sample.cross[self.column(j) * (m + 1)] / r[(j, j)].powi(2);
        let losses: Vec<f64> = (0..=p).map(loss).collect();
        out.loss_y = losses[p];
        out.loss_x = losses[..p].iter().copied().fold(0.0, f64::max);
        out.log_det_xx = 2.0 * (0..p).map(|j| r[(j, j)].ln()).sum::<f64>();
        if let Some(xx) = Cholesky::<f64, Dyn>::new(s.view((0, 0), (p, p)).clone_owned()) {
            out.beta = xx.solve(&s.view((0, p), (p, 1)).column(0).clone_owned());
            out.xx_inverse = xx.inverse();
        }
        let nu = self.nu_of(sample.rows);
        out.criterion = sums.log_det - sample.sum_log_weights + nu * (1.0 + (2.0 * PI * out.pwrss / nu).ln());
        if self.method == Method::Reml {
            out.criterion += out.log_det_xx;
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
        self.x.get(i).copied().unwrap_or(self.model.forest.m - 1)
    }

    /// Bound on the rounding error of the criterion at an evaluation.
    pub fn rounding(&self, at: &Evaluation) -> f64 {
        let pivots = match self.method {
            Method::Reml => at.loss_x * self.x.len() as f64,
            Method::Ml => 0.0,
        };
        16.0 * f64::EPSILON * at.criterion.abs() + PIVOT_ROUNDING * (self.nu() * at.loss_y + pivots)
    }

    /// `[-β; 1]`.
    fn residual_combination(beta: &DVector<f64>) -> DVector<f64> {
        let p = beta.len();
        DVector::from_fn(p + 1, |i, _| if i < p { -beta[i] } else { 1.0 })
    }

    fn first_derivatives(&self, sums: &TreeSums, nu: f64, out: &mut Evaluation) {
        let p = self.x.len();
        let gamma = Self::residual_combination(&out.beta);
        let d = self.parameters.directions.len();
        out.d_log_det = DVector::zeros(d);
        out.gradient_g = DVector::zeros(d);
        for (i, direction) in self.parameters.directions.iter().enumerate() {
            let (level, r) = (&sums.derivatives[direction.level], self.parameters.r[direction.level]);
            let (a, b) = (direction.a, direction.b);
            out.d_log_det[i] = if a == b { level.h[a * r + a] } else { level.h[a * r + b] + level.h[b * r + a] };
            let cross: &Cross = &level.cross[a * r - a * (a + 1) / 2 + b];
            let d_s = -self.pick(|i, j| cross.get(i, j));
            let d_pwrss = gamma.dot(&(&d_s * &gamma));
            out.gradient_g[i] = out.d_log_det[i] + nu * d_pwrss / out.pwrss;
            if self.method == Method::Reml {
                out.gradient_g[i] += out.xx_inverse.dot(&d_s.view((0, 0), (p, p)));
            }
            out.d_s.push(d_s);
        }
        out.gradient = self.parameters.chain(&out.theta, &out.gradient_g, None).0;
    }
}
