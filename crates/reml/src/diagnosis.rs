//! Diagnostics of an optimum: gradient, curvature, and the parameters that the data hardly determine.

use crate::estimate::Optimum;
use crate::objective::Objective;
use nalgebra::{DMatrix, SymmetricEigen};
use serde::Serialize;

/// Diagnostics of an optimum. Each entry of the factors is scaled to unit curvature of the criterion, so
/// that nothing depends on the units of the data.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Diagnosis {
    /// Largest scaled gradient `|g_i| / √H_ii`, parameters on the boundary excluded.
    pub gradient: f64,
    /// Newton decrement `g'H⁻¹g`: twice the decrease of the criterion that another step would predict.
    pub decrement: f64,
    /// Smallest eigenvalue of the Hessian scaled to unit diagonal, over the entries with curvature; 1 is
    /// ideal, 0 means that some combination is not determined.
    pub least_curvature: Option<f64>,
    /// Ratio of the largest to the smallest eigenvalue.
    pub condition: Option<f64>,
    /// Random-effect parameters on the boundary or without curvature of their own.
    pub flat: Vec<String>,
    /// The parameters in the combination of least curvature, largest share first.
    pub weakest: Vec<Weak>,
}

/// A parameter's share in the combination that the data determine least.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Weak {
    /// Name: `sd (Intercept) | school`, `x with (Intercept) | school`.
    pub parameter: String,
    /// Share in the combination; the shares of all parameters add up to one.
    pub share: f64,
}

/// Smaller shares are not reported.
const SHARE: f64 = 0.1;

impl Diagnosis {
    /// Diagnoses an optimum.
    pub fn new(objective: &Objective<'_>, optimum: &Optimum) -> Self {
        let (gradient, hessian) = (optimum.gradient(objective), optimum.hessian(objective));
        let names = names(objective);
        let largest = hessian.diagonal().iter().fold(0.0_f64, |m, h| m.max(*h));
        // Without curvature is an entry whose own curvature is only rounding error beside the largest.
        let is_curved = |i: usize| hessian[(i, i)] > 1e-10 * largest && !on_boundary(objective, optimum, i);
        let curved: Vec<usize> = (0..names.len()).filter(|&i| is_curved(i)).collect();
        let unit = |i: usize| 1.0 / hessian[(i, i)].sqrt();
        let scaled = DMatrix::from_fn(curved.len(), curved.len(), |i, j| {
            hessian[(curved[i], curved[j])] * unit(curved[i]) * unit(curved[j])
        });
        let gradient = curved.iter().map(|&i| (gradient[i] * unit(i)).abs()).fold(0.0, f64::max);
        let flat = (0..names.len()).filter(|i| !curved.contains(i)).map(|i| names[i].clone()).collect();
        let mut out = Diagnosis {
            gradient,
            decrement: optimum.decrement,
            least_curvature: None,
            condition: None,
            flat,
            weakest: Vec::new(),
        };
        if curved.is_empty() {
            return out;
        }
        let eigen = SymmetricEigen::new(scaled);
        let at = eigen.eigenvalues.imin();
        let (least, most) = (eigen.eigenvalues[at], eigen.eigenvalues.max());
        out.least_curvature = Some(least);
        out.condition = (least > 0.0).then_some(most / least);
        let share = |(i, v): (usize, &f64)| Weak { parameter: names[curved[i]].clone(), share: v * v };
        out.weakest = eigen.eigenvectors.column(at).iter().enumerate().map(share).filter(|w| w.share > SHARE).collect();
        out.weakest.sort_by(|a, b| b.share.total_cmp(&a.share));
        out
    }
}

/// Whether an entry belongs to a zero column of a factor. There the gradient vanishes by symmetry, and
/// the curvature does not measure precision.
fn on_boundary(objective: &Objective<'_>, optimum: &Optimum, i: usize) -> bool {
    let entries = &objective.parameters.entries;
    let same = |other: &crate::parameters::Entry| {
        (other.level, other.term, other.column) == (entries[i].level, entries[i].term, entries[i].column)
    };
    entries.iter().zip(&optimum.scaled).filter(|(e, _)| same(e)).all(|(_, entry)| *entry == 0.0)
}

/// Names of the entries of the factors in terms of the user's columns.
fn names(objective: &Objective<'_>) -> Vec<String> {
    let model = objective.model();
    let name = |entry: &crate::parameters::Entry| {
        let level = &model.levels()[entry.level];
        let start = level.terms.iter().find(|(term, _)| *term == entry.term).map_or(0, |(_, start)| *start);
        let of = |row: usize| &model.recipe.random[entry.term].names[row - start];
        match entry.row == entry.column {
            true => format!("sd {} | {}", of(entry.row), level.name),
            false => format!("{} with {} | {}", of(entry.row), of(entry.column), level.name),
        }
    };
    objective.parameters.entries.iter().map(name).collect()
}
