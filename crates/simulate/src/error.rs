//! The error for an invalid specification.

use std::fmt;

/// A specification is invalid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecError {
    /// The key, with the name of the level or covariate to which it belongs.
    pub key: String,
    /// What is wrong.
    pub problem: String,
    /// What to try.
    pub remedy: String,
}

impl SpecError {
    /// Returns an error at `key`.
    pub(crate) fn new(key: impl Into<String>, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        SpecError { key: key.into(), problem: problem.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.key, self.problem, self.remedy)
    }
}

impl std::error::Error for SpecError {}
