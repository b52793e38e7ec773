//! The way in which the equations of a fit were solved.

use crate::model::Model;
use serde::{Deserialize, Serialize};

/// How the equations of a crossed design are solved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Solver {
    /// The level that is eliminated group by group.
    pub leaf: String,
    /// Number of random effects of all other levels together, which form a dense matrix.
    pub core: usize,
}

impl Solver {
    pub(crate) fn of(model: &Model) -> Option<Solver> {
        let cost = model.equations.cost_of_core()?;
        Some(Solver { leaf: model.levels()[0].name.clone(), core: cost.core_effects })
    }
}
