//! The criterion in the coordinates of the optimiser.

use super::covariance_model::CovarianceModel;
use super::identified::Undetermined;
use super::{SearchObserver, Trial};
use crate::newton::{Criterion, Step};
use crate::objective::{Evaluation, Objective, PIVOT_ROUNDING, SecondDerivatives};
use crate::parameters::Parameters;
use nalgebra::{DMatrix, DVector};
use tiers_equations::{Scratch, Want};

/// With more groups than this, steps omit the second derivatives of log|X'V⁻¹X|.
pub(super) const EXACT_UP_TO: usize = 50_000;

/// With a good start, straight Newton steps converge within this number of evaluations.
const STRAIGHT: usize = 10;

/// A search ends where the relative rounding error of a pivot of `C'V⁻¹C` may exceed this.
const NOISE: f64 = 1e-2;

/// The criterion of an objective, with the state of a search.
pub(super) struct Problem<'a, 'm> {
    pub(super) objective: &'a Objective<'m>,
    pub(super) scratch: Scratch,
    /// Whether steps use all second derivatives.
    pub(super) exact: bool,
    /// The coordinates of the steps: those of the objective, except for the order of rows.
    pub(super) coordinates: Parameters,
    /// Second derivatives by the entries of G to use at every point.
    pub(super) hessian_g: Option<&'a DMatrix<f64>>,
    /// Whether second derivatives are computed at the optimum.
    pub(super) ends_with_second: bool,
    pub(super) observer: &'a mut dyn SearchObserver,
    /// Number of evaluations after which steps use the model that is quadratic in G.
    pub(super) straight: usize,
    /// Whether the observer cancelled the search.
    pub(super) cancelled: bool,
    /// A combination of the variances that the data do not determine, if one was found.
    pub(super) undetermined: Option<Undetermined>,
}

/// An evaluation in the coordinates of the optimiser.
pub(super) struct Point {
    pub(super) at: Evaluation,
    /// The scaled entries of the factors, in the layout of the objective.
    pub(super) scaled: Vec<f64>,
    coordinates: Vec<f64>,
    /// Gradient by the coordinates; zero where the criterion does not exist.
    gradient: DVector<f64>,
    /// Bound on the rounding error of the criterion.
    rounding: f64,
}

/// Second derivatives in the coordinates of the optimiser.
pub(super) struct Curvature {
    pub(super) second: SecondDerivatives,
    hessian: DMatrix<f64>,
}

impl<'a, 'm> Problem<'a, 'm> {
    pub(super) fn new(objective: &'a Objective<'m>, observer: &'a mut dyn SearchObserver) -> Self {
        Self::with_scratch(objective, objective.scratch(), observer)
    }

    pub(super) fn with_scratch(
        objective: &'a Objective<'m>,
        scratch: Scratch,
        observer: &'a mut dyn SearchObserver,
    ) -> Self {
        let groups = objective.model().equations.groups();
        Problem {
            objective,
            scratch,
            exact: groups <= EXACT_UP_TO,
            coordinates: objective.parameters.clone(),
            hessian_g: None,
            ends_with_second: true,
            observer,
            straight: STRAIGHT,
            cancelled: false,
            undetermined: None,
        }
    }

    /// Computes second derivatives at an evaluation; all zero where the criterion does not exist.
    pub(super) fn curvature(&mut self, at: &Evaluation) -> SecondDerivatives {
        if at.criterion.is_finite() && self.hessian_g.is_none() {
            return self.second_derivatives(at, self.exact);
        }
        let zero = |size: usize| DMatrix::zeros(size, size);
        let g = self.hessian_g.cloned().unwrap_or_else(|| zero(self.coordinates.directions.len()));
        let [log_det, pwrss, log_det_xx] = [g.clone(), g.clone(), g.clone()];
        SecondDerivatives { hessian: g, log_det, pwrss, log_det_xx }
    }

    /// Computes the second derivatives at an evaluation.
    pub(super) fn second_derivatives(&self, at: &Evaluation, exact: bool) -> SecondDerivatives {
        self.objective.second_derivatives_by(at, exact)
    }

    /// Evaluates the criterion with its gradient at scaled entries of the factors.
    pub(super) fn at(&mut self, scaled: &[f64]) -> Evaluation {
        let covariances = self.objective.parameters.covariances(scaled);
        self.objective.evaluate(&covariances, Want::Derivatives, &mut self.scratch)
    }

    /// Reports a trial to the observer. Returns `false` once the search is cancelled.
    pub(super) fn report(&mut self, scaled: &[f64], step: &Step) -> bool {
        let trial = Trial { objective: self.objective, scaled };
        self.cancelled = self.cancelled || !self.observer.evaluated(&trial, step);
        !self.cancelled
    }
}

impl Criterion for Problem<'_, '_> {
    type At = Point;

    fn evaluate(&mut self, coordinates: &[f64]) -> Point {
        let scaled = self.objective.parameters.from_factors(&self.coordinates.factors(coordinates));
        let at = self.at(&scaled);
        let gradient = match at.criterion.is_finite() {
            true => self.coordinates.chain(coordinates, &at.gradient, None).0,
            false => DVector::zeros(coordinates.len()),
        };
        let rounding = self.objective.rounding(&at);
        Point { at, scaled, coordinates: coordinates.to_vec(), gradient, rounding }
    }

    fn value(point: &Point) -> f64 {
        point.at.criterion
    }

    fn gradient(point: &Point) -> &DVector<f64> {
        &point.gradient
    }

    fn rounding(point: &Point) -> f64 {
        point.rounding
    }

    fn is_noise(point: &Point) -> bool {
        PIVOT_ROUNDING * point.at.fixed.loss_y.max(point.at.fixed.loss_x) > NOISE
    }

    type Second = Curvature;

    fn second(&mut self, point: &Point) -> Curvature {
        let second = self.curvature(&point.at);
        let hessian = match point.at.criterion.is_finite() {
            true => {
                let (g, h) = (&point.at.gradient, Some(&second.hessian));
                self.coordinates.chain(&point.coordinates, g, h).1.expect("asked for")
            }
            false => DMatrix::zeros(point.coordinates.len(), point.coordinates.len()),
        };
        Curvature { second, hessian }
    }

    fn hessian(curvature: &Curvature) -> &DMatrix<f64> {
        &curvature.hessian
    }

    fn curved_step(
        &self,
        point: &Point,
        curvature: &Curvature,
        radius: f64,
        evaluations: usize,
    ) -> Option<(DVector<f64>, f64)> {
        if evaluations < self.straight {
            return None;
        }
        let (gradient, hessian) = (&point.at.gradient, &curvature.second.hessian);
        CovarianceModel::new(&self.coordinates, &point.coordinates, gradient, hessian).step(radius)
    }

    fn observe(&mut self, point: &Point, step: &Step) -> bool {
        self.report(&point.scaled, step)
    }

    fn better_coordinates(&mut self, point: &mut Point) -> Option<Vec<f64>> {
        if !point.at.criterion.is_finite() {
            return None;
        }
        let factors = self.coordinates.factors(&point.coordinates);
        self.coordinates = self.coordinates.pivoted(&factors)?;
        point.coordinates = self.coordinates.from_factors(&factors);
        point.gradient = self.coordinates.chain(&point.coordinates, &point.at.gradient, None).0;
        Some(point.coordinates.clone())
    }
}
