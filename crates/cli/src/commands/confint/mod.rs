//! Intervals of all parameters, for `tiers confint` and for jobs that request them.
//!
//! ```text
//! args        arguments of the command line
//! wanted      settings of the intervals
//! select      selects the parameters that `--parm` names
//! wald        intervals from a fit alone
//! likelihood  profiles and the bootstrap, from an objective and its optimum
//! found       computed intervals, as JSON
//! text        the table and its notes
//! write       confint.json, profile.parquet, replicates.parquet
//! ```

mod args;
mod found;
mod likelihood;
mod select;
mod text;
mod wald;
mod wanted;
mod write;

pub(crate) use args::{ConfintArgs, EXAMPLES};
pub(crate) use found::Found;
pub(crate) use likelihood::{Pieces, Tell};
pub(crate) use wanted::{IntervalMethod, Wanted};

use crate::exit::{Outcome, print};
use crate::progress::Progress;
use crate::saved::Saved;
use anyhow::ensure;
use tiers_moments::Until;
use tiers_reml::{Fit, FixedInference, NewtonSettings, Objective, Optimum, Status};

/// A fit with its objective and optimum.
pub(crate) struct Fitted<'a> {
    /// The reported fit.
    pub fit: &'a Fit,
    /// Inference on its fixed effects.
    pub inference: &'a FixedInference,
    /// Its objective, the likelihood.
    pub objective: &'a Objective<'a>,
    /// The optimum of the objective.
    pub optimum: &'a Optimum,
    /// Stopping rules of searches.
    pub newton: &'a NewtonSettings,
}

impl Fitted<'_> {
    /// Computes intervals of the fit; `None` if cancelled.
    pub(crate) fn intervals(&self, wanted: &Wanted, tell: &mut Tell<'_>) -> anyhow::Result<Option<Found>> {
        match wanted.method {
            IntervalMethod::Wald => wald::by_wald(wanted, self.fit, self.inference).map(Some),
            IntervalMethod::Profile => likelihood::by_profile(wanted, self.objective, self.newton, tell),
            IntervalMethod::Bootstrap => likelihood::by_bootstrap(wanted, self.objective, self.optimum, tell),
        }
    }
}

/// Prints the intervals.
pub(crate) fn run(args: &ConfintArgs) -> anyhow::Result<Outcome> {
    args.check()?;
    let (wanted, saved) = (args.wanted(), Saved::open(&args.fit)?);
    ensure!(
        saved.fit().status != Status::NotConverged,
        "{}: this fit did not converge, so it has no estimates to give intervals for; fit it again with a larger \
         --max-evaluations, or a simpler model",
        saved.name
    );
    args.out.iter().try_for_each(|folder| write::check(folder))?;
    let found = of_saved(args, &wanted, &saved)?;
    let json = found.json(&wanted, saved.fit());
    if let Some(folder) = &args.out {
        write::write(folder, &found, &json)?;
    }
    print(&if args.json { json } else { found.section(&wanted, saved.fit()).body() })?;
    Ok(Outcome::Done)
}

/// Computes intervals of a saved fit; reads its data again if the method needs the moments.
fn of_saved(args: &ConfintArgs, wanted: &Wanted, saved: &Saved) -> anyhow::Result<Found> {
    let (fit, refit) = (saved.fit(), &args.refit);
    let mut bar = Progress::new(refit.quiet).counting();
    let mut tell = |pieces: Pieces| {
        bar.told(pieces);
        true
    };
    let found = match wanted.method {
        IntervalMethod::Wald => Some(wald::by_wald(wanted, fit, saved.inference())?),
        IntervalMethod::Profile => {
            let (model, _) = saved.read(refit, Until::Estimates)?;
            let objective = Objective::new(&model, fit.method);
            likelihood::by_profile(wanted, &objective, &saved.newton(), &mut tell)?
        }
        IntervalMethod::Bootstrap => {
            // The bootstrap copies the moments, which takes as much memory as random effects would.
            let (model, _) = saved.read(refit, Until::Effects)?;
            let objective = Objective::new(&model, fit.method);
            let optimum = saved.optimum(&objective, refit)?;
            likelihood::by_bootstrap(wanted, &objective, &optimum, &mut tell)?
        }
    };
    Ok(found.expect("the callback never cancels"))
}
