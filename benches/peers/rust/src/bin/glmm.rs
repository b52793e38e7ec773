//! Runs the crate `glmm`: one pass to sufficient statistics per group, then BFGS or BOBYQA.

use glmm::formula::{Column as Theirs, Table, fit};
use glmm::{Family, FitOptions};
use peers::{Clock, Column, Request};

fn main() -> anyhow::Result<()> {
    let request = Request::from_arguments()?;
    let mut clock = Clock::new();
    let columns = request.read()?;
    clock.have_read();
    let n = columns.first().map_or(0, |(_, column)| match column {
        Column::Number(values) => values.len(),
        Column::Label(values) => values.len(),
    });
    let theirs = |(name, column)| match column {
        Column::Number(values) => (name, Theirs::Numeric(values)),
        Column::Label(values) => (name, Theirs::factor_from_labels(&values)),
    };
    let table = Table { columns: columns.into_iter().map(theirs).collect(), n };
    let model = fit(&request.formula, &table, Family::Gaussian, &FitOptions::default())
        .map_err(|error| anyhow::anyhow!("{error}"))?;
    clock.tell(-2.0 * model.fit().loglik(), model.fit().converged());
    Ok(())
}
