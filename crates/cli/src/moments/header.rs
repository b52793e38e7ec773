//! `moments.json`: what the moments beside it are moments of.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tiers_design::Definition;

/// Version of the format that is written, and the only one that is read.
pub(crate) const VERSION: u64 = 1;

/// Names of the files in a folder of moments.
pub(crate) const HEADER: &str = "moments.json";
/// The cells.
pub(crate) const CELLS: &str = "cells.parquet";
/// C'WC.
pub(crate) const TOTALS: &str = "totals.parquet";

/// What `moments.json` says. What another program may leave out has a default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Header {
    /// Version of the format.
    pub tiers_moments: u64,
    /// The program that wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written_by: Option<String>,
    /// What the moments are moments of.
    #[serde(flatten)]
    pub definition: Definition,
    /// n.
    pub rows: u64,
    /// Number of cells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cells: Option<u64>,
    /// `Σ log w`.
    #[serde(default)]
    pub sum_log_weights: f64,
    /// Rows left out for missing values.
    #[serde(default)]
    pub dropped_rows: u64,
    /// Per column or expression the rows where it is missing.
    #[serde(default)]
    pub missing: BTreeMap<String, u64>,
    /// Of everything above and of the totals; not checked where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
}

impl Header {
    /// The fingerprint that belongs to this header and these totals (`C'WC`, row-major).
    pub(crate) fn fingerprint_with(&self, cross: &[f64]) -> String {
        let bare = Header { fingerprint: None, ..self.clone() };
        let text = serde_json::to_string(&bare).expect("plain data without keys that are not strings");
        let mut hash = Fnv::new();
        hash.add(text.as_bytes());
        cross.iter().for_each(|value| hash.add(&value.to_bits().to_le_bytes()));
        format!("fnv1a64:{:016x}", hash.0)
    }

    /// As JSON, ending in a line feed.
    pub(crate) fn json(&self) -> String {
        crate::report::json(self)
    }
}

/// The hash of Fowler, Noll and Vo (1a, 64 bits): it finds damage, not forgery.
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
    fn fnv_of_the_published_examples() {
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
