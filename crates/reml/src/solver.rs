//! The way in which the equations of a fit were solved.

use crate::model::Model;
use serde::{Deserialize, Serialize};
use tiers_equations::CoreRoute;

/// The layout of the matrices of the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Route {
    /// A dense matrix.
    #[serde(rename = "dense core")]
    DenseCore,
    /// A sparse matrix in a fill-reducing order.
    #[serde(rename = "sparse core")]
    SparseCore,
}

/// How the equations of a crossed design are solved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Solver {
    /// The layout of the core.
    pub route: Route,
    /// The level that is eliminated group by group.
    pub leaf: String,
    /// Number of random effects of the core: of all other levels together.
    pub core: usize,
}

impl Solver {
    pub(crate) fn of(model: &Model) -> Option<Solver> {
        let core = model.structure().crossed()?.core_effects();
        let route = match model.equations.route_of_core()? {
            CoreRoute::Dense => Route::DenseCore,
            CoreRoute::Sparse => Route::SparseCore,
        };
        Some(Solver { route, leaf: model.levels()[0].name.clone(), core })
    }
}
