//! Inference that later questions to a fit need, as plain data.

use crate::components::joint_covariance;
use crate::criterion::Criterion;
use crate::inference::Inference;
use crate::search::Optimum;
use nalgebra::{DMatrix, DVector};
use serde::{Deserialize, Serialize};
use tiers_reml::{FixedInference, FixedModel};

/// Estimates with their covariances: of the fixed effects, and of fixed effects and variances together.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JointInference {
    /// β with its covariance, for tests, means and predictions on the scale of the link.
    pub fixed: FixedModel,
    /// Covariance of β (in the user's columns) and of the entries of the covariances of the random effects: term by
    /// term in the order of [`GlmmFit::variance_components`](crate::GlmmFit::variance_components), the lower triangle
    /// row by row.
    pub covariance: Vec<Vec<f64>>,
}

impl JointInference {
    /// Collects the inference at an optimum; `None` where the information is not positive definite.
    pub(crate) fn new(
        criterion: &Criterion<'_>,
        optimum: &Optimum,
        inference: &Inference,
        confidence: f64,
    ) -> Option<JointInference> {
        let model = criterion.model;
        let at = criterion.point(&optimum.at.coordinates);
        let lambda: Vec<DMatrix<f64>> = (at.lambda.iter().enumerate())
            .map(|(k, l)| DMatrix::from_row_slice(criterion.shape.path.r(k), criterion.shape.path.r(k), l))
            .collect();
        let joint = joint_covariance(criterion, inference, &lambda, &model.effect_maps())?;
        let beta = model.unshift_map() * DVector::from_vec(at.beta);
        let fixed = FixedInference::normal(model, beta, inference.shifted.clone()?, confidence);
        let covariance = joint.row_iter().map(|row| row.iter().copied().collect()).collect();
        Some(JointInference { fixed: FixedModel::new(model, fixed), covariance })
    }
}
