//! Compares fits of the same data by likelihood ratio tests.

use crate::estimate::Status;
use crate::fit::Fit;
use crate::inference::chi_squared_tail;
use crate::objective::Method;
use serde::Serialize;
use tiers_design::{RandomSpec, Recipe, Span};

/// A fit with its design, as far as comparisons need it.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// REML or ML.
    pub method: Method,
    /// -2 log-likelihood.
    pub criterion: f64,
    /// Number of parameters.
    pub n_parameters: usize,
    /// Whether the fit lies in the interior of the parameter space.
    pub is_interior: bool,
    /// The design.
    pub recipe: &'a Recipe,
}

impl<'a> Candidate<'a> {
    /// Takes what is needed from a linear fit.
    pub fn of(fit: &Fit, recipe: &'a Recipe) -> Candidate<'a> {
        let is_interior = fit.status == Status::Converged;
        Candidate { method: fit.method, criterion: fit.criterion, n_parameters: fit.n_parameters, is_interior, recipe }
    }
}

/// A likelihood ratio test of a smaller model within a larger one.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LikelihoodRatio {
    /// Difference of the criteria.
    pub chi_squared: f64,
    /// Number of additional parameters of the larger model.
    pub df: usize,
    /// P(χ² > chi_squared) with `df` degrees of freedom; too large where variances are tested.
    pub p_value: f64,
    /// Number of variances that are zero in the smaller model.
    pub variances_tested: usize,
    /// Test by the mixture of χ² distributions for a variance on the boundary, where it is known.
    pub boundary: Option<Mixture>,
}

/// An equal mixture of χ² distributions.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Mixture {
    /// Degrees of freedom of the two components.
    pub df: [usize; 2],
    /// P(mixture > chi_squared).
    pub p_value: f64,
}

/// Why two fits cannot be tested by their likelihood ratio.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum NoTest {
    /// Neither model is a special case of the other, by their formulas.
    #[error("neither model is a special case of the other")]
    NotNested,
    /// Restricted likelihoods with different fixed effects are densities of different contrasts.
    #[error("restricted likelihoods of models with different fixed effects cannot be compared")]
    RestrictedLikelihoods,
    /// One fit is by REML, the other by ML.
    #[error("one is a fit by REML and one by ML")]
    Methods,
}

impl Candidate<'_> {
    /// Checks that the criteria of both fits are comparable: likelihoods of the same contrasts of the data.
    pub fn comparable(&self, other: &Candidate<'_>) -> Result<(), NoTest> {
        if self.method != other.method {
            return Err(NoTest::Methods);
        }
        let same = self.fixed_within(other) && other.fixed_within(self);
        match self.method {
            Method::Reml if !same => Err(NoTest::RestrictedLikelihoods),
            _ => Ok(()),
        }
    }

    /// Tests this model within a larger one.
    ///
    /// Where exactly one variance is tested, `chi_squared` has one degree of freedom less half of the
    /// time, since the variance, and its covariances with it, are then estimated as zero (Self and
    /// Liang 1987, case 6; Stram and Lee 1994, cases 1 to 3). The other parameters of the smaller
    /// model must lie in the interior of the parameter space.
    pub fn within(&self, larger: &Candidate<'_>) -> Result<LikelihoodRatio, NoTest> {
        self.comparable(larger)?;
        let df = larger.n_parameters.saturating_sub(self.n_parameters);
        if df == 0 || !self.fixed_within(larger) || !self.random_within(larger) {
            return Err(NoTest::NotNested);
        }
        let chi_squared = (self.criterion - larger.criterion).max(0.0);
        let variances = |recipe: &Recipe| recipe.random.iter().map(|term| term.columns.len()).sum::<usize>();
        let variances_tested = variances(larger.recipe).saturating_sub(variances(self.recipe));
        let boundary = (variances_tested == 1 && self.is_interior).then(|| Mixture {
            df: [df - 1, df],
            p_value: 0.5 * (chi_squared_tail(chi_squared, df - 1) + chi_squared_tail(chi_squared, df)),
        });
        let p_value = chi_squared_tail(chi_squared, df);
        Ok(LikelihoodRatio { chi_squared, df, p_value, variances_tested, boundary })
    }

    /// Whether the other model's X spans this one's.
    fn fixed_within(&self, other: &Candidate<'_>) -> bool {
        let span = Span::of_x(other.recipe);
        self.recipe.x.iter().all(|x| span.express(&self.recipe.product(x.column)).is_some())
    }

    /// Whether every random term is part of a term of the other model with the same grouping.
    fn random_within(&self, other: &Candidate<'_>) -> bool {
        let grouping = |recipe: &Recipe, term: &RandomSpec| recipe.groupings[term.grouping].name.clone();
        self.recipe.random.iter().all(|term| {
            let name = grouping(self.recipe, term);
            other.recipe.random.iter().filter(|theirs| grouping(other.recipe, theirs) == name).any(|theirs| {
                let span = Span::new(other.recipe, theirs.columns.iter().copied());
                term.columns.iter().all(|&c| span.express(&self.recipe.product(c)).is_some())
            })
        })
    }
}
