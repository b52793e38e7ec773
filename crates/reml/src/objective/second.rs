//! Second derivatives of the criterion, and products of derivatives of V.

use super::{Evaluation, Method, Objective};
use nalgebra::{DMatrix, DVector};
use rayon::prelude::*;
use std::cmp::Ordering;
use std::convert::Infallible;
use tiers_equations::{Curvature, CurvatureAt};
use tiers_moments::{Tree, in_order};

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

impl Objective<'_> {
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
        let d = here.directions.len();
        let bytes = if with_products { 8 * d * d * m * m } else { 0 };
        let made = in_order::merged(
            trees.chunks(in_order::at_once(bytes, trees.len())).map(|some| some.par_iter()),
            |tree| Ok::<_, Infallible>(self.plan.curvature(tree, &here)),
            Curvature::merge,
        );
        let Ok(total) = made;
        total.expect("a forest has shards")
    }
}
