//! Sums from the levels of a nest to its finest groups, and back.

use super::{Groups, LANES, Lanes, PathShape, ZERO};

/// A number, or a number in each of several directions.
pub trait Value: Copy {
    /// Zero.
    const NONE: Self;
    /// Adds another value.
    fn plus(&mut self, other: Self);
}

impl Value for f64 {
    const NONE: f64 = 0.0;

    #[inline(always)]
    fn plus(&mut self, other: f64) {
        *self += other;
    }
}

impl Value for Lanes {
    const NONE: Lanes = ZERO;

    #[inline(always)]
    fn plus(&mut self, other: Lanes) {
        (0..LANES).for_each(|lane| self[lane] += other[lane]);
    }
}

/// Adds up the values of each distinct z column along the path from each group up: D values for each group of each
/// level, the finest level in `out[0]`. `values` holds r values a group for each level.
pub fn spread<T: Value>(shape: &PathShape, groups: &Groups<'_>, values: &[Vec<T>], out: &mut Vec<Vec<T>>) {
    let (levels, d) = (shape.levels(), shape.distinct());
    out.resize_with(levels, Vec::new);
    for k in (0..levels).rev() {
        let (columns, count) = (shape.columns(k), groups.count(k));
        let (below, above) = out.split_at_mut(k + 1);
        let own = &mut below[k];
        own.clear();
        match above.first() {
            None => own.resize(count * d, T::NONE),
            Some(parent) => {
                for (p, sums) in parent.chunks_exact(d).enumerate() {
                    groups.children(k, p).for_each(|_| own.extend_from_slice(sums));
                }
            }
        }
        for (own, values) in own.chunks_exact_mut(d).zip(values[k].chunks_exact(columns.len())) {
            columns.iter().zip(values).for_each(|(&c, v)| own[c].plus(*v));
        }
    }
}

/// Adds up values of the finest groups in the distinct z columns (D values a group) over the groups of each
/// level, and picks the level's own columns: `Σ_{i in g} z_i (…)`, r values a group.
pub fn gather<T: Value>(shape: &PathShape, groups: &Groups<'_>, values: &[T], out: &mut Vec<Vec<T>>) {
    let (levels, d) = (shape.levels(), shape.distinct());
    out.resize_with(levels, Vec::new);
    let mut sums: Vec<T> = Vec::new();
    for (k, own) in out.iter_mut().enumerate() {
        let of_level = if k == 0 { values } else { &sums };
        own.clear();
        for sums in of_level.chunks_exact(d) {
            own.extend(shape.columns(k).iter().map(|&c| sums[c]));
        }
        if k + 1 < levels {
            let mut parents = vec![T::NONE; groups.count(k + 1) * d];
            for (p, into) in parents.chunks_exact_mut(d).enumerate() {
                for g in groups.children(k, p) {
                    into.iter_mut().zip(&of_level[g * d..][..d]).for_each(|(a, b)| a.plus(*b));
                }
            }
            sums = parents;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two parents with three children; the children have an intercept, the parents an intercept and a slope.
    #[test]
    fn values_of_parents_reach_their_children_and_back() {
        let (shape, ends) = (PathShape::new(&[vec![0], vec![0, 1]]), vec![vec![2, 3]]);
        let groups = Groups::within(&ends, 0..2);
        let mut out = Vec::new();
        spread(&shape, &groups, &[vec![1.0, 2.0, 3.0], vec![10.0, 20.0, 30.0, 40.0]], &mut out);
        assert_eq!(out[0], [11.0, 20.0, 12.0, 20.0, 33.0, 40.0]);
        assert_eq!(out[1], [10.0, 20.0, 30.0, 40.0]);
        let mut sums = Vec::new();
        gather(&shape, &groups, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &mut sums);
        assert_eq!(sums, [vec![1.0, 3.0, 5.0], vec![4.0, 6.0, 5.0, 6.0]]);
    }
}
