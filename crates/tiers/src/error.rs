//! The errors of a fit and of questions to it.

use tiers_design::{DesignError, SourceError};
use tiers_glmm::GlmmError;
use tiers_moments::{ClusterError, IngestError};
use tiers_reml::{EffectsError, EffectsMismatch, FitError, MeansError, NoTest, PredictError, ProfileError};
use tiers_report::saved::RefitError;

/// Why there is no fit, or no answer to a question about one.
///
/// Every message says where, why and what to try. That a search did not converge is not an error but a
/// [`Status`](crate::Status) of the fit.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The columns do not make a table.
    #[error("{0}")]
    Table(String),
    /// The formula cannot be read, or does not go with the columns of the table.
    #[error(transparent)]
    Design(Box<DesignError>),
    /// The rows cannot be read, encoded or summed.
    #[error(transparent)]
    Rows(Box<IngestError>),
    /// The model cannot be fitted to these data: crossed groupings, a constant response, a single group,
    /// or data that do not determine the estimates.
    #[error(transparent)]
    Fit(Box<FitError>),
    /// The generalised model cannot be fitted to these data.
    #[error(transparent)]
    Glmm(Box<GlmmError>),
    /// The random effects by two routes differ.
    #[error(transparent)]
    Effects(Box<EffectsError>),
    /// A name that the fit does not have.
    #[error("the fit has no {what} {name}; it has {}", known.join(", "))]
    Unknown {
        /// `level`, `parameter` and the like.
        what: &'static str,
        /// The name.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// A setting outside its range.
    #[error("{0}")]
    Setting(String),
    /// Marginal means cannot be computed.
    #[error(transparent)]
    Means(Box<MeansError>),
    /// A hypothesis cannot be read.
    #[error("{0}")]
    Hypothesis(String),
    /// There is no profile likelihood.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// A row cannot be predicted.
    #[error(transparent)]
    Predict(Box<PredictError>),
    /// Random effects do not belong to the fit.
    #[error(transparent)]
    Mismatch(Box<EffectsMismatch>),
    /// The sums of whole groups cannot be computed.
    #[error(transparent)]
    Clusters(Box<ClusterError>),
    /// Two fits cannot be compared.
    #[error("{0}")]
    Compare(NoTest),
    /// A source of rows failed.
    #[error("{0}")]
    Source(SourceError),
    /// A question that needs the moments of the data was asked of a fit that was loaded from a folder, which
    /// does not hold them.
    #[error(
        "this fit was loaded from a folder, which does not hold the moments of its data: read the rows again by \
         Fit::with_rows, and ask the fit that it returns"
    )]
    NoMoments,
    /// The rows are not those of the fit.
    #[error(transparent)]
    Refit(#[from] RefitError),
    /// Files cannot be written or read.
    #[error("{0}")]
    Files(String),
}

/// Boxes the errors of the crates below, some of which are large.
macro_rules! boxed {
    ($($variant:ident($error:ty);)*) => {$(
        impl From<$error> for Error {
            fn from(error: $error) -> Error {
                Error::$variant(Box::new(error))
            }
        }
    )*};
}

boxed! {
    Design(DesignError);
    Rows(IngestError);
    Fit(FitError);
    Glmm(GlmmError);
    Effects(EffectsError);
    Means(MeansError);
    Predict(PredictError);
    Mismatch(EffectsMismatch);
    Clusters(ClusterError);
}

impl From<NoTest> for Error {
    fn from(error: NoTest) -> Error {
        Error::Compare(error)
    }
}
