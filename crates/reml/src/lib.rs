//! REML and ML fits of nested linear mixed models, from moments (the sufficient statistics).
//!
//! A fit takes five steps: [`accumulate`] sums rows to moments; [`settle`] builds a [`Model`] from
//! moments; [`Objective`] evaluates the criterion and its derivatives at theta; [`optimise`] minimises
//! it; [`Fit`] holds the results as plain data.

mod blocks;
mod bootstrap;
mod clusters;
mod collect;
mod compare;
mod components;
mod diagnosis;
mod effects;
mod estimate;
mod explained;
mod fit;
mod fitted;
mod frames;
mod in_order;
mod inference;
mod influence;
mod ingest;
mod many;
mod memory;
mod model;
mod newton;
mod notes;
mod objective;
mod pace;
mod parameters;
mod parts;
mod predict;
mod profile;
mod read_times;
mod settle;
mod span;
mod threads;
mod watched;

pub use blocks::PassError;
pub use bootstrap::{Bootstrap, BootstrapSettings, Draws, IntervalType, Quantity, Replicate, Simulator, bootstrap};
pub use clusters::{ClusterError, ClusterMoments, cluster_level};
pub use compare::{Candidate, LikelihoodRatio, Mixture, NoTest};
pub use components::{Component, Icc, WaldScale, wald_interval};
pub use diagnosis::{Diagnosis, Weak};
pub use effects::{EffectsError, KeyColumn, KeyLabels, LevelEffects, random_effects};
pub use estimate::{
    Optimum, SearchError, SearchObserver, Status, ThetaPath, find_optimum, optimise, optimise_from, optimise_while,
};
pub use explained::{DesignEffect, LevelVariance, RSquared};
pub use fit::{Covariances, FactorLevels, Fit, FixedEffect, LevelSize, OptimizerReport, VarianceComponent};
pub use fitted::{FittedError, FittedRows, FittedValues};
pub use frames::CheckpointError;
pub use inference::{
    AnovaType, Averaging, DfMethod, FTest, FixedInference, FixedModel, Grid, Inference, KenwardRoger, LinearError,
    LinearHypothesis, Margin, MarginalMean, MeanDifference, MeansError, OneCluster, Robust, RobustError, Sandwich,
    Satterthwaite, Setting, TTest, TermTest, chi_squared_tail, holm_adjusted, normal_quantile, pairwise,
};
pub use influence::{Influence, WithoutGroup};
pub use ingest::{Dropped, IngestError, Ingested, ReadObserver, Reading, accumulate, accumulate_with};
pub use many::{Checkpoint, Code, Partitions, PassState, Shared, Wanted, accumulate_many};
pub use memory::{Further, MemoryError, MemoryLimit, Needed, RoomError, Size, Until, in_words};
pub use model::{Model, ModelError};
pub use newton::{Criterion, Minimum, Settings as NewtonSettings, Step, minimise};
pub use objective::{Evaluation, Method, Objective, Scratch, SecondDerivatives};
pub use parameters::{Entry, Parameters};
pub use parts::{Part, merge};
pub use predict::{
    EffectsMismatch, FixedPart, Interval, IntervalKind, PredictError, PredictedRows, PredictionErrors, Predictor,
};
pub use profile::{Curve, End, Profile, ProfileError, ProfilePoint, Target, profile};
pub use read_times::ReadTimes;
pub use settle::settle;
pub use threads::use_threads;
