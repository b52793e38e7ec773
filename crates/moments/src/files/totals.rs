//! Reads the totals of a folder of moments.
//!
//! The table is *long*, with the columns `row`, `column` and `value` and a row per entry of `C'WC`, or *wide*, with
//! a column per entry, and then with what only a query knows: the number of rows, `Σ log w`, and counts. A wide
//! table may have several rows, which are added.

use super::header::{HEADER, MomentsFileError, MomentsHeader, refused};
use crate::merge::{Definition, TotalColumns, Totals, upper};
use crate::reading::Dropped;
use std::collections::HashMap;
use std::path::Path;
use tiers_design::{Column, Labels, MISSING, Request, Role};
use tiers_outputs::{TableFormat, TableReader};

/// The columns of a long table.
const LONG: [&str; 3] = ["row", "column", "value"];

/// Reads the totals, and what they say of dropped rows.
pub(super) fn read_totals(
    path: &Path,
    header: &MomentsHeader,
    format: &dyn TableFormat,
) -> Result<(Totals, Dropped), MomentsFileError> {
    let texts = [LONG[0].to_owned(), LONG[1].to_owned()];
    let source = format.open(path, &texts).map_err(|error| refused!("{error}"))?;
    let is_long = LONG.iter().all(|name| source.fields().iter().any(|field| field.name == *name));
    if !is_long {
        return Wide::read(path, header, &*source)?.totals();
    }
    let Some(rows) = header.rows else {
        return Err(refused!(
            "{}: {HEADER} does not state `rows`, the number of rows, and only totals with a column for each sum have it",
            path.display()
        ));
    };
    let cross = read_long(path, &header.definition, &*source)?;
    let missing = header.missing.iter().map(|(column, &n)| (column.clone(), n)).collect();
    let dropped = Dropped { rows: header.dropped_rows, missing, ..Dropped::default() };
    Ok((Totals { rows, sum_log_weights: header.sum_log_weights, cross }, dropped))
}

/// Reads `C'WC`, row-major, from the entries of either triangle.
fn read_long(path: &Path, definition: &Definition, source: &dyn TableReader) -> Result<Vec<f64>, MomentsFileError> {
    let unread = |error: tiers_design::SourceError| refused!("{error}");
    let shown = path.display();
    let names: Vec<&str> = definition.columns.iter().map(|column| column.name.as_str()).collect();
    let place: HashMap<&str, usize> = names.iter().enumerate().map(|(i, &name)| (name, i)).collect();
    let find = |labels: &Labels, row: usize| {
        let code = labels.codes[row];
        let label = if code == MISSING { String::new() } else { labels.dictionary.label(code as usize) };
        place.get(label.as_str()).copied().ok_or_else(|| {
            let columns = names.join(", ");
            refused!("{shown}: `{label}` is not a column of these moments; the columns are {columns}")
        })
    };
    let m = names.len();
    let mut cross = vec![f64::NAN; m * m];
    let roles = [Role::Label, Role::Label, Role::Number];
    let requests: Vec<Request> =
        LONG.iter().zip(roles).map(|(name, role)| Request { column: (*name).to_owned(), role }).collect();
    for block in source.scan(&requests).map_err(unread)? {
        let block = block.and_then(|block| block.decode()).map_err(unread)?;
        let [Column::Labels(rows), Column::Labels(columns), Column::Numbers(values)] = &block.columns[..] else {
            unreachable!("columns come in the order and role of the requests")
        };
        for (row, &value) in values.iter().enumerate() {
            let (i, j) = (find(rows, row)?, find(columns, row)?);
            let old = cross[i * m + j];
            if !(value.is_finite() && (old.is_nan() || (old - value).abs() <= 1e-12 * value.abs())) {
                let also = match value.is_finite() {
                    true => format!(", but also {old}"),
                    false => not_finite(names[if i == 0 { j } else { i }]),
                };
                return Err(refused!("{shown}: the sum of `{}` and `{}` is {value}{also}", names[i], names[j]));
            }
            (cross[i * m + j], cross[j * m + i]) = (value, value);
        }
    }
    match cross.iter().position(|value| value.is_nan()) {
        None => Ok(cross),
        Some(k) => Err(refused!(
            "{shown}: the sum of `{}` and `{}` is missing; make the moments again",
            names[k / m],
            names[k % m]
        )),
    }
}

/// States the cause of a sum that is infinite or not a number.
fn not_finite(column: &str) -> String {
    format!(
        ": a row has NaN or an infinite value in `{column}`, which IS NOT NULL keeps; leave out rows with NaN (in SQL \
         `AND NOT isnan(…)`), and replace infinite values"
    )
}

/// The sums of the columns of a wide table, by name.
struct Wide<'a> {
    shown: String,
    header: &'a MomentsHeader,
    columns: TotalColumns,
    /// Names and sums of the columns that were read.
    sums: HashMap<String, f64>,
}

impl<'a> Wide<'a> {
    fn read(path: &Path, header: &'a MomentsHeader, source: &dyn TableReader) -> Result<Wide<'a>, MomentsFileError> {
        let unread = |error: tiers_design::SourceError| refused!("{error}");
        let names: Vec<String> = header.definition.columns.iter().map(|column| column.name.clone()).collect();
        let columns = TotalColumns::of_table(&names, source.fields());
        let is_there = |name: &String| source.fields().iter().any(|field| field.name == *name);
        if let Some(lacking) = columns.sums.iter().find(|name| !is_there(name)) {
            return Err(refused!(
                "{}: the sum `{lacking}` is missing; the table needs a column for each sum, or the columns `row`, `column` \
                 and `value`",
                path.display()
            ));
        }
        let numbers = source.fields().iter().map(|field| field.name.clone());
        let requests: Vec<Request> = numbers.map(|column| Request { column, role: Role::Number }).collect();
        let mut sums: HashMap<String, f64> = HashMap::new();
        for block in source.scan(&requests).map_err(unread)? {
            let block = block.and_then(|block| block.decode()).map_err(unread)?;
            for (request, column) in requests.iter().zip(&block.columns) {
                let Column::Numbers(values) = column else { unreachable!("sums are requested as numbers") };
                *sums.entry(request.column.clone()).or_default() += values.iter().sum::<f64>();
            }
        }
        Ok(Wide { shown: path.display().to_string(), header, columns, sums })
    }

    fn totals(&self) -> Result<(Totals, Dropped), MomentsFileError> {
        let rows = self.rows()?;
        self.check_counts(rows)?;
        let m = self.header.definition.columns.len();
        let mut cross = vec![0.0; m * m];
        for ((i, j), name) in upper(m).zip(&self.columns.sums) {
            let value = self.sum_of(name, rows);
            if !value.is_finite() {
                let column = &self.header.definition.columns[if i == 0 { j } else { i }].name;
                return Err(refused!("{}: the sum `{name}` is {value}{}", self.shown, not_finite(column)));
            }
            (cross[i * m + j], cross[j * m + i]) = (value, value);
        }
        let logs = self.sums.contains_key(TotalColumns::LOG_WEIGHTS);
        let sum_log_weights =
            if logs { self.sum_of(TotalColumns::LOG_WEIGHTS, rows) } else { self.header.sum_log_weights };
        let counted = self.counts("missing").map_err(|name| self.not_a_count(&name))?;
        let (dropped_rows, missing) = match self.count(TotalColumns::DROPPED)? {
            Some(dropped) => (dropped, counted.into_iter().filter(|(_, n)| *n > 0).collect()),
            None => (self.header.dropped_rows, self.header.missing.iter().map(|(c, &n)| (c.clone(), n)).collect()),
        };
        let dropped = Dropped { rows: dropped_rows, missing, ..Dropped::default() };
        Ok((Totals { rows, sum_log_weights, cross }, dropped))
    }

    /// Returns a sum; over no rows, that of SQL is null.
    fn sum_of(&self, name: &str, rows: u64) -> f64 {
        let sum = self.sums.get(name).copied().unwrap_or(0.0);
        if rows == 0 && sum.is_nan() { 0.0 } else { sum }
    }

    /// Returns the number of rows, which the header may state, too.
    fn rows(&self) -> Result<u64, MomentsFileError> {
        match (self.count(TotalColumns::ROWS)?, self.header.rows) {
            (Some(own), Some(stated)) if own != stated => {
                Err(refused!("{}: these are sums over {own} rows, but {HEADER} says {stated}", self.shown))
            }
            (Some(rows), _) | (None, Some(rows)) => Ok(rows),
            (None, None) => {
                let (shown, rows) = (&self.shown, TotalColumns::ROWS);
                Err(refused!("{shown}: the column `{rows}`, the number of rows, is missing, here and in {HEADER}"))
            }
        }
    }

    /// Checks the counts that a query may make of what it left out.
    fn check_counts(&self, rows: u64) -> Result<(), MomentsFileError> {
        let shown = &self.shown;
        if let Some(bad) = self.count(TotalColumns::BAD_WEIGHTS)?.filter(|&bad| bad > 0) {
            let weights = self.header.definition.weights.as_deref().unwrap_or("the weights");
            return Err(refused!(
                "{shown}: in {bad} complete rows `{weights}` is missing, or not a positive number; leave these rows out, \
                 or correct the weights"
            ));
        }
        for (factor, n) in self.counts("unlisted").map_err(|name| self.not_a_count(&name))? {
            if n > 0 {
                let listed =
                    self.header.definition.levels.get(&factor).map_or(String::new(), |levels| levels.join(", "));
                return Err(refused!(
                    "{shown}: {n} complete rows have a level of `{factor}` that is not listed ({listed}); list all levels, \
                     or leave these rows out by a condition"
                ));
            }
        }
        for (name, column) in self.columns.values.iter().zip(&self.header.definition.columns) {
            let column = &column.name;
            if let Some(n) = self.count(name)?.filter(|&n| n != rows) {
                return Err(refused!(
                    "{shown}: `{column}` has a value in {n} of {rows} rows, so its sums are over other rows than the rest; \
                     the query needs a condition that leaves out rows where `{column}` is null"
                ));
            }
        }
        Ok(())
    }

    /// Returns the count in a column, if the table has it.
    fn count(&self, name: &str) -> Result<Option<u64>, MomentsFileError> {
        let Some(&value) = self.sums.get(name) else { return Ok(None) };
        match value {
            // A sum over no rows is null in SQL.
            value if value.is_nan() => Ok(Some(0)),
            value if value >= 0.0 && value.fract() == 0.0 => Ok(Some(value as u64)),
            _ => Err(self.not_a_count(name)),
        }
    }

    fn not_a_count(&self, name: &str) -> MomentsFileError {
        refused!("{}: `{name}` is {}, but it counts rows", self.shown, self.sums[name])
    }

    /// Returns the counts of a kind with the columns they are of: `missing*age` or `missing_0`. The error is the
    /// name of a column that is not a count.
    fn counts(&self, kind: &str) -> Result<Vec<(String, u64)>, String> {
        let mut counts = Vec::new();
        for name in self.sums.keys() {
            let Some(rest) = name.strip_prefix(kind) else { continue };
            let by_position = || self.header.counted.get(rest.strip_prefix('_')?.parse::<usize>().ok()?).cloned();
            let Some(of) = rest.strip_prefix('*').map(str::to_owned).or_else(by_position) else { continue };
            let n = self.count(name).map_err(|_| name.clone())?;
            counts.push((of, n.unwrap_or(0)));
        }
        counts.sort_by(|a, b| self.place(&a.0).cmp(&self.place(&b.0)).then_with(|| a.0.cmp(&b.0)));
        Ok(counts)
    }

    /// Place of a counted column, to list counts in a fixed order.
    fn place(&self, of: &str) -> usize {
        self.header.counted.iter().position(|counted| counted == of).unwrap_or(usize::MAX)
    }
}
