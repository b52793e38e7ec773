//! Blocks of plain columns to encoded rows: the columns C = [X-and-Z columns, y] as numbers.
//!
//! All work is by columns, in loops without branches over slices: a factor's levels are matched
//! with a block's dictionary once per block, and a row then costs one comparison per dummy.

use crate::columns::{Block, Column, Dictionary, Labels, PackedText, Request, Role};
use crate::error::EncodeError;
use crate::evaluate::{Compiled, numbers};
use crate::formula::Expr;
use crate::gather::{FactorCodes, Gathered, Origin, keep_in_place, kept_of};
use crate::recipe::{Atom, ColumnSpec, Factor, Recipe};
use crate::select::{Selection, first_not_finite, select};
use std::borrow::Cow;

/// The used rows of a block, encoded.
#[derive(Clone, Debug, PartialEq)]
pub struct RowBlock {
    /// Global number of the block's first row, from 0.
    pub first_row: u64,
    /// Rows kept.
    pub rows: usize,
    /// Columns m of C: the recipe's columns and y (or the responses of several models).
    pub columns: usize,
    /// C, rows × m by columns, y last; shifted as the recipe says, and not weighted.
    pub values: Vec<f64>,
    /// Weights of the kept rows.
    pub weights: Option<Vec<f64>>,
    /// Per key column of the recipe the codes of the kept rows; the dictionary is the block's, and
    /// may hold labels that only dropped rows have.
    pub keys: Vec<Labels>,
    /// Index within the block of each kept row; `None` where all were kept.
    pub kept: Option<Vec<u32>>,
    /// Rows dropped.
    pub dropped_rows: u64,
    /// Per request of the encoder's own the rows in which it is missing.
    pub missing: Vec<u64>,
    /// Per expression (see [`Encoder::expressions`]) the otherwise complete rows dropped because it
    /// is not a number there, such as the logarithm of a negative number.
    pub not_a_number: Vec<u64>,
}

impl RowBlock {
    /// Column `j` of C.
    pub fn column(&self, j: usize) -> &[f64] {
        &self.values[j * self.rows..(j + 1) * self.rows]
    }
}

/// Encodes blocks by a recipe, compiled once.
#[derive(Clone, Debug)]
pub struct Encoder {
    /// What a block holds.
    requests: Vec<Request>,
    /// The requests of which none may be missing in a row.
    own: Vec<usize>,
    expressions: Vec<Expression>,
    factors: Vec<FactorCodes>,
    columns: Vec<CompiledColumn>,
    responses: Vec<CompiledResponse>,
    weights: Option<usize>,
    keys: Vec<usize>,
}

/// What an encoder is compiled from: a recipe, or what several recipes have together.
pub struct EncoderParts<'a> {
    /// The columns of the blocks.
    pub requests: &'a [Request],
    /// Requests in which a missing value drops a row, as indices.
    pub own: &'a [usize],
    /// The factors.
    pub factors: &'a [Factor],
    /// The columns of C but the responses.
    pub columns: &'a [ColumnSpec],
    /// The responses, the last columns of C.
    pub responses: &'a [Response],
    /// The request of the weights.
    pub weights: Option<usize>,
    /// The requests of the grouping columns.
    pub keys: &'a [usize],
}

/// A response less its offsets and its shift.
#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    /// The response.
    pub expr: Expr,
    /// The response as written.
    pub name: String,
    /// What is subtracted from it.
    pub offsets: Vec<Expr>,
    /// A constant that is subtracted from it, near its mean.
    pub shift: f64,
}

impl Response {
    /// The response of a recipe.
    pub fn of(recipe: &Recipe) -> Response {
        Response {
            expr: recipe.response.clone(),
            name: recipe.response_name.clone(),
            offsets: recipe.offsets.clone(),
            shift: recipe.response_shift,
        }
    }
}

/// An expression that is more than a column.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Expression {
    pub(crate) text: String,
    pub(crate) compiled: Compiled,
}

#[derive(Clone, Debug)]
struct CompiledColumn {
    name: String,
    /// Numbers before indicators.
    parts: Vec<Part>,
    shift: f64,
}

#[derive(Clone, Debug)]
struct CompiledResponse {
    name: String,
    origin: Origin,
    offsets: Vec<Origin>,
    shift: f64,
}

#[derive(Clone, Copy, Debug)]
enum Part {
    Number(Origin),
    Indicator { factor: usize, level: usize },
}

impl Encoder {
    /// Compiles a recipe; panics on one whose parts do not belong together.
    pub fn new(recipe: &Recipe) -> Encoder {
        let own: Vec<usize> = (0..recipe.requests.len()).collect();
        Encoder::compile(&EncoderParts {
            requests: &recipe.requests,
            own: &own,
            factors: &recipe.factors,
            columns: &recipe.columns,
            responses: &[Response::of(recipe)],
            weights: recipe.weights,
            keys: &recipe.keys,
        })
    }

    /// Compiles what has the parts of a recipe.
    pub fn compile(source: &EncoderParts<'_>) -> Encoder {
        let mut expressions = Expressions { requests: source.requests, found: Vec::new() };
        let columns = source.columns.iter().map(|spec| CompiledColumn::new(spec, &mut expressions)).collect();
        let mut responses = Vec::with_capacity(source.responses.len());
        for response in source.responses {
            let origin = expressions.origin(&response.expr);
            let offsets = response.offsets.iter().map(|offset| expressions.origin(offset)).collect();
            responses.push(CompiledResponse { name: response.name.clone(), origin, offsets, shift: response.shift });
        }
        Encoder {
            expressions: expressions.found,
            columns,
            responses,
            requests: source.requests.to_vec(),
            own: source.own.to_vec(),
            factors: source.factors.iter().map(FactorCodes::new).collect(),
            weights: source.weights,
            keys: source.keys.to_vec(),
        }
    }

    /// The expressions that are more than a column, as R prints them, in the order of
    /// [`RowBlock::not_a_number`].
    pub fn expressions(&self) -> impl Iterator<Item = &str> {
        self.expressions.iter().map(|e| e.text.as_str())
    }

    /// Encodes the rows of a block in which nothing is missing. A block without rows may also be
    /// without columns, as a table without rows delivers none.
    pub fn encode(&self, block: &Block) -> Result<RowBlock, EncodeError> {
        let block = &*self.with_columns(block);
        let selection = self.select(block)?;
        self.encode_selected(block, selection)
    }

    /// Encodes the rows that [`Encoder::select`] selected.
    pub fn encode_selected(&self, block: &Block, selection: Selection) -> Result<RowBlock, EncodeError> {
        let block = &*self.with_columns(block);
        let kept = selection.kept.as_deref();
        let gathered = Gathered::new(block, &selection, &self.factors)?;
        let columns = self.columns.len() + self.responses.len();
        let mut values = Vec::with_capacity(block.rows * columns);
        self.columns.iter().for_each(|column| column.push(&gathered, &mut values));
        self.responses.iter().for_each(|response| response.push(&gathered, &mut values));
        if let Some(kept) = kept {
            keep_in_place(&mut values, block.rows, kept);
        }
        let rows = kept.map_or(block.rows, <[u32]>::len);
        self.check_products(&values, rows, block, kept)?;
        let weights = self.weights.map(|request| self.weights_of(block, request, kept)).transpose()?;
        let keys = self.keys.iter().map(|&request| kept_labels(block.labels(request), kept)).collect();
        let Selection { kept, missing, not_a_number, .. } = selection;
        let dropped_rows = (block.rows - rows) as u64;
        let first_row = block.first_row;
        Ok(RowBlock { first_row, rows, columns, values, weights, keys, kept, dropped_rows, missing, not_a_number })
    }

    /// Which rows are used; asks nothing of the factors' levels.
    pub fn select(&self, block: &Block) -> Result<Selection, EncodeError> {
        let block = &*self.with_columns(block);
        assert_eq!(block.columns.len(), self.requests.len(), "a block has the columns that were requested");
        select(block, (&self.requests, &self.own), self.weights, &self.expressions)
    }

    fn with_columns<'a>(&self, block: &'a Block) -> Cow<'a, Block> {
        if block.rows > 0 || !block.columns.is_empty() {
            return Cow::Borrowed(block);
        }
        let column = |request: &Request| match request.role {
            Role::Number => Column::Numbers(Vec::new()),
            Role::Label | Role::Level => {
                Column::Labels(Labels { codes: Vec::new(), dictionary: Dictionary::Text(PackedText::new()) })
            }
        };
        let columns = self.requests.iter().map(column).collect();
        Cow::Owned(Block { first_row: block.first_row, rows: 0, columns })
    }

    /// Sums and products of finite numbers may still overflow.
    fn check_products(
        &self,
        values: &[f64],
        rows: usize,
        block: &Block,
        kept: Option<&[u32]>,
    ) -> Result<(), EncodeError> {
        let products = self.columns.iter().map(|column| (column.is_product(), &column.name));
        let responses = self.responses.iter().map(|response| (!response.offsets.is_empty(), &response.name));
        for (j, (_, name)) in products.chain(responses).enumerate().filter(|(_, (computed, _))| *computed) {
            let column = &values[j * rows..(j + 1) * rows];
            if let Some(i) = first_not_finite(column) {
                return Err(EncodeError::InfiniteExpression {
                    expression: name.clone(),
                    row: row_number(block, kept, i),
                });
            }
        }
        Ok(())
    }

    fn weights_of(&self, block: &Block, request: usize, kept: Option<&[u32]>) -> Result<Vec<f64>, EncodeError> {
        let weights = kept_of(numbers(block, request), kept);
        let Some(i) = weights.iter().position(|&w| w.is_nan() || w <= 0.0) else { return Ok(weights) };
        let (column, row) = (self.requests[request].column.clone(), row_number(block, kept, i));
        Err(match weights[i].is_nan() {
            true => EncodeError::WeightMissing { column, row },
            false => EncodeError::WeightNotPositive { column, value: weights[i], row },
        })
    }
}

/// The number, counted from 1 over all files, of kept row `i` of a block.
fn row_number(block: &Block, kept: Option<&[u32]>, i: usize) -> u64 {
    block.first_row + kept.map_or(i as u64, |kept| u64::from(kept[i])) + 1
}

fn kept_labels(labels: &Labels, kept: Option<&[u32]>) -> Labels {
    Labels { codes: kept_of(&labels.codes, kept), dictionary: labels.dictionary.clone() }
}

/// Gathers the distinct expressions of a recipe.
struct Expressions<'a> {
    requests: &'a [Request],
    found: Vec<Expression>,
}

impl Expressions<'_> {
    fn origin(&mut self, expr: &Expr) -> Origin {
        let request = |column: &str| {
            let number = Request { column: column.to_owned(), role: Role::Number };
            let found = self.requests.iter().position(|r| *r == number);
            found.unwrap_or_else(|| panic!("the recipe uses `{column}` as numbers but does not request it"))
        };
        let compiled = Compiled::new(expr, &request);
        if let Compiled::Request(request) = compiled {
            return Origin::Request(request);
        }
        let found = self.found.iter().position(|e| e.compiled == compiled);
        Origin::Expression(found.unwrap_or_else(|| {
            self.found.push(Expression { text: expr.to_string(), compiled });
            self.found.len() - 1
        }))
    }
}

impl CompiledResponse {
    /// Appends the response's values.
    fn push(&self, gathered: &Gathered<'_>, values: &mut Vec<f64>) {
        let start = values.len();
        values.extend_from_slice(gathered.numbers(self.origin));
        let y = &mut values[start..];
        for &offset in &self.offsets {
            y.iter_mut().zip(gathered.numbers(offset)).for_each(|(y, offset)| *y -= offset);
        }
        y.iter_mut().for_each(|y| *y -= self.shift);
    }
}

impl CompiledColumn {
    fn new(spec: &ColumnSpec, expressions: &mut Expressions<'_>) -> CompiledColumn {
        let part = |atom: &Atom| match atom {
            Atom::Number(expr) => Part::Number(expressions.origin(expr)),
            Atom::Indicator { factor, level } => Part::Indicator { factor: *factor, level: *level },
        };
        let mut parts: Vec<Part> = spec.atoms.iter().map(part).collect();
        parts.sort_by_key(|part| matches!(part, Part::Indicator { .. }));
        CompiledColumn { name: spec.name.clone(), parts, shift: spec.shift }
    }

    /// Whether several numbers are multiplied.
    fn is_product(&self) -> bool {
        self.parts.iter().filter(|part| matches!(part, Part::Number(_))).count() > 1
    }

    /// Appends the column's values: the product of its parts, less the shift.
    fn push(&self, gathered: &Gathered<'_>, values: &mut Vec<f64>) {
        let start = values.len();
        let mut parts = self.parts.iter();
        match parts.next() {
            None => values.resize(start + gathered.rows(), 1.0),
            Some(Part::Number(origin)) => values.extend_from_slice(gathered.numbers(*origin)),
            Some(Part::Indicator { factor, level }) => {
                let (codes, own) = gathered.factor(*factor, *level);
                values.extend(codes.iter().map(|&code| f64::from(u8::from(code == own))));
            }
        }
        let column = &mut values[start..];
        for part in parts {
            match part {
                Part::Number(origin) => {
                    column.iter_mut().zip(gathered.numbers(*origin)).for_each(|(v, x)| *v *= x);
                }
                Part::Indicator { factor, level } => {
                    let (codes, own) = gathered.factor(*factor, *level);
                    column.iter_mut().zip(codes).for_each(|(v, &code)| *v = if code == own { *v } else { 0.0 });
                }
            }
        }
        if self.shift != 0.0 {
            column.iter_mut().for_each(|v| *v -= self.shift);
        }
    }
}
