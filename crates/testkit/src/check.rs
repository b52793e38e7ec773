//! Numerical checks with a tolerance per quantity, which report every failure and not only the first.

use nalgebra::{DMatrix, DVector};

/// The allowed difference between a value and the expected one.
///
/// `got` passes if `|got − want| <= absolute + relative · scale`, where the scale is `|want|` or, for
/// vectors and matrices, the larger of `|want|` and `of_largest · max |want|`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// Part relative to the size of the expected value.
    pub relative: f64,
    /// Absolute part.
    pub absolute: f64,
    /// For vectors and matrices: share of the largest entry that serves as the scale of small entries.
    /// With 1 the largest entry is the scale of all, with 0 each entry is its own scale.
    pub of_largest: f64,
}

impl Tolerance {
    /// A difference relative to the size of each value.
    pub const fn relative(relative: f64) -> Self {
        Tolerance { relative, absolute: 0.0, of_largest: 0.0 }
    }

    /// An absolute difference.
    pub const fn absolute(absolute: f64) -> Self {
        Tolerance { relative: 0.0, absolute, of_largest: 0.0 }
    }

    /// The sum of a relative and an absolute difference.
    pub const fn both(relative: f64, absolute: f64) -> Self {
        Tolerance { relative, absolute, of_largest: 0.0 }
    }

    /// A difference relative to the largest entry of a vector or matrix.
    pub const fn of_largest(relative: f64) -> Self {
        Tolerance { relative, absolute: 0.0, of_largest: 1.0 }
    }

    /// The largest allowed difference for an expected value among values of at most `largest`.
    fn allowed(&self, want: f64, largest: f64) -> f64 {
        self.absolute + self.relative * want.abs().max(self.of_largest * largest)
    }
}

/// Collects failures, and panics with all of them when dropped (or on [`Checks::finish`]).
#[derive(Debug)]
pub struct Checks {
    context: String,
    passed: usize,
    failures: Vec<String>,
}

impl Checks {
    /// Starts a list of checks; `context` heads the report.
    pub fn new(context: impl Into<String>) -> Self {
        Checks { context: context.into(), passed: 0, failures: Vec::new() }
    }

    /// Checks one value.
    pub fn check(&mut self, name: &str, got: f64, want: f64, tolerance: Tolerance) -> &mut Self {
        self.compare(name, got, want, tolerance.allowed(want, want.abs()))
    }

    /// Checks values in order; the lengths must agree.
    pub fn slice(&mut self, name: &str, got: &[f64], want: &[f64], tolerance: Tolerance) -> &mut Self {
        if got.len() != want.len() {
            return self.fail(format!("{name}: {} figures, wanted {}", got.len(), want.len()));
        }
        let largest = want.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
        for (i, (&g, &w)) in got.iter().zip(want).enumerate() {
            self.compare(&format!("{name}[{i}]"), g, w, tolerance.allowed(w, largest));
        }
        self
    }

    /// Checks a vector.
    pub fn vector(&mut self, name: &str, got: &DVector<f64>, want: &DVector<f64>, tolerance: Tolerance) -> &mut Self {
        self.slice(name, got.as_slice(), want.as_slice(), tolerance)
    }

    /// Checks a matrix; the shapes must agree.
    pub fn matrix(&mut self, name: &str, got: &DMatrix<f64>, want: &DMatrix<f64>, tolerance: Tolerance) -> &mut Self {
        if got.shape() != want.shape() {
            return self.fail(format!("{name}: shape {:?}, wanted {:?}", got.shape(), want.shape()));
        }
        let largest = want.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
        for j in 0..want.ncols() {
            for i in 0..want.nrows() {
                let (g, w) = (got[(i, j)], want[(i, j)]);
                self.compare(&format!("{name}[{i},{j}]"), g, w, tolerance.allowed(w, largest));
            }
        }
        self
    }

    /// Checks a value that may be lower than the expected one by any amount, such as a minimised criterion.
    pub fn not_above(&mut self, name: &str, got: f64, want: f64, tolerance: Tolerance) -> &mut Self {
        if got < want { self.ok() } else { self.check(name, got, want, tolerance) }
    }

    /// Checks a condition, which `what` describes.
    pub fn that(&mut self, what: &str, holds: bool) -> &mut Self {
        if holds { self.ok() } else { self.fail(format!("not so: {what}")) }
    }

    /// Checks that two values, such as names, are equal.
    #[expect(clippy::needless_pass_by_value, reason = "it reads like assert_eq")]
    pub fn equal<T: PartialEq + std::fmt::Debug>(&mut self, name: &str, got: T, want: T) -> &mut Self {
        if got == want { self.ok() } else { self.fail(format!("{name}: got {got:?}, wanted {want:?}")) }
    }

    /// The failures so far.
    pub fn failures(&self) -> &[String] {
        &self.failures
    }

    /// Panics with every failure, if there is any.
    pub fn finish(self) {}

    /// Removes and returns the failures, for the tests of this type.
    pub fn into_failures(mut self) -> Vec<String> {
        std::mem::take(&mut self.failures)
    }

    fn compare(&mut self, name: &str, got: f64, want: f64, allowed: f64) -> &mut Self {
        let difference = (got - want).abs();
        // Written so that NaN fails and equal infinities pass.
        if got == want || difference <= allowed {
            return self.ok();
        }
        self.fail(format!(
            "{name}: got {got:.15e}, wanted {want:.15e}, off by {difference:.2e} ({:.2e} relative), allowed {allowed:.2e}",
            difference / want.abs()
        ))
    }

    fn ok(&mut self) -> &mut Self {
        self.passed += 1;
        self
    }

    fn fail(&mut self, message: String) -> &mut Self {
        self.failures.push(message);
        self
    }
}

impl Drop for Checks {
    fn drop(&mut self) {
        if self.failures.is_empty() || std::thread::panicking() {
            return;
        }
        let shown = self.failures.iter().take(40).map(|f| format!("\n  {f}")).collect::<String>();
        let total = self.failures.len() + self.passed;
        panic!("{}: {} of {total} checks failed:{shown}", self.context, self.failures.len());
    }
}

/// Checks one value and panics at once if it fails.
#[track_caller]
pub fn check(name: &str, got: f64, want: f64, tolerance: Tolerance) {
    let mut checks = Checks::new("check");
    checks.check(name, got, want, tolerance);
    if let [failure] = checks.into_failures().as_slice() {
        panic!("{failure}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_failures_are_collected() {
        let mut checks = Checks::new("three figures");
        checks
            .check("near", 1.0 + 1e-12, 1.0, Tolerance::relative(1e-9))
            .check("far", 1.1, 1.0, Tolerance::relative(1e-9))
            .check("not a number", f64::NAN, 1.0, Tolerance::absolute(1e9))
            .equal("names", "a", "b");
        let failures = checks.into_failures();
        assert_eq!(failures.len(), 3);
        assert!(failures[0].starts_with("far: got 1.1"), "{}", failures[0]);
    }

    #[test]
    fn the_largest_entry_can_be_the_scale_of_small_ones() {
        let mut checks = Checks::new("scales");
        checks.slice("own scale", &[1e-9, 1.0], &[2e-9, 1.0], Tolerance::relative(1e-6));
        checks.slice("largest", &[1e-9, 1.0], &[2e-9, 1.0], Tolerance::of_largest(1e-6));
        checks.not_above("criterion", 99.0, 100.0, Tolerance::relative(1e-9));
        assert_eq!(checks.into_failures().len(), 1);
    }

    #[test]
    #[should_panic(expected = "1 of 2 checks failed")]
    fn a_forgotten_finish_still_fails() {
        let mut checks = Checks::new("dropped");
        checks.that("one is one", true).that("one is two", false);
    }
}
