//! What can go wrong in the equations, and where.

use tiers_design::Recipe;
use tiers_moments::{Forest, group_labels};

/// Where an unknown stands: one effect of one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Level, finest first.
    pub level: usize,
    /// Name of the level.
    pub name: String,
    /// Shard, an index into [`Forest::trees`].
    pub shard: usize,
    /// Group, as numbered within the level of the shard.
    pub group: usize,
    /// Effect of the group, a position in the level's z.
    pub effect: usize,
}

impl Place {
    /// The place in the user's words: `effect year of childid 2007`.
    pub fn describe(&self, recipe: &Recipe, forest: &Forest) -> String {
        let level = &forest.levels[self.level];
        let effect = &recipe.columns[level.z[self.effect]].name;
        let labels = forest.trees[self.shard].labels_of(self.level, self.group, forest.labels.len());
        let labels = group_labels(recipe, &forest.labels, level.grouping, labels);
        format!("effect {effect} of {} {}", self.name, labels.join(":"))
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Place { name, shard, group, effect, .. } = self;
        write!(f, "effect {} of group {} of {name} (shard {shard})", effect + 1, group + 1)
    }
}

/// Why the equations could not be set up or solved.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum EquationsError {
    /// A pivot of the factorisation is not a positive number. In theory every pivot is 1 or more.
    #[error(
        "the mixed-model equations have the pivot {value} at {place}, where theory has 1 or more: \
         a covariance factor or a column there is not finite, or so large that all digits are lost"
    )]
    Pivot {
        /// Whose pivot it is.
        place: Place,
        /// The pivot.
        value: f64,
    },
    /// A shard has more entries than its indices can count.
    #[error(
        "the equations of one shard have {entries} entries, more than its indices can count (2^32): use more shards"
    )]
    TooLarge {
        /// Entries of the upper triangle of A.
        entries: usize,
    },
    /// A relative covariance has no inverse, which the textbook form of the equations needs.
    #[error(
        "the covariance of the random effects of {level} is singular (its effect {} adds no variance of its own), \
         so the equations with its inverse do not exist; those in spherical effects do", effect + 1
    )]
    SingularCovariance {
        /// Name of the level.
        level: String,
        /// The effect, a position in the level's z, that those before it determine.
        effect: usize,
    },
    /// `X'V⁻¹X` is not positive definite.
    #[error("X'V⁻¹X is not positive definite: columns of X depend on each other, or digits are lost")]
    SingularFixedEffects,
}
