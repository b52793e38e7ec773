//! Block LDL' elimination along the trees of the nest, without sparse index structures.
//!
//! Henderson's matrix `A = Λ'Z'WZΛ + I` of a nest is eliminated group by group, finest level first. The
//! ancestors of a group are already adjacent to each other, so there is no fill-in. With
//! `C = [X, further z columns, y]` and `G_k = Λ_k Λ_k'`, a group g of level k is eliminated by
//!
//! ```text
//! N_g = Z_g' V_<k⁻¹ C            r×m, its moments after the elimination of the levels below k
//! T_g = (I + N_g[z] G_k)⁻¹       r×r, N_g[z] being the columns of N_g at its own z
//! K_g = G_k T_g
//! Y_g = T_g N_g                  = Z_g' V_≤k⁻¹ C
//! log|A| += log|I + N_g[z] G_k|
//! S      -= N_g' K_g N_g         from C'WC to the Schur complement C'V⁻¹C
//! ```
//!
//! (T_g is the `J_g` of `docs/theory.md`). From the rows `N_a[c]` of its ancestors, `N_g[c]' K_g N_g` is
//! subtracted; if c is also a z column of level k, the rows are instead summed from `Y_g`, which avoids
//! cancellation. See `docs/theory.md`, "Elimination".

pub(crate) mod contraction;
mod curvature;
mod eliminated;
mod evaluate;
mod group;
mod path;
mod single;
pub(crate) mod small;
mod walk;

pub use curvature::{Curvature, CurvatureAt, Direction};
pub use eliminated::Eliminated;
pub use evaluate::{Derivatives, Sums, TreeScratch};

use tiers_moments::{Forest, Level, RowSource, Tree};

/// Update of one z row of an ancestor when a group of a level is eliminated.
#[derive(Clone, Copy, Debug)]
enum Action {
    /// None, because a level in between passes the contribution on.
    None,
    /// Adds row `t` of its `Y_g`.
    AddRow(usize),
    /// Subtracts `N_g[c]' K_g N_g`, where c is a column of C.
    Subtract(usize),
}

/// Shapes of all levels and the updates between them, found once and used for all trees.
#[derive(Clone, Debug)]
pub struct TreePlan {
    m: usize,
    levels: Vec<LevelPlan>,
}

#[derive(Clone, Debug)]
struct LevelPlan {
    r: usize,
    z: Vec<usize>,
    source: Vec<RowSource>,
    stored: usize,
    /// For each coarser level, nearest first, the update of each of its z rows.
    actions: Vec<Vec<Action>>,
    /// z columns of the coarser levels, nearest first.
    za: Vec<usize>,
}

impl TreePlan {
    /// Plans the elimination of a forest.
    pub fn new(forest: &Forest) -> Self {
        let plan = |(k, level): (usize, &Level)| LevelPlan {
            r: level.r(),
            z: level.z.clone(),
            source: level.source.clone(),
            stored: level.source.iter().filter(|s| matches!(s, RowSource::Stored(_))).count(),
            actions: forest.levels[k + 1..].iter().map(|above| actions(k, above)).collect(),
            za: forest.levels[k + 1..].iter().flat_map(|above| above.z.iter().copied()).collect(),
        };
        TreePlan { m: forest.m, levels: forest.levels.iter().enumerate().map(plan).collect() }
    }

    /// Returns the plan of the same elimination over some columns of C and one more, the last, for the
    /// residuals. The columns must include all z.
    fn reduced(&self, columns: &[usize]) -> TreePlan {
        let at = |c: usize| columns.iter().position(|&column| column == c).expect("z columns are kept");
        let action = |action: &Action| match *action {
            Action::Subtract(c) => Action::Subtract(at(c)),
            other => other,
        };
        let level = |level: &LevelPlan| LevelPlan {
            r: level.r,
            z: level.z.iter().map(|&c| at(c)).collect(),
            source: level.source.clone(),
            stored: level.stored,
            actions: level.actions.iter().map(|rows| rows.iter().map(action).collect()).collect(),
            za: level.za.iter().map(|&c| at(c)).collect(),
        };
        TreePlan { m: columns.len() + 1, levels: self.levels.iter().map(level).collect() }
    }

    /// Returns the columns of C that are z of some level, in order.
    fn z_columns(&self) -> Vec<usize> {
        let mut columns: Vec<usize> = self.levels.iter().flat_map(|level| level.z.iter().copied()).collect();
        columns.sort_unstable();
        columns.dedup();
        columns
    }

    /// Returns the number of random coefficients per group of each level, finest first.
    pub fn r(&self) -> impl Iterator<Item = usize> {
        self.levels.iter().map(|level| level.r)
    }
}

impl LevelPlan {
    /// Returns the size of a path: the number of effects of a group and all its ancestors.
    fn path(&self) -> usize {
        self.r + self.za.len()
    }
}

/// Returns the updates of the z rows of an ancestor of level `above` by a group of level k.
fn actions(k: usize, above: &Level) -> Vec<Action> {
    let action = |(&column, source): (&usize, &RowSource)| match *source {
        RowSource::Sum(from, row) if from == k => Action::AddRow(row),
        RowSource::Sum(from, _) if from > k => Action::None,
        _ => Action::Subtract(column),
    };
    above.z.iter().zip(&above.source).map(action).collect()
}

/// Returns the ancestors of a group as (level, group), nearest first, by following the parents.
#[inline(always)]
pub(crate) fn ancestors<'a>(tree: &'a Tree, level: usize, group: usize) -> impl Iterator<Item = (usize, usize)> + 'a {
    let mut at = group;
    (level..tree.levels.len() - 1).map(move |k| {
        at = tree.levels[k].parent[at] as usize;
        (k + 1, at)
    })
}
