//! Whether the core is dense or sparse, and the pattern of a sparse one.

use super::plan::CrossedPlan;
use super::supernodal::{Pattern, Supernodal};
use rayon::prelude::*;
use tiers_moments::Crossed;

/// Effects up to which a core is dense whatever its pattern: its factor then takes some milliseconds.
const SMALL: usize = 1000;
/// Above this share of the entries of the lower triangle, a core is dense.
const FULL: f64 = 1.0 / 3.0;
/// How many times as many operations a second the dense factor does as the sparse one.
const DENSE_SPEED: f64 = 2.0;

/// The layout of the matrices of the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoreRoute {
    /// Whole matrices.
    Dense,
    /// The pattern of the groups that meet, in a fill-reducing order.
    Sparse,
}

/// The pattern of a sparse core, analysed.
#[derive(Debug)]
pub(super) struct Structure {
    pub(super) pattern: Pattern,
    pub(super) supernodal: Supernodal,
    /// Start of the entries left of the diagonal of each row, followed by the number of all.
    upper_starts: Vec<usize>,
    /// Their columns and positions in the pattern.
    upper: Vec<(u32, usize)>,
}

impl Structure {
    /// Returns the structure of a core that should be sparse.
    pub(super) fn choose(plan: &CrossedPlan, design: &Crossed) -> Option<Structure> {
        let c = plan.effects as f64;
        if plan.effects <= SMALL {
            return None;
        }
        let pattern = Pattern::of_core(plan, design, (FULL * c * c / 2.0) as usize)?;
        let out = Structure::new(pattern);
        (DENSE_SPEED * out.supernodal.operations() < c * c * c / 6.0).then_some(out)
    }

    /// Analyses a pattern.
    pub(super) fn new(pattern: Pattern) -> Structure {
        let n = pattern.n();
        let mut upper_starts = vec![0; n + 1];
        let below = |j: usize| pattern.column(j).skip(1);
        (0..n).flat_map(below).for_each(|at| upper_starts[pattern.rows[at] + 1] += 1);
        (0..n).for_each(|i| upper_starts[i + 1] += upper_starts[i]);
        let mut next = upper_starts.clone();
        let mut upper = vec![(0, 0); upper_starts[n]];
        for j in 0..n {
            for at in below(j) {
                let to = &mut next[pattern.rows[at]];
                upper[*to] = (j as u32, at);
                *to += 1;
            }
        }
        Structure { supernodal: Supernodal::new(&pattern), pattern, upper_starts, upper }
    }

    /// Visits the entries of a whole column of a symmetric matrix on the pattern.
    #[inline(always)]
    pub(super) fn column(&self, values: &[f64], j: usize, mut visit: impl FnMut(usize, f64)) {
        for &(i, at) in &self.upper[self.upper_starts[j]..self.upper_starts[j + 1]] {
            visit(i as usize, values[at]);
        }
        self.pattern.column(j).for_each(|at| visit(self.pattern.rows[at], values[at]));
    }

    /// Returns an entry on the pattern.
    pub(super) fn entry(&self, values: &[f64], i: usize, j: usize) -> f64 {
        let own = self.pattern.column(i.min(j));
        let at = self.pattern.rows[own.clone()].binary_search(&i.max(j)).expect("on the pattern");
        values[own.start + at]
    }
}

impl Pattern {
    /// Returns the pattern of the core after the elimination of the leaf; `None` if it has more entries than this.
    pub(super) fn of_core(plan: &CrossedPlan, design: &Crossed, most: usize) -> Option<Pattern> {
        let numbers = plan.factors.iter().enumerate().flat_map(|(k, f)| (0..f.groups).map(move |g| (k, g)));
        let numbers: Vec<(usize, usize)> = numbers.collect();
        let later = |&(k, group): &(usize, usize)| {
            let first = plan.factors[k].effects(group).start;
            let number = plan.factors[k].first_group + group;
            let pairs = &design.pairs;
            let mut met: Vec<u32> = pairs.partners[pairs.starts[number]..pairs.starts[number + 1]].to_vec();
            for visit in plan.visits(k, group) {
                let shard = &design.leaf[visit.shard as usize];
                met.extend(&shard.neighbours[visit.entry as usize + 1..shard.starts[visit.group as usize + 1]]);
            }
            met.sort_unstable();
            met.dedup();
            (first, plan.factors[k].r, met)
        };
        let mut out = Pattern { starts: vec![0], rows: Vec::new() };
        for some in numbers.chunks(1024) {
            let columns: Vec<_> = some.par_iter().map(later).collect();
            for (first, r, met) in columns {
                for i in 0..r {
                    out.rows.extend(first + i..first + r);
                    for &other in &met {
                        let other = other as usize;
                        out.rows.extend(other..other + plan.factors[plan.place(other).0].r);
                    }
                    out.starts.push(out.rows.len());
                }
            }
            if out.rows.len() > most {
                return None;
            }
        }
        Some(out)
    }
}
