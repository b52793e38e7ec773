//! Comparing fits of the same data: likelihood ratios, and what their distribution is.

use crate::estimate::Status;
use crate::fit::Fit;
use crate::inference::chi_squared_tail;
use crate::objective::Method;
use crate::span::Span;
use serde::Serialize;
use tiers_design::{RandomSpec, Recipe};

/// A fit with the design that it was made by.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// The fit.
    pub fit: &'a Fit,
    /// Its design.
    pub recipe: &'a Recipe,
}

/// A likelihood ratio test of a smaller model within a larger one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LikelihoodRatio {
    /// How much the criterion falls.
    pub chi_squared: f64,
    /// Parameters that the larger model has more.
    pub df: usize,
    /// P(χ² > chi_squared) with `df` degrees of freedom. Where variances are tested it is too large.
    pub p_value: f64,
    /// Number of variances that are zero in the smaller model.
    pub variances_tested: usize,
    /// The p value by the mixture of χ² that belongs to a variance at its boundary, where it is known.
    pub boundary: Option<Mixture>,
}

/// An equal mixture of χ² distributions.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Mixture {
    /// Degrees of freedom of its parts.
    pub df: [usize; 2],
    /// P(mixture > chi_squared).
    pub p_value: f64,
}

/// Why a likelihood ratio is no test.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum NoTest {
    /// Neither model is a special case of the other, by their formulas.
    #[error("neither model is a special case of the other")]
    NotNested,
    /// The criteria of REML fits with different fixed effects are of different data.
    #[error("restricted likelihoods of models with different fixed effects cannot be compared")]
    RestrictedLikelihoods,
    /// One is by REML, one by ML.
    #[error("one is a fit by REML and one by ML")]
    Methods,
}

impl Candidate<'_> {
    /// Whether the criteria of both can be set side by side: they are likelihoods of the same thing.
    pub fn comparable(&self, other: &Candidate<'_>) -> Result<(), NoTest> {
        if self.fit.method != other.fit.method {
            return Err(NoTest::Methods);
        }
        let same = self.fixed_within(other) && other.fixed_within(self);
        match self.fit.method {
            Method::Reml if !same => Err(NoTest::RestrictedLikelihoods),
            _ => Ok(()),
        }
    }

    /// Tests this model within a larger one.
    ///
    /// Where exactly one variance is tested, `chi_squared` has half the time one degree of freedom
    /// less, for the variance is estimated as zero then and its covariances are gone with it (Self and
    /// Liang 1987, case 6; Stram and Lee 1994, cases 1 to 3). The other parameters of the smaller
    /// model must lie inside of their space.
    pub fn within(&self, larger: &Candidate<'_>) -> Result<LikelihoodRatio, NoTest> {
        self.comparable(larger)?;
        let df = larger.fit.n_parameters.saturating_sub(self.fit.n_parameters);
        if df == 0 || !self.fixed_within(larger) || !self.random_within(larger) {
            return Err(NoTest::NotNested);
        }
        let chi_squared = (self.fit.criterion - larger.fit.criterion).max(0.0);
        let variances = |recipe: &Recipe| recipe.random.iter().map(|term| term.columns.len()).sum::<usize>();
        let variances_tested = variances(larger.recipe).saturating_sub(variances(self.recipe));
        let boundary = (variances_tested == 1 && self.fit.status == Status::Converged).then(|| Mixture {
            df: [df - 1, df],
            p_value: 0.5 * (chi_squared_tail(chi_squared, df - 1) + chi_squared_tail(chi_squared, df)),
        });
        let p_value = chi_squared_tail(chi_squared, df);
        Ok(LikelihoodRatio { chi_squared, df, p_value, variances_tested, boundary })
    }

    /// Whether the other model's X spans this one's.
    fn fixed_within(&self, other: &Candidate<'_>) -> bool {
        let span = Span::of_x(other.recipe);
        self.recipe.x.iter().all(|x| span.has(&self.recipe.columns[x.column].atoms, self.recipe))
    }

    /// Whether every random term is a part of one of the other model's on the same groups.
    fn random_within(&self, other: &Candidate<'_>) -> bool {
        let grouping = |recipe: &Recipe, term: &RandomSpec| recipe.groupings[term.grouping].name.clone();
        self.recipe.random.iter().all(|term| {
            let name = grouping(self.recipe, term);
            other.recipe.random.iter().filter(|theirs| grouping(other.recipe, theirs) == name).any(|theirs| {
                let span = Span::of_columns(other.recipe, &theirs.columns);
                term.columns.iter().all(|&c| span.has(&self.recipe.columns[c].atoms, self.recipe))
            })
        })
    }
}
