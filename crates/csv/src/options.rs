//! Options for reading text files. An option that is not given is inferred from the file or has the
//! default documented here.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How text files are written. The defaults suit files exported by R, pandas and spreadsheets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CsvOptions {
    /// Separator of the fields. Default: by the extension (`.csv`: comma, `.tsv`: tab) or, if that gives a
    /// single column, the semicolon, tab or bar that gives more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sep: Option<Separator>,
    /// Decimal mark of numbers. Default: the point.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decimal: Option<Decimal>,
    /// Encoding of the text. Default: that of the byte order mark, else UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding: Option<Encoding>,
    /// Texts that stand for missing values, besides the empty field, `NA` and `NaN`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub na: Vec<String>,
    /// Types of columns. Default: inferred from the values.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub types: BTreeMap<String, ColumnType>,
}

impl CsvOptions {
    /// Whether all options have their defaults.
    pub fn is_default(&self) -> bool {
        *self == CsvOptions::default()
    }

    /// Returns these options, completed by those of `others` where they are not set; types per column.
    #[must_use]
    pub fn or(&self, others: &CsvOptions) -> CsvOptions {
        let mut types = others.types.clone();
        types.extend(self.types.clone());
        CsvOptions {
            sep: self.sep.or(others.sep),
            decimal: self.decimal.or(others.decimal),
            encoding: self.encoding.or(others.encoding),
            na: if self.na.is_empty() { others.na.clone() } else { self.na.clone() },
            types,
        }
    }

    /// Parses a list of missing values such as `.,NULL,-99`. A comma within a value is written `\,`.
    pub fn parse_na(list: &str) -> Vec<String> {
        let mut values = vec![String::new()];
        let mut letters = list.chars().peekable();
        while let Some(letter) = letters.next() {
            match letter {
                '\\' if letters.peek() == Some(&',') => values.last_mut().expect("never empty").extend(letters.next()),
                ',' => values.push(String::new()),
                letter => values.last_mut().expect("never empty").push(letter),
            }
        }
        let trimmed = values.iter().map(|value| value.trim().to_owned());
        trimmed.filter(|value| !value.is_empty()).collect()
    }

    /// Parses the type of a column, such as `school=text`.
    ///
    /// # Errors
    /// If the text is not of this form, or there is no such type.
    pub fn parse_type(text: &str) -> Result<(String, ColumnType), String> {
        // A name may contain an equals sign; a type does not.
        match text.rsplit_once('=') {
            Some((column, kind)) if !column.is_empty() => Ok((column.to_owned(), kind.parse()?)),
            _ => Err(format!("`{text}`: write the column, `=` and its type, as in school=text")),
        }
    }
}

/// A character that separates fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Separator(u8);

impl Separator {
    /// The byte of the character.
    pub fn byte(self) -> u8 {
        self.0
    }
}

impl FromStr for Separator {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "tab" | "\\t" | "\t" => Ok(Separator(b'\t')),
            "comma" => Ok(Separator(b',')),
            "semicolon" => Ok(Separator(b';')),
            "bar" | "pipe" => Ok(Separator(b'|')),
            "space" => Ok(Separator(b' ')),
            _ => match text.as_bytes() {
                &[byte] if byte == b' ' || (byte.is_ascii_punctuation() && !b"\"'.-_+#".contains(&byte)) => {
                    Ok(Separator(byte))
                }
                _ => Err(format!("`{text}` cannot separate fields; write one character such as `;`, or `tab`")),
            },
        }
    }
}

impl fmt::Display for Separator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            b'\t' => f.write_str("tab"),
            b' ' => f.write_str("space"),
            byte => write!(f, "{}", char::from(byte)),
        }
    }
}

/// The decimal mark of numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Decimal {
    /// `1.5`
    #[default]
    #[serde(rename = ".")]
    Point,
    /// `1,5`
    #[serde(rename = ",")]
    Comma,
}

impl FromStr for Decimal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "." | "point" => Ok(Decimal::Point),
            "," | "comma" => Ok(Decimal::Comma),
            _ => Err(format!("`{text}` is not a decimal mark; write `.` or `,`")),
        }
    }
}

/// A text encoding, named by any of the labels of the WHATWG encoding standard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Encoding(&'static encoding_rs::Encoding);

impl Encoding {
    pub(crate) fn inner(self) -> &'static encoding_rs::Encoding {
        self.0
    }
}

impl FromStr for Encoding {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let label = match text.to_ascii_lowercase().as_str() {
            // Common names that the standard does not list.
            "latin-1" | "latin_1" => "latin1".to_owned(),
            "utf8" | "utf-8-sig" => "utf-8".to_owned(),
            "utf16" => "utf-16".to_owned(),
            "cp-1252" => "cp1252".to_owned(),
            other => other.to_owned(),
        };
        encoding_rs::Encoding::for_label_no_replacement(label.as_bytes()).map(Encoding).ok_or_else(|| {
            format!("`{text}` is not a known encoding; write utf-8, utf-16, latin-1, windows-1252 or another label")
        })
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.name().to_ascii_lowercase())
    }
}

macro_rules! as_text {
    ($($name:ident),*) => {$(
        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.to_string()
            }
        }
    )*};
}
as_text!(Separator, Encoding);

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnType {
    /// Numbers, integers among them.
    Number,
    /// Integers.
    Integer,
    /// Strings, kept as written: `0870` is not `870`.
    Text,
    /// True or false.
    Boolean,
}

impl FromStr for ColumnType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "number" | "float" => Ok(ColumnType::Number),
            "integer" => Ok(ColumnType::Integer),
            "text" => Ok(ColumnType::Text),
            "boolean" => Ok(ColumnType::Boolean),
            _ => Err(format!("`{text}` is not a type; the types are number, integer, text and boolean")),
        }
    }
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ColumnType::Number => "number",
            ColumnType::Integer => "integer",
            ColumnType::Text => "text",
            ColumnType::Boolean => "boolean",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_missing_values() {
        assert_eq!(CsvOptions::parse_na(".,NULL,-99"), [".", "NULL", "-99"]);
        assert_eq!(CsvOptions::parse_na(r"a\,b, c ,"), ["a,b", "c"]);
    }

    #[test]
    fn separators_by_character_and_name() {
        for (text, byte) in [(";", b';'), ("tab", b'\t'), ("\\t", b'\t'), ("|", b'|'), (" ", b' '), ("comma", b',')] {
            assert_eq!(text.parse::<Separator>().unwrap().byte(), byte, "{text}");
        }
        for bad in ["", ";;", "a", "1", "\"", "\n", ".", "é"] {
            assert!(bad.parse::<Separator>().is_err(), "{bad}");
        }
    }

    #[test]
    fn encodings_by_their_usual_names() {
        for (text, name) in [("latin-1", "windows-1252"), ("UTF-16", "utf-16le"), ("utf8", "utf-8")] {
            assert_eq!(text.parse::<Encoding>().unwrap().to_string(), name);
        }
        assert!("klingon".parse::<Encoding>().is_err());
    }

    #[test]
    fn options_survive_a_round_trip_through_json() {
        let options = CsvOptions {
            sep: Some(Separator(b'\t')),
            decimal: Some(Decimal::Comma),
            encoding: "utf-16".parse().ok(),
            na: vec![".".to_owned()],
            types: [("zip".to_owned(), ColumnType::Text)].into(),
        };
        let text = serde_json::to_string(&options).unwrap();
        assert_eq!(text, r#"{"sep":"tab","decimal":",","encoding":"utf-16le","na":["."],"types":{"zip":"text"}}"#);
        assert_eq!(serde_json::from_str::<CsvOptions>(&text).unwrap(), options);
        assert_eq!(serde_json::to_string(&CsvOptions::default()).unwrap(), "{}");
    }

    #[test]
    fn options_of_new_data_override_those_of_the_fit() {
        let fit = CsvOptions { na: vec![".".into()], sep: Some(Separator(b';')), ..CsvOptions::default() };
        let new = CsvOptions { na: vec!["?".into()], ..CsvOptions::default() };
        let both = new.or(&fit);
        assert_eq!((both.na, both.sep), (vec!["?".to_owned()], Some(Separator(b';'))));
    }
}
