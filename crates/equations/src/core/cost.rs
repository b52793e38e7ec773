//! What the equations of a crossed design cost, from the shapes alone.

use super::plan::CrossedPlan;
use super::structure::CoreRoute;
use tiers_moments::Crossed;

/// Operations and memory of a crossed design. An operation is one multiplication and one addition.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CrossedCost {
    /// The layout of the core.
    pub route: CoreRoute,
    /// Number of effects of the core, c.
    pub core_effects: usize,
    /// Pairs of a leaf group and a core group that share rows.
    pub crossings: usize,
    /// Entries of the factor of the core.
    pub factor_entries: f64,
    /// Operations of an evaluation with derivatives.
    pub evaluation: f64,
    /// Operations of the second derivatives.
    pub curvature: f64,
    /// Bytes of the workspace of evaluations, which also the random effects need.
    pub evaluation_bytes: f64,
    /// Bytes of second derivatives, those of evaluations included: whole matrices, whatever the layout.
    pub curvature_bytes: f64,
}

impl CrossedPlan {
    /// Returns the cost of the equations of a design.
    pub fn cost(&self, design: &Crossed) -> CrossedCost {
        let (c, r, m) = (self.effects as f64, self.r as f64, self.m as f64);
        // Pairs of effects that the elimination of each leaf group joins, and pairs of a leaf effect and a core effect.
        let (mut joined, mut met) = (0.0, 0.0);
        for shard in &design.leaf {
            for w in shard.starts.windows(2) {
                let effects = (shard.block_starts[w[1]] - shard.block_starts[w[0]]) as f64 / r;
                joined += r * effects * effects;
                met += r * effects;
            }
        }
        let (cube, square) = (c * c * c, 8.0 * c * c);
        let (factor_entries, factor, matrices) = match &self.structure {
            None => (c * (c + 1.0) / 2.0, cube / 6.0, 3.0 * square),
            Some(structure) => {
                let entries = structure.supernodal.entries() as f64;
                // L and the inverse by supernodes; four matrices and an index on the pattern.
                let on_pattern = structure.pattern.rows.len() as f64;
                (entries, structure.supernodal.operations(), 16.0 * entries + 56.0 * on_pattern)
            }
        };
        // Factor, inverse; the leaf on the way down and up; the rows of C.
        let evaluation = 3.0 * factor + joined + met * m * 3.0;
        // E'Q for each pair of the leaf's coefficients, and the explained parts.
        let curvature = cube / 2.0 + r * r * cube + joined * (1.0 + r * r);
        let groups: f64 = design.leaf.iter().map(|shard| shard.groups as f64).sum();
        let evaluation_bytes = matrices + 16.0 * groups * r * r + 24.0 * c * m;
        CrossedCost {
            route: self.route(),
            core_effects: self.effects,
            crossings: self.crossings(),
            factor_entries,
            evaluation,
            curvature,
            evaluation_bytes,
            curvature_bytes: evaluation_bytes + (5.0 + r * r) * square + 8.0 * groups * r * m,
        }
    }
}
