//! The fixed part of a fit as plain data, from which tests and means are computed without the data.

use super::{FixedInference, packed};
use crate::model::Model;
use nalgebra::DMatrix;
use serde::{Deserialize, Serialize};

/// The part of a fit that is kept to test hypotheses about its fixed effects later, together with its
/// [`tiers_design::Recipe`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FixedModel {
    /// The coefficients in use: indices into [`tiers_design::Recipe::x`].
    pub coefficients: Vec<usize>,
    /// β, its covariance, and data for degrees of freedom.
    pub inference: FixedInference,
    /// `C'WC` of the recipe's columns less their shifts, y last, m×m.
    #[serde(with = "packed::symmetric")]
    pub cross: DMatrix<f64>,
}

impl FixedModel {
    /// Extracts the fixed part of a fit.
    pub fn new(model: &Model, inference: FixedInference) -> Self {
        let totals = model.totals();
        let cross = DMatrix::from_row_slice(totals.m, totals.m, totals.cross);
        FixedModel { coefficients: model.coefficients.clone(), inference, cross }
    }
}
