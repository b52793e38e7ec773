//! The fixed part of a fit as plain data: tests and means of it need no data.

use super::{FixedInference, packed};
use crate::model::Model;
use nalgebra::DMatrix;
use serde::{Deserialize, Serialize};

/// What is kept of a fit so that hypotheses about its fixed effects can be tested later. Together
/// with the [`tiers_design::Recipe`] it was made by.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FixedModel {
    /// The coefficients in use: indices into [`tiers_design::Recipe::x`].
    pub coefficients: Vec<usize>,
    /// β, its covariance, and what degrees of freedom need.
    pub inference: FixedInference,
    /// `C'WC` of the recipe's columns less their shifts, y last, m×m.
    #[serde(with = "packed::symmetric")]
    pub cross: DMatrix<f64>,
}

impl FixedModel {
    /// Keeps the fixed part of a fit.
    pub fn new(model: &Model, inference: FixedInference) -> Self {
        let cross = DMatrix::from_row_slice(model.forest.m, model.forest.m, &model.forest.cross);
        FixedModel { coefficients: model.coefficients.clone(), inference, cross }
    }
}
