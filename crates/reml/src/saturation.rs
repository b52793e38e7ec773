//! Whether fixed and random effects together leave any residual.

use crate::model::{Model, ModelError};
use crate::objective::{Method, Objective};
use tiers_design::Level;

/// Refuses a model whose effects together fit every row exactly, though no single level does: its
/// criterion falls for ever as the variances grow.
pub(crate) fn check(model: &Model) -> Result<(), ModelError> {
    let n = model.forest.rows;
    let effects = effects(&model.forest.levels);
    if effects as u64 + (model.p() as u64) < n {
        return Ok(());
    }
    // That many effects may still be fewer than it seems (groups of one row): look at what is left
    // of the sum of squares as nothing shrinks the random effects any more. Where a residual is
    // left it stays; else it falls with the variances, a hundredfold here.
    let objective = Objective::new(model, Method::Ml);
    let mut scratch = objective.scratch();
    let mut left = |size: f64| {
        let diagonal = objective.parameters.entries.iter().map(|e| if e.row == e.column { size } else { 0.0 });
        objective.evaluate(&diagonal.collect::<Vec<_>>(), false, &mut scratch).pwrss
    };
    match left(1e3) < 0.05 * left(1e2) {
        true => Err(ModelError::Saturated { effects, p: model.p(), n }),
        false => Ok(()),
    }
}

/// Random effects that can be told apart: a column that several levels have counts at the finest.
fn effects(levels: &[Level]) -> usize {
    let mut seen = Vec::new();
    let mut sum = 0;
    for level in levels {
        for column in &level.z {
            if !seen.contains(column) {
                seen.push(*column);
                sum += level.groups;
            }
        }
    }
    sum
}
