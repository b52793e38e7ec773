//! Simulates small random nested problems from a seed: unbalanced, with groups of one row, parents of one
//! child, slopes at any level, and weights.

use crate::oracle::{Problem, Term};
use nalgebra::{DMatrix, DVector};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;

/// The kind of problem to simulate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// Number of levels of the nest, 1 to 4.
    pub levels: usize,
    /// Number of groups of the coarsest level.
    pub top_groups: usize,
    /// Largest number of children of a group, and of rows of a finest group.
    pub most: usize,
    /// Largest number of random slopes per level, 0 to 2.
    pub slopes: usize,
    /// Whether the coefficients of a level are uncorrelated (`||`), with one term each.
    pub uncorrelated: bool,
    /// Whether rows have weights.
    pub weights: bool,
    /// Whether rows are in random order rather than sorted by group.
    pub shuffled: bool,
}

impl Shape {
    /// Returns a shape that depends on the seed; consecutive seeds cover all kinds.
    pub fn any(seed: u64) -> Shape {
        let levels = 1 + (seed % 4) as usize;
        let kind = seed / 4;
        Shape {
            levels,
            top_groups: [12, 7, 5, 4][levels - 1],
            most: [6, 4, 3, 3][levels - 1],
            slopes: (kind % 3) as usize,
            uncorrelated: kind % 5 == 3,
            weights: kind % 2 == 1,
            shuffled: seed % 3 == 1,
        }
    }
}

/// One level of a simulated nest.
#[derive(Clone, Debug)]
pub struct SampleLevel {
    /// Group of each row, from 0; no group is empty.
    pub group: Vec<usize>,
    /// The random terms of this level: each a list of indices into
    /// [`NestedSample::columns`].
    pub terms: Vec<Vec<usize>>,
}

/// A simulated problem, as plain data.
#[derive(Clone, Debug)]
pub struct NestedSample {
    /// The distinct numeric columns; the first is the constant 1, and the last is not in X.
    pub columns: Vec<Vec<f64>>,
    /// X: indices into `columns`.
    pub x: Vec<usize>,
    /// Response.
    pub y: Vec<f64>,
    /// Weights w with Var(ε_i) = σ²/w_i.
    pub weights: Option<Vec<f64>>,
    /// The levels, the one with the most groups first: in a nest the finest.
    pub levels: Vec<SampleLevel>,
    /// True β.
    pub beta: Vec<f64>,
    /// True θ: levels finest first, terms in order, each Λ lower triangular by column.
    pub theta: Vec<f64>,
    /// True σ.
    pub sigma: f64,
}

impl NestedSample {
    /// Number of rows.
    pub fn n(&self) -> usize {
        self.y.len()
    }

    /// Returns the dense X.
    pub fn x_matrix(&self) -> DMatrix<f64> {
        self.pick(&self.x)
    }

    fn pick(&self, columns: &[usize]) -> DMatrix<f64> {
        DMatrix::from_fn(self.columns[0].len(), columns.len(), |i, j| self.columns[columns[j]][i])
    }

    /// Returns the problem for the oracle; its θ is in the order of `levels` and their `terms`.
    pub fn problem(&self) -> Problem {
        let term = |level: &SampleLevel, z: &Vec<usize>| Term { z: self.pick(z), group: level.group.clone() };
        Problem {
            x: self.x_matrix(),
            y: DVector::from_column_slice(&self.y),
            weights: self.weights.as_ref().map(|w| DVector::from_column_slice(w)),
            terms: self.levels.iter().flat_map(|l| l.terms.iter().map(move |z| term(l, z))).collect(),
        }
    }

    /// Returns a θ at which to evaluate: the truth with noise; diagonal entries may have either sign.
    pub fn theta_near_truth(&self, seed: u64) -> Vec<f64> {
        let mut rng = StdRng::seed_from_u64(seed ^ 0x7468_6574);
        self.theta.iter().map(|t| t + 0.3 * rng.sample::<f64, _>(StandardNormal)).collect()
    }
}

/// Simulates a problem.
pub fn simulate_nested(seed: u64, shape: &Shape) -> NestedSample {
    assert!((1..=4).contains(&shape.levels) && shape.slopes <= 2, "{shape:?}");
    let mut rng = StdRng::seed_from_u64(seed);
    let nest = nest(&mut rng, shape);
    let n = nest[0].len();

    let columns = columns(&mut rng, n, nest.last().expect("a level"));
    let x = vec![0, 1, 2];
    let levels: Vec<_> =
        nest.into_iter().map(|group| SampleLevel { group, terms: random_terms(&mut rng, shape) }).collect();
    let weights = shape.weights.then(|| (0..n).map(|_| rng.random_range(0.3..3.0)).collect());

    let beta: Vec<f64> = x.iter().map(|_| 2.0 * rng.sample::<f64, _>(StandardNormal)).collect();
    let theta = levels.iter().flat_map(|l| l.terms.clone()).flat_map(|z| random_lambda(&mut rng, z.len())).collect();
    let mut sample = NestedSample { columns, x, y: vec![0.0; n], weights, levels, beta, theta, sigma: 1.5 };
    sample.y = response(&mut rng, &sample);
    sample
}

/// Draws the group of each row at every level, finest first.
fn nest(rng: &mut StdRng, shape: &Shape) -> Vec<Vec<usize>> {
    // A quarter of all groups have one child (or one row).
    let size = |rng: &mut StdRng| if rng.random_range(0..4) == 0 { 1 } else { rng.random_range(1..=shape.most) };
    // parents[j]: the parent of each group, from the coarsest level down; the last is that of the rows.
    let mut count = shape.top_groups;
    let mut parents = Vec::new();
    for depth in 0..shape.levels {
        let sizes: Vec<_> = (0..count).map(|_| size(rng)).collect();
        let mut parent: Vec<usize> = (0..count).flat_map(|g| vec![g; sizes[g]]).collect();
        let rows_short = 10usize.saturating_sub(parent.len());
        if depth + 1 == shape.levels {
            // Add rows if there are fewer than a fit needs.
            parent.extend((0..rows_short).map(|i| i % count));
            if shape.shuffled {
                parent.shuffle(rng);
            } else {
                parent.sort_unstable();
            }
        }
        count = parent.len();
        parents.push(parent);
    }
    let mut levels = vec![parents.pop().expect("a level")];
    while let Some(parent) = parents.pop() {
        let finer = levels.last().expect("a level");
        levels.push(finer.iter().map(|&g| parent[g]).collect());
    }
    levels
}

/// Draws the constant, two covariates (one varies partly between top groups), and one only for slopes.
pub(crate) fn columns(rng: &mut StdRng, n: usize, top: &[usize]) -> Vec<Vec<f64>> {
    let mut normal = || rng.sample::<f64, _>(StandardNormal);
    let between: Vec<f64> = (0..=n).map(|_| normal()).collect();
    let x1 = (0..n).map(|_| 0.5 + normal()).collect();
    let x2 = top.iter().map(|&g| between[g] + 0.5 * normal()).collect();
    let x3 = (0..n).map(|_| normal()).collect();
    vec![vec![1.0; n], x1, x2, x3]
}

pub(crate) fn random_terms(rng: &mut StdRng, shape: &Shape) -> Vec<Vec<usize>> {
    let mut slopes = [1, 2, 3];
    slopes.shuffle(rng);
    let mut z = vec![0];
    z.extend(&slopes[..rng.random_range(0..=shape.slopes)]);
    if z.len() > 1 && rng.random_range(0..6) == 0 {
        z.remove(0); // slopes without an intercept
    }
    if shape.uncorrelated { z.into_iter().map(|c| vec![c]).collect() } else { vec![z] }
}

pub(crate) fn random_lambda(rng: &mut StdRng, r: usize) -> Vec<f64> {
    let mut entries = Vec::new();
    for j in 0..r {
        entries.push(rng.random_range(0.3..1.3));
        entries.extend((j + 1..r).map(|_| rng.random_range(-0.5..0.5)));
    }
    entries
}

pub(crate) fn response(rng: &mut StdRng, sample: &NestedSample) -> Vec<f64> {
    let mut problem = sample.problem();
    problem.y = DVector::zeros(sample.columns[0].len());
    let mut normal = |len: usize| DVector::from_fn(len, |_, _| rng.sample::<f64, _>(StandardNormal));
    let mut y = &problem.x * DVector::from_column_slice(&sample.beta);
    for (term, lambda) in problem.terms.iter().zip(problem.lambdas(&sample.theta)) {
        for g in 0..term.groups() {
            let b = &lambda * normal(lambda.ncols()) * sample.sigma;
            for i in (0..y.len()).filter(|&i| term.group[i] == g) {
                y[i] += (term.z.row(i) * &b)[0];
            }
        }
    }
    let noise = normal(y.len()).component_mul(&problem.w_inv().map(f64::sqrt)) * sample.sigma;
    (y + noise).as_slice().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_nest_and_every_group_has_rows() {
        let mut one_row = false;
        for seed in 0..24 {
            let sample = simulate_nested(seed, &Shape::any(seed));
            assert!(sample.n() >= 10 && sample.n() < 300, "seed {seed}: {} rows", sample.n());
            for level in &sample.levels {
                let groups = 1 + level.group.iter().max().unwrap();
                let sizes: Vec<_> = (0..groups).map(|g| level.group.iter().filter(|&&h| h == g).count()).collect();
                one_row |= sizes.contains(&1);
                assert!(!sizes.contains(&0), "seed {seed}: an empty group");
            }
            for pair in sample.levels.windows(2) {
                let mut parent = vec![None; sample.n()];
                for (&fine, &coarse) in pair[0].group.iter().zip(&pair[1].group) {
                    assert_eq!(*parent[fine].get_or_insert(coarse), coarse, "seed {seed}: not nested");
                }
            }
        }
        assert!(one_row);
    }

    #[test]
    fn a_seed_gives_the_same_problem() {
        let (a, b) = (simulate_nested(7, &Shape::any(7)), simulate_nested(7, &Shape::any(7)));
        assert_eq!(a.y, b.y);
        assert_ne!(a.y, simulate_nested(11, &Shape::any(7)).y);
    }
}
