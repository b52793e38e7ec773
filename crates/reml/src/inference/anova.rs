//! Tests of whole terms: type III F tests.
//!
//! The hypothesis of a term is about its effects averaged over the levels of the factors that it
//! interacts with, each level alike (Yates' weighted squares of means; SAS and lmerTest, type III);
//! numbers it interacts with stand at zero. In treatment coding such an average of an interaction's
//! indicator over the L levels of its factor has weight 1/L.

use super::{FTest, FixedInference};
use crate::model::Model;
use nalgebra::{DMatrix, RowDVector};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tiers_design::{Atom, ColumnSpec};

/// The F test of one term.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TermTest {
    /// Name of the term.
    pub term: String,
    /// Numerator degrees of freedom.
    pub num_df: f64,
    /// Denominator degrees of freedom; none for the χ² approximation.
    pub den_df: Option<f64>,
    /// F.
    pub f_value: f64,
    /// p value.
    pub p_value: f64,
}

/// Type III tests of all terms but the intercept, in the formula's order.
pub(crate) fn type_three(model: &Model, inference: &FixedInference) -> Vec<TermTest> {
    let coefficients: Vec<(usize, Parts)> = model
        .coefficients
        .iter()
        .map(|&i| &model.recipe.x[i])
        .map(|x| (x.term, Parts::of(&model.recipe.columns[x.column])))
        .collect();
    let levels = |factor: usize| model.recipe.factors[factor].levels.len();
    let test = |(term, name): (usize, &String)| {
        let rows: Vec<RowDVector<f64>> = coefficients
            .iter()
            .filter(|(of, parts)| *of == term && !parts.is_constant())
            .map(|(_, parts)| {
                let weight = |(_, other): &(usize, Parts)| other.weight_in(parts, levels);
                RowDVector::from_iterator(coefficients.len(), coefficients.iter().map(weight))
            })
            .collect();
        if rows.is_empty() {
            return None;
        }
        let FTest { num_df, den_df, f, p_value } = inference.f_test(&DMatrix::from_rows(&rows));
        Some(TermTest { term: name.clone(), num_df, den_df, f_value: f, p_value })
    };
    model.recipe.term_names.iter().enumerate().filter_map(test).collect()
}

/// A column of X taken apart: its numbers, and the level of each of its factors.
struct Parts {
    numbers: Vec<String>,
    levels: BTreeMap<usize, usize>,
}

impl Parts {
    fn of(column: &ColumnSpec) -> Self {
        let mut parts = Parts { numbers: Vec::new(), levels: BTreeMap::new() };
        for atom in &column.atoms {
            match atom {
                Atom::Number(expression) => parts.numbers.push(expression.to_string()),
                Atom::Indicator { factor, level } => {
                    parts.levels.insert(*factor, *level);
                }
            }
        }
        parts.numbers.sort_unstable();
        parts
    }

    fn is_constant(&self) -> bool {
        self.numbers.is_empty() && self.levels.is_empty()
    }

    /// Weight of this coefficient in the hypothesis that belongs to `row`.
    fn weight_in(&self, row: &Parts, levels: impl Fn(usize) -> usize) -> f64 {
        let same_cell = row.levels.iter().all(|(factor, level)| self.levels.get(factor) == Some(level));
        if !same_cell || self.numbers != row.numbers {
            return 0.0;
        }
        let averaged = self.levels.keys().filter(|factor| !row.levels.contains_key(factor));
        averaged.map(|&factor| 1.0 / levels(factor) as f64).product()
    }
}
