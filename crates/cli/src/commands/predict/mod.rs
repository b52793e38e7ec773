//! `tiers predict`: predictions for rows of another table.
//!
//! ```text
//! args      arguments of the command line
//! check     checks of the new data and the output file; errors with the file they are in
//! columns   columns of the output file
//! told      report of the run
//! ```

mod args;
mod check;
mod columns;
mod told;

pub(crate) use args::{EXAMPLES, PredictArgs};

use crate::exit::{Outcome, print, tell};
use crate::progress::Progress;
use crate::saved::Saved;
use columns::Layout;
use tiers_moments::Until;
use tiers_reml::{
    FixedPart, Interval, IntervalKind, LevelEffects, Objective, PredictionErrors, Predictor, random_effects,
};
use tiers_tables::{Format, Parquet, Source, TableSink};
use told::Told;

/// What to do if the random effects cannot be read.
const WITHOUT_EFFECTS: &str = "fit the model again with `--out`, or predict without them by --population";

/// Predicts, and writes the file of predictions.
pub(crate) fn run(args: &PredictArgs) -> anyhow::Result<Outcome> {
    let interval = args.interval()?;
    let saved = Saved::open(&args.fit)?;
    let levels = args.levels(&saved)?;
    let source = args.open(&saved)?;
    let aliases = saved.model.fixed.aliases(&saved.recipe);
    let fixed = FixedPart {
        recipe: &saved.recipe,
        coefficients: &saved.model.fixed.coefficients,
        beta: &saved.inference().beta,
        aliases: &aliases,
    };
    let with_errors = args.se || interval.is_some();
    let layout = Layout::new(&source, &args.keep, (args.se, interval.is_some()), &levels)?;
    check_columns(&saved, &source, fixed, &levels, interval)?;
    let population = if with_errors && levels.is_empty() { of_population(&saved, fixed, interval) } else { None };
    let reads_again = with_errors && population.is_none();
    let again = reads_again.then(|| saved.open_data(&args.of_fit())).transpose()?;
    check::output(args, &saved, &source, again.as_ref())?;
    let sink = TableSink::create(&args.out, layout.fields(), Format::of(&args.out))?;
    let job = Job { args, saved: &saved, source: &source, layout: &layout };
    if let Some(predictor) = population {
        return job.write(&predictor, sink);
    }
    if !with_errors {
        let effects = saved.read_effects(&levels, false, &Parquet, WITHOUT_EFFECTS)?;
        return job.write(&Predictor::new(fixed, effects)?, sink);
    }
    let (model, _) = saved.read(&args.of_fit(), Until::Effects)?;
    let objective = Objective::new(&model, saved.fit().method);
    let optimum = saved.optimum(&objective, &args.of_fit())?;
    let effects = random_effects(&objective, &optimum).unwrap_or_else(|error| panic!("random effects: {error}"));
    let is_wanted = |effects: &LevelEffects| levels.contains(&effects.level);
    let effects = effects.into_iter().filter(is_wanted).collect();
    let errors = PredictionErrors::new(&objective, &optimum);
    job.write(&Predictor::with_errors(fixed, effects, errors, interval)?, sink)
}

/// Returns a predictor for the population with errors, if the saved fit suffices for that.
fn of_population(saved: &Saved, fixed: FixedPart<'_>, interval: Option<Interval>) -> Option<Predictor<'static>> {
    match interval {
        // A new response also needs the variances of all levels, and the columns of their slopes.
        Some(Interval { kind: IntervalKind::Prediction, .. }) => None,
        _ => {
            let confidence = interval.map(|interval| interval.level);
            Predictor::of_population(fixed, saved.inference(), saved.fit().sigma, confidence)
        }
    }
}

/// Checks that the new data have all columns that are needed.
fn check_columns(
    saved: &Saved,
    source: &Source,
    fixed: FixedPart<'_>,
    levels: &[String],
    interval: Option<Interval>,
) -> anyhow::Result<()> {
    let empty: Vec<LevelEffects> = levels.iter().map(|level| saved.without_groups(level)).collect();
    let new_response = interval.is_some_and(|interval| interval.kind == IntervalKind::Prediction);
    let weights = saved.definition().weights.as_deref().filter(|_| new_response);
    let requests = Predictor::new(fixed, empty.clone())?.requests().to_vec();
    check::columns(source, &requests, &empty, weights, &saved.definition().fields)
}

/// A pass that is ready to start.
struct Job<'a> {
    args: &'a PredictArgs,
    saved: &'a Saved,
    source: &'a Source,
    layout: &'a Layout,
}

impl Job<'_> {
    /// Predicts for all rows; the file appears when it is complete.
    fn write(&self, predictor: &Predictor<'_>, mut sink: TableSink) -> anyhow::Result<Outcome> {
        let Job { args, saved, source, layout } = self;
        let mut told = Told::new(args, saved, predictor);
        let mut watch = Progress::new(args.refit.quiet).predicting(source.rows());
        predictor
            .pass(*source, &layout.requests(), &mut watch, &mut |block, rows| {
                told.see(&rows);
                Ok(sink.push(layout.columns(block, rows))?)
            })
            .map_err(|error| check::of_pass(error, source, &saved.recipe))?;
        drop(watch);
        sink.finish()?;
        told.finish();
        for note in told.strangers().into_iter().chain(told.not_estimable()) {
            tell(&note);
        }
        match (args.json, args.refit.quiet) {
            (true, _) => print(&told.json())?,
            (false, true) => {}
            (false, false) => print(&told.text())?,
        }
        Ok(Outcome::Done)
    }
}
