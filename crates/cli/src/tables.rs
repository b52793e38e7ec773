//! Fitted values as parquet.

use anyhow::anyhow;
use tiers_moments::{ReadObserver, RowPass};
use tiers_outputs::{OutColumn, OutField, OutValues, Staged};
use tiers_reml::{FittedRows, FittedValues};
use tiers_tables::{Source, TableSink};

/// Writes `fitted.parquet` in a second pass over the data.
pub(crate) fn write_fitted(
    staged: &Staged<'_>,
    fitted: &FittedValues<'_>,
    source: &Source,
    observer: &mut dyn ReadObserver,
) -> anyhow::Result<()> {
    let field = |column: &OutColumn| column.field();
    let fields: Vec<OutField> = fitted_columns(FittedRows::default()).iter().map(field).collect();
    let named = |error| staged.renamed(error);
    let mut sink = TableSink::parquet(&staged.path("fitted.parquet"), &fields).map_err(named)?;
    let mut failed = None;
    let mut push = |rows| {
        sink.push(fitted_columns(rows)).map_err(|error| {
            let words = error.to_string();
            failed = Some(error);
            words.into()
        })
    };
    let mut pass = RowPass::new(source, fitted.requests().to_vec());
    let passed = pass.run(observer, |block| fitted.of_block(&block), &mut push);
    match failed {
        Some(error) => Err(named(error).into()),
        None => {
            passed.map_err(|error| anyhow!("fitted values: {error}"))?;
            Ok(sink.finish().map_err(named)?)
        }
    }
}

fn fitted_columns(rows: FittedRows) -> Vec<OutColumn> {
    let row = rows.row.iter().map(|&row| row as i64).collect();
    vec![
        OutColumn::new("row", OutValues::I64(row)),
        OutColumn::new("response", OutValues::F64(rows.response)),
        OutColumn::new("fixed", OutValues::F64(rows.fixed)),
        OutColumn::new("fitted", OutValues::F64(rows.fitted)),
        OutColumn::new("residual", OutValues::F64(rows.residual)),
        OutColumn::new("standardised_residual", OutValues::F64(rows.standardised)),
    ]
}
