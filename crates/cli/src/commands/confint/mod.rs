//! Intervals of all parameters, for `tiers confint` and for jobs that request them.
//!
//! ```text
//! request     settings of the intervals
//! select      selects the parameters that `--parm` names
//! wald        intervals from a fit alone
//! likelihood  profiles and the bootstrap, from an objective and its optimum
//! result      computed intervals, as JSON
//! text        the table and its notes
//! write       confint.json, profile.parquet, replicates.parquet
//! ```

mod likelihood;
mod request;
mod result;
mod select;
mod text;
mod wald;
mod write;

pub(crate) use request::IntervalRequest;
pub(crate) use result::{IntervalResult, OfFit};

use crate::args::{ConfintArgs, IntervalMethod};
use crate::exit::{Outcome, print};
use crate::observer::{OnPieces, Pieces};
use crate::progress::Progress;
use crate::saved::{Saved, open_any};
use anyhow::ensure;
use tiers_moments::Until;
use tiers_reml::{Fit, FixedInference, NewtonSettings, Objective, Optimum, Status};
use tiers_report::saved::{AnySaved, SavedGlmm};

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
    pub(crate) fn intervals(
        &self,
        request: &IntervalRequest,
        on_pieces: &mut OnPieces<'_>,
    ) -> anyhow::Result<Option<IntervalResult>> {
        match request.method {
            IntervalMethod::Wald => wald::by_wald(request, self.fit, self.inference).map(Some),
            IntervalMethod::Profile => likelihood::by_profile(request, self.objective, self.newton, on_pieces),
            IntervalMethod::Bootstrap => likelihood::by_bootstrap(request, self.objective, self.optimum, on_pieces),
        }
    }
}

/// Prints the intervals.
pub(crate) fn run(args: &ConfintArgs) -> anyhow::Result<Outcome> {
    let request = IntervalRequest::from_args(args)?;
    let saved = match open_any(&args.fit)? {
        AnySaved::Generalised(saved) => return of_generalised(args, &request, &saved),
        AnySaved::Linear(saved) => Saved::of(*saved),
    };
    ensure!(
        saved.fit().status != Status::NotConverged,
        "{}: this fit did not converge, so it has no estimates to give intervals for; fit it again with a larger \
         --max-evaluations, or a simpler model",
        saved.name
    );
    args.out.iter().try_for_each(|folder| write::check(folder))?;
    let result = of_saved(args, &request, &saved)?;
    show(args, &request, &result, OfFit::linear(saved.fit()))
}

/// Computes and prints intervals of a generalised fit.
fn of_generalised(args: &ConfintArgs, request: &IntervalRequest, saved: &SavedGlmm) -> anyhow::Result<Outcome> {
    ensure!(
        request.method == IntervalMethod::Wald,
        "--method {}: intervals of generalised fits are Wald's so far; take --method wald",
        request.method.name()
    );
    args.out.iter().try_for_each(|folder| write::check(folder))?;
    show(args, request, &wald::of_generalised(request, saved)?, OfFit::generalised(saved.fit()))
}

/// Prints the intervals, and writes them if that is requested.
fn show(
    args: &ConfintArgs,
    request: &IntervalRequest,
    result: &IntervalResult,
    fit: OfFit<'_>,
) -> anyhow::Result<Outcome> {
    let json = result.json(request, fit);
    if let Some(folder) = &args.out {
        write::write(folder, result, &json)?;
    }
    print(&if args.json { json } else { result.section(request, fit).body() })?;
    Ok(Outcome::Done)
}

/// Computes intervals of a saved fit; reads its data again if the method needs the moments.
fn of_saved(args: &ConfintArgs, request: &IntervalRequest, saved: &Saved) -> anyhow::Result<IntervalResult> {
    let (fit, refit) = (saved.fit(), &args.refit);
    let mut bar = Progress::new(refit.quiet).counting();
    let mut on_pieces = |pieces: Pieces| {
        bar.update(pieces);
        true
    };
    let result = match request.method {
        IntervalMethod::Wald => Some(wald::by_wald(request, fit, saved.inference())?),
        IntervalMethod::Profile => {
            let (model, _) = saved.read(refit, Until::Estimates)?;
            let objective = Objective::new(&model, fit.method);
            likelihood::by_profile(request, &objective, &saved.newton(), &mut on_pieces)?
        }
        IntervalMethod::Bootstrap => {
            // The bootstrap copies the moments, which takes as much memory as random effects would.
            let (model, _) = saved.read(refit, Until::Effects)?;
            let objective = Objective::new(&model, fit.method);
            let optimum = saved.optimum(&objective, refit)?;
            likelihood::by_bootstrap(request, &objective, &optimum, &mut on_pieces)?
        }
    };
    Ok(result.expect("the callback never cancels"))
}
