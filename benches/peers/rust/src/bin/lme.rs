//! Runs the crate `lme-rs`, which takes a data frame of its own version of polars.

use anyhow::Context;
use peers::{Clock, Request};
use polars::prelude::{DataType, ParquetReader, SerReader};
use std::fs::File;

fn main() -> anyhow::Result<()> {
    let request = Request::from_arguments()?;
    let mut clock = Clock::new();
    let names = request.columns.iter().map(|(name, _)| name.clone()).collect();
    let mut frame = ParquetReader::new(File::open(&request.file)?).with_columns(Some(names)).finish()?;
    for (name, _) in request.columns.iter().filter(|(_, number)| *number) {
        let numbers = frame.column(name)?.cast(&DataType::Float64)?;
        frame.with_column(numbers)?;
    }
    clock.have_read();
    let fit = lme_rs::lmer(&request.formula, &frame, true)?;
    let criterion = fit.reml.context("no REML criterion")?;
    clock.tell(criterion, fit.converged.unwrap_or(true));
    Ok(())
}
