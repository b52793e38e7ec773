//! Second derivatives of the criterion, and products of derivatives of V.

use super::{Evaluation, Method, Objective};
use nalgebra::{DMatrix, DVector};
use std::cmp::Ordering;
use tiers_equations::{Curvature, CurvaturePoint, CurvatureTerms};

/// Second derivatives at an [`Evaluation`].
#[derive(Clone, Debug)]
pub struct SecondDerivatives {
    /// Second derivatives of the criterion by the entries of G.
    pub hessian: DMatrix<f64>,
    /// Second derivatives of log|V| by the entries of G: `-tr(V⁻¹V_iV⁻¹V_j)`.
    pub log_det: DMatrix<f64>,
    /// Second derivatives of pwrss (β profiled out) by the entries of G.
    pub pwrss: DMatrix<f64>,
    /// Second derivatives of log|X'V⁻¹X| by the entries of G.
    pub log_det_xx: DMatrix<f64>,
}

impl Objective<'_> {
    /// Computes the exact second derivatives at an evaluation that has its gradient.
    pub fn second_derivatives(&self, at: &Evaluation) -> SecondDerivatives {
        self.second_derivatives_by(at, true)
    }

    /// Computes the second derivatives, including those of log|X'V⁻¹X| only if `exact` (ML has none).
    ///
    /// The omitted term is of the order of p over the number of groups, while its cost grows with p. With
    /// very many groups the shorter form is as good for steps.
    pub fn second_derivatives_by(&self, at: &Evaluation, exact: bool) -> SecondDerivatives {
        let with_fixed = exact && self.method == Method::Reml;
        let terms = if with_fixed { CurvatureTerms::Fixed } else { CurvatureTerms::Random };
        let sums = self.model.equations.curvature(&self.point(at, terms));
        self.second_of(at, &sums, with_fixed, self.model.totals().rows)
    }

    /// Computes the second derivatives from the sums over all groups of a sample of n rows.
    pub(crate) fn second_of(&self, at: &Evaluation, sums: &Curvature, with_fixed: bool, n: u64) -> SecondDerivatives {
        let (d, p) = (self.parameters.directions.len(), self.x.len());
        let gamma = Self::residual_combination(&at.fixed.beta);
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
        let spread: Vec<DMatrix<f64>> = at.d_s.iter().map(|s| &at.fixed.xx_inverse * s.view((0, 0), (p, p))).collect();
        for i in 0..d {
            for j in 0..d {
                pwrss[(i, j)] -= 2.0 * scores[i].dot(&(&at.fixed.xx_inverse * &scores[j]));
                if with_fixed {
                    log_det_xx[(i, j)] -= spread[i].dot(&spread[j].transpose());
                }
            }
        }
        let log_det = symmetric(&sums.trace);
        let mut hessian = log_det.clone();
        for i in 0..d {
            for j in 0..d {
                let profile = pwrss[(i, j)] / at.fixed.pwrss - d_pwrss[i] * d_pwrss[j] / at.fixed.pwrss.powi(2);
                hessian[(i, j)] += self.nu_of(n) * profile;
            }
        }
        if with_fixed {
            hessian += &log_det_xx;
        }
        SecondDerivatives { hessian, log_det, pwrss, log_det_xx }
    }

    /// Derivatives of pwrss (β profiled out) by the entries of G.
    pub fn d_pwrss(&self, at: &Evaluation) -> DVector<f64> {
        let gamma = Self::residual_combination(&at.fixed.beta);
        DVector::from_iterator(at.d_s.len(), at.d_s.iter().map(|d_s| gamma.dot(&(d_s * &gamma))))
    }

    /// Computes `X'V⁻¹V_iV⁻¹V_jV⁻¹X` for every pair of directions, p×p, of the shifted columns.
    pub fn products(&self, at: &Evaluation) -> Vec<Vec<DMatrix<f64>>> {
        let sums = self.model.equations.curvature(&self.point(at, CurvatureTerms::Products));
        let (d, p, m) = (self.parameters.directions.len(), self.x.len(), self.model.totals().m);
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

    /// The point of an evaluation, with the requested sums of second derivatives.
    pub(crate) fn point<'e>(&'e self, at: &'e Evaluation, terms: CurvatureTerms) -> CurvaturePoint<'e> {
        CurvaturePoint { covariances: &at.covariances, fixed: &at.fixed, directions: self.directions(), terms }
    }
}
