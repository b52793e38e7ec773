//! What can be wrong with a specification.

use std::fmt;

/// Something in a specification that cannot be simulated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecError {
    /// Where: the key, with the name of the level or covariate that it belongs to.
    pub key: String,
    /// What is wrong there.
    pub problem: String,
    /// What to try.
    pub remedy: String,
}

impl SpecError {
    /// An error at `key`.
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
