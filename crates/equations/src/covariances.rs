//! Relative covariances of the random effects: the point at which the equations are evaluated.

use crate::tree::Direction;
use nalgebra::{DMatrix, DVector};

/// `G_k = Λ_k Λ_k'` of every level, finest first: the covariances over σ² of a group's random effects, in
/// the basis of the (shifted) z columns.
#[derive(Clone, Debug, PartialEq)]
pub struct Covariances {
    factors: Vec<DMatrix<f64>>,
    by_level: Vec<Vec<f64>>,
}

impl Covariances {
    /// Returns the covariances with these factors Λ_k, one r×r matrix per level.
    pub fn from_factors(factors: Vec<DMatrix<f64>>) -> Self {
        let by_level = factors.iter().map(|l| (l * l.transpose()).as_slice().to_vec()).collect();
        Covariances { factors, by_level }
    }

    /// Returns the factors Λ_k, from which the sparse route sets up its equations.
    pub fn factors(&self) -> &[DMatrix<f64>] {
        &self.factors
    }

    /// Returns `G_k` of each level, r×r row-major.
    pub fn by_level(&self) -> &[Vec<f64>] {
        &self.by_level
    }

    /// Returns the entry of G of each direction.
    pub fn entries(&self, directions: &[Direction]) -> DVector<f64> {
        let entry = |d: &Direction| self.factors[d.level].row(d.a).dot(&self.factors[d.level].row(d.b));
        DVector::from_iterator(directions.len(), directions.iter().map(entry))
    }
}
