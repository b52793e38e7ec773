//! A lower bound for reading: polars' own streaming `group_by` of a file, with sums of its numbers.
//!
//! Fitting a model cannot be much faster than this, because both read and group every row.
//!
//! ```text
//! cargo run --release -p tiers-tables --example group_by -- FILE school class
//! ```
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::time::Instant;

use polars::prelude::{Engine, LazyFrame, PlRefPath, ScanArgsParquet, SchemaExt, col, len};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().ok_or("name a parquet file and the grouping columns")?;
    let keys: Vec<String> = arguments.collect();

    let start = Instant::now();
    let mut rows = LazyFrame::scan_parquet(PlRefPath::new(file), ScanArgsParquet::default())?;
    let schema = rows.collect_schema()?;
    let numeric = |name: &str| !keys.iter().any(|k| k == name);
    let mut sums: Vec<_> = schema
        .iter_fields()
        .filter(|f| f.dtype().is_numeric() && numeric(f.name()))
        .map(|f| col(f.name().clone()).sum())
        .collect();
    let columns = sums.len();
    sums.push(len());
    let groups = rows
        .group_by(keys.iter().map(col).collect::<Vec<_>>())
        .agg(sums)
        .collect_with_engine(Engine::Streaming)?
        .unwrap_single();
    println!("{} groups with sums of {columns} columns in {:.3} s", groups.height(), start.elapsed().as_secs_f64());
    Ok(())
}
