//! Chooses the models to bundle, by estimated work per row.

use crate::cross::padded;
use std::collections::{BTreeSet, HashMap};
use tiers_design::{Product, Recipe, Request};

/// A model that may be bundled with others.
#[derive(Clone, Debug)]
pub struct Candidate<'a> {
    /// Its recipe.
    pub recipe: &'a Recipe,
    /// Columns that cut its rows into partitions.
    pub by: &'a [String],
    /// Class of rows that the model drops: models of different classes drop different ones of the first rows.
    pub class: usize,
    /// Distinct combinations of its keys per row, estimated from the first rows.
    pub cells_per_row: f64,
}

/// Divides the models into bundles; returns the indices of the models of each bundle.
///
/// All models share the reading of the rows in any case. Bundled models also share the products of their
/// common columns, at the cost of products between columns of different models, which none needs. So
/// models with mostly the same columns are bundled and models with few common columns are not. The models
/// of a bundle must agree in weights, partitions and keys: then each sum is accumulated in the same order
/// as in a read for one model alone, and is bit-identical however the models are bundled.
pub fn sort_into_bundles(candidates: &[Candidate<'_>]) -> Vec<Vec<usize>> {
    let mut numbers = Numbers::default();
    let mut bundles: Vec<(Sums, Vec<usize>)> = Vec::new();
    for (i, candidate) in candidates.iter().enumerate() {
        let own = numbers.sums(candidate);
        let saving = |other: &Sums| other.with(&own).map(|both| other.cost() + own.cost() - both.cost());
        let gains = bundles.iter().enumerate().filter_map(|(b, (sums, _))| Some((b, saving(sums)?)));
        match gains.filter(|gain| gain.1 > 0.0).max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0))) {
            Some((b, _)) => {
                let (sums, models) = &mut bundles[b];
                *sums = sums.with(&own).expect("it was possible");
                models.push(i);
            }
            None => bundles.push((own, vec![i])),
        }
    }
    bundles.into_iter().map(|(_, models)| models).collect()
}

/// The sums that some models need together.
#[derive(Clone, Debug)]
struct Sums {
    agree: (Option<Request>, Vec<String>, usize),
    columns: BTreeSet<usize>,
    z: BTreeSet<usize>,
    keys: BTreeSet<String>,
    cells_per_row: f64,
}

impl Sums {
    /// Returns the sums for the models of both, or `None` if they cannot be bundled.
    fn with(&self, other: &Sums) -> Option<Sums> {
        (self.agree == other.agree && self.keys == other.keys).then(|| Sums {
            columns: &self.columns | &other.columns,
            z: &self.z | &other.z,
            ..self.clone()
        })
    }

    /// Returns the work per row, in units of one multiplication.
    fn cost(&self) -> f64 {
        // Cost of encoding a number, of finding the cell of a row, and of moving one sum of a cell.
        const ENCODE: f64 = 6.0;
        const RUN: f64 = 40.0;
        const CELL: f64 = 4.0;
        let (m, r) = (self.columns.len(), self.z.len() as f64);
        let width = padded(m) as f64;
        let m = m as f64;
        width * width / 2.0 + r * width + ENCODE * m + RUN + self.cells_per_row * (CELL * r * m + RUN)
    }
}

/// What identifies a column of C among several recipes.
#[derive(PartialEq, Eq, Hash)]
enum Identity {
    /// A product, and the bits of its shift.
    Column(Product, u64),
    /// A response, its offsets, and the bits of its shift.
    Response(String, Vec<String>, u64),
}

/// Numbers of columns; equal columns of different recipes share a number.
#[derive(Default)]
struct Numbers(HashMap<Identity, usize>);

impl Numbers {
    fn sums(&mut self, candidate: &Candidate<'_>) -> Sums {
        let recipe = candidate.recipe;
        let mut numbers = Vec::with_capacity(recipe.columns.len());
        for (j, spec) in recipe.columns.iter().enumerate() {
            numbers.push(self.number(Identity::Column(recipe.product(j), spec.shift.to_bits())));
        }
        let offsets = recipe.offsets.iter().map(ToString::to_string).collect();
        let response = Identity::Response(recipe.response.to_string(), offsets, recipe.response_shift.to_bits());
        let z = recipe.random.iter().flat_map(|term| term.columns.iter().map(|&c| numbers[c])).collect();
        let mut columns: BTreeSet<usize> = numbers.iter().copied().collect();
        columns.insert(self.number(response));
        let mut keys: BTreeSet<String> = recipe.keys.iter().map(|&k| recipe.requests[k].column.clone()).collect();
        keys.extend(candidate.by.iter().cloned());
        let weights = recipe.weights.map(|w| recipe.requests[w].clone());
        let agree = (weights, candidate.by.to_vec(), candidate.class);
        Sums { agree, columns, z, keys, cells_per_row: candidate.cells_per_row }
    }

    fn number(&mut self, column: Identity) -> usize {
        let next = self.0.len();
        *self.0.entry(column).or_insert(next)
    }
}
