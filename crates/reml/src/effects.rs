//! Random effects with their variances: conditional modes (BLUPs) by sparse LDL'.
//!
//! The search eliminates group by group. Here, at the optimum, the same equations are factored again by a
//! general sparse method, and every fit checks that both give the same criterion. (The effects of a crossed design
//! come from the elimination, and one whose core is large is not checked.)

use crate::estimate::Optimum;
use crate::model::Model;
use crate::objective::Objective;
use crate::order::by_groups;
pub use tiers_design::Dictionary as KeyLabels;
use tiers_equations::{EquationsError, LevelModes, Sums};
use tiers_moments::GroupPlace;

/// Why random effects could not be computed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EffectsError {
    /// The sparse equations could not be solved.
    #[error(transparent)]
    Equations(#[from] EquationsError),
    /// The two ways to compute the criterion disagree: one of them lost too many digits.
    #[error(
        "the likelihood cannot be computed to enough digits: -2 log L is {sparse} by sparse factorisation and {tree} \
         by elimination group by group. Either the data do not determine the variances (take out random slopes or a \
         level), or columns lose digits (centre and rescale them)"
    )]
    Disagreement {
        /// Criterion by sparse factorisation.
        sparse: f64,
        /// Criterion by elimination group by group.
        tree: f64,
    },
}

/// The random effects of one level, one row per group, sorted by the labels.
#[derive(Clone, Debug, PartialEq)]
pub struct LevelEffects {
    /// Name of the grouping.
    pub level: String,
    /// The grouping's key columns with the labels of every group.
    pub keys: Vec<KeyColumn>,
    /// Names of the r coefficients.
    pub terms: Vec<String>,
    /// Rows of data per group.
    pub rows: Vec<u64>,
    /// Conditional modes of b, groups×r.
    pub estimate: Vec<f64>,
    /// sd(b | y) at the estimated β and theta (lme4's condVar), groups×r.
    pub conditional_sd: Vec<f64>,
    /// sd(b̂ - b), β's uncertainty included: root of Henderson's prediction error variance, groups×r.
    pub prediction_sd: Vec<f64>,
}

/// The labels of one key column.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyColumn {
    /// Name of the column.
    pub name: String,
    /// One label per group.
    pub labels: KeyLabels,
}

/// Computes the random effects of all levels, in the order of [`crate::Fit::levels`].
pub fn random_effects(objective: &Objective<'_>, optimum: &Optimum) -> Result<Vec<LevelEffects>, EffectsError> {
    let (model, at) = (objective.model(), &optimum.at);
    let effects = model.equations.effects(&at.covariances, &at.fixed, &model.effect_maps())?;
    check_criterion(objective, optimum, effects.sums.as_ref())?;
    let sigma2 = at.fixed.pwrss / objective.nu();
    let mut levels: Vec<Option<LevelModes>> = effects.levels.into_iter().map(Some).collect();
    let of_level = |k: usize| LevelEffects::new(model, k, levels[k].take().expect("each level once"), sigma2);
    Ok(by_groups(model.levels()).into_iter().rev().map(of_level).collect())
}

impl LevelEffects {
    /// Names the effects of a level, and scales their variances by σ².
    fn new(model: &Model, k: usize, effects: LevelModes, sigma2: f64) -> Self {
        let level = &model.levels()[k];
        let roots = |mut variances: Vec<f64>| {
            variances.iter_mut().for_each(|v| *v = (sigma2 * v.max(0.0)).sqrt());
            variances
        };
        LevelEffects {
            level: level.name.clone(),
            keys: keys_of(model, k, &effects.groups),
            terms: level.terms.iter().flat_map(|&(term, _)| model.recipe.random[term].names.clone()).collect(),
            rows: model.structure().group_rows(k, &effects.groups),
            estimate: effects.modes,
            conditional_sd: roots(effects.conditional),
            prediction_sd: roots(effects.prediction),
        }
    }
}

/// Checks that the criterion at an optimum is the same by sparse factorisation and group by group.
pub(crate) fn check_two_routes(objective: &Objective<'_>, optimum: &Optimum) -> Result<(), EffectsError> {
    let sums = objective.model().equations.sums_by_sparse_route(&optimum.at.covariances)?;
    check_criterion(objective, optimum, sums.as_ref())
}

/// Checks that the sums of the sparse route, if there are any, give the criterion that was minimised.
fn check_criterion(objective: &Objective<'_>, optimum: &Optimum, sums: Option<&Sums>) -> Result<(), EffectsError> {
    let Some(sums) = sums else { return Ok(()) };
    let sparse = objective.finish(&optimum.at.covariances, sums, &objective.model().totals()).criterion;
    if !sparse.is_finite() {
        return Err(EquationsError::SingularFixedEffects.into());
    }
    let tree = optimum.at.criterion;
    match (sparse - tree).abs() <= 1e-7 * (objective.nu() + tree.abs()) {
        true => Ok(()),
        false => Err(EffectsError::Disagreement { sparse, tree }),
    }
}

/// The labels of some groups of level k.
pub fn keys_of(model: &Model, k: usize, groups: &[GroupPlace]) -> Vec<KeyColumn> {
    let names = model.levels()[k].key_names(&model.recipe);
    let labels = model.structure().group_labels(k, groups);
    names.zip(labels).map(|(name, labels)| KeyColumn { name: name.to_owned(), labels }).collect()
}
