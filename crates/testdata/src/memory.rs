//! A table in memory that implements `Source`.

use tiers_design::{
    BLOCK_ROWS, Block, Column, Dictionary, Field, Kind, Labels, RawBlock, Request, Role, Scan, Source, SourceError,
};
use tiers_testkit::Table;

/// The values of a column of a table in memory.
#[derive(Clone, Debug)]
pub enum Values {
    /// Numbers; NaN is missing.
    Numbers(Vec<f64>),
    /// Integers, as ids or as numbers.
    Ids(Vec<i64>),
    /// Texts.
    Texts(Vec<String>),
}

/// A table in memory, cut into blocks of any size.
#[derive(Clone, Debug)]
pub struct Memory {
    fields: Vec<Field>,
    values: Vec<Values>,
    rows: usize,
    /// Rows per block, the last excepted.
    pub block_rows: usize,
}

impl Memory {
    /// A table of named columns of equal length.
    pub fn new(columns: Vec<(&str, Values)>) -> Self {
        let rows = columns.first().map_or(0, |(_, v)| v.len());
        let kind = |values: &Values| match values {
            Values::Numbers(_) => Kind::Float,
            Values::Ids(_) => Kind::Integer,
            Values::Texts(_) => Kind::Text,
        };
        let field = |(name, values): &(&str, Values)| Field::new(*name, kind(values));
        let fields = columns.iter().map(field).collect();
        Memory { fields, values: columns.into_iter().map(|c| c.1).collect(), rows, block_rows: BLOCK_ROWS }
    }

    /// A data set of the test kit: columns of numbers, and columns of ids or texts.
    pub fn of_dataset(folder: &str, numbers: &[&str], labels: &[&str]) -> Self {
        let table = Table::of_dataset(folder);
        let mut columns: Vec<(&str, Values)> =
            numbers.iter().map(|&name| (name, Values::Numbers(table.numbers(name)))).collect();
        for &name in labels {
            let ids: Option<Vec<i64>> = table.text(name).iter().map(|label| label.parse().ok()).collect();
            columns.push((name, ids.map_or_else(|| Values::Texts(table.text(name).to_vec()), Values::Ids)));
        }
        Memory::new(columns)
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// A column of numbers.
    pub fn numbers(&self, name: &str) -> &[f64] {
        match &self.values[self.find(name).expect("a column")] {
            Values::Numbers(values) => values,
            other => panic!("{name}: {other:?}"),
        }
    }

    /// A column of ids.
    pub fn ids(&self, name: &str) -> &[i64] {
        match &self.values[self.find(name).expect("a column")] {
            Values::Ids(values) => values,
            other => panic!("{name}: {other:?}"),
        }
    }

    /// A column of texts.
    pub fn texts(&self, name: &str) -> &[String] {
        match &self.values[self.find(name).expect("a column")] {
            Values::Texts(values) => values,
            other => panic!("{name}: {other:?}"),
        }
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name == name)
    }

    /// The same table with one column added or replaced.
    pub fn with(&self, name: &str, values: Values) -> Self {
        let mut out = self.clone();
        let Memory { mut fields, values: mut all, .. } = Memory::new(vec![(name, values)]);
        let (field, values) = (fields.remove(0), all.remove(0));
        assert_eq!(values.len(), self.rows, "rows of {name}");
        match self.find(name) {
            Some(at) => (out.fields[at], out.values[at]) = (field, values),
            None => {
                out.fields.push(field);
                out.values.push(values);
            }
        }
        out
    }

    /// The same table with a column of numbers changed value by value.
    pub fn map(&self, name: &str, change: impl Fn(f64) -> f64) -> Self {
        let values = self.numbers(name).iter().map(|&v| change(v)).collect();
        self.with(name, Values::Numbers(values))
    }

    /// The same rows in blocks of another size.
    pub fn in_blocks_of(&self, block_rows: usize) -> Self {
        Memory { block_rows, ..self.clone() }
    }

    /// The same rows in another order, or some of them.
    pub fn permuted(&self, order: &[usize]) -> Self {
        let pick = |values: &Values| match values {
            Values::Numbers(v) => Values::Numbers(order.iter().map(|&i| v[i]).collect()),
            Values::Ids(v) => Values::Ids(order.iter().map(|&i| v[i]).collect()),
            Values::Texts(v) => Values::Texts(order.iter().map(|&i| v[i].clone()).collect()),
        };
        Memory { values: self.values.iter().map(pick).collect(), rows: order.len(), ..self.clone() }
    }
}

impl Values {
    fn len(&self) -> usize {
        match self {
            Values::Numbers(v) => v.len(),
            Values::Ids(v) => v.len(),
            Values::Texts(v) => v.len(),
        }
    }

    fn column(&self, role: Role, rows: std::ops::Range<usize>) -> Column {
        match (self, role) {
            (Values::Numbers(v), _) => Column::Numbers(v[rows].to_vec()),
            (Values::Ids(v), Role::Number) => Column::Numbers(v[rows].iter().map(|&i| i as f64).collect()),
            (Values::Ids(v), Role::Label | Role::Level) => Column::Labels(label(&v[rows], Dictionary::Integer)),
            (Values::Texts(v), _) => Column::Labels(label(&v[rows], |d| Dictionary::Text(d.iter().collect()))),
        }
    }
}

fn label<T: Clone + PartialEq>(values: &[T], dictionary: impl Fn(Vec<T>) -> Dictionary) -> Labels {
    let mut known: Vec<T> = Vec::new();
    let mut codes = Vec::new();
    for value in values {
        let at = known.iter().position(|k| k == value).unwrap_or_else(|| {
            known.push(value.clone());
            known.len() - 1
        });
        codes.push(at as u32);
    }
    Labels { codes, dictionary: dictionary(known) }
}

impl Source for Memory {
    fn fields(&self) -> &[Field] {
        &self.fields
    }

    fn scan(&self, requests: &[Request]) -> Result<Scan, SourceError> {
        let (this, requests) = (self.clone(), requests.to_vec());
        let starts = (0..self.rows).step_by(self.block_rows);
        Ok(Box::new(starts.map(move |start| {
            let rows = start..this.rows.min(start + this.block_rows);
            let column = |request: &Request| {
                let at = this.fields.iter().position(|f| f.name == request.column).expect("a known column");
                this.values[at].column(request.role, rows.clone())
            };
            let columns = requests.iter().map(column).collect();
            let block = Block { first_row: start as u64, rows: rows.len(), columns };
            Ok(Box::new(block) as Box<dyn RawBlock>)
        })))
    }
}
