//! A small reader of plain CSV, for tests that must not build a data-frame library.
//!
//! It expects a header line, commas and no quotes, as in the small files in `datasets/`.

use std::collections::BTreeMap;
use std::path::Path;

/// A table of strings, by column.
#[derive(Clone, Debug)]
pub struct Table {
    names: Vec<String>,
    columns: Vec<Vec<String>>,
}

impl Table {
    /// Reads a file; panics with its path on failure.
    pub fn read_csv(path: impl AsRef<Path>) -> Table {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        Table::parse(&text)
    }

    /// Reads `datasets/<folder>/<folder>.csv`.
    pub fn of_dataset(folder: &str) -> Table {
        Table::read_csv(crate::golden::datasets_dir().join(folder).join(format!("{folder}.csv")))
    }

    /// Parses CSV text.
    pub fn parse(text: &str) -> Table {
        let mut lines = text.lines();
        let names: Vec<String> = lines.next().expect("a header").split(',').map(str::to_owned).collect();
        let mut columns = vec![Vec::new(); names.len()];
        for line in lines.filter(|l| !l.is_empty()) {
            let fields: Vec<_> = line.split(',').collect();
            assert_eq!(fields.len(), names.len(), "fields of {line:?}");
            for (column, field) in columns.iter_mut().zip(fields) {
                column.push(field.to_owned());
            }
        }
        Table { names, columns }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.columns.first().map_or(0, Vec::len)
    }

    /// Returns a column as text.
    pub fn text(&self, name: &str) -> &[String] {
        let at = self.names.iter().position(|n| n == name).unwrap_or_else(|| panic!("no column {name}"));
        &self.columns[at]
    }

    /// Returns a column as numbers.
    pub fn numbers(&self, name: &str) -> Vec<f64> {
        self.text(name).iter().map(|v| v.parse().unwrap_or_else(|_| panic!("{name}: {v:?} is not a number"))).collect()
    }

    /// Groups the rows by one or more columns: returns the group of each row, and the labels in sorted order.
    pub fn groups(&self, names: &[&str]) -> (Vec<usize>, Vec<Vec<String>>) {
        let key = |i: usize| names.iter().map(|n| self.text(n)[i].clone()).collect::<Vec<_>>();
        let mut order: BTreeMap<Vec<String>, usize> = (0..self.rows()).map(|i| (key(i), 0)).collect();
        for (index, at) in order.values_mut().enumerate() {
            *at = index;
        }
        ((0..self.rows()).map(|i| order[&key(i)]).collect(), order.into_keys().collect())
    }
}
