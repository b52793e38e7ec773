//! The simulation: a validated specification, with names resolved to numbers.

use crate::id::IdStyle;
use crate::sizes::Sizes;
use crate::spec::LinkSpec;

/// Name of the constant term, as in a fit.
pub(crate) const INTERCEPT: &str = "(Intercept)";

/// A validated specification, ready to be simulated.
#[derive(Clone, Debug)]
pub struct Simulation {
    pub(crate) seed: u64,
    pub(crate) limit: Limit,
    pub(crate) shuffle: bool,
    /// Coarsest first; at least one.
    pub(crate) levels: Vec<Level>,
    pub(crate) covariates: Vec<Covariate>,
    pub(crate) response: Response,
    /// The fixed intercept.
    pub(crate) intercept: f64,
    pub(crate) interactions: Vec<Interaction>,
    /// Number of groups of the coarsest level in a block.
    pub(crate) groups_per_block: u64,
}

/// The amount of data to simulate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// The number of rows; the last groups may be incomplete.
    Rows(u64),
    /// The number of groups of the coarsest level, all complete.
    Groups(u64),
}

/// The response.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub name: String,
    pub distribution: Distribution,
    pub missing: f64,
}

/// Distribution of the response given the linear predictor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Distribution {
    /// Normal, with this residual standard deviation.
    Gaussian(f64),
    /// 0 or 1.
    Binomial(LinkSpec),
    /// Counts.
    Poisson,
}

/// A level of the nest.
#[derive(Clone, Debug)]
pub(crate) struct Level {
    pub name: String,
    pub id: IdStyle,
    pub reuse_ids: bool,
    pub sizes: Sizes,
    pub random: Random,
}

/// The random effects of a level.
#[derive(Clone, Debug, Default)]
pub(crate) struct Random {
    pub terms: Vec<Term>,
    pub sds: Vec<f64>,
    pub correlation: Vec<Vec<f64>>,
    /// Lower triangle by rows, such that factor · factor' is the covariance matrix.
    pub factor: Vec<Vec<f64>>,
}

/// What a random effect multiplies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Term {
    Intercept,
    /// Slope of the covariate with this number.
    Slope(usize),
}

/// A covariate.
#[derive(Clone, Debug)]
pub(crate) struct Covariate {
    pub name: String,
    pub kind: Kind,
    /// Level within whose groups it is constant; `None` if it varies by row.
    pub level: Option<usize>,
    pub missing: f64,
    /// Whether the specification gives it a fixed effect, which may be zero.
    pub in_formula: bool,
    /// Fixed effect of a numeric covariate.
    pub coefficient: f64,
}

/// Kind of a covariate, with its parameters.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Normal {
        mean: f64,
        sd: f64,
        /// Levels, and the standard deviation between their groups.
        between: Vec<(usize, f64)>,
        /// Preceding covariates, with their coefficients.
        depends_on: Vec<(usize, f64)>,
    },
    Binary {
        probability: f64,
    },
    Categorical {
        labels: Vec<String>,
        probabilities: Vec<f64>,
        /// Level whose groups differ in the probabilities, and the concentration of the Dirichlet distribution.
        varies_by: Option<(usize, f64)>,
        /// Fixed effects by label.
        effects: Vec<f64>,
    },
    /// Number of rows in the group of the covariate's level.
    GroupSize,
}

/// The fixed effect of a product of two numeric covariates.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Interaction {
    pub covariates: [usize; 2],
    pub coefficient: f64,
}

impl Term {
    /// Returns the name of the term, as in a fit.
    pub(crate) fn name(self, covariates: &[Covariate]) -> &str {
        match self {
            Term::Intercept => INTERCEPT,
            Term::Slope(covariate) => &covariates[covariate].name,
        }
    }
}

impl Covariate {
    pub(crate) fn is_numeric(&self) -> bool {
        !matches!(self.kind, Kind::Categorical { .. })
    }
}

impl Simulation {
    /// The amount of data to simulate.
    pub fn limit(&self) -> Limit {
        self.limit
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Whether the rows should be in random order. Blocks are sorted in either case.
    pub fn shuffle(&self) -> bool {
        self.shuffle
    }

    pub(crate) fn finest(&self) -> usize {
        self.levels.len() - 1
    }
}
