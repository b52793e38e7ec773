//! `moments.json`: describes the columns that the moments beside it were computed from.

use crate::merge::Definition;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use tiers_outputs::visible::json_of;
use tiers_outputs::{Contents, Seal};

/// Version of the format that is written beside tables which are known.
pub(super) const VERSION: u64 = 1;
/// Version of headers that leave to the totals what only a query knows: `rows`, `sum_log_weights`, counts.
const DESCRIPTION_VERSION: f64 = 1.1;

/// Prefix of the fingerprints of tiers 0.1.0.
const OLD_KIND: &str = "fnv1a64:";

/// Name of the header in a folder of moments.
pub const HEADER: &str = "moments.json";
/// Stem of the name of the file of cells; the extension is that of its format.
pub(super) const CELLS: &str = "cells";
/// Stem of the name of the file of totals, `C'WC`.
pub(super) const TOTALS: &str = "totals";
/// Formats of the tables.
pub(super) const FORMATS: [&str; 2] = ["parquet", "csv"];

/// A folder of moments.
pub const MOMENTS: Contents = Contents {
    called: "moments",
    files: &["totals.parquet", "totals.csv", "cells.parquet", "cells.csv", HEADER],
    folder: None,
    key: "tiers_moments",
};

/// Why moments cannot be read: place, reason and remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MomentsFileError(pub String);

/// The error of a folder of moments, from a format string.
macro_rules! refused {
    ($($words:tt)*) => { $crate::files::MomentsFileError(format!($($words)*)) };
}
pub(super) use refused;

/// Contents of `moments.json`. Fields that another program may omit have a default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MomentsHeader {
    /// Version of the format: 1, or 1.1.
    pub tiers_moments: serde_json::Number,
    /// The program that wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written_by: Option<String>,
    /// Definition of the columns that the moments were computed from.
    #[serde(flatten)]
    pub definition: Definition,
    /// Number of rows, n; if it is left out, the totals have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Number of cells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cells: Option<u64>,
    /// `Σ log w`, unless the totals have it.
    #[serde(default)]
    pub sum_log_weights: f64,
    /// Number of rows dropped for missing values (listwise deletion).
    #[serde(default)]
    pub dropped_rows: u64,
    /// Number of rows where a column or expression is missing.
    #[serde(default)]
    pub missing: BTreeMap<String, u64>,
    /// Columns and expressions that the positional counts `missing_0`, `unlisted_0`, … of the totals are of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub counted: Vec<String>,
    /// Hashes of the files beside the header, and the fingerprint, which is checked only if present.
    #[serde(flatten)]
    pub seal: Seal,
}

impl MomentsHeader {
    /// Returns the header of moments that a query will compute. The counts of its totals are of `counted`.
    pub fn of_query(definition: Definition, counted: Vec<String>) -> MomentsHeader {
        MomentsHeader {
            tiers_moments: serde_json::Number::from_f64(DESCRIPTION_VERSION).expect("a finite number"),
            written_by: Some(format!("tiers {}", env!("CARGO_PKG_VERSION"))),
            definition,
            rows: None,
            cells: None,
            sum_log_weights: 0.0,
            dropped_rows: 0,
            missing: BTreeMap::new(),
            counted,
            seal: Seal::default(),
        }
    }

    /// Returns the header as JSON that ends in a line feed.
    pub fn to_json(&self) -> String {
        json_of(self)
    }

    /// Parses a header; `path` is its path in error messages.
    ///
    /// # Errors
    /// If it is not of this format and version, or was changed since tiers wrote it.
    pub fn parse(text: &str, path: &str) -> Result<MomentsHeader, MomentsFileError> {
        let damaged = |why: serde_json::Error| {
            refused!("{path}: not what docs/moments.md says it should be: {why}; make the moments again")
        };
        let json: serde_json::Value = serde_json::from_str(text).map_err(damaged)?;
        match json.get("tiers_moments").and_then(serde_json::Value::as_f64) {
            Some(version) if version == VERSION as f64 || version == DESCRIPTION_VERSION => {}
            Some(other) => {
                return Err(refused!(
                    "{path}: moments of format version {other}, and this is tiers {}, which reads version {VERSION} (and \
                 {DESCRIPTION_VERSION}); make the moments again with this program, or fit them with the one that made them",
                    env!("CARGO_PKG_VERSION")
                ));
            }
            None => {
                return Err(refused!(
                    "{path}: this is not a header of moments, since it lacks `\"tiers_moments\": {VERSION}`"
                ));
            }
        }
        // Parsed from the text, since only that keeps all digits of the numbers.
        let header: MomentsHeader = serde_json::from_str(text).map_err(damaged)?;
        match header.seal.fingerprint.is_none() || header.has_old_fingerprint() || header.seal.is_intact(text) {
            true => Ok(header),
            false => Err(refused!(
                "{path}: it was changed since tiers wrote it: its fingerprint is not that of what it holds. Make the \
                 moments again"
            )),
        }
    }

    /// Whether the fingerprint was written by tiers 0.1.0, which hashed the values and not the bytes.
    pub(super) fn has_old_fingerprint(&self) -> bool {
        self.seal.fingerprint.as_ref().is_some_and(|own| own.starts_with(OLD_KIND))
    }

    /// Computes the old fingerprint of this header and these totals (`C'WC`, row-major).
    pub(super) fn old_fingerprint_with(&self, cross: &[f64]) -> String {
        let bare = MomentsHeader { seal: Seal::default(), ..self.clone() };
        let text = serde_json::to_string(&bare).expect("plain data without keys that are not strings");
        let mut hash = Fnv::new();
        hash.add(text.as_bytes());
        cross.iter().for_each(|value| hash.add(&value.to_bits().to_le_bytes()));
        format!("{OLD_KIND}{:016x}", hash.0)
    }

    /// Returns the header as JSON that ends in a line feed, with the fingerprint of these files in `folder`.
    pub(super) fn sealed(&mut self, folder: &Path, names: &[&str]) -> io::Result<String> {
        names.iter().try_for_each(|name| self.seal.add(folder, name))?;
        let mut seal = self.seal.clone();
        let text = seal.close(|seal| json_of(&MomentsHeader { seal: seal.clone(), ..self.clone() }));
        self.seal = seal;
        Ok(text)
    }
}

/// The hash of Fowler, Noll and Vo (1a, 64 bits), which detects damage but not forgery.
struct Fnv(u64);

impl Fnv {
    fn new() -> Fnv {
        Fnv(0xcbf2_9ce4_8422_2325)
    }

    fn add(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Fnv;

    #[test]
    fn fnv_matches_the_published_examples() {
        let of = |text: &str| {
            let mut hash = Fnv::new();
            hash.add(text.as_bytes());
            hash.0
        };
        assert_eq!(of(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(of("a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(of("foobar"), 0x8594_4171_f739_67e8);
    }
}
