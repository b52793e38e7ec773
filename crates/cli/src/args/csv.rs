//! Options for csv and other text files.

use anyhow::anyhow;
use clap::Args;
use tiers_tables::CsvOptions;

/// Options of commands that read text files.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Text files (csv, tsv, txt)")]
pub(crate) struct CsvArgs {
    /// Field separator: a character or `tab` (default: from the extension, else detected)
    #[arg(long, value_name = "CHAR", allow_hyphen_values = true)]
    pub sep: Option<String>,

    /// Decimal mark of numbers, `.` (the default) or `,`
    #[arg(long, value_name = "MARK")]
    pub decimal: Option<String>,

    /// Encoding: utf-8, utf-16, latin-1, windows-1252, … (default: from the byte order mark, else utf-8)
    #[arg(long, value_name = "NAME")]
    pub encoding: Option<String>,

    /// Texts that mean a missing value, in addition to empty fields, NA and NaN, as in --na .,NULL,-99
    #[arg(long, value_name = "A,B,…", allow_hyphen_values = true)]
    pub na: Vec<String>,

    /// Types of columns: number, integer, text or boolean, as in --types school=text,age=number
    #[arg(long, value_name = "COLUMN=TYPE,…")]
    pub types: Vec<String>,
}

impl CsvArgs {
    /// Parses the options.
    pub(crate) fn options(&self) -> anyhow::Result<CsvOptions> {
        fn parsed<T: std::str::FromStr<Err = String>>(name: &str, text: Option<&String>) -> anyhow::Result<Option<T>> {
            text.map(|text| text.parse().map_err(|why| anyhow!("--{name} {why}"))).transpose()
        }
        let mut options = CsvOptions {
            sep: parsed("sep", self.sep.as_ref())?,
            decimal: parsed("decimal", self.decimal.as_ref())?,
            encoding: parsed("encoding", self.encoding.as_ref())?,
            na: self.na.iter().flat_map(|list| CsvOptions::parse_na(list)).collect(),
            ..CsvOptions::default()
        };
        for list in &self.types {
            for text in pieces(list) {
                let (column, kind) = CsvOptions::parse_type(&text).map_err(|why| anyhow!("--types {why}"))?;
                options.types.insert(column, kind);
            }
        }
        Ok(options)
    }

    /// Returns the same options as command-line arguments, for a child process.
    pub(crate) fn words(&self) -> Vec<String> {
        let one =
            |name: &str, value: &Option<String>| value.iter().map(|v| format!("--{name}={v}")).collect::<Vec<_>>();
        let all = |name: &str, values: &[String]| values.iter().map(|v| format!("--{name}={v}")).collect::<Vec<_>>();
        [
            one("sep", &self.sep),
            one("decimal", &self.decimal),
            one("encoding", &self.encoding),
            all("na", &self.na),
            all("types", &self.types),
        ]
        .concat()
    }
}

/// Splits a list of types at its commas; a comma may also be part of a column's name.
fn pieces(list: &str) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    let mut open = false;
    for piece in list.split(',') {
        match pieces.last_mut().filter(|_| open) {
            Some(last) => *last = format!("{last},{piece}"),
            None => pieces.push(piece.to_owned()),
        }
        open = !piece.contains('=');
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use tiers_tables::ColumnType;

    #[test]
    fn types_are_separated_by_commas() {
        assert_eq!(pieces("school=text,age=number"), ["school=text", "age=number"]);
        assert_eq!(pieces("a,b=text,c=number"), ["a,b=text", "c=number"]);
        assert_eq!(pieces("a"), ["a"]);
    }

    #[test]
    fn words_parse_to_the_same_options() {
        let args = CsvArgs {
            sep: Some(";".into()),
            na: vec!["-99".into(), ".".into()],
            types: vec!["g=text".into()],
            ..CsvArgs::default()
        };
        assert_eq!(args.words(), ["--sep=;", "--na=-99", "--na=.", "--types=g=text"]);
        let options = args.options().unwrap();
        assert_eq!(options.na, ["-99", "."]);
        assert_eq!(options.types["g"], ColumnType::Text);
        assert!(CsvArgs { decimal: Some(";".into()), ..CsvArgs::default() }.options().is_err());
    }
}
