//! `tiers confint`: intervals of all parameters of a saved fit.
//!
//! ```text
//! args    what the command line may say
//! select  the parameters that are wanted
//! wald    intervals from the saved fit alone
//! text    the table and its notes
//! write   confint.json, profile.parquet, replicates.parquet
//! ```

mod args;
mod select;
mod text;
mod wald;
mod write;

pub(crate) use args::{ConfintArgs, EXAMPLES};

use crate::exit::{Outcome, print};
use crate::progress::Progress;
use crate::saved::Saved;
use anyhow::ensure;
use args::IntervalMethod;
use serde::Serialize;
use tiers_reml::{
    Bootstrap, Curve, End, Method, NewtonSettings, Objective, Profile, Quantity, Status, Target, Until, bootstrap,
    profile,
};

/// The interval of one parameter.
#[derive(Clone, Debug, Serialize)]
struct Interval {
    /// lme4's name, or `icc_LEVEL`.
    parameter: String,
    /// Null for a correlation with what does not vary.
    estimate: Option<f64>,
    /// From the information, or the standard deviation of replicates.
    std_error: Option<f64>,
    lower: Option<f64>,
    upper: Option<f64>,
    /// Whether the range of the parameter ends the interval.
    lower_at_bound: bool,
    upper_at_bound: bool,
    /// Mean of the replicates less the estimate.
    #[serde(skip_serializing_if = "Option::is_none")]
    bias: Option<f64>,
    #[serde(skip)]
    is_coefficient: bool,
}

impl Interval {
    fn of_variance(parameter: String, estimate: f64) -> Self {
        Interval {
            parameter,
            estimate: estimate.is_finite().then_some(estimate),
            std_error: None,
            lower: None,
            upper: None,
            lower_at_bound: false,
            upper_at_bound: false,
            bias: None,
            is_coefficient: false,
        }
    }

    fn of_coefficient(parameter: String, estimate: f64) -> Self {
        Interval { is_coefficient: true, ..Interval::of_variance(parameter, estimate) }
    }
}

/// What was found.
struct Found {
    intervals: Vec<Interval>,
    bootstrap: Option<Counts>,
    lower_deviance: Option<f64>,
    kept: Kept,
}

/// What the folder gets beside the intervals.
enum Kept {
    Nothing,
    Profile(Profile, Vec<String>),
    Replicates(Bootstrap),
}

/// How the replicates went.
#[derive(Debug, Serialize)]
struct Counts {
    replicates: u64,
    seed: u64,
    #[serde(rename = "type")]
    kind: &'static str,
    /// Ended on the boundary.
    singular: usize,
    /// Did not converge; left out.
    failed: usize,
}

/// What `--json` prints and `confint.json` holds.
#[derive(Serialize)]
struct Report<'a> {
    tiers: &'static str,
    formula: &'a str,
    fit_method: Method,
    /// `wald`, `profile` or `bootstrap`.
    method: &'static str,
    level: f64,
    bootstrap: Option<&'a Counts>,
    /// A deviance below that of the estimates, where a profile met one.
    lower_deviance: Option<f64>,
    intervals: &'a [Interval],
}

/// Prints the intervals.
pub(crate) fn run(args: &ConfintArgs) -> anyhow::Result<Outcome> {
    args.check()?;
    let saved = Saved::open(&args.fit)?;
    ensure!(
        saved.fit().status != Status::NotConverged,
        "{}: this fit did not converge, so that there is nothing to give intervals of; fit it again with a larger \
         --max-evaluations, or a simpler model",
        saved.name
    );
    let found = match args.method {
        IntervalMethod::Wald => by_wald(args, &saved)?,
        IntervalMethod::Profile => by_profile(args, &saved)?,
        IntervalMethod::Bootstrap => by_bootstrap(args, &saved)?,
    };
    let report = Report {
        tiers: env!("CARGO_PKG_VERSION"),
        formula: &saved.fit().formula,
        fit_method: saved.fit().method,
        method: match args.method {
            IntervalMethod::Wald => "wald",
            IntervalMethod::Profile => "profile",
            IntervalMethod::Bootstrap => "bootstrap",
        },
        level: args.level,
        bootstrap: found.bootstrap.as_ref(),
        lower_deviance: found.lower_deviance,
        intervals: &found.intervals,
    };
    let json = crate::report::json(&report);
    if let Some(folder) = &args.out {
        write::write(folder, &found, &json)?;
    }
    print(&if args.json { json } else { text::text(args, &saved, &found) })?;
    Ok(Outcome::Done)
}

/// The wanted ones of all intervals.
fn pick(args: &ConfintArgs, all: &[Interval]) -> anyhow::Result<Vec<Interval>> {
    let names: Vec<String> = all.iter().map(|interval| interval.parameter.clone()).collect();
    let wanted = select::select(&args.parm, &names, |place| all[place].is_coefficient)?;
    Ok(wanted.into_iter().map(|place| all[place].clone()).collect())
}

fn by_wald(args: &ConfintArgs, saved: &Saved) -> anyhow::Result<Found> {
    let intervals = pick(args, &wald::intervals(saved, args.level))?;
    Ok(Found { intervals, bootstrap: None, lower_deviance: None, kept: Kept::Nothing })
}

fn by_profile(args: &ConfintArgs, saved: &Saved) -> anyhow::Result<Found> {
    let (model, _) = saved.read(&args.refit, Until::Estimates)?;
    let objective = Objective::new(&model, saved.fit().method);
    let all = Target::all(&objective);
    let names: Vec<String> = all.iter().map(|target| target.name(&objective)).collect();
    let is_coefficient = |target: &Target| matches!(target, Target::Coefficient(_));
    let wanted = select::select(&args.parm, &names, |place| is_coefficient(&all[place]))?;
    let targets: Vec<Target> = wanted.into_iter().map(|place| all[place]).collect();
    let watch = Progress::new(args.refit.quiet).counting("profiles", targets.len() as u64);
    let settings = NewtonSettings { max_evaluations: saved.model.max_evaluations, ..NewtonSettings::default() };
    let observe = |done| {
        watch.set(done);
        true
    };
    let found = profile(&objective, &targets, args.level, &settings, &observe)?.expect("not called off");
    drop(watch);
    let interval = |curve: &Curve| {
        let base = Interval::of_variance(curve.name.clone(), curve.estimate);
        Interval {
            lower: curve.lower.value(),
            upper: curve.upper.value(),
            lower_at_bound: matches!(curve.lower, End::Bound(_)),
            upper_at_bound: matches!(curve.upper, End::Bound(_)),
            is_coefficient: is_coefficient(&curve.target),
            ..base
        }
    };
    let intervals = found.curves.iter().map(interval).collect();
    let lower_deviance = found.lower_deviance;
    Ok(Found { intervals, bootstrap: None, lower_deviance, kept: Kept::Profile(found, names) })
}

fn by_bootstrap(args: &ConfintArgs, saved: &Saved) -> anyhow::Result<Found> {
    // The moments are copied, which is what random effects would need as much memory for.
    let (model, _) = saved.read(&args.refit, Until::Effects)?;
    let objective = Objective::new(&model, saved.fit().method);
    let optimum = saved.optimum(&objective, &args.refit)?;
    let (settings, kind) = (args.bootstrap(), args.kind());
    // Names are looked up before the work is done.
    pick(args, &wald::intervals(saved, args.level))?;
    let watch = Progress::new(args.refit.quiet).counting("replicates", settings.replicates);
    let observe = |done| {
        watch.set(done);
        true
    };
    let found = bootstrap(&objective, &optimum, &settings, &observe).expect("not called off");
    drop(watch);
    let interval = |(i, name): (usize, &String)| {
        let ends = found.interval(i, args.level, kind.interval_type());
        let (mean, sd) = found.mean_sd(i);
        let estimate = found.estimates[i];
        let spread = |value: f64| value.is_finite().then_some(value);
        Interval {
            std_error: spread(sd),
            lower: ends.map(|ends| ends.0),
            upper: ends.map(|ends| ends.1),
            bias: spread(mean - estimate),
            is_coefficient: matches!(found.quantities[i], Quantity::Parameter(Target::Coefficient(_))),
            ..Interval::of_variance(name.clone(), estimate)
        }
    };
    let all: Vec<Interval> = found.names.iter().enumerate().map(interval).collect();
    let counts = Counts {
        replicates: settings.replicates,
        seed: settings.seed,
        kind: kind.name(),
        singular: found.singular(),
        failed: found.failed(),
    };
    Ok(Found {
        intervals: pick(args, &all)?,
        bootstrap: Some(counts),
        lower_deviance: None,
        kept: Kept::Replicates(found),
    })
}
