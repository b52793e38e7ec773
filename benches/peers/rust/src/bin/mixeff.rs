//! Runs the crate `mixeff-rs`: the formulation of MixedModels.jl, with a blocked Cholesky factorisation.

use mixeff_rs::model::{FitOptions, LinearMixedModelBuilder};
use mixeff_rs::prelude::*;
use peers::{Clock, Column, Request};

fn main() -> anyhow::Result<()> {
    let request = Request::from_arguments()?;
    let mut clock = Clock::new();
    let columns = request.read()?;
    clock.have_read();
    let mut frame = DataFrame::new();
    for (name, column) in columns {
        match column {
            Column::Number(values) => frame.add_numeric(&name, values)?,
            Column::Label(values) => frame.add_categorical(&name, values)?,
        };
    }
    let formula = parse_formula(&request.formula)?;
    let model = LinearMixedModelBuilder::new(formula, &frame).fit(FitOptions::reml())?;
    clock.tell(model.objective_value(), true);
    Ok(())
}
