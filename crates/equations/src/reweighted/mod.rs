//! Elimination within one top-level group for weights that change from step to step.
//!
//! The weights W of a generalised model depend on the random effects, so its moments change from step to
//! step. The caller computes `Z'WZ` of the finest groups, whose rows it holds, and passes it
//! in; nothing here is kept between top-level groups but memory.
//!
//! The *path* of a finest group is the list of its own random coefficients and those of the groups that
//! contain it, finest level first: `R = Σ_k r_k` numbers. Levels often share z columns (every level has an
//! intercept), so rows meet only the D distinct z columns ẑ: `z = E ẑ`, where E repeats them along the path
//! ([`PathShape::distinct`]). Everything that is summed over rows is in ẑ.
//!
//! With `L_k = Λ_k` (r×r), `G_k = L_k L_k'`, and N_g the moments of group g of level k after the elimination
//! of the levels below (rows and columns are the path from level k up):
//!
//! ```text
//! A_g = I + L'N_gg L = (Cholesky)      K_g = L A_g⁻¹ L'      J_g = I - N_gg K_g
//! N_parent += N_up - N_gu' K_g N_gu     log|A| += log|A_g|
//! ```
//!
//! See `docs/theory.md`, "Generalised models".

mod covariance;
mod factor;
mod group_tangent;
mod lanes;
mod paths;
mod small;
mod solve;
mod tangent;

pub use factor::Factor;
pub use lanes::{LANES, LaneSolution, Lanes, ZERO};
pub use paths::{Value, gather, spread};
pub use solve::Solution;
pub use tangent::{Tangent, TangentScratch};

use std::ops::Range;

/// Shape of the random coefficients along the path of a finest group.
#[derive(Clone, Debug, PartialEq)]
pub struct PathShape {
    /// Random coefficients per group of each level, finest first.
    r: Vec<usize>,
    /// Position of each level in the path, and R at the end.
    at: Vec<usize>,
    /// For each position in the path, the distinct z column.
    distinct: Vec<usize>,
    /// Number of distinct z columns.
    d: usize,
}

impl PathShape {
    /// Creates the shape of a path. `columns` are the z columns of each level, finest first, as numbers from 0
    /// to D - 1.
    ///
    /// # Panics
    /// If there is no level, or a number between 0 and the largest is missing.
    pub fn new(columns: &[Vec<usize>]) -> PathShape {
        assert!(!columns.is_empty(), "a model has a level");
        let r: Vec<usize> = columns.iter().map(Vec::len).collect();
        let mut at = vec![0];
        r.iter().for_each(|r| at.push(at[at.len() - 1] + r));
        let distinct: Vec<usize> = columns.concat();
        let d = distinct.iter().max().map_or(0, |max| max + 1);
        assert!((0..d).all(|c| distinct.contains(&c)), "the numbers of z columns are without gaps");
        PathShape { r, at, distinct, d }
    }

    /// Number of levels.
    pub fn levels(&self) -> usize {
        self.r.len()
    }

    /// Random coefficients per group of level k.
    pub fn r(&self, k: usize) -> usize {
        self.r[k]
    }

    /// Length of the path of a finest group, R.
    pub fn path(&self) -> usize {
        self.distinct.len()
    }

    /// Length of the path from level k upwards.
    pub fn path_from(&self, k: usize) -> usize {
        self.path() - self.at[k]
    }

    /// Number of distinct z columns, D.
    pub fn distinct(&self) -> usize {
        self.d
    }

    /// The distinct z column of each random coefficient of level k.
    pub fn columns(&self, k: usize) -> &[usize] {
        &self.distinct[self.at[k]..self.at[k + 1]]
    }

    /// The distinct z column of each position of the path from level k upwards.
    fn columns_from(&self, k: usize) -> &[usize] {
        &self.distinct[self.at[k]..]
    }
}

/// The groups within one top-level group (or several), numbered so that the groups of one parent are
/// consecutive.
#[derive(Clone, Debug)]
pub struct Groups<'a> {
    /// For each level but the finest, for each group the end of the range of its children; level k + 1's
    /// children are the groups of level k.
    ends: Vec<&'a [u32]>,
    /// Number that the first child of each level's first group has.
    base: Vec<u32>,
    /// Number of groups of each level.
    counts: Vec<usize>,
}

impl<'a> Groups<'a> {
    /// The groups in some consecutive top-level groups. `ends[k]` holds, for every group of level k + 1 of the
    /// whole data, the end of the range of its children in level k; the first range begins at 0.
    pub fn within(ends: &'a [Vec<u32>], top: Range<usize>) -> Groups<'a> {
        let levels = ends.len() + 1;
        let (mut range, mut out) =
            (top, Groups { ends: vec![&[]; ends.len()], base: vec![0; ends.len()], counts: vec![0; levels] });
        out.counts[levels - 1] = range.len();
        for k in (0..ends.len()).rev() {
            let first = if range.start == 0 { 0 } else { ends[k][range.start - 1] };
            out.ends[k] = &ends[k][range.clone()];
            out.base[k] = first;
            let last = out.ends[k].last().copied().unwrap_or(first);
            range = first as usize..last as usize;
            out.counts[k] = range.len();
        }
        out
    }

    /// Number of groups of level k.
    pub fn count(&self, k: usize) -> usize {
        self.counts[k]
    }

    /// The children, in level k, of group g of level k + 1.
    pub fn children(&self, k: usize, g: usize) -> Range<usize> {
        let start = if g == 0 { self.base[k] } else { self.ends[k][g - 1] };
        (start - self.base[k]) as usize..(self.ends[k][g] - self.base[k]) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_a_part_are_numbered_from_zero() {
        // Level 1 has three groups with children 0..2, 2..3, 3..6.
        let ends = vec![vec![2, 3, 6]];
        let groups = Groups::within(&ends, 1..3);
        assert_eq!((groups.count(0), groups.count(1)), (4, 2));
        assert_eq!((groups.children(0, 0), groups.children(0, 1)), (0..1, 1..4));
    }
}
