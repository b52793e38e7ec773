//! Errors of writing a script.

use crate::dialect::Dialect;

/// A script cannot be written: the reason and the remedy.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SqlError {
    /// The name of a dialect is unknown.
    #[error("`{name}` is not a dialect; the dialects are {}", Dialect::list())]
    UnknownDialect {
        /// The name.
        name: String,
    },
    /// Points in time as labels.
    #[error(
        "`{column}` holds points in time, which engines write in different ways, so that they cannot be groups or levels \
         here; give their text as a column of a query: --table \"(SELECT *, … AS day FROM …)\""
    )]
    PointsInTime {
        /// The column.
        column: String,
    },
    /// An expression becomes too long.
    #[error("`{expression}` nests functions so deeply that its SQL is too long; compute it as a column of the table")]
    TooLong {
        /// The expression.
        expression: String,
    },
    /// More columns than a table of the engine may have.
    #[error(
        "the sums of this model are {columns} columns, and {dialect} allows {most}; name fewer predictors, or use another \
         engine"
    )]
    TooManyColumns {
        /// The engine.
        dialect: Dialect,
        /// Columns of the result.
        columns: usize,
        /// Columns that the engine allows.
        most: usize,
    },
    /// The engine writes to a place that must be named.
    #[error("{dialect} writes its results to {place}; name one by --to")]
    NoPlace {
        /// The engine.
        dialect: Dialect,
        /// What it writes to.
        place: &'static str,
    },
    /// The engine does not write to a place of the user's choice.
    #[error("{dialect} writes its results beside the script, by psql; leave out --to")]
    PlaceIsGiven {
        /// The engine.
        dialect: Dialect,
    },
}
