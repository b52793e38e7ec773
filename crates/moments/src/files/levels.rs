//! Reads the levels of factors that a query found: a table with the columns `factor` and `level`.

use super::header::{MomentsFileError, refused};
use std::collections::BTreeMap;
use std::path::Path;
use tiers_design::{Column, Field, Kind, Labels, MISSING, Request, Role, number_as_level};
use tiers_outputs::TableFormat;

/// Name of the table.
pub const LEVELS_TABLE: &str = "levels.csv";

/// Reads the levels of each factor, in no order. Numbers are written as `tiers` writes levels, whatever the engine
/// wrote (`1.0`).
///
/// # Errors
/// If it is not such a table, or a level is empty.
pub fn read_levels(
    path: &Path,
    format: &dyn TableFormat,
    fields: &[Field],
) -> Result<BTreeMap<String, Vec<String>>, MomentsFileError> {
    let unread = |error: tiers_design::SourceError| refused!("{error}");
    let names = ["factor", "level"].map(str::to_owned);
    let source = format.open(path, &names).map_err(unread)?;
    let requests = names.map(|column| Request { column, role: Role::Label });
    let mut levels: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for block in source.scan(&requests).map_err(unread)? {
        let block = block.and_then(|block| block.decode()).map_err(unread)?;
        let [Column::Labels(factors), Column::Labels(own)] = &block.columns[..] else {
            unreachable!("columns come in the order and role of the requests")
        };
        for row in 0..block.rows {
            let (Some(factor), Some(level)) = (label(factors, row), label(own, row)) else {
                return Err(refused!(
                    "{}: a factor or a level is empty, or a text that means a missing value; list the levels by --levels",
                    path.display()
                ));
            };
            let is_float = fields.iter().any(|field| field.name == factor && field.kind == Kind::Float);
            let number = level.parse::<f64>().ok().filter(|_| is_float);
            levels.entry(factor).or_default().push(number.map_or(level, |value| number_as_level(value, false)));
        }
    }
    Ok(levels)
}

fn label(labels: &Labels, row: usize) -> Option<String> {
    let code = labels.codes[row];
    (code != MISSING).then(|| labels.dictionary.label(code as usize))
}
