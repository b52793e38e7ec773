//! Standard errors of variance components by the delta method.

use super::Component;
use crate::estimate::Optimum;
use crate::fit::Variances;
use crate::inference::{observed, pseudo_inverse};
use crate::objective::Objective;
use nalgebra::{DMatrix, DVector};
use tiers_equations::Direction;

/// Asymptotic covariance of the entries of the random effects' covariances `Ω_k = σ² B G_k B'` (the
/// user's columns) and of σ².
///
/// It is `J 𝒱 J'` with `𝒱 = 2 H⁻¹`, H the exact observed information in (λ, σ²), λ the scaled entries of the factors, and J the
/// Jacobian of (Ω, σ²). Where a covariance is singular the information gives no valid standard error,
/// so that quantities that depend on it have none.
#[derive(Clone, Debug)]
pub(crate) struct Uncertainty {
    /// Position of each entry of Ω, upper triangles.
    directions: Vec<Direction>,
    /// The entries of Ω, and σ².
    values: DVector<f64>,
    covariance: DMatrix<f64>,
    /// Per level and row, whether the term's covariance is singular.
    singular: Vec<Vec<bool>>,
}

impl Uncertainty {
    /// Computes the uncertainty of the variances at an optimum.
    pub(crate) fn new(objective: &Objective<'_>, optimum: &Optimum) -> Self {
        let (model, parameters) = (objective.model(), &objective.parameters);
        let directions = parameters.directions.clone();
        let d = directions.len();
        let covariances = Variances::new(objective, optimum);
        let maps = model.effect_maps();
        let entry = |at: &Direction| {
            let factor = &covariances.factors[at.level];
            factor.row(at.a).dot(&factor.row(at.b)) * covariances.sigma2
        };
        let values = directions.iter().map(entry).chain([covariances.sigma2]);
        let values = DVector::from_iterator(d + 1, values);
        // ∂Ω by the entries of G of the shifted columns; the relation is linear.
        let by_g = DMatrix::from_fn(d, d, |i, j| {
            let (to, from) = (directions[i], directions[j]);
            if to.level != from.level {
                return 0.0;
            }
            let b = &maps[to.level];
            let once = b[(to.a, from.a)] * b[(to.b, from.b)];
            let mirror = if from.a == from.b { 0.0 } else { b[(to.a, from.b)] * b[(to.b, from.a)] };
            (once + mirror) * covariances.sigma2
        });
        let mut jacobian = DMatrix::zeros(d + 1, d + 1);
        jacobian.view_mut((0, 0), (d, d)).copy_from(&(by_g * parameters.jacobian(&optimum.scaled)));
        jacobian.view_mut((0, d), (d, 1)).copy_from(&(values.rows(0, d) / covariances.sigma2));
        jacobian[(d, d)] = 1.0;
        let of_parameters = 2.0 * pseudo_inverse(&observed::hessian(objective, optimum));
        let covariance = &jacobian * of_parameters * jacobian.transpose();
        let singular = model.levels().iter().map(|level| {
            let of_row = |row: usize| level.terms.iter().rev().find(|t| t.1 <= row).expect("a term").0;
            (0..level.r()).map(|row| optimum.singular[of_row(row)]).collect()
        });
        Uncertainty { singular: singular.collect(), directions, values, covariance }
    }

    /// Whether the covariance of an effect's term is singular.
    pub(crate) fn is_singular(&self, level: usize, row: usize) -> bool {
        self.singular[level][row]
    }

    /// Standard error of a smooth function with this gradient in the entries of Ω and σ².
    pub(crate) fn of(&self, gradient: &DVector<f64>) -> Option<f64> {
        let variance = self.variance(gradient);
        (variance.is_finite() && variance >= 0.0).then(|| variance.sqrt())
    }

    /// Variance of a smooth function with this gradient in the entries of Ω and σ².
    pub(crate) fn variance(&self, gradient: &DVector<f64>) -> f64 {
        gradient.dot(&(&self.covariance * gradient))
    }

    /// Returns a zero gradient.
    pub(crate) fn no_gradient(&self) -> DVector<f64> {
        DVector::zeros(self.values.len())
    }

    /// Index of an entry of Ω in the gradient.
    pub(crate) fn place(&self, level: usize, a: usize, b: usize) -> usize {
        let at = Direction { level, a: a.min(b), b: a.max(b) };
        self.directions.iter().position(|d| *d == at).expect("an entry of one term")
    }

    /// Index of σ² in the gradient.
    pub(crate) fn place_of_sigma2(&self) -> usize {
        self.directions.len()
    }

    /// Standard error of a reported component; `None` where its covariance is singular.
    pub(crate) fn std_error(&self, component: Component) -> Option<f64> {
        let mut gradient = self.no_gradient();
        match component {
            Component::Sd { level, row } => {
                if self.is_singular(level, row) {
                    return None;
                }
                let at = self.place(level, row, row);
                gradient[at] = 0.5 / self.values[at].sqrt();
            }
            Component::Correlation { level, row, column } => {
                if self.is_singular(level, row) {
                    return None;
                }
                let [both, one, other] =
                    [(row, column), (row, row), (column, column)].map(|(a, b)| self.place(level, a, b));
                let product = (self.values[one] * self.values[other]).sqrt();
                let correlation = self.values[both] / product;
                gradient[both] = 1.0 / product;
                gradient[one] = -0.5 * correlation / self.values[one];
                gradient[other] = -0.5 * correlation / self.values[other];
            }
            Component::Sigma => {
                let at = self.place_of_sigma2();
                gradient[at] = 0.5 / self.values[at].sqrt();
            }
        }
        self.of(&gradient)
    }

    /// Standard error of the variance of an effect (level, row), or of σ² for `None`.
    pub(crate) fn of_variance(&self, effect: Option<(usize, usize)>) -> Option<f64> {
        let mut gradient = self.no_gradient();
        match effect {
            Some((level, row)) if self.is_singular(level, row) => return None,
            Some((level, row)) => gradient[self.place(level, row, row)] = 1.0,
            None => gradient[self.place_of_sigma2()] = 1.0,
        }
        self.of(&gradient)
    }
}
