//! Minimises the deviance with one parameter fixed.
//!
//! In the coordinates (t, log σ) of [`super::coordinates`], with `Λ_k = T_k/σ`,
//!
//! ```text
//! f = log|V| - Σ log w + n log(2π σ²) + pwrss_c / σ²
//! ```
//!
//! where `pwrss_c` is pwrss, or, with l'β fixed at c, `pwrss + (l'β - c)² / (l' S_xx⁻¹ l)`. Fixing l'β changes
//! neither log|V| nor the moments; the derivatives are those of pwrss at the constrained β, with
//! `S_xx⁻¹ - S_xx⁻¹ l l' S_xx⁻¹ / (l' S_xx⁻¹ l)` in place of `S_xx⁻¹`.

use super::coordinates::{At, Coordinates, Tangent};
use crate::newton::{Criterion, Settings, Step, minimise};
use crate::objective::{Evaluation, Objective};
use crate::watched::Watched;
use nalgebra::{DMatrix, DVector, SymmetricEigen};
use std::f64::consts::PI;
use tiers_equations::{Scratch, Want};

/// The fixed quantity.
#[derive(Clone, Debug)]
pub(super) enum Hold {
    /// None, or a standard deviation or correlation of a random effect, which the coordinates keep fixed.
    Coordinate,
    /// l'β of the shifted columns.
    Combination(DVector<f64>),
    /// log σ.
    LogSigma,
}

/// The deviance of a model with one parameter fixed at a value.
pub(super) struct Constrained<'a, 'm> {
    pub(super) objective: &'a Objective<'m>,
    pub(super) scratch: &'a mut Scratch,
    watched: &'a Watched<'a>,
    pub(super) hold: &'a Hold,
    pub(super) coordinates: &'a Coordinates,
    pub(super) value: f64,
    at: At,
    /// The variables of the search are s with `(t, log σ) = origin + metric s`.
    origin: DVector<f64>,
    metric: &'a DMatrix<f64>,
}

/// An evaluation: the deviance with its derivatives by (t, log σ), log σ last unless it is fixed.
#[derive(Clone, Debug)]
pub(super) struct Point {
    pub(super) deviance: f64,
    /// (t, log σ).
    pub(super) variables: DVector<f64>,
    /// Gradient by (t, log σ).
    pub(super) gradient: DVector<f64>,
    /// Gradient by the variables of the search.
    pub(super) by_search: DVector<f64>,
    /// The evaluation, with β, `S_xx⁻¹` and pwrss under the constraint.
    pub(super) evaluation: Evaluation,
    pub(super) sigma: f64,
    /// Scaled entries of the relative factors, from which another search can start.
    pub(super) scaled: Vec<f64>,
    /// `T_k` of the shifted columns.
    pub(super) factors: Vec<DMatrix<f64>>,
    /// Derivative of the profile deviance by the fixed value.
    pub(super) slope: f64,
}

impl<'a, 'm> Constrained<'a, 'm> {
    pub(super) fn new(
        objective: &'a Objective<'m>,
        (scratch, watched): (&'a mut Scratch, &'a Watched<'a>),
        (hold, coordinates): (&'a Hold, &'a Coordinates),
        value: f64,
        metric: &'a DMatrix<f64>,
    ) -> Self {
        let at = coordinates.at(value);
        let origin = DVector::zeros(metric.nrows());
        Constrained { objective, scratch, watched, hold, coordinates, value, at, origin, metric }
    }

    /// Finds the lowest deviance near a start (t, log σ); `None` if the search does not converge or is
    /// cancelled.
    pub(super) fn solve(mut self, start: &DVector<f64>) -> Option<Point> {
        if self.watched.is_called_off() {
            return None;
        }
        self.origin = start.clone();
        let settings = Settings::default();
        let begin = vec![0.0; start.len()];
        if begin.is_empty() {
            return Some(self.evaluate(&[])).filter(|point| point.deviance.is_finite());
        }
        let found = minimise(&mut self, &begin, &settings);
        (found.converged && found.at.deviance.is_finite()).then_some(found.at)
    }

    fn log_sigma_is_free(&self) -> bool {
        !matches!(self.hold, Hold::LogSigma)
    }

    /// Evaluates the deviance and its derivatives at (t, log σ).
    pub(super) fn at(&mut self, variables: &DVector<f64>) -> Point {
        let (d, free) = (self.at.tangents.len(), self.log_sigma_is_free());
        let log_sigma = if free { variables[d] } else { self.value };
        let mut factors = self.at.constant.clone();
        for (tangent, t) in self.at.tangents.iter().zip(variables.iter()) {
            factors[tangent.level] += &tangent.matrix * *t;
        }
        let sigma = log_sigma.exp();
        let relative: Vec<DMatrix<f64>> = factors.iter().map(|factor| factor / sigma).collect();
        let scaled = self.objective.parameters.from_factors(&relative);
        let covariances = self.objective.parameters.covariances(&scaled);
        let mut evaluation = self.objective.evaluate(&covariances, Want::Derivatives, self.scratch);
        let nothing = DVector::zeros(variables.len());
        let mut point = Point {
            deviance: f64::INFINITY,
            variables: variables.clone(),
            gradient: nothing.clone(),
            by_search: nothing,
            sigma,
            scaled,
            factors,
            slope: f64::NAN,
            evaluation: evaluation.clone(),
        };
        if !evaluation.criterion.is_finite() || !sigma.is_normal() {
            return point;
        }
        let by_value = self.constrain(&mut evaluation);
        let n = self.objective.nu();
        let of_rows = evaluation.fixed.pwrss / (sigma * sigma);
        point.deviance = evaluation.log_det_v - self.objective.model().totals().sum_log_weights
            + n * ((2.0 * PI).ln() + 2.0 * log_sigma)
            + of_rows;
        let by_g = &evaluation.d_log_det + self.objective.d_pwrss(&evaluation) / (sigma * sigma);
        let by_log_sigma = 2.0 * (n - of_rows);
        let along = |tangent: &Tangent| self.first(&by_g, tangent, &point.factors, sigma);
        point.gradient.iter_mut().zip(&self.at.tangents).for_each(|(g, tangent)| *g = along(tangent));
        // log σ also acts through G = T T'/σ².
        let through_g = self.by_log_sigma_through(&by_g, &point.factors, sigma);
        if free {
            point.gradient[d] = by_log_sigma + through_g;
        }
        point.slope = match self.hold {
            Hold::LogSigma => by_log_sigma + through_g,
            Hold::Combination(_) => by_value / (sigma * sigma),
            Hold::Coordinate => {
                self.coordinates.along(self.value, variables.as_slice()).map_or(f64::NAN, |tangent| along(&tangent))
            }
        };
        point.by_search = self.metric.transpose() * &point.gradient;
        point.evaluation = evaluation;
        point
    }

    /// Applies the constraint on β to an evaluation; returns the derivative of pwrss by the fixed value.
    fn constrain(&self, evaluation: &mut Evaluation) -> f64 {
        let Hold::Combination(l) = self.hold else { return 0.0 };
        let spread = &evaluation.fixed.xx_inverse * l;
        let (variance, off) = (l.dot(&spread), l.dot(&evaluation.fixed.beta) - self.value);
        evaluation.fixed.beta -= &spread * (off / variance);
        evaluation.fixed.pwrss += off * off / variance;
        evaluation.fixed.xx_inverse -= &spread * spread.transpose() / variance;
        -2.0 * off / variance
    }

    /// `Σ_d by_g_d dG_d` for `dT` a tangent: `dG = (dT T' + T dT')/σ²`.
    fn first(&self, by_g: &DVector<f64>, tangent: &Tangent, factors: &[DMatrix<f64>], sigma: f64) -> f64 {
        let half = &tangent.matrix * factors[tangent.level].transpose();
        self.contract(by_g, tangent.level, |a, b| (half[(a, b)] + half[(b, a)]) / (sigma * sigma))
    }

    /// `-2 Σ_d by_g_d G_d`.
    fn by_log_sigma_through(&self, by_g: &DVector<f64>, factors: &[DMatrix<f64>], sigma: f64) -> f64 {
        let of_level = |k: usize| {
            let g = &factors[k] * factors[k].transpose() / (sigma * sigma);
            self.contract(by_g, k, |a, b| -2.0 * g[(a, b)])
        };
        (0..factors.len()).map(of_level).sum()
    }

    /// Sums over the entries of a level's G, counting each entry and its mirror once.
    fn contract(&self, by_g: &DVector<f64>, level: usize, entry: impl Fn(usize, usize) -> f64) -> f64 {
        let directions = self.objective.parameters.directions.iter().zip(by_g.iter());
        directions.filter(|(d, _)| d.level == level).map(|(d, g)| g * entry(d.a, d.b)).sum()
    }

    /// Second derivatives by (t, log σ).
    pub(super) fn hessian_at(&self, point: &Point) -> DMatrix<f64> {
        let (d, size, sigma) = (self.at.tangents.len(), point.variables.len(), point.sigma);
        let s2 = sigma * sigma;
        let second = self.objective.second_derivatives_by(&point.evaluation, false);
        let inner = &second.log_det + &second.pwrss / s2;
        let d_pwrss = self.objective.d_pwrss(&point.evaluation);
        let by_g = &point.evaluation.d_log_det + &d_pwrss / s2;
        let jacobian = self.jacobian(point);
        let mut out = jacobian.transpose() * inner * &jacobian;
        for (i, a) in self.at.tangents.iter().enumerate() {
            for (j, b) in self.at.tangents.iter().enumerate().filter(|(_, b)| b.level == a.level) {
                let half = &a.matrix * b.matrix.transpose();
                out[(i, j)] += self.contract(&by_g, a.level, |x, y| (half[(x, y)] + half[(y, x)]) / s2);
            }
        }
        if size > d {
            // ∂²G/∂t∂log σ = -2 ∂G/∂t, ∂²G/∂log σ² = 4 G, and the factor 1/σ² of pwrss.
            for (i, tangent) in self.at.tangents.iter().enumerate() {
                let mixed = -2.0 * self.first(&by_g, tangent, &point.factors, sigma)
                    - 2.0 * self.first(&d_pwrss, tangent, &point.factors, sigma) / s2;
                out[(i, d)] += mixed;
                out[(d, i)] += mixed;
            }
            out[(d, d)] += -2.0 * self.by_log_sigma_through(&by_g, &point.factors, sigma)
                - 4.0 * self.by_log_sigma_through(&d_pwrss, &point.factors, sigma) / s2
                + 4.0 * point.evaluation.fixed.pwrss / s2;
        }
        out
    }

    /// The Jacobian of the entries of G by (t, log σ).
    fn jacobian(&self, point: &Point) -> DMatrix<f64> {
        let (directions, s2) = (&self.objective.parameters.directions, point.sigma * point.sigma);
        let mut out = DMatrix::zeros(directions.len(), point.variables.len());
        for (j, tangent) in self.at.tangents.iter().enumerate() {
            let half = &tangent.matrix * point.factors[tangent.level].transpose();
            for (i, d) in directions.iter().enumerate().filter(|(_, d)| d.level == tangent.level) {
                out[(i, j)] = (half[(d.a, d.b)] + half[(d.b, d.a)]) / s2;
            }
        }
        if point.variables.len() > self.at.tangents.len() {
            for (i, d) in directions.iter().enumerate() {
                let factor = &point.factors[d.level];
                out[(i, self.at.tangents.len())] = -2.0 * factor.row(d.a).dot(&factor.row(d.b)) / s2;
            }
        }
        out
    }
}

impl Criterion for Constrained<'_, '_> {
    type At = Point;
    type Second = DMatrix<f64>;

    fn evaluate(&mut self, s: &[f64]) -> Point {
        let variables = &self.origin + self.metric * DVector::from_column_slice(s);
        self.at(&variables)
    }

    fn value(point: &Point) -> f64 {
        point.deviance
    }

    fn gradient(point: &Point) -> &DVector<f64> {
        &point.by_search
    }

    fn second(&mut self, point: &Point) -> DMatrix<f64> {
        self.metric.transpose() * self.hessian_at(point) * self.metric
    }

    fn hessian(second: &DMatrix<f64>) -> &DMatrix<f64> {
        second
    }

    fn observe(&mut self, _: &Point, _: &Step) -> bool {
        self.watched.go_on()
    }
}

/// Returns coordinates in which a Hessian is the identity. Along each column the deviance rises by one
/// half, if it has curvature there.
pub(super) fn metric(hessian: &DMatrix<f64>) -> DMatrix<f64> {
    let size = hessian.nrows();
    if size == 0 {
        return DMatrix::zeros(0, 0);
    }
    let scale = hessian.diagonal().map(|v| if v.abs() > 0.0 { 1.0 / v.abs().sqrt() } else { 1.0 });
    let scaled = DMatrix::from_fn(size, size, |i, j| hessian[(i, j)] * scale[i] * scale[j]);
    let eigen = SymmetricEigen::new(scaled);
    let lengths = eigen.eigenvalues.map(|v| 1.0 / v.abs().max(1e-6).sqrt());
    DMatrix::from_diagonal(&scale) * eigen.eigenvectors * DMatrix::from_diagonal(&lengths)
}
