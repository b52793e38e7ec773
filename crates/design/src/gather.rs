//! What the columns of a block are made of: numbers, and factors whose levels are matched with the
//! block's dictionary; and the leaving out of rows.

use crate::columns::{Block, Dictionary, Labels, MISSING};
use crate::error::EncodeError;
use crate::evaluate::numbers;
use crate::levels::used_codes;
use crate::recipe::Factor;
use crate::select::Selection;
use std::collections::HashMap;

/// Where the numbers of an atom come from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Origin {
    Request(usize),
    Expression(usize),
}

/// All rows of a block as what columns are made of. Rows that will be dropped are still among them:
/// their numbers mean nothing, and it costs less to multiply them than to leave them out here.
pub(crate) struct Gathered<'a> {
    block: &'a Block,
    expressions: &'a [Vec<f64>],
    factors: Vec<FactorRows<'a>>,
}

struct FactorRows<'a> {
    codes: &'a [u32],
    /// Per level of the factor its code in this block, [`MISSING`] where it does not occur.
    levels: Vec<u32>,
}

impl<'a> Gathered<'a> {
    pub(crate) fn new(
        block: &'a Block,
        selection: &'a Selection,
        known: &[FactorCodes],
    ) -> Result<Gathered<'a>, EncodeError> {
        let mut factors = Vec::with_capacity(known.len());
        for factor in known {
            let labels = block.labels(factor.request);
            let levels = factor.match_levels(labels, selection.kept.as_deref())?;
            factors.push(FactorRows { levels, codes: &labels.codes });
        }
        Ok(Gathered { block, expressions: &selection.values, factors })
    }

    pub(crate) fn rows(&self) -> usize {
        self.block.rows
    }

    pub(crate) fn numbers(&self, origin: Origin) -> &[f64] {
        match origin {
            Origin::Request(request) => numbers(self.block, request),
            Origin::Expression(expression) => &self.expressions[expression],
        }
    }

    /// The codes of a factor's rows and the code of a level among them.
    pub(crate) fn factor(&self, factor: usize, level: usize) -> (&[u32], u32) {
        let rows = &self.factors[factor];
        (rows.codes, rows.levels[level])
    }
}

/// The levels of a factor, to be found by label.
#[derive(Clone, Debug)]
pub(crate) struct FactorCodes {
    column: String,
    request: usize,
    levels: usize,
    by_text: HashMap<String, usize>,
    by_integer: HashMap<i64, usize>,
}

impl FactorCodes {
    pub(crate) fn new(factor: &Factor) -> FactorCodes {
        let levels = || factor.levels.iter().enumerate();
        FactorCodes {
            column: factor.column.clone(),
            request: factor.request,
            levels: factor.levels.len(),
            by_text: levels().map(|(i, level)| (level.clone(), i)).collect(),
            by_integer: levels().filter_map(|(i, level)| Some((level.parse().ok()?, i))).collect(),
        }
    }

    fn level(&self, dictionary: &Dictionary, code: usize) -> Option<usize> {
        match dictionary {
            Dictionary::Text(texts) => self.by_text.get(texts.get(code)).copied(),
            Dictionary::Integer(values) => self.by_integer.get(&values[code]).copied(),
        }
    }

    /// The code of each level in a block, and an error where a kept row has a level not known.
    fn match_levels(&self, labels: &Labels, kept: Option<&[u32]>) -> Result<Vec<u32>, EncodeError> {
        let mut codes = vec![MISSING; self.levels];
        let mut unknown = Vec::new();
        for code in 0..labels.dictionary.len() {
            match self.level(&labels.dictionary, code) {
                Some(level) => codes[level] = code as u32,
                None => unknown.push(code),
            }
        }
        if !unknown.is_empty() {
            let used = used_codes(&labels.codes, kept, labels.dictionary.len());
            if let Some(&code) = unknown.iter().find(|&&code| used[code]) {
                let label = labels.dictionary.label(code);
                return Err(EncodeError::NewLevel { column: self.column.clone(), label });
            }
        }
        Ok(codes)
    }
}

/// The kept entries of a column.
pub(crate) fn kept_of<T: Copy>(values: &[T], kept: Option<&[u32]>) -> Vec<T> {
    match kept {
        None => values.to_vec(),
        Some(kept) => kept.iter().map(|&row| values[row as usize]).collect(),
    }
}

/// Keeps some of the `rows` rows of columns that stand end to end.
pub(crate) fn keep_in_place(values: &mut Vec<f64>, rows: usize, kept: &[u32]) {
    let mut place = 0;
    for start in (0..values.len()).step_by(rows.max(1)) {
        for &row in kept {
            // Never behind what is still to be read, for a kept row moves forward or stays.
            values[place] = values[start + row as usize];
            place += 1;
        }
    }
    values.truncate(place);
}
