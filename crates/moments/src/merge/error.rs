//! Errors in the moments of one part.

use tiers_design::DesignError;

/// The moments of a part cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PartError {
    /// The formula does not fit the definition's description of the table.
    #[error("its formula does not fit the columns that it says the table has: {0}")]
    Design(#[from] DesignError),
    /// The definition lists no levels for a factor.
    #[error("it lists no levels for the factor `{factor}`; `levels` must list them")]
    NoLevels {
        /// The factor.
        factor: String,
    },
    /// The columns differ from those of the formula.
    #[error("its columns are {}, but its formula and levels give {}", .found.join(", "), .expected.join(", "))]
    Columns {
        /// Names in the recipe.
        expected: Vec<String>,
        /// Names in the definition.
        found: Vec<String>,
    },
    /// A shift that would change the model.
    #[error(
        "its column `{column}` is shifted by {shift}, which would make it another model: only numbers are shifted, in a \
         formula with an intercept and in random terms with one of their own; write 0 and sum the column as it is"
    )]
    Shift {
        /// The column.
        column: String,
        /// Its shift.
        shift: f64,
    },
    /// A shift is given for a column that the model does not have.
    #[error("there is no column `{column}` to be shifted; the columns are {}", .columns.join(", "))]
    NoColumn {
        /// The name.
        column: String,
        /// Names of the columns of C.
        columns: Vec<String>,
    },
    /// A cell has an invalid value.
    #[error(
        "cell {cell} (counted from 1) has {what}; the moments are damaged, or were not made as docs/moments.md says"
    )]
    BadCell {
        /// Number of the cell.
        cell: u64,
        /// The invalid value, in words.
        what: String,
    },
    /// The totals cannot be sums of squares and products.
    #[error(
        "its totals cannot be sums over rows: {what}; the moments are damaged, or were not made as docs/moments.md says"
    )]
    NotProducts {
        /// The impossible value, in words.
        what: String,
    },
    /// A key column has a different kind from that in the definition.
    #[error(
        "the key column `{key}` of its cells holds {}, but its definition says that the table had {}",
        if *.integer { "text" } else { "numbers" }, if *.integer { "integers" } else { "text" }
    )]
    KeyKind {
        /// The column.
        key: String,
        /// Whether it should hold integers.
        integer: bool,
    },
    /// The cells do not add up to the totals.
    #[error(
        "its cells do not add up: {what} is {cells} over the cells, but {total} in the totals; cells are missing, or the \
         files are not of one set of rows: make the moments again"
    )]
    DoNotAddUp {
        /// Name of the sum.
        what: String,
        /// Its value over the cells.
        cells: f64,
        /// Its value in the totals.
        total: f64,
    },
    /// A merged column is not a combination of the columns of this part.
    #[error(
        "its column{} `{column}` cannot be computed from its sums: it was frozen without some level of a factor, and with \
         another reference level in its place. Make its moments again with the levels of all parts, by \
         `tiers moments --like` (moments of another part that has them) or `--levels factor=a,b,c`",
        if *.random { " of the random effects" } else { "" }
    )]
    NotRepresentable {
        /// The column.
        column: String,
        /// Whether it is a column of the random effects.
        random: bool,
    },
}
