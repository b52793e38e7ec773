//! Sets nearly singular factors at an optimum exactly singular, and fixes the signs of their columns.

use crate::objective::Evaluation;
use crate::parameters::{Parameters, lower_triangular};
use nalgebra::DMatrix;

/// Thresholds for the singular values of a scaled factor: values below the first may be exactly zero; if
/// not all of them are, try those below the next.
pub(super) const NEARLY_SINGULAR: [f64; 3] = [1e-2, 1e-4, 1e-6];

/// Makes the diagonals of the factors non-negative, since the signs of a factor's columns are arbitrary.
pub(super) fn flip(parameters: &Parameters, scaled: &mut [f64], at: &mut Evaluation) {
    // Where the criterion does not exist, the point means nothing.
    if !at.criterion.is_finite() {
        return;
    }
    let signs = parameters.signs(scaled);
    scaled.iter_mut().zip(signs).for_each(|(entry, sign)| *entry *= sign);
    at.covariances = parameters.covariances(scaled);
}

/// Number of random-effects terms.
pub(super) fn terms(parameters: &Parameters) -> usize {
    parameters.entries.iter().map(|e| e.term + 1).max().unwrap_or(0)
}

/// Sets the singular values of the factors below a threshold to zero. Returns the new entries and which terms
/// changed; `None` if no singular value is that small.
pub fn nearly_singular(parameters: &Parameters, scaled: &[f64], threshold: f64) -> Option<(Vec<f64>, Vec<bool>)> {
    let mut out = scaled.to_vec();
    let mut which = vec![false; terms(parameters)];
    for (term, singular) in which.iter_mut().enumerate() {
        let entries: Vec<usize> = (0..scaled.len()).filter(|&i| parameters.entries[i].term == term).collect();
        let Some(start) = entries.iter().map(|&i| parameters.entries[i].row).min() else { continue };
        let size = entries.iter().map(|&i| parameters.entries[i].row).max().map_or(0, |row| row + 1 - start);
        let mut block = DMatrix::zeros(size, size);
        for &i in &entries {
            block[(parameters.entries[i].row - start, parameters.entries[i].column - start)] = scaled[i];
        }
        let mut svd = block.svd(true, true);
        let largest = svd.singular_values.max();
        for value in svd.singular_values.iter_mut() {
            if *value < threshold * largest.max(1.0) {
                *value = 0.0;
                *singular = true;
            }
        }
        if *singular {
            let lower = lower_triangular(&svd.recompose().expect("both sides were computed"));
            for &i in &entries {
                let entry = parameters.entries[i];
                out[i] = lower[(entry.row - start, entry.column - start)];
            }
        }
    }
    which.iter().any(|s| *s).then_some((out, which))
}
