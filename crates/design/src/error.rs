//! Errors of formulas against tables and their rows. Each message states the place, the reason and a
//! remedy.

use crate::formula::{Caret, FormulaError};

/// A formula or a setting that does not fit the table.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DesignError {
    /// A linear model has the response of a binomial one.
    #[error(
        "cbind(successes, failures) is the response of a binomial model: fit it with --family binomial, or name one \
         column of numbers"
    )]
    TrialsOfLinearModel,
    /// The formula itself is wrong.
    #[error(transparent)]
    Formula(#[from] FormulaError),
    /// A row of the first block cannot be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// A name is not a column of the table.
    #[error("there is no column `{column}` in the data{}{}{}", did_you_mean(.nearest), listing("the columns are", .available), below(.place))]
    UnknownColumn {
        /// The name as written.
        column: String,
        /// The column with the most similar name, if one is similar.
        nearest: Option<String>,
        /// All columns.
        available: Vec<String>,
        /// Its place in the formula; `None` for a name from the settings.
        place: Option<Caret>,
    },
    /// A column holds values that no model can use (lists, durations, …).
    #[error("column `{column}` holds {kind} values, which a model cannot use; convert it to numbers or text before the fit{}", below(.place))]
    UnusableColumn {
        /// The column.
        column: String,
        /// The reader's name for the type of its values.
        kind: String,
        /// Its place in the formula.
        place: Option<Caret>,
    },
    /// The response is text or boolean.
    #[error("the response `{column}` holds {kind} values, but a linear model needs a number; {remedy}{}", below(.place))]
    ResponseNotNumeric {
        /// The column.
        column: String,
        /// Kind of its values.
        kind: &'static str,
        /// Suggested remedy.
        remedy: String,
        /// Its place in the formula.
        place: Option<Caret>,
    },
    /// A column of numbers mixed with other values, of unknown kind.
    #[error("column `{column}` holds numbers or dates for the most part, but also {odd}; {remedy}{}", below(.place))]
    Mixed {
        /// The column.
        column: String,
        /// The values that are not numbers, and their rows.
        odd: String,
        /// Suggested remedy.
        remedy: String,
        /// Place of the column in the formula.
        place: Option<Caret>,
    },
    /// Arithmetic with a text column.
    #[error("`{expression}` computes with column `{column}`, which holds text; use `{column}` by itself as a factor, or convert it to numbers{}", below(.place))]
    TextInArithmetic {
        /// The column.
        column: String,
        /// The expression as R prints it.
        expression: String,
        /// Place of the column in the formula.
        place: Option<Caret>,
    },
    /// The weights are not numbers.
    #[error("the weights column `{column}` holds {kind} values; weights are positive numbers")]
    WeightsNotNumeric {
        /// The column.
        column: String,
        /// Kind of its values.
        kind: &'static str,
    },
    /// The files of the table do not agree on a column.
    #[error("{why}{}", below(.place))]
    UnequalColumn {
        /// The column.
        column: String,
        /// How they disagree, in a complete sentence.
        why: String,
        /// Its place in the formula.
        place: Option<Caret>,
    },
    /// Levels were listed for something that is not a factor of the formula.
    #[error("levels are listed for `{column}`, which is not a factor of the formula{}", listing("its factors are", .factors))]
    LevelsWithoutFactor {
        /// The name given.
        column: String,
        /// The formula's factors.
        factors: Vec<String>,
    },
    /// The data have a level that is not among those listed for its factor.
    #[error("factor `{column}` has the level `{level}`, which is not among those listed for it{}; list all levels, or leave out such rows", listing("they are", .listed))]
    UnlistedLevel {
        /// The factor.
        column: String,
        /// The level.
        level: String,
        /// The levels listed.
        listed: Vec<String>,
    },
    /// A reference level was set for something that is not a factor of the formula.
    #[error("a reference level is set for `{column}`, which is not a factor of the formula{}", listing("its factors are", .factors))]
    ReferenceWithoutFactor {
        /// The name given.
        column: String,
        /// The formula's factors.
        factors: Vec<String>,
    },
    /// A reference level is not among the levels of its factor.
    #[error("factor `{column}` has no level `{level}` to take as the reference{}", listing("its levels are", .levels))]
    UnknownReference {
        /// The factor.
        column: String,
        /// The level set as the reference.
        level: String,
        /// The levels seen.
        levels: Vec<String>,
        /// Whether these are all levels of the data. If they are only those of the first block, a pass
        /// over the factor columns may still find the level.
        complete: bool,
    },
    /// A term gives more columns than a design can hold.
    #[error(
        "the term `{term}` gives {columns} columns, and a design may have {most}; if it names groups, write a random term such as (1 | school)"
    )]
    TooManyColumns {
        /// The term.
        term: String,
        /// Number of its columns.
        columns: usize,
        /// Largest number of columns of a design.
        most: usize,
    },
    /// A factor has fewer than two levels in the rows that are used.
    #[error("factor `{column}` has {} in the complete rows, so there is nothing to compare; drop it from the formula, or look at which rows have missing values", single(.level))]
    SingleLevel {
        /// The factor.
        column: String,
        /// Its only level; `None` if it has no level.
        level: Option<String>,
    },
}

impl DesignError {
    /// Whether the error is based on the first block alone, so that a pass over the factor columns that
    /// collects all levels may resolve it.
    pub fn needs_all_levels(&self) -> bool {
        matches!(self, DesignError::UnknownReference { complete: false, .. })
    }
}

/// A row cannot be encoded.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A column holds an infinite number.
    #[error("column `{column}` is infinite in row {row} (rows counted from 1); make it missing or correct it")]
    InfiniteColumn {
        /// The column.
        column: String,
        /// The row over all files, counted from 1.
        row: u64,
    },
    /// An expression gives an infinite number on a row without missing values.
    #[error(
        "`{expression}` is infinite in row {row} (rows counted from 1); a logarithm of 0, a division by 0 or a number too large: filter such rows or change the expression"
    )]
    InfiniteExpression {
        /// The expression as R prints it.
        expression: String,
        /// The row over all files, counted from 1.
        row: u64,
    },
    /// A weight is zero or negative.
    #[error(
        "the weight in column `{column}` is {value} in row {row} (rows counted from 1); weights must be positive: leave out such rows, or give them a weight"
    )]
    WeightNotPositive {
        /// The column.
        column: String,
        /// The weight.
        value: f64,
        /// The row over all files, counted from 1.
        row: u64,
    },
    /// A row that is otherwise complete has no weight.
    #[error(
        "the weight in column `{column}` is missing in row {row} (rows counted from 1), where nothing else is; give the row a weight, or leave it out"
    )]
    WeightMissing {
        /// The column.
        column: String,
        /// The row over all files, counted from 1.
        row: u64,
    },
    /// A factor has a level that is not in the recipe. The caller must collect all levels in a pass over
    /// the factor columns and freeze the plan again.
    #[error(
        "factor `{column}` has a level `{label}` that was not among those the design was made for; freeze the design with all levels"
    )]
    NewLevel {
        /// The factor.
        column: String,
        /// The level.
        label: String,
    },
}

fn did_you_mean(nearest: &Option<String>) -> String {
    nearest.as_ref().map_or_else(String::new, |name| format!(" (did you mean `{name}`?)"))
}

/// Formats `; <lead>: a, b, c`, cut after twenty names.
fn listing(lead: &str, names: &[String]) -> String {
    const SHOWN: usize = 20;
    if names.is_empty() {
        return format!("; {lead}: none");
    }
    let shown: Vec<&str> = names.iter().take(SHOWN).map(String::as_str).collect();
    let rest = match names.len() - shown.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("; {lead}: {}{rest}", shown.join(", "))
}

fn below(place: &Option<Caret>) -> String {
    place.as_ref().map_or_else(String::new, |caret| format!("\n{caret}"))
}

fn single(level: &Option<String>) -> String {
    match level {
        Some(level) => format!("only one level, `{level}`,"),
        None => "no level".to_owned(),
    }
}
