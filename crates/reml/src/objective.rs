//! The criterion -2 log L (REML or ML) at theta with its exact first and second derivatives.

use crate::model::Model;
use crate::parameters::Parameters;
use nalgebra::{Cholesky, DMatrix, DVector, Dyn};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::f64::consts::PI;
use tiers_design::{Cross, Tree};
use tiers_equations::{Curvature, CurvatureAt, TreePlan, TreeScratch, TreeSums};

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

/// The criterion of a model. Holds no state that an evaluation changes.
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

/// What else than the sums over groups the criterion needs of rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample<'a> {
    /// `C'WC`, m×m.
    pub(crate) cross: &'a [f64],
    /// n.
    pub(crate) rows: f64,
    /// `Σ log w`.
    pub(crate) sum_log_weights: f64,
}

/// Room for evaluations; one per objective and thread of control.
#[derive(Debug)]
pub struct Scratch {
    trees: Vec<TreeScratch>,
}

/// The criterion and all that fell out of its evaluation.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// Scaled entries of the factors at which the criterion was evaluated.
    pub theta: Vec<f64>,
    /// -2 log L; +∞ where `X'V⁻¹X` was not positive definite in floating point.
    pub criterion: f64,
    /// Derivative by theta; empty where not asked for.
    pub gradient: DVector<f64>,
    /// log|V|, weights apart.
    pub log_det_v: f64,
    /// log|X'V⁻¹X|.
    pub log_det_xx: f64,
    /// Penalised weighted residual sum of squares.
    pub pwrss: f64,
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

/// Second derivatives at an [`Evaluation`].
#[derive(Clone, Debug)]
pub struct SecondDerivatives {
    /// Of the criterion by theta.
    pub hessian: DMatrix<f64>,
    /// Of the criterion by the entries of G.
    pub hessian_g: DMatrix<f64>,
    /// Of log|V| by the entries of G: `-tr(V⁻¹V_iV⁻¹V_j)`.
    pub log_det: DMatrix<f64>,
    /// Of pwrss (β profiled out) by the entries of G.
    pub pwrss: DMatrix<f64>,
    /// Of log|X'V⁻¹X| by the entries of G.
    pub log_det_xx: DMatrix<f64>,
}

impl<'a> Objective<'a> {
    /// The criterion of a model.
    pub fn new(model: &'a Model, method: Method) -> Self {
        let plan = TreePlan::new(&model.forest);
        Objective { model, plan, parameters: Parameters::new(&model.forest), method, x: model.x() }
    }

    /// The elimination.
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

    /// The same for a part of the data with n rows.
    fn nu_of(&self, n: f64) -> f64 {
        match self.method {
            Method::Reml => n - self.x.len() as f64,
            Method::Ml => n,
        }
    }

    /// Room for evaluations.
    pub fn scratch(&self) -> Scratch {
        let trees = &self.model.forest.trees;
        Scratch { trees: trees.par_iter().map(|tree| TreeScratch::new(&self.plan, tree)).collect() }
    }

    /// Evaluates the criterion, and its gradient where asked for.
    pub fn evaluate(&self, theta: &[f64], with_gradient: bool, scratch: &mut Scratch) -> Evaluation {
        let (forest, sums) = (&self.model.forest, self.sums(theta, with_gradient, scratch));
        let sum_log_weights = forest.sum_log_weights;
        self.finish(theta, &sums, &Sample { cross: &forest.cross, rows: forest.rows as f64, sum_log_weights })
    }

    /// The sums over all groups.
    pub(crate) fn sums(&self, theta: &[f64], with_gradient: bool, scratch: &mut Scratch) -> TreeSums {
        let g = self.parameters.covariances(theta);
        let forest = &self.model.forest;
        // Shards in any order on any thread, but summed in the order of the shards.
        let sums: Vec<TreeSums> = forest
            .trees
            .par_iter()
            .zip(&mut scratch.trees)
            .with_max_len(1)
            .map(|(tree, scratch)| self.plan.evaluate(tree, &g, with_gradient, scratch))
            .collect();
        let mut sums = sums.into_iter();
        let mut total = sums.next().expect("a forest has shards");
        sums.for_each(|sum| total.merge(&sum));
        total
    }

    /// From the sums over all groups of a sample to the criterion.
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
            beta: DVector::zeros(p),
            xx_inverse: DMatrix::zeros(p, p),
            d_log_det: DVector::zeros(0),
            d_s: Vec::new(),
            gradient_g: DVector::zeros(0),
        };
        let Some(factor) = Cholesky::<f64, Dyn>::new(s.clone()) else { return out };
        let r = factor.l();
        out.pwrss = r[(p, p)].powi(2);
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

    /// A matrix over the columns [X in use, y].
    fn pick(&self, entry: impl Fn(usize, usize) -> f64) -> DMatrix<f64> {
        let y = self.model.forest.m - 1;
        let column = |i: usize| self.x.get(i).copied().unwrap_or(y);
        DMatrix::from_fn(self.x.len() + 1, self.x.len() + 1, |i, j| entry(column(i), column(j)))
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

    /// The exact second derivatives at an evaluation that has its gradient.
    pub fn second_derivatives(&self, at: &Evaluation) -> SecondDerivatives {
        self.second_derivatives_by(at, true)
    }

    /// The second derivatives without those of log|X'V⁻¹X| unless `exact` (or ML, which has none).
    ///
    /// What is left out is of the order of p over the number of groups, while the work grows with p:
    /// with very many groups the shorter form serves for steps as well.
    pub fn second_derivatives_by(&self, at: &Evaluation, exact: bool) -> SecondDerivatives {
        let with_fixed = exact && self.method == Method::Reml;
        self.second_of(at, &self.curvature(at, with_fixed, false), with_fixed, self.model.forest.rows as f64)
    }

    /// From the sums over all groups of a sample of n rows to the second derivatives.
    pub(crate) fn second_of(&self, at: &Evaluation, sums: &Curvature, with_fixed: bool, n: f64) -> SecondDerivatives {
        let (d, p) = (self.parameters.directions.len(), self.x.len());
        let gamma = Self::residual_combination(&at.beta);
        let level = |i: usize| self.level_of(i);
        let symmetric = |sums: &[f64]| {
            DMatrix::from_fn(d, d, |i, j| match level(i).cmp(&level(j)) {
                Ordering::Less => sums[j * d + i],
                Ordering::Equal => 0.5 * (sums[i * d + j] + sums[j * d + i]),
                Ordering::Greater => sums[i * d + j],
            })
        };
        // X'V⁻¹V_i V⁻¹e
        let scores: Vec<DVector<f64>> = at.d_s.iter().map(|d_s| -(d_s * &gamma).rows(0, p).clone_owned()).collect();
        let d_pwrss = self.d_pwrss(at);
        let mut pwrss = -2.0 * symmetric(&sums.residual);
        let mut log_det_xx = -2.0 * symmetric(&sums.fixed);
        let spread: Vec<DMatrix<f64>> = at.d_s.iter().map(|s| &at.xx_inverse * s.view((0, 0), (p, p))).collect();
        for i in 0..d {
            for j in 0..d {
                pwrss[(i, j)] -= 2.0 * scores[i].dot(&(&at.xx_inverse * &scores[j]));
                if with_fixed {
                    log_det_xx[(i, j)] -= spread[i].dot(&spread[j].transpose());
                }
            }
        }
        let log_det = symmetric(&sums.trace);
        let mut hessian_g = log_det.clone();
        for i in 0..d {
            for j in 0..d {
                let profile = pwrss[(i, j)] / at.pwrss - d_pwrss[i] * d_pwrss[j] / at.pwrss.powi(2);
                hessian_g[(i, j)] += self.nu_of(n) * profile;
            }
        }
        if with_fixed {
            hessian_g += &log_det_xx;
        }
        let hessian = self.parameters.chain(&at.theta, &at.gradient_g, Some(&hessian_g)).1.expect("asked for");
        SecondDerivatives { hessian, hessian_g, log_det, pwrss, log_det_xx }
    }

    /// Derivatives of pwrss (β profiled out) by the entries of G.
    pub fn d_pwrss(&self, at: &Evaluation) -> DVector<f64> {
        let gamma = Self::residual_combination(&at.beta);
        DVector::from_iterator(at.d_s.len(), at.d_s.iter().map(|d_s| gamma.dot(&(d_s * &gamma))))
    }

    /// `X'V⁻¹V_iV⁻¹V_jV⁻¹X` for every pair of directions, p×p, of the shifted columns.
    pub fn products(&self, at: &Evaluation) -> Vec<Vec<DMatrix<f64>>> {
        let sums = self.curvature(at, true, true);
        let (d, p, m) = (self.parameters.directions.len(), self.x.len(), self.model.forest.m);
        let of =
            |i: usize, j: usize| DMatrix::from_fn(p, p, |a, b| -sums.products[i * d + j][self.x[a] * m + self.x[b]]);
        // Only pairs whose first level is no finer were summed; the others are their transposes.
        let pair = |i: usize, j: usize| match self.level_of(i) >= self.level_of(j) {
            true => of(i, j),
            false => of(j, i).transpose(),
        };
        (0..d).map(|i| (0..d).map(|j| pair(i, j)).collect()).collect()
    }

    fn level_of(&self, direction: usize) -> usize {
        self.parameters.directions[direction].level
    }

    /// A better theta from one evaluation: MINQUE (Rao 1971) with the present theta as prior.
    ///
    /// Equates the quadratic forms `y'PV_iPy` to their expectations, which are linear in the
    /// variances; the answer is consistent whatever the prior, so with much data it is near the
    /// optimum. (P is replaced by V⁻¹ in the traces, which matters little for a start.) `None`
    /// where the equations have no useful solution.
    pub fn minque(&self, at: &Evaluation, second: &SecondDerivatives) -> Option<Vec<f64>> {
        let d = self.parameters.directions.len();
        let gamma = Self::residual_combination(&at.beta);
        let g = self.parameters.entries_of_covariances(&at.theta);
        let traces = -&second.log_det;
        let forms = DVector::from_iterator(d, at.d_s.iter().map(|d_s| -gamma.dot(&(d_s * &gamma))));
        // The residual variance goes by V = V_0 + Σ g_i V_i.
        let with_residual = &at.d_log_det - &traces * &g;
        let n = self.nu();
        let residual = n - 2.0 * g.dot(&at.d_log_det) + g.dot(&(&traces * &g));
        let mut system = DMatrix::zeros(d + 1, d + 1);
        system.view_mut((0, 0), (d, d)).copy_from(&traces);
        system.view_mut((0, d), (d, 1)).copy_from(&with_residual);
        system.view_mut((d, 0), (1, d)).copy_from(&with_residual.transpose());
        system[(d, d)] = residual;
        let right = DVector::from_fn(d + 1, |i, _| if i < d { forms[i] } else { at.pwrss - g.dot(&forms) });
        let variances = system.lu().solve(&right)?;
        let sigma2 = variances[d];
        if !(sigma2 > 0.0 && variances.iter().all(|v| v.is_finite())) {
            return None;
        }
        Some(self.parameters.from_covariances(|i| variances[i] / sigma2))
    }

    pub(crate) fn curvature(&self, at: &Evaluation, with_fixed: bool, with_products: bool) -> Curvature {
        self.curvature_of(&self.model.forest.trees, at, with_fixed, with_products)
    }

    /// The sums of the second derivatives over some trees.
    pub(crate) fn curvature_of(
        &self,
        trees: &[Tree],
        at: &Evaluation,
        with_fixed: bool,
        with_products: bool,
    ) -> Curvature {
        let m = self.model.forest.m;
        let g = self.parameters.covariances(&at.theta);
        let mut residual = vec![0.0; m];
        residual[m - 1] = 1.0;
        let mut s_xx_inverse = vec![0.0; m * m];
        for (i, &c) in self.x.iter().enumerate() {
            residual[c] = -at.beta[i];
            for (j, &d) in self.x.iter().enumerate() {
                s_xx_inverse[c * m + d] = at.xx_inverse[(i, j)];
            }
        }
        let here = CurvatureAt {
            g: &g,
            directions: &self.parameters.directions,
            residual: &residual,
            s_xx_inverse: with_fixed.then_some(&s_xx_inverse[..]),
            with_products,
        };
        let sums: Vec<Curvature> =
            trees.par_iter().with_max_len(1).map(|tree| self.plan.curvature(tree, &here)).collect();
        let mut sums = sums.into_iter();
        let mut total = sums.next().expect("a forest has shards");
        sums.for_each(|sum| total.merge(&sum));
        total
    }
}
