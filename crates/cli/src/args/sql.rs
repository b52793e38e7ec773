//! Arguments of `tiers sql`.

use super::csv::CsvArgs;
use super::resources::Resources;
use clap::Args;
use std::path::PathBuf;
use tiers_sql::Dialect;

/// Examples below the help.
pub(super) const EXAMPLES: &str = "\
Examples:
  A script for DuckDB, with levels and shifts of a sample of the rows, its run, and the fit:
    tiers sql \"score ~ pretest + sex + (1 | school/class)\" sample.parquet --dialect duckdb \\
      --table \"read_parquet('/data/*.parquet')\" --out students.moments
    (cd students.moments && duckdb < moments.sql)
    tiers fit --moments students.moments

  Without rows at hand, from the columns and their kinds:
    tiers sql \"score ~ pretest + sex + (1 | school)\" --schema schema.json --dialect postgres \\
      --table school.students --levels sex=F,M --shift pretest=50 --out students.moments

The files are described in docs/moments.md, the engines in docs/engines.md.";

/// Arguments of `tiers sql`.
#[derive(Debug, Args)]
pub(crate) struct SqlArgs {
    /// Model formula in lme4's syntax, as in "y ~ x + (1 + x | school/class)"
    pub formula: String,

    /// Files with some rows of the table, or all: columns, levels and shifts are read from them
    #[arg(required_unless_present_any = ["schema", "family"], conflicts_with = "schema")]
    pub data: Vec<PathBuf>,

    /// JSON file with the columns and their kinds, as `fields` in moments.json
    #[arg(long, value_name = "FILE", help_heading = "Table")]
    pub schema: Option<PathBuf>,

    /// Engine: duckdb, spark, postgres, bigquery or snowflake
    #[arg(long, value_name = "NAME", help_heading = "Table")]
    pub dialect: Dialect,

    /// The table as the script is to name it: a table, a function, or a query in brackets
    #[arg(long, value_name = "SQL", help_heading = "Table")]
    pub table: String,

    /// Condition on the rows, in the engine's dialect
    #[arg(long = "where", value_name = "SQL", help_heading = "Table")]
    pub condition: Option<String>,

    /// Folder for the script and its description
    #[arg(long, value_name = "DIR", required = true, help_heading = "Output")]
    pub out: PathBuf,

    /// Folder or URI that the engine writes to (default: the folder of the script)
    #[arg(long, value_name = "URI", help_heading = "Output")]
    pub to: Option<String>,

    /// Column of prior weights: a row with weight w has residual variance sigma^2 / w
    #[arg(long, value_name = "COL", help_heading = "Model")]
    pub weights: Option<String>,

    /// Reference level of a factor (default: its first level); may be repeated
    #[arg(long, value_name = "FACTOR=LEVEL", help_heading = "Model")]
    pub reference: Vec<String>,

    /// All levels of a factor; may be repeated
    #[arg(long, value_name = "FACTOR=A,B,C", help_heading = "Model")]
    pub levels: Vec<String>,

    /// Number near the mean of a column of the model, subtracted before summing; may be repeated
    #[arg(long, value_name = "COLUMN=NUMBER", help_heading = "Model")]
    pub shift: Vec<String>,

    /// Generalised models have no sufficient statistics; this is an error that says so
    #[arg(long, value_name = "FAMILY", hide = true)]
    pub family: Option<String>,

    #[command(flatten)]
    pub csv: CsvArgs,

    #[command(flatten)]
    pub resources: Resources,

    /// Print no progress and no messages, only errors
    #[arg(long, short, help_heading = "Run")]
    pub quiet: bool,
}
