//! The kept rows of a block: numbers without gaps, and factors whose levels are matched with the
//! block's dictionary.

use crate::columns::{Block, Column, Dictionary, Labels, MISSING};
use crate::error::EncodeError;
use crate::levels::used_codes;
use crate::recipe::Factor;
use crate::select::Selection;
use std::borrow::Cow;
use std::collections::HashMap;

/// Where the numbers of an atom come from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Origin {
    Request(usize),
    Expression(usize),
}

/// The kept rows of a block, before they are multiplied into columns.
pub(crate) struct Gathered<'a> {
    pub(crate) rows: usize,
    requests: Vec<Cow<'a, [f64]>>,
    expressions: Vec<Cow<'a, [f64]>>,
    factors: Vec<FactorRows<'a>>,
}

struct FactorRows<'a> {
    codes: Cow<'a, [u32]>,
    /// Per level of the factor its code in this block, [`MISSING`] where it does not occur.
    levels: Vec<u32>,
}

impl<'a> Gathered<'a> {
    /// The kept rows of everything that the columns are made of.
    pub(crate) fn new(
        block: &'a Block,
        selection: &'a Selection,
        known: &[FactorCodes],
    ) -> Result<Gathered<'a>, EncodeError> {
        let kept = selection.kept.as_deref();
        let requests = block.columns.iter().map(|column| match column {
            Column::Numbers(values) => compact(values, kept),
            Column::Labels(_) => Cow::Borrowed(&[][..]),
        });
        let mut factors = Vec::with_capacity(known.len());
        for factor in known {
            let labels = labels(block, factor.request);
            let codes = compact(&labels.codes, kept);
            factors.push(FactorRows { levels: factor.match_levels(labels, kept)?, codes });
        }
        Ok(Gathered {
            rows: kept.map_or(block.rows, <[u32]>::len),
            requests: requests.collect(),
            expressions: selection.values.iter().map(|values| compact(values, kept)).collect(),
            factors,
        })
    }

    pub(crate) fn numbers(&self, origin: Origin) -> &[f64] {
        match origin {
            Origin::Request(request) => &self.requests[request],
            Origin::Expression(expression) => &self.expressions[expression],
        }
    }

    /// The codes of a factor's rows and the code of a level among them.
    pub(crate) fn factor(&self, factor: usize, level: usize) -> (&[u32], u32) {
        let rows = &self.factors[factor];
        (&rows.codes, rows.levels[level])
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

/// The labels of a requested column.
pub(crate) fn labels(block: &Block, request: usize) -> &Labels {
    match &block.columns[request] {
        Column::Labels(labels) => labels,
        Column::Numbers(_) => panic!("request {request} is for labels, and the block has numbers"),
    }
}

/// The kept entries of a column.
pub(crate) fn compact<'a, T: Copy>(values: &'a [T], kept: Option<&[u32]>) -> Cow<'a, [T]> {
    match kept {
        None => Cow::Borrowed(values),
        Some(kept) => Cow::Owned(kept.iter().map(|&row| values[row as usize]).collect()),
    }
}
