//! Errors of the equations, with their place.

use tiers_design::Recipe;
use tiers_moments::{GroupPlace, Structure};

/// Place of an unknown: one effect of one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Index of the level, finest first.
    pub level: usize,
    /// Name of the level.
    pub name: String,
    /// Shard, an index into the trees of a nest.
    pub shard: usize,
    /// Group, as numbered within the level of the shard.
    pub group: usize,
    /// Effect of the group, a position in the level's z.
    pub effect: usize,
}

impl Place {
    /// Describes the place with the names and labels of the data: `effect year of childid 2007`.
    pub fn describe(&self, recipe: &Recipe, structure: &Structure) -> String {
        let Place { level, ref name, shard, group, effect } = *self;
        let effect = &recipe.columns[structure.levels()[level].z[effect]].name;
        format!("effect {effect} of {name} {}", structure.group_name(level, GroupPlace { shard, group }))
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Place { name, shard, group, effect, .. } = self;
        write!(f, "effect {} of group {} of {name} (shard {shard})", effect + 1, group + 1)
    }
}

/// Reasons why the equations could not be set up or solved.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum EquationsError {
    /// A pivot of the factorisation is not a positive number. In theory every pivot is at least 1.
    #[error(
        "the mixed-model equations have the pivot {value} at {place}, where theory requires at least 1: \
         a covariance factor or a column there is not finite, or so large that all digits are lost"
    )]
    Pivot {
        /// The unknown of the pivot.
        place: Place,
        /// The pivot.
        value: f64,
    },
    /// The core of a crossed design is not positive definite in floating point, which it is in theory.
    #[error(
        "the equations of the crossed random effects are not positive definite in floating point: a covariance \
         factor or a column is not finite, or so large that all digits are lost"
    )]
    Core,
    /// A shard has more entries than its indices can count.
    #[error(
        "the equations of one shard have {entries} entries, more than its indices can count (2^32): use more shards"
    )]
    TooLarge {
        /// Number of entries of the upper triangle of A.
        entries: usize,
    },
    /// A relative covariance is singular, but the textbook form of the equations needs its inverse.
    #[error(
        "the covariance of the random effects of {level} is singular (its effect {} adds no variance of its own), \
         so the equations with its inverse do not exist; those in spherical effects do", effect + 1
    )]
    SingularCovariance {
        /// Name of the level.
        level: String,
        /// The effect that the effects before it determine, as a position in the level's z.
        effect: usize,
    },
    /// `X'V⁻¹X` is not positive definite.
    #[error("X'V⁻¹X is not positive definite: columns of X depend on each other, or digits are lost")]
    SingularFixedEffects,
}
