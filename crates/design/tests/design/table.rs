//! Small tables in memory that deliver blocks.

use tiers_design::{Block, Column, Dictionary, Field, Kind, Labels, MISSING, Request, Role};

/// A table: named columns of equal length.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table(Vec<(&'static str, Values)>);

/// A column of a table, with its missing values.
#[derive(Clone, Debug)]
pub(crate) enum Values {
    Float(Vec<f64>),
    Integer(Vec<Option<i64>>),
    Boolean(Vec<Option<bool>>),
    Text(Vec<Option<&'static str>>),
}

impl Table {
    pub(crate) fn with(mut self, name: &'static str, values: Values) -> Self {
        self.0.push((name, values));
        self
    }

    pub(crate) fn fields(&self) -> Vec<Field> {
        let kind = |values: &Values| match values {
            Values::Float(_) => Kind::Float,
            Values::Integer(_) => Kind::Integer,
            Values::Boolean(_) => Kind::Boolean,
            Values::Text(_) => Kind::Text,
        };
        self.0.iter().map(|(name, values)| Field::new(*name, kind(values))).collect()
    }

    /// Returns the requested columns of some of the rows.
    pub(crate) fn block(&self, requests: &[Request], rows: &[usize]) -> Block {
        let columns = requests.iter().map(|request| {
            let (_, values) = self.0.iter().find(|(name, _)| *name == request.column).unwrap();
            match request.role {
                Role::Number => Column::Numbers(rows.iter().map(|&row| values.number(row)).collect()),
                Role::Label | Role::Level => Column::Labels(values.labels(rows)),
            }
        });
        Block { first_row: 0, rows: rows.len(), columns: columns.collect() }
    }
}

impl Values {
    fn number(&self, row: usize) -> f64 {
        match self {
            Values::Float(values) => values[row],
            Values::Integer(values) => values[row].map_or(f64::NAN, |v| v as f64),
            Values::Boolean(values) => values[row].map_or(f64::NAN, |v| f64::from(u8::from(v))),
            Values::Text(_) => panic!("text as numbers"),
        }
    }

    fn labels(&self, rows: &[usize]) -> Labels {
        match self {
            Values::Integer(values) => {
                let (codes, distinct) = coded(rows.iter().map(|&row| values[row]));
                Labels { codes, dictionary: Dictionary::Integer(distinct) }
            }
            Values::Text(values) => text(rows.iter().map(|&row| values[row])),
            Values::Boolean(values) => {
                text(rows.iter().map(|&row| values[row].map(|v| if v { "TRUE" } else { "FALSE" })))
            }
            Values::Float(values) => {
                let levels: Vec<String> = values.iter().map(f64::to_string).collect();
                let (codes, distinct) = coded(rows.iter().map(|&row| Some(&levels[row]).filter(|l| *l != "NaN")));
                Labels { codes, dictionary: Dictionary::Text(distinct.iter().collect()) }
            }
        }
    }
}

fn text(values: impl Iterator<Item = Option<&'static str>>) -> Labels {
    let (codes, distinct) = coded(values);
    Labels { codes, dictionary: Dictionary::Text(distinct.iter().collect()) }
}

fn coded<T: PartialEq + Copy>(values: impl Iterator<Item = Option<T>>) -> (Vec<u32>, Vec<T>) {
    let mut distinct = Vec::new();
    let code = |value: Option<T>| {
        let Some(value) = value else { return MISSING };
        let known = distinct.iter().position(|d| *d == value);
        known.unwrap_or_else(|| {
            distinct.push(value);
            distinct.len() - 1
        }) as u32
    };
    (values.map(code).collect(), distinct)
}

/// Six children: y, x (with a gap in row 4), n, sex, flag, grade, school, class, w.
pub(crate) fn children() -> Table {
    let nan = f64::NAN;
    Table::default()
        .with("y", Values::Float(vec![10.0, 12.0, 11.0, 15.0, 14.0, 9.0]))
        .with("x", Values::Float(vec![1.0, 2.0, 3.0, nan, 5.0, 6.0]))
        .with("n", Values::Integer(vec![Some(4), Some(3), Some(2), Some(1), Some(0), Some(7)]))
        .with("sex", Values::Text(vec![Some("M"), Some("F"), Some("M"), Some("X"), Some("F"), Some("F")]))
        .with("flag", Values::Boolean(vec![Some(true), Some(false), Some(true), Some(true), Some(false), Some(true)]))
        .with("grade", Values::Integer(vec![Some(10), Some(9), Some(10), Some(9), Some(11), Some(9)]))
        .with("school", Values::Text(vec![Some("b"), Some("b"), Some("a"), Some("a"), Some("c"), Some("c")]))
        .with("class", Values::Integer(vec![Some(1), Some(2), Some(1), Some(2), Some(1), Some(1)]))
        .with("w", Values::Float(vec![1.0, 2.0, 1.0, 1.0, 0.5, 1.0]))
}
