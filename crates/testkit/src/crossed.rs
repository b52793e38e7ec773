//! Simulates small random problems whose groupings cross, from a seed.

use crate::simulate::{NestedSample, SampleLevel, Shape, columns, random_lambda, random_terms, response};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

/// Simulates a problem with two to four groupings of which some cross: sometimes one lies within another, or the
/// groups fall into unconnected parts, and many combinations of groups have no rows. The groupings are in the order
/// of their numbers of groups, the largest first.
pub fn simulate_crossed(seed: u64) -> NestedSample {
    let mut rng = StdRng::seed_from_u64(seed ^ 0x0063_726F_7373);
    let mut groupings = groupings(&mut rng, 2 + (seed % 3) as usize, seed % 4 == 3);
    groupings.shuffle(&mut rng);
    groupings.sort_by_key(|group| std::cmp::Reverse(group.iter().max().copied()));
    sample(&mut rng, seed, groupings)
}

/// Simulates a problem with two groupings that cross within the groups of a third, the last: students who rate
/// lecturers of their region.
pub fn simulate_regions(seed: u64) -> NestedSample {
    let mut rng = StdRng::seed_from_u64(seed ^ 0x7265_6769_6F6E);
    let regions = rng.random_range(6..9);
    let mut rows: Vec<[usize; 3]> = Vec::new();
    for region in 0..regions {
        for _ in 0..rng.random_range(9..16) {
            let (student, lecturer) = (rng.random_range(0..4), rng.random_range(0..2));
            rows.push([4 * region + student, 2 * region + lecturer, region]);
        }
    }
    let mut groupings: Vec<_> = (0..3).map(|k| numbered(&rows.iter().map(|row| row[k]).collect::<Vec<_>>())).collect();
    groupings.sort_by_key(|group| std::cmp::Reverse(group.iter().max().copied()));
    sample(&mut rng, seed, groupings)
}

/// Draws a sample with these groupings, the one with the most groups first.
fn sample(rng: &mut StdRng, seed: u64, groupings: Vec<Vec<usize>>) -> NestedSample {
    let kind = seed / 4;
    let shape = Shape {
        levels: 2,
        slopes: (kind % 3) as usize,
        uncorrelated: kind % 5 == 3,
        weights: kind % 2 == 1,
        ..Shape::any(seed)
    };
    let n = groupings[0].len();
    let columns = columns(rng, n, groupings.last().expect("a grouping"));
    let levels: Vec<_> =
        groupings.into_iter().map(|group| SampleLevel { group, terms: random_terms(rng, &shape) }).collect();
    let weights = shape.weights.then(|| (0..n).map(|_| rng.random_range(0.3..3.0)).collect());
    let x = vec![0, 1, 2];
    let beta = vec![1.5, -0.7, 0.4];
    let theta = levels.iter().flat_map(|l| l.terms.clone()).flat_map(|z| random_lambda(rng, z.len())).collect();
    let mut sample = NestedSample { columns, x, y: vec![0.0; n], weights, levels, beta, theta, sigma: 1.5 };
    sample.y = response(rng, &sample);
    sample
}

/// Draws the group of each row in every grouping. The first two cross; the third is coarser than the second or
/// crosses both; the fourth crosses all. In unconnected parts, groups of one half never meet those of the other.
fn groupings(rng: &mut StdRng, count: usize, unconnected: bool) -> Vec<Vec<usize>> {
    let n = rng.random_range(45..75);
    let (a, b) = (rng.random_range(8..13), 2 * rng.random_range(2..5));
    let nested = rng.random_range(0..2) == 0;
    let mut rows: Vec<Vec<usize>> = Vec::with_capacity(n);
    for _ in 0..n {
        let first = rng.random_range(0..a);
        let second = match unconnected {
            true => 2 * rng.random_range(0..b / 2) + first % 2,
            false => rng.random_range(0..b),
        };
        let third = if nested || unconnected { second / 2 * 2 % 4 + second % 2 } else { rng.random_range(0..4) };
        let fourth = if unconnected { 2 * rng.random_range(0..2) + first % 2 } else { rng.random_range(0..3) };
        rows.push(vec![first, second, third, fourth]);
    }
    (0..count).map(|k| numbered(&rows.iter().map(|row| row[k]).collect::<Vec<_>>())).collect()
}

/// Numbers groups without gaps, in the order of their first rows.
fn numbered(groups: &[usize]) -> Vec<usize> {
    let mut known: Vec<usize> = Vec::new();
    let number = |&group: &usize| {
        known.iter().position(|&k| k == group).unwrap_or_else(|| {
            known.push(group);
            known.len() - 1
        })
    };
    groups.iter().map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lies_within(a: &[usize], b: &[usize]) -> bool {
        let mut parent = vec![None; a.len()];
        a.iter().zip(b).all(|(&fine, &coarse)| *parent[fine].get_or_insert(coarse) == coarse)
    }

    #[test]
    fn some_groupings_cross_and_some_nest() {
        let mut nests = 0;
        for seed in 0..24 {
            let sample = simulate_crossed(seed);
            let within = |a: &SampleLevel, b: &SampleLevel| lies_within(&a.group, &b.group);
            let pairs: Vec<_> = sample.levels.iter().flat_map(|a| sample.levels.iter().map(move |b| (a, b))).collect();
            assert!(pairs.iter().any(|(a, b)| !within(a, b) && !within(b, a)), "seed {seed}");
            nests += usize::from(pairs.iter().any(|(a, b)| !std::ptr::eq(*a, *b) && within(a, b)));
        }
        assert!(nests > 3);
    }
}
