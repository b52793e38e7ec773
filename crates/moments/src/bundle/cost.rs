//! Which models are worth summing together.

use crate::cross::padded;
use std::collections::{BTreeSet, HashMap};
use tiers_design::{Atom, Recipe, Request};

/// A model that might be summed with others.
#[derive(Clone, Debug)]
pub struct Candidate<'a> {
    /// Its recipe.
    pub recipe: &'a Recipe,
    /// The columns that cut its rows into partitions.
    pub by: &'a [String],
    /// Models of different classes lose different rows of the first ones.
    pub class: usize,
    /// Distinct combinations of its keys per row, as far as the first rows show.
    pub cells_per_row: f64,
}

/// Sorts models into those to be summed together, in the order of the models.
///
/// All share the reading of the rows anyway. Together they share products of columns that they have
/// in common, but are charged for the products of each one's columns with the other's: so models of
/// the same columns go together, and models with little in common do not. They must agree in weights,
/// partitions and keys: then each sum is taken in the order in which a read for one model alone takes
/// it, and has the same bits whichever models are summed with it.
pub fn sort_into_bundles(candidates: &[Candidate<'_>]) -> Vec<Vec<usize>> {
    let mut names = Names::default();
    let mut bundles: Vec<(Sums, Vec<usize>)> = Vec::new();
    for (i, candidate) in candidates.iter().enumerate() {
        let own = names.sums(candidate);
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

/// What is summed for some models.
#[derive(Clone, Debug)]
struct Sums {
    agree: (Option<Request>, Vec<String>, usize),
    columns: BTreeSet<usize>,
    z: BTreeSet<usize>,
    keys: BTreeSet<String>,
    cells_per_row: f64,
}

impl Sums {
    /// The sums for these and the others' models.
    fn with(&self, other: &Sums) -> Option<Sums> {
        (self.agree == other.agree && self.keys == other.keys).then(|| Sums {
            columns: &self.columns | &other.columns,
            z: &self.z | &other.z,
            ..self.clone()
        })
    }

    /// Work per row, in multiplications and what takes as long.
    fn cost(&self) -> f64 {
        // What it takes to encode a number, to find the cell of a row, and to move the sums of a cell.
        const ENCODE: f64 = 6.0;
        const RUN: f64 = 40.0;
        const CELL: f64 = 4.0;
        let (m, r) = (self.columns.len(), self.z.len() as f64);
        let width = padded(m) as f64;
        let m = m as f64;
        width * width / 2.0 + r * width + ENCODE * m + RUN + self.cells_per_row * (CELL * r * m + RUN)
    }
}

/// Numbers for columns, the same for the same column of different recipes.
#[derive(Default)]
struct Names(HashMap<String, usize>);

impl Names {
    fn sums(&mut self, candidate: &Candidate<'_>) -> Sums {
        let recipe = candidate.recipe;
        let atom = |atom: &Atom| match atom {
            Atom::Number(expr) => format!("{expr:?}"),
            Atom::Indicator { factor, level } => {
                let factor = &recipe.factors[*factor];
                format!("{}={}", factor.column, factor.levels[*level])
            }
        };
        let mut numbers = Vec::with_capacity(recipe.columns.len());
        for spec in &recipe.columns {
            let mut atoms: Vec<String> = spec.atoms.iter().map(atom).collect();
            atoms.sort_unstable();
            numbers.push(self.number(format!("{atoms:?} - {}", spec.shift)));
        }
        let response = format!("{:?} - {:?} - {}", recipe.response, recipe.offsets, recipe.response_shift);
        let z = recipe.random.iter().flat_map(|term| term.columns.iter().map(|&c| numbers[c])).collect();
        let mut columns: BTreeSet<usize> = numbers.iter().copied().collect();
        columns.insert(self.number(response));
        let mut keys: BTreeSet<String> = recipe.keys.iter().map(|&k| recipe.requests[k].column.clone()).collect();
        keys.extend(candidate.by.iter().cloned());
        let weights = recipe.weights.map(|w| recipe.requests[w].clone());
        let agree = (weights, candidate.by.to_vec(), candidate.class);
        Sums { agree, columns, z, keys, cells_per_row: candidate.cells_per_row }
    }

    fn number(&mut self, name: String) -> usize {
        let next = self.0.len();
        *self.0.entry(name).or_insert(next)
    }
}
