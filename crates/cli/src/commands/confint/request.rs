//! Settings of intervals.

use crate::args::{ConfintArgs, IntervalMethod};
use anyhow::{anyhow, bail, ensure};
use tiers_reml::{BootstrapSettings, IntervalType};

/// Settings of intervals of all or some parameters.
#[derive(Clone, Debug)]
pub(crate) struct IntervalRequest {
    /// Method.
    pub method: IntervalMethod,
    /// Confidence level.
    pub level: f64,
    /// Names of the parameters; all if empty.
    pub parm: Vec<String>,
    /// Number and seed of the replicates, for the bootstrap.
    pub bootstrap: BootstrapSettings,
    /// Type of the intervals, for the bootstrap.
    pub kind: IntervalType,
}

impl IntervalRequest {
    /// Creates settings for intervals of all parameters.
    pub(crate) fn new(
        method: IntervalMethod,
        level: f64,
        replicates: Option<u64>,
        seed: Option<u64>,
    ) -> IntervalRequest {
        let default = BootstrapSettings::default();
        let bootstrap = BootstrapSettings {
            replicates: replicates.unwrap_or(default.replicates),
            seed: seed.unwrap_or(default.seed),
        };
        IntervalRequest { method, level, parm: Vec::new(), bootstrap, kind: IntervalType::Percentile }
    }

    /// Checks the arguments of `tiers confint`.
    pub(super) fn from_args(args: &ConfintArgs) -> anyhow::Result<IntervalRequest> {
        let level = args.level;
        ensure!(level > 0.0 && level < 1.0, "--level {level}: a confidence level lies between 0 and 1, such as 0.95");
        let given = [
            ("--replicates", args.replicates.is_some()),
            ("--seed", args.seed.is_some()),
            ("--type", args.kind.is_some()),
        ];
        if args.method != IntervalMethod::Bootstrap
            && let Some((option, _)) = given.iter().find(|(_, is_given)| *is_given)
        {
            bail!("{option} applies to the bootstrap only: add --method bootstrap, or leave it out");
        }
        let all = IntervalRequest::new(args.method, level, args.replicates, args.seed);
        let request = IntervalRequest { parm: args.parm.clone(), kind: args.kind.unwrap_or(all.kind), ..all };
        request.check_replicates().map_err(|why| anyhow!("--replicates {why}"))?;
        Ok(request)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_few_replicates_for_a_level_are_an_error() {
        let check = |level, replicates| IntervalRequest::new(IntervalMethod::Bootstrap, level, Some(replicates), None);
        assert_eq!(check(0.95, 39).check_replicates(), Ok(()));
        let error = check(0.95, 38).check_replicates().expect_err("too few");
        assert!(error.starts_with("38: ") && error.contains("need 39"), "{error}");
        assert_eq!(check(0.1, 2).check_replicates(), Ok(()));
        assert!(check(0.1, 1).check_replicates().is_err());
        assert_eq!(IntervalRequest::new(IntervalMethod::Profile, 0.95, Some(1), None).check_replicates(), Ok(()));
    }
}
