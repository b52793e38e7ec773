//! Variance parameters as reported: standard deviations, correlations, σ and intraclass correlations
//! in the user's columns, with their standard errors.

mod icc;
mod uncertainty;
mod wald;

pub use icc::Icc;
pub(crate) use icc::{fixed_variance, intraclass};
pub(crate) use uncertainty::Uncertainty;
pub use wald::{WaldScale, wald_interval};

use crate::fit::Variances;
use crate::model::Model;
use crate::parameters::Parameters;

/// A variance parameter as reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Component {
    /// Standard deviation of a random effect: a level of the model, and a row of its factor.
    Sd {
        /// The level.
        level: usize,
        /// The row.
        row: usize,
    },
    /// Correlation of two random effects of one term.
    Correlation {
        /// The level.
        level: usize,
        /// The row of the one that comes later.
        row: usize,
        /// The row of the one that comes first.
        column: usize,
    },
    /// The residual standard deviation.
    Sigma,
}

impl Component {
    /// Returns all components of a model in lme4's order: per term the lower triangle by column, then σ.
    pub fn all(parameters: &Parameters) -> Vec<Component> {
        let of_entry = |e: &crate::parameters::Entry| match e.row == e.column {
            true => Component::Sd { level: e.level, row: e.row },
            false => Component::Correlation { level: e.level, row: e.row, column: e.column },
        };
        parameters.entries.iter().map(of_entry).chain([Component::Sigma]).collect()
    }

    /// Returns lme4's name (with `oldNames = FALSE`): `sd_year|child`, `cor_year.(Intercept)|child`, `sigma`.
    pub fn name(self, model: &Model) -> String {
        let effect = |level: usize, row: usize| -> String {
            let terms = &model.levels()[level].terms;
            let at = terms.partition_point(|&(_, start)| start <= row) - 1;
            let (term, start) = terms[at];
            model.recipe.random[term].names[row - start].clone()
        };
        let level_name = |level: usize| &model.levels()[level].name;
        match self {
            Component::Sd { level, row } => format!("sd_{}|{}", effect(level, row), level_name(level)),
            Component::Correlation { level, row, column } => {
                format!("cor_{}.{}|{}", effect(level, row), effect(level, column), level_name(level))
            }
            Component::Sigma => "sigma".to_owned(),
        }
    }

    /// Returns the value; NaN for a correlation with an effect of zero variance.
    pub fn value(self, covariances: &Variances) -> f64 {
        let row = |level: usize, row: usize| covariances.factors[level].row(row);
        match self {
            Component::Sd { level, row: i } => row(level, i).norm() * covariances.sigma2.sqrt(),
            Component::Correlation { level, row: i, column: j } => {
                let (a, b) = (row(level, i), row(level, j));
                (a.dot(&b) / (a.norm() * b.norm())).clamp(-1.0, 1.0)
            }
            Component::Sigma => covariances.sigma2.sqrt(),
        }
    }
}
