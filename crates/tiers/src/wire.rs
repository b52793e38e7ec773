//! Moments as serde writes and reads them, to be sent between processes.

use crate::error::Error;
use crate::moments::{Moments, of_parts};
use crate::table::Table;
use crate::values::Values;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use tiers_design::Source;
use tiers_moments::{Definition, Dropped, Part, Totals};

/// What moments consist of, as plain data.
#[derive(Serialize, Deserialize)]
struct Wire {
    definition: Definition,
    rows: u64,
    sum_log_weights: f64,
    /// `C'WC`, row-major.
    cross: Vec<f64>,
    dropped_rows: u64,
    missing: Vec<(String, u64)>,
    /// The columns of the cells.
    cells: Vec<(String, Cells)>,
}

#[derive(Serialize, Deserialize)]
enum Cells {
    Numbers(Vec<f64>),
    Integers(Vec<i64>),
    Texts(Vec<String>),
}

impl From<Values> for Cells {
    fn from(values: Values) -> Cells {
        match values {
            Values::Numbers(values) => Cells::Numbers(values),
            Values::Integers(values) => Cells::Integers(values.into_iter().flatten().collect()),
            Values::Texts(values) => Cells::Texts(values.into_iter().flatten().collect()),
            _ => unreachable!("cells have keys and sums"),
        }
    }
}

impl From<Cells> for Values {
    fn from(cells: Cells) -> Values {
        match cells {
            Cells::Numbers(values) => values.into(),
            Cells::Integers(values) => values.into(),
            Cells::Texts(values) => values.into(),
        }
    }
}

/// As plain data: the definition of the columns, the sums, and the cells. All digits are kept in formats that keep
/// those of numbers, so that a fit to moments that were sent is bit-identical.
impl Serialize for Moments {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let totals = Totals::of(&self.ingested.moments);
        let cells = self.cell_columns().into_iter().map(|(name, values)| (name, values.into())).collect();
        let wire = Wire {
            definition: self.definition.clone(),
            rows: totals.rows,
            sum_log_weights: totals.sum_log_weights,
            cross: totals.cross,
            dropped_rows: self.ingested.dropped.rows,
            missing: self.ingested.dropped.missing.clone(),
            cells,
        };
        wire.serialize(serializer)
    }
}

/// Checks the sums as [`Moments::load`] checks those of a folder.
impl<'de> Deserialize<'de> for Moments {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Moments, D::Error> {
        Wire::deserialize(deserializer)?.moments().map_err(de::Error::custom)
    }
}

impl Wire {
    fn moments(self) -> Result<Moments, Error> {
        let Wire { definition, rows, sum_log_weights, cross, dropped_rows, missing, cells } = self;
        let table = Table::from_columns(cells.into_iter().map(|(name, values)| (name, Values::from(values))))?;
        let totals = Totals { rows, sum_log_weights, cross };
        let dropped = Dropped { rows: dropped_rows, missing, ..Dropped::default() };
        let cells = (rows > 0).then_some(&table as &dyn Source);
        of_parts(&[Part { name: "these moments", definition: &definition, totals: &totals, dropped: &dropped, cells }])
    }
}
