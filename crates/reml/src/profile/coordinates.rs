//! Free coordinates of the variance parameters when one of them is fixed at a value.
//!
//! The absolute factors `T_k = σ Λ_k`, `Cov(b_g) = T_k T_k'`, can be triangular in any order of their rows.
//! With row i first, `T_i = (sd_i, 0, …)`, so that fixing a standard deviation fixes one entry. With rows i
//! and j first, `T_j = s (ρ, √(1 - ρ²), 0, …)`, so that fixing their correlation leaves `s = sd_j` in place
//! of two entries. In both cases T is linear in the free coordinates, so that all derivatives are short, and
//! a standard deviation of zero or a correlation of ±1 needs no special treatment.

use crate::components::Component;
use crate::model::Model;
use crate::parameters::{Parameters, lower_triangular};
use nalgebra::DMatrix;

/// A matrix that is added to the factor of one level.
#[derive(Clone, Debug)]
pub(super) struct Tangent {
    /// The level, finest first.
    pub(super) level: usize,
    /// r×r, rows of the shifted columns.
    pub(super) matrix: DMatrix<f64>,
}

/// Rows of one term in the order in which its factor is triangular.
#[derive(Clone, Debug)]
struct Block {
    level: usize,
    /// First column.
    start: usize,
    rows: Vec<usize>,
}

/// The coordinates for a target, independent of its value.
#[derive(Clone, Debug)]
pub(super) struct Coordinates {
    held: Option<Component>,
    blocks: Vec<Block>,
    /// Per level, the map from the triangular rows to those of the shifted columns.
    to_shifted: Vec<DMatrix<f64>>,
}

/// The coordinates at a value of the target: `T = constant + Σ_a t_a tangents_a`.
#[derive(Clone, Debug)]
pub(super) struct At {
    pub(super) constant: Vec<DMatrix<f64>>,
    pub(super) tangents: Vec<Tangent>,
}

impl Coordinates {
    /// Returns the coordinates that are free when `held` is fixed (a standard deviation or correlation).
    pub(super) fn new(model: &Model, parameters: &Parameters, held: Option<Component>) -> Self {
        let identity = |r: &usize| DMatrix::identity(*r, *r);
        let mut to_shifted: Vec<DMatrix<f64>> = parameters.r.iter().map(identity).collect();
        let first: Vec<(usize, usize)> = match held {
            Some(Component::Sd { level, row }) => vec![(level, row)],
            Some(Component::Correlation { level, row, column }) => vec![(level, column), (level, row)],
            _ => Vec::new(),
        };
        let mut blocks = Vec::new();
        for (k, level) in model.levels().iter().enumerate() {
            for (t, &(_, start)) in level.terms.iter().enumerate() {
                let end = level.terms.get(t + 1).map_or(level.r(), |next| next.1);
                let is_first = |row: &usize| first.contains(&(k, *row));
                let leading = first.iter().filter(|at| at.0 == k && (start..end).contains(&at.1)).map(|at| at.1);
                let rows: Vec<usize> = leading.chain((start..end).filter(|row| !is_first(row))).collect();
                blocks.push(Block { level: k, start, rows });
            }
        }
        // Only a target that is an intercept of shifted columns needs the user's own rows; otherwise the
        // rows of the shifted columns are closer to uncorrelated.
        if let Some(&(level, _)) = first.first() {
            let map = &model.effect_maps()[level];
            let differs = |&(_, row): &(usize, usize)| (0..map.ncols()).any(|c| c != row && map[(row, c)] != 0.0);
            if first.iter().any(differs) {
                to_shifted[level] = map.clone().try_inverse().expect("a unimodular map");
            }
        }
        Coordinates { held, blocks, to_shifted }
    }

    /// Returns the coordinates at a value of the fixed parameter.
    pub(super) fn at(&self, value: f64) -> At {
        let mut constant: Vec<DMatrix<f64>> =
            self.to_shifted.iter().map(|m| DMatrix::zeros(m.nrows(), m.ncols())).collect();
        let mut tangents = Vec::new();
        for block in &self.blocks {
            let mut add = |entries: &[(usize, usize, f64)]| {
                tangents.push(Tangent { level: block.level, matrix: self.matrix(block, entries) });
            };
            for i in 0..block.rows.len() {
                match (self.role(block), i) {
                    (Role::Sd, 0) => constant[block.level] += self.matrix(block, &[(0, 0, value)]),
                    (Role::Correlation, 1) => add(&[(1, 0, value), (1, 1, (1.0 - value * value).max(0.0).sqrt())]),
                    _ => (0..=i).for_each(|j| add(&[(i, j, 1.0)])),
                }
            }
        }
        At { constant, tangents }
    }

    /// Derivative of the factor by the value of the fixed parameter, at the coordinates `t`.
    pub(super) fn along(&self, value: f64, t: &[f64]) -> Option<Tangent> {
        let block = self.blocks.iter().find(|block| self.role(block) != Role::None)?;
        let entries = match self.role(block) {
            Role::Sd => vec![(0, 0, 1.0)],
            _ => {
                let s = t[self.place_of_scale()];
                vec![(1, 0, s), (1, 1, -s * value / (1.0 - value * value).max(0.0).sqrt())]
            }
        };
        Some(Tangent { level: block.level, matrix: self.matrix(block, &entries) })
    }

    /// Returns the coordinates and the value of the fixed parameter for factors `T_k` of the shifted columns.
    pub(super) fn of(&self, factors: &[DMatrix<f64>]) -> (Vec<f64>, f64) {
        let (mut t, mut value) = (Vec::new(), f64::NAN);
        for block in &self.blocks {
            let k = block.level;
            let rows = self.to_shifted[k].clone().try_inverse().expect("a unimodular map") * &factors[k];
            let size = block.rows.len();
            let own = DMatrix::from_fn(size, size, |i, j| rows[(block.rows[i], block.start + j)]);
            let lower = lower_triangular(&own);
            for i in 0..size {
                match (self.role(block), i) {
                    (Role::Sd, 0) => value = lower[(0, 0)],
                    (Role::Correlation, 1) => {
                        let scale = lower[(1, 0)].hypot(lower[(1, 1)]);
                        value = (lower[(1, 0)] / scale).clamp(-1.0, 1.0);
                        t.push(scale);
                    }
                    _ => t.extend((0..=i).map(|j| lower[(i, j)])),
                }
            }
        }
        (t, value)
    }

    /// Whether the coordinates give the correlation with the sign of its fixed value: both standard
    /// deviations may have crossed zero, but not only one of them.
    pub(super) fn obey(&self, t: &[f64]) -> bool {
        match self.held {
            Some(Component::Correlation { .. }) => {
                let scale = self.place_of_scale();
                t[scale - 1] * t[scale] >= 0.0
            }
            _ => true,
        }
    }

    /// Index of `s` among the coordinates of a correlation.
    fn place_of_scale(&self) -> usize {
        let before = self.blocks.iter().take_while(|block| self.role(block) == Role::None);
        before.map(|block| block.rows.len() * (block.rows.len() + 1) / 2).sum::<usize>() + 1
    }

    fn role(&self, block: &Block) -> Role {
        match self.held {
            Some(Component::Sd { level, row }) if (level, row) == (block.level, block.rows[0]) => Role::Sd,
            Some(Component::Correlation { level, column, .. }) if (level, column) == (block.level, block.rows[0]) => {
                Role::Correlation
            }
            _ => Role::None,
        }
    }

    /// Converts entries by position in the block to a matrix for the rows of the shifted columns.
    fn matrix(&self, block: &Block, entries: &[(usize, usize, f64)]) -> DMatrix<f64> {
        let map = &self.to_shifted[block.level];
        let mut rows = DMatrix::zeros(map.nrows(), map.ncols());
        for &(i, j, value) in entries {
            rows[(block.rows[i], block.start + j)] = value;
        }
        map * rows
    }
}

/// The fixed part of a block's factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    None,
    Sd,
    Correlation,
}
