//! Dialects of SQL: how each engine writes names, texts, numbers and functions, and where it puts results.

use crate::error::SqlError;
use std::fmt;
use std::str::FromStr;
use tiers_design::Kind;

/// An engine, for which scripts are written in its own dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// DuckDB.
    DuckDb,
    /// Spark, also of Databricks.
    Spark,
    /// PostgreSQL, by psql.
    Postgres,
    /// BigQuery.
    BigQuery,
    /// Snowflake.
    Snowflake,
}

impl FromStr for Dialect {
    type Err = SqlError;

    fn from_str(name: &str) -> Result<Dialect, SqlError> {
        let found = Dialect::ALL.into_iter().find(|dialect| dialect.name() == name);
        found.ok_or_else(|| SqlError::UnknownDialect { name: name.to_owned() })
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Dialect::DuckDb => "DuckDB",
            Dialect::Spark => "Spark",
            Dialect::Postgres => "PostgreSQL",
            Dialect::BigQuery => "BigQuery",
            Dialect::Snowflake => "Snowflake",
        })
    }
}

impl Dialect {
    /// All dialects.
    pub const ALL: [Dialect; 5] =
        [Dialect::DuckDb, Dialect::Spark, Dialect::Postgres, Dialect::BigQuery, Dialect::Snowflake];

    /// Returns its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Dialect::DuckDb => "duckdb",
            Dialect::Spark => "spark",
            Dialect::Postgres => "postgres",
            Dialect::BigQuery => "bigquery",
            Dialect::Snowflake => "snowflake",
        }
    }

    /// Lists the names of all dialects, for a message.
    pub(crate) fn list() -> String {
        Dialect::ALL.map(Dialect::name).join(", ")
    }

    /// Returns a name of a column in the engine's quotes.
    pub(crate) fn column(self, name: &str) -> String {
        match self {
            Dialect::Spark => format!("`{}`", name.replace('`', "``")),
            Dialect::BigQuery => format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`")),
            _ => format!("\"{}\"", name.replace('"', "\"\"")),
        }
    }

    /// Returns a text literal.
    pub(crate) fn text(self, text: &str) -> String {
        match self {
            Dialect::Spark | Dialect::BigQuery => {
                let escaped = text.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n").replace('\r', "\\r");
                format!("'{escaped}'")
            }
            Dialect::Snowflake => format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''")),
            _ => format!("'{}'", text.replace('\'', "''")),
        }
    }

    /// Converts a value to a floating-point number of 64 bits.
    pub(crate) fn double(self, value: &str) -> String {
        let name = match self {
            Dialect::Postgres => "double precision",
            Dialect::BigQuery => "FLOAT64",
            _ => "DOUBLE",
        };
        format!("CAST({value} AS {name})")
    }

    /// Converts a value to text.
    pub(crate) fn as_text(self, value: &str) -> String {
        let name = if matches!(self, Dialect::Spark | Dialect::BigQuery) { "STRING" } else { "VARCHAR" };
        format!("CAST({value} AS {name})")
    }

    /// Returns a floating-point literal with all digits of the number; null for NaN.
    pub(crate) fn number(self, value: f64) -> String {
        if value.is_nan() {
            return self.double("NULL");
        }
        if value.is_infinite() {
            let (word, sign) = (self.infinity_word(), if value < 0.0 { "-" } else { "" });
            return self.double(&format!("'{sign}{word}'"));
        }
        let digits = format!("{value:e}");
        match self {
            Dialect::DuckDb | Dialect::BigQuery if value >= 0.0 => digits,
            Dialect::DuckDb | Dialect::BigQuery => format!("({digits})"),
            // A number with an exponent is a decimal in some versions of these.
            _ => self.double(&digits),
        }
    }

    fn infinity_word(self) -> &'static str {
        if matches!(self, Dialect::BigQuery | Dialect::Snowflake) { "inf" } else { "Infinity" }
    }

    /// Returns the condition that a floating-point number is there and not NaN.
    pub(crate) fn is_number(self, value: &str) -> String {
        let not_nan = match self {
            Dialect::DuckDb | Dialect::Spark => format!("NOT isnan({value})"),
            Dialect::BigQuery => format!("NOT IS_NAN({value})"),
            // NaN equals itself here.
            Dialect::Postgres | Dialect::Snowflake => format!("{value} <> {}", self.double("'NaN'")),
        };
        format!("{value} IS NOT NULL AND {not_nan}")
    }

    /// Whether the engine has `log1p` and `expm1`.
    pub(crate) fn has_log1p(self) -> bool {
        self == Dialect::Spark
    }

    /// Returns a column as a number: dates are days, points in time seconds, since 1970-01-01.
    pub(crate) fn number_of(self, name: &str, kind: &Kind) -> String {
        let column = self.column(name);
        let number = match (kind, self) {
            (Kind::Boolean, _) => {
                let (one, zero) = (self.number(1.0), self.number(0.0));
                return format!("CASE WHEN {column} THEN {one} WHEN NOT {column} THEN {zero} END");
            }
            (Kind::Date, Dialect::DuckDb) => format!("date_diff('day', DATE '1970-01-01', {column})"),
            (Kind::Date, Dialect::Spark) => format!("datediff({column}, DATE '1970-01-01')"),
            (Kind::Date, Dialect::Postgres) => format!("({column} - DATE '1970-01-01')"),
            (Kind::Date, Dialect::BigQuery) => format!("DATE_DIFF({column}, DATE '1970-01-01', DAY)"),
            (Kind::Date, Dialect::Snowflake) => format!("DATEDIFF('day', DATE '1970-01-01', {column})"),
            (Kind::DateTime, Dialect::DuckDb) => format!("epoch({column})"),
            (Kind::DateTime, Dialect::Spark) => format!("unix_micros({column}) / 1000000"),
            (Kind::DateTime, Dialect::Postgres) => format!("EXTRACT(epoch FROM {column})"),
            (Kind::DateTime, Dialect::BigQuery) => format!("UNIX_MICROS({column}) / 1000000"),
            (Kind::DateTime, Dialect::Snowflake) => format!("DATE_PART('epoch_microsecond', {column}) / 1000000"),
            _ => column,
        };
        self.double(&number)
    }

    /// Returns the largest number of columns of a result, if the engine limits it.
    pub(crate) fn most_columns(self) -> Option<usize> {
        match self {
            Dialect::Postgres => Some(1664),
            Dialect::BigQuery => Some(10_000),
            _ => None,
        }
    }

    /// Returns the extension of the tables that the script writes.
    pub fn extension(self) -> &'static str {
        if self == Dialect::Postgres { "csv" } else { "parquet" }
    }

    /// Returns the statement that writes the result of a query as table `stem` (`cells`, `totals`) or, as csv,
    /// `levels`; `to` is the folder or URI that the user named.
    pub(crate) fn write(self, query: &str, stem: &str, to: Option<&str>) -> Result<String, SqlError> {
        let is_csv = stem == "levels";
        let name = format!("{stem}.{}", if is_csv { "csv" } else { self.extension() });
        let place = |what: &'static str| to.ok_or(SqlError::NoPlace { dialect: self, place: what });
        let at = |to: Option<&str>| to.map_or(name.clone(), |to| format!("{}/{name}", to.trim_end_matches('/')));
        Ok(match self {
            Dialect::DuckDb => {
                let format = if is_csv { "FORMAT csv, HEADER" } else { "FORMAT parquet" };
                format!("COPY (\n{query}\n) TO {} ({format});\n", self.text(&at(to)))
            }
            Dialect::Postgres if to.is_some() => return Err(SqlError::PlaceIsGiven { dialect: self }),
            Dialect::Postgres => format!("COPY (\n{query}\n) TO STDOUT (FORMAT csv, HEADER) \\g {name}\n"),
            Dialect::Spark => {
                let format = if is_csv { "csv OPTIONS ('header' = 'true')" } else { "parquet" };
                format!("INSERT OVERWRITE DIRECTORY {} USING {format}\n{query};\n", self.text(&at(to)))
            }
            Dialect::BigQuery => {
                let (format, extension) =
                    if is_csv { ("'CSV', header = true", "csv") } else { ("'PARQUET'", "parquet") };
                let uri = format!("{}/*.{extension}", at(Some(place("Cloud Storage (gs://…)")?)));
                let uri = self.text(&uri);
                format!("EXPORT DATA OPTIONS (uri = {uri}, format = {format}, overwrite = true) AS\n{query};\n")
            }
            Dialect::Snowflake => {
                let to = format!("{}/", at(Some(place("a stage (@name/path) or a bucket")?)));
                let to = if to.starts_with('@') { to } else { self.text(&to) };
                let format = match is_csv {
                    true => "TYPE = CSV COMPRESSION = NONE FIELD_OPTIONALLY_ENCLOSED_BY = '\"'",
                    false => "TYPE = PARQUET",
                };
                format!("COPY INTO {to} FROM (\n{query}\n) FILE_FORMAT = ({format}) OVERWRITE = TRUE HEADER = TRUE;\n")
            }
        })
    }
}
