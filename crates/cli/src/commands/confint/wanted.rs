//! Settings of intervals.

use clap::ValueEnum;
use tiers_reml::{BootstrapSettings, IntervalType};

/// Settings of intervals of all or some parameters.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// Method.
    pub method: IntervalMethod,
    /// Confidence level.
    pub level: f64,
    /// Names of the parameters; all if empty.
    pub parm: Vec<String>,
    /// Number and seed of the replicates, for the bootstrap.
    pub bootstrap: BootstrapSettings,
    /// Type of the intervals, for the bootstrap.
    pub kind: BootstrapType,
}

impl Wanted {
    /// Creates settings for intervals of all parameters.
    pub(crate) fn new(method: IntervalMethod, level: f64, replicates: Option<u64>, seed: Option<u64>) -> Wanted {
        let default = BootstrapSettings::default();
        let bootstrap = BootstrapSettings {
            replicates: replicates.unwrap_or(default.replicates),
            seed: seed.unwrap_or(default.seed),
        };
        Wanted { method, level, parm: Vec::new(), bootstrap, kind: BootstrapType::Percentile }
    }

    /// Checks that there are enough replicates for the level; the error says why not.
    pub(crate) fn check_replicates(&self) -> Result<(), String> {
        // With fewer replicates, none lies beyond an end of the interval.
        let least = (2.0 / (1.0 - self.level) - 1.0 - 1e-9).ceil().max(2.0);
        let (level, replicates) = (self.level, self.bootstrap.replicates);
        match self.method != IntervalMethod::Bootstrap || replicates as f64 >= least {
            true => Ok(()),
            false => Err(format!(
                "{replicates}: intervals of level {level} need {least} at the least, and about 1000 to be of use"
            )),
        }
    }
}

/// Method for the intervals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum IntervalMethod {
    /// From standard errors
    Wald,
    /// From the profile likelihood, with each parameter held fixed in turn
    Profile,
    /// Parametric bootstrap: refits to responses drawn from the fitted model
    Bootstrap,
}

impl IntervalMethod {
    /// Returns the name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            IntervalMethod::Wald => "wald",
            IntervalMethod::Profile => "profile",
            IntervalMethod::Bootstrap => "bootstrap",
        }
    }
}

/// Type of bootstrap intervals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BootstrapType {
    /// Quantiles of the replicates
    Percentile,
    /// Twice the estimate minus the quantiles of the replicates
    Basic,
    /// Bias-corrected estimate, and the standard deviation of the replicates
    Normal,
}

impl BootstrapType {
    /// Returns the library's name for the type.
    pub(crate) fn interval_type(self) -> IntervalType {
        match self {
            BootstrapType::Percentile => IntervalType::Percentile,
            BootstrapType::Basic => IntervalType::Basic,
            BootstrapType::Normal => IntervalType::Normal,
        }
    }

    /// Returns the name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            BootstrapType::Percentile => "percentile",
            BootstrapType::Basic => "basic",
            BootstrapType::Normal => "normal",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_few_replicates_for_a_level_are_an_error() {
        let check = |level, replicates| Wanted::new(IntervalMethod::Bootstrap, level, Some(replicates), None);
        assert_eq!(check(0.95, 39).check_replicates(), Ok(()));
        let error = check(0.95, 38).check_replicates().expect_err("too few");
        assert!(error.starts_with("38: ") && error.contains("need 39"), "{error}");
        assert_eq!(check(0.1, 2).check_replicates(), Ok(()));
        assert!(check(0.1, 1).check_replicates().is_err());
        assert_eq!(Wanted::new(IntervalMethod::Profile, 0.95, Some(1), None).check_replicates(), Ok(()));
    }
}
