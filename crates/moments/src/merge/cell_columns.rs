//! Names of the columns in files of cells and of totals.
//!
//! A file names sums by the columns of C (`1*pretest`) or by their positions (`s_0_1`), which every engine can
//! write: many allow only letters, digits and underscores.

use crate::merge::column_names;
use tiers_design::{Field, Recipe};

/// Appends a name, with a number if it is already taken.
pub(super) fn claim(taken: &mut Vec<String>, name: &str) {
    let mut own = name.to_owned();
    let mut count = 1;
    while taken.contains(&own) {
        count += 1;
        own = format!("{name} ({count})");
    }
    taken.push(own);
}

/// Returns the positional name of the sum of the products of columns `i` and `j` of C.
fn by_position(i: usize, j: usize) -> String {
    format!("s_{}_{}", i.min(j), i.max(j))
}

/// Whether a table has columns with all these names.
fn has_all<'a>(fields: &[Field], mut names: impl Iterator<Item = &'a String>) -> bool {
    names.all(|name| fields.iter().any(|field| field.name == *name))
}

/// The columns of a file of cells.
#[derive(Clone, Debug, PartialEq)]
pub struct CellColumns {
    /// Name of the column with the number of rows.
    pub rows: String,
    /// Name of the column with the global number (from 0) of the first row; a file may lack it.
    pub first_row: String,
    /// For each distinct product of a z column and a column of C, its name and its places in the r×m
    /// sums: one or, for a product of two z columns, two.
    pub sums: Vec<(String, Vec<usize>)>,
    /// Names of the key columns.
    pub keys: Vec<String>,
}

impl CellColumns {
    /// Returns the columns for the cells of a recipe, with names made of those of C.
    pub fn of(recipe: &Recipe) -> CellColumns {
        let names = column_names(recipe);
        let mut taken = vec!["rows".to_owned(), "first_row".to_owned()];
        let mut places = Vec::new();
        for (z, j, own) in places_of(recipe) {
            claim(&mut taken, &format!("{}*{}", names[z], names[j]));
            places.push(own);
        }
        let sums: Vec<_> = taken[2..].iter().cloned().zip(places).collect();
        recipe.keys.iter().for_each(|&key| claim(&mut taken, &recipe.requests[key].column));
        let keys = taken.split_off(2 + sums.len());
        CellColumns { rows: taken[0].clone(), first_row: taken[1].clone(), sums, keys }
    }

    /// Returns the columns with positional names: `key_0` for the first key column, `s_0_1` for the products of
    /// the first two columns of C.
    pub fn by_position(recipe: &Recipe) -> CellColumns {
        CellColumns {
            rows: "rows".to_owned(),
            first_row: "first_row".to_owned(),
            sums: places_of(recipe).into_iter().map(|(z, j, own)| (by_position(z, j), own)).collect(),
            keys: (0..recipe.keys.len()).map(|key| format!("key_{key}")).collect(),
        }
    }

    /// Returns the columns of a table with these fields: positional if it has all of these and lacks another.
    pub fn of_table(recipe: &Recipe, fields: &[Field]) -> CellColumns {
        let (named, positional) = (CellColumns::of(recipe), CellColumns::by_position(recipe));
        let all = |columns: &CellColumns| {
            has_all(fields, columns.keys.iter().chain(columns.sums.iter().map(|(name, _)| name)))
        };
        if !all(&named) && all(&positional) { positional } else { named }
    }

    /// Returns the requests for a file of cells: keys, rows, sums, and the first rows if it has them.
    pub fn requests(&self, with_first_row: bool) -> Vec<tiers_design::Request> {
        let request = |column: &String, role| tiers_design::Request { column: column.clone(), role };
        let mut requests: Vec<_> = self.keys.iter().map(|key| request(key, tiers_design::Role::Label)).collect();
        requests.push(request(&self.rows, tiers_design::Role::Number));
        requests.extend(self.sums.iter().map(|(name, _)| request(name, tiers_design::Role::Number)));
        if with_first_row {
            requests.push(request(&self.first_row, tiers_design::Role::Number));
        }
        requests
    }
}

/// Returns for each sum of a cell its columns of C (first the z column) and its places in the r×m sums.
fn places_of(recipe: &Recipe) -> Vec<(usize, usize, Vec<usize>)> {
    let (z, m) = (crate::Summands::new(recipe, Vec::new()).z, recipe.columns.len() + 1);
    let mut places = Vec::new();
    for (t, &column) in z.iter().enumerate() {
        for j in 0..m {
            // z'Wz is symmetric, so only the upper triangle is written.
            match z.iter().position(|&c| c == j) {
                Some(s) if s < t => {}
                Some(s) if s > t => places.push((column, j, vec![t * m + j, s * m + column])),
                _ => places.push((column, j, vec![t * m + j])),
            }
        }
    }
    places
}

/// The columns of a file of totals that has one row, or several to be added, with a column for each sum.
#[derive(Clone, Debug, PartialEq)]
pub struct TotalColumns {
    /// Names of the sums in the upper triangle of `C'WC`, row by row.
    pub sums: Vec<String>,
    /// For each column of C, the name of the number of rows in which it has a value; a file may lack it.
    pub values: Vec<String>,
    /// Whether the names are positional.
    pub positional: bool,
}

impl TotalColumns {
    /// Name of the number of rows.
    pub const ROWS: &str = "rows";
    /// Name of `Σ log w`.
    pub const LOG_WEIGHTS: &str = "sum_log_weights";
    /// Name of the number of rows that were left out because a value is missing.
    pub const DROPPED: &str = "dropped_rows";
    /// Name of the number of complete rows whose weight is missing or not positive.
    pub const BAD_WEIGHTS: &str = "bad_weights";

    /// Returns the columns of a table with these fields, for columns of C with these names.
    pub fn of_table(columns: &[String], fields: &[Field]) -> TotalColumns {
        let (named, positional) = (TotalColumns::of(columns), TotalColumns::by_position(columns.len()));
        let all = |columns: &TotalColumns| has_all(fields, columns.sums.iter());
        if !all(&named) && all(&positional) { positional } else { named }
    }

    fn of(columns: &[String]) -> TotalColumns {
        let own = [Self::ROWS, Self::LOG_WEIGHTS, Self::DROPPED, Self::BAD_WEIGHTS];
        let mut taken: Vec<String> = own.map(str::to_owned).to_vec();
        upper(columns.len()).for_each(|(i, j)| claim(&mut taken, &format!("{}*{}", columns[i], columns[j])));
        let values = columns.iter().map(|column| format!("n*{column}")).collect();
        TotalColumns { sums: taken.split_off(own.len()), values, positional: false }
    }

    /// Returns the columns with positional names, `s_0_1` and `n_1`, for `m` columns of C.
    pub fn by_position(m: usize) -> TotalColumns {
        let sums = upper(m).map(|(i, j)| by_position(i, j)).collect();
        TotalColumns { sums, values: (0..m).map(|j| format!("n_{j}")).collect(), positional: true }
    }
}

/// Returns the positions of the upper triangle, row by row.
pub(crate) fn upper(m: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..m).flat_map(move |i| (i..m).map(move |j| (i, j)))
}
