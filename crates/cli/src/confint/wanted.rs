//! What intervals are wanted.

use clap::ValueEnum;
use tiers_reml::{BootstrapSettings, IntervalType};

/// Intervals that are wanted.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// How they are made.
    pub method: IntervalMethod,
    /// Their level.
    pub level: f64,
    /// Of these parameters, or of all if none is named.
    pub parm: Vec<String>,
    /// Of the bootstrap, if that makes them: how many replicates, and their seed.
    pub bootstrap: BootstrapSettings,
    /// Of the bootstrap: what is made of the replicates.
    pub kind: BootstrapType,
}

impl Wanted {
    /// Intervals of all parameters.
    pub(crate) fn new(method: IntervalMethod, level: f64, replicates: Option<u64>, seed: Option<u64>) -> Wanted {
        let default = BootstrapSettings::default();
        let bootstrap = BootstrapSettings {
            replicates: replicates.unwrap_or(default.replicates),
            seed: seed.unwrap_or(default.seed),
        };
        Wanted { method, level, parm: Vec::new(), bootstrap, kind: BootstrapType::Percentile }
    }

    /// Whether there are as many replicates as the level takes; if not, why that is too few.
    pub(crate) fn check_replicates(&self) -> Result<(), String> {
        // Below, there is no replicate beyond an end.
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

/// How intervals are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum IntervalMethod {
    /// By standard errors
    Wald,
    /// By the likelihood, each parameter held in turn
    Profile,
    /// By refitting responses drawn from the fitted model
    Bootstrap,
}

impl IntervalMethod {
    /// Its name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            IntervalMethod::Wald => "wald",
            IntervalMethod::Profile => "profile",
            IntervalMethod::Bootstrap => "bootstrap",
        }
    }
}

/// What is made of bootstrap replicates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BootstrapType {
    /// Their quantiles
    Percentile,
    /// Twice the estimate less their quantiles
    Basic,
    /// Estimate less bias, and their standard deviation
    Normal,
}

impl BootstrapType {
    /// As the library knows it.
    pub(crate) fn interval_type(self) -> IntervalType {
        match self {
            BootstrapType::Percentile => IntervalType::Percentile,
            BootstrapType::Basic => IntervalType::Basic,
            BootstrapType::Normal => IntervalType::Normal,
        }
    }

    /// Its name on the command line.
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
    fn an_end_needs_a_replicate_beyond_it() {
        let check = |level, replicates| Wanted::new(IntervalMethod::Bootstrap, level, Some(replicates), None);
        assert_eq!(check(0.95, 39).check_replicates(), Ok(()));
        let told = check(0.95, 38).check_replicates().expect_err("too few");
        assert!(told.starts_with("38: ") && told.contains("need 39"), "{told}");
        assert_eq!(check(0.1, 2).check_replicates(), Ok(()));
        assert!(check(0.1, 1).check_replicates().is_err());
        assert_eq!(Wanted::new(IntervalMethod::Profile, 0.95, Some(1), None).check_replicates(), Ok(()));
    }
}
