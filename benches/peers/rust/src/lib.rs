//! Code shared by the peers: reads the columns of a parquet file, and prints the result.
//!
//! Every program takes a formula, a file, and the names of the columns that the formula needs, as
//! `number:pretest` or `label:school`, and prints one line of JSON.

use anyhow::{Context, Result, bail};
use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_cast::cast;
use arrow_schema::DataType;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::fs::File;
use std::time::Instant;

/// A column in the form that the peers accept.
pub enum Column {
    /// Numbers.
    Number(Vec<f64>),
    /// Labels of a grouping factor or another factor.
    Label(Vec<String>),
}

/// The arguments of a program.
pub struct Request {
    /// The model.
    pub formula: String,
    /// The parquet file.
    pub file: String,
    /// The columns, and whether each is numeric.
    pub columns: Vec<(String, bool)>,
}

impl Request {
    /// Parses the command line.
    pub fn from_arguments() -> Result<Request> {
        let mut arguments = std::env::args().skip(1);
        let formula = arguments.next().context("name a formula")?;
        let file = arguments.next().context("name a parquet file")?;
        let mut columns = Vec::new();
        for argument in arguments {
            match argument.split_once(':') {
                Some(("number", name)) => columns.push((name.to_owned(), true)),
                Some(("label", name)) => columns.push((name.to_owned(), false)),
                _ => bail!("{argument}: write number:NAME or label:NAME"),
            }
        }
        Ok(Request { formula, file, columns })
    }

    /// Reads the whole columns.
    pub fn read(&self) -> Result<Vec<(String, Column)>> {
        let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(&self.file)?)?;
        let names = self.columns.iter().map(|(name, _)| name.as_str());
        let mask = ProjectionMask::columns(builder.parquet_schema(), names);
        let empty = |(name, number): &(String, bool)| {
            (name.clone(), if *number { Column::Number(Vec::new()) } else { Column::Label(Vec::new()) })
        };
        let mut columns: Vec<(String, Column)> = self.columns.iter().map(empty).collect();
        for batch in builder.with_projection(mask).with_batch_size(65_536).build()? {
            let batch = batch?;
            for (name, column) in &mut columns {
                let array = batch.column_by_name(name).with_context(|| format!("no column {name}"))?;
                match column {
                    Column::Number(values) => {
                        let array = cast(array, &DataType::Float64)?;
                        values.extend_from_slice(array.as_primitive::<Float64Type>().values());
                    }
                    Column::Label(values) => {
                        let array = cast(array, &DataType::Utf8)?;
                        let labels = array.as_string::<i32>();
                        values.extend((0..labels.len()).map(|row| labels.value(row).to_owned()));
                    }
                }
            }
        }
        Ok(columns)
    }
}

/// Measures the times of a run.
pub struct Clock {
    start: Instant,
    read: f64,
}

impl Clock {
    /// Starts the clock.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Clock {
        Clock { start: Instant::now(), read: 0.0 }
    }

    /// Records that all columns have been read.
    pub fn have_read(&mut self) {
        self.read = self.start.elapsed().as_secs_f64();
    }

    /// Prints the result and the times as one line of JSON.
    pub fn tell(&self, criterion: f64, converged: bool) {
        let fit = self.start.elapsed().as_secs_f64() - self.read;
        let result = serde_json::json!({
            "criterion": criterion, "converged": converged, "read_seconds": self.read, "fit_seconds": fit,
        });
        println!("{result}");
    }
}
