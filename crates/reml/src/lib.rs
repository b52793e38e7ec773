//! REML and ML fits of nested linear mixed models, from moments (the sufficient statistics).
//!
//! A fit takes five steps: [`tiers_moments::accumulate`] sums rows to moments; [`build_model`] builds a
//! [`Model`] from moments; [`Objective`] evaluates the criterion and its derivatives at covariances of the random effects;
//! [`optimise`] minimises it; [`Fit`] holds the results as plain data. [`fit_moments`] does all but the
//! first.

mod bootstrap;
mod build_model;
mod compare;
mod components;
mod diagnosis;
mod effects;
mod estimate;
mod explained;
mod fit;
mod fit_moments;
mod fitted;
mod inference;
mod influence;
mod model;
mod newton;
mod notes;
mod objective;
mod order;
mod parameters;
mod predict;
mod profile;
mod solver;
mod threads;
mod wald_intervals;
mod watched;

pub use bootstrap::{Bootstrap, BootstrapSettings, IntervalType, Quantity, Replicate, bootstrap};
pub use build_model::{BuildError, build_generalised, build_model};
pub use compare::{Candidate, LikelihoodRatio, Mixture, NoTest};
pub use components::{Component, Icc, WaldScale, wald_interval};
pub use diagnosis::{Diagnosis, Weak};
pub use effects::{EffectsError, KeyColumn, KeyLabels, LevelEffects, keys_of, random_effects};
pub use estimate::boundary::nearly_singular;
pub use estimate::{
    Optimum, SearchError, SearchObserver, Status, Trial, find_optimum, optimise, optimise_from, optimise_while,
};
pub use explained::{DesignEffect, LevelVariance, RSquared};
pub use fit::{FactorLevels, Fit, FixedEffect, LevelSize, OptimizerReport, VarianceComponent, Variances, factors};
pub use fit_moments::{FitError, FitSeconds, FitSettings, FittedModel, check_core, fit_moments};
pub use fitted::{FittedError, FittedRows, FittedValues};
pub use inference::{
    AnovaType, Averaging, DfMethod, FTest, FixedInference, FixedModel, Grid, Inference, KenwardRoger, LinearError,
    LinearHypothesis, Margin, MarginalMean, MeanDifference, MeansError, OneCluster, Robust, RobustError, Sandwich,
    Satterthwaite, Setting, TTest, TermTest, chi_squared_tail, holm_adjusted, normal_quantile, pairwise,
};
pub use influence::{Influence, WithoutGroup};
pub use model::{Model, ModelError};
pub use newton::{Criterion, Minimum, Settings as NewtonSettings, Step, minimise};
pub use notes::of_model as notes_of_model;
pub use objective::{Evaluation, Method, Objective, SecondDerivatives};
pub use parameters::{Entry, Parameters, lower_triangular};
pub use predict::{
    EffectsMismatch, Figures, FixedPart, Interval, IntervalKind, LinearRows, PredictError, PredictedRows,
    PredictionErrors, Predictor,
};
pub use profile::{Curve, End, Profile, ProfileError, ProfilePoint, Target, profile};
pub use solver::{Route, Solver};
pub use threads::use_threads;
pub use wald_intervals::{
    WaldInterval, of_coefficients as wald_intervals_of_coefficients, of_components as wald_intervals_of_components,
    wald_intervals,
};
