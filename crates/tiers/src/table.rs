//! A table in memory.

use crate::error::Error;
use crate::values::{Values, column_of};
use std::sync::Arc;
use tiers_design::{BLOCK_ROWS, Block, Field, Kind, RawBlock, Request, Scan, Source, SourceError};

/// A table in memory: named columns of one length.
///
/// It is a [`Source`], as [`Lmm::fit`](crate::Lmm::fit) and [`Fit::predict`](crate::Fit::predict) take it.
///
/// ```
/// use tiers::{Table, Values};
///
/// let table = Table::from_columns([
///     ("score", vec![10.5, 12.0, 9.5, 11.0].into()),
///     ("school", vec!["a", "a", "b", "b"].into()),
///     ("absent", vec![Some(1), None, Some(0), Some(3)].into()),
///     ("grade", Values::categorical([Some(0), Some(1), None, Some(1)], ["low", "high"])?),
/// ])?;
/// assert_eq!(table.rows(), 4);
/// # Ok::<(), tiers::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Table {
    fields: Vec<Field>,
    values: Vec<Arc<Values>>,
    rows: usize,
}

impl Table {
    /// A table of these columns.
    ///
    /// # Errors
    /// If two columns have the same name or different lengths.
    pub fn from_columns<N: Into<String>>(columns: impl IntoIterator<Item = (N, Values)>) -> Result<Table, Error> {
        let mut table = Table::default();
        for (name, values) in columns {
            table = table.with(name, values)?;
        }
        Ok(table)
    }

    /// The table with one more column.
    ///
    /// # Errors
    /// If there is a column of this name, or the column has another length than the others.
    pub fn with(mut self, name: impl Into<String>, values: Values) -> Result<Table, Error> {
        let name = name.into();
        if self.fields.iter().any(|field| field.name == name) {
            return Err(Error::Table(format!("two columns are called `{name}`: give every column a name of its own")));
        }
        if let Some(first) = self.fields.first().filter(|_| values.len() != self.rows) {
            return Err(Error::Table(format!(
                "column `{name}` has {} rows, but `{}` has {}: all columns of a table must have the same length",
                values.len(),
                first.name,
                self.rows
            )));
        }
        self.rows = values.len();
        self.fields.push(Field { levels: values.levels(), ..Field::new(name, values.kind()) });
        self.values.push(Arc::new(values));
        Ok(self)
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name == name)
    }
}

impl Source for Table {
    fn fields(&self) -> &[Field] {
        &self.fields
    }

    fn scan(&self, requests: &[Request]) -> Result<Scan, SourceError> {
        let find = |request: &Request| match self.find(&request.column) {
            Some(at) => Ok((Arc::clone(&self.values[at]), request.clone())),
            None => {
                let names: Vec<&str> = self.fields.iter().map(|field| field.name.as_str()).collect();
                let names = names.join(", ");
                Err(SourceError::from(format!("the table has no column `{}`; it has {names}", request.column)))
            }
        };
        let columns = requests.iter().map(find).collect::<Result<Vec<_>, _>>()?;
        let rows = self.rows;
        Ok(Box::new((0..rows).step_by(BLOCK_ROWS).map(move |start| {
            let part = Part { columns: columns.clone(), start, end: rows.min(start + BLOCK_ROWS) };
            Ok(Box::new(part) as Box<dyn RawBlock>)
        })))
    }
}

/// A block of rows, not yet copied out of the table.
struct Part {
    columns: Vec<(Arc<Values>, Request)>,
    start: usize,
    end: usize,
}

impl RawBlock for Part {
    fn decode(&self) -> Result<Block, SourceError> {
        let column = |(values, request): &(Arc<Values>, Request)| column_of(values, request, self.start..self.end);
        let columns = self.columns.iter().map(column).collect::<Result<_, _>>()?;
        Ok(Block { first_row: self.start as u64, rows: self.end - self.start, columns })
    }
}

/// The kind of a column, as a formula sees it.
impl Values {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Values::Numbers(_) => Kind::Float,
            Values::Integers(_) => Kind::Integer,
            Values::Booleans(_) => Kind::Boolean,
            Values::Texts(_) | Values::Categories { .. } => Kind::Text,
        }
    }
}
