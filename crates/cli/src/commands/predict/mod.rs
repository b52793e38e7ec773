//! `tiers predict`: predictions for rows of another table.
//!
//! ```text
//! generalised  predictions of a generalised fit
//! check     checks of the new data and the output file; errors with the file they are in
//! columns   columns of the output file
//! report    report of the run
//! ```

mod check;
mod columns;
mod generalised;
mod report;

use crate::args::{CsvArgs, PredictArgs, RefitArgs};
use crate::exit::{Outcome, eprint, print};
use crate::progress::Progress;
use crate::saved::{Saved, open_any};
use anyhow::{bail, ensure};
use columns::Layout;
use report::PredictionReport;
use tiers_design::Block;
use tiers_moments::{RowPass, Until};
use tiers_reml::{
    FixedPart, Interval, IntervalKind, LevelEffects, LevelSize, Objective, PredictedRows, PredictionErrors, Predictor,
    random_effects,
};
use tiers_report::saved::AnySaved;
use tiers_tables::{CsvOptions, Format, Parquet, Source, TableSink};

/// What to do if the random effects cannot be read.
const WITHOUT_EFFECTS: &str = "fit the model again with `--out`, or predict without them by --population";

/// Predicts, and writes the file of predictions.
pub(crate) fn run(args: &PredictArgs) -> anyhow::Result<Outcome> {
    let interval = interval(args)?;
    let saved = match open_any(&args.fit)? {
        AnySaved::Generalised(saved) => return generalised::run(args, &saved, interval),
        AnySaved::Linear(saved) => Saved::of(*saved),
    };
    ensure!(args.scale.is_none(), "--scale applies to generalised fits; {} is a linear one", saved.name);
    let levels = levels(args, &saved.fit().levels)?;
    let source = open(args, &saved.report.data.csv)?;
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
    let again = reads_again.then(|| saved.open_data(&of_fit(args))).transpose()?;
    check::output(args, saved.effects(), &source, again.as_ref())?;
    let sink = TableSink::create(&args.out, layout.fields(), Format::of(&args.out))?;
    let pass = Pass { args, saved: &saved, source: &source, layout: &layout };
    if let Some(predictor) = population {
        return pass.write(&predictor, sink);
    }
    if !with_errors {
        let effects = saved.effects().read(&levels, false, &Parquet, WITHOUT_EFFECTS)?;
        return pass.write(&Predictor::new(fixed, effects)?, sink);
    }
    let (model, _) = saved.read(&of_fit(args), Until::Effects)?;
    let objective = Objective::new(&model, saved.fit().method);
    let optimum = saved.optimum(&objective, &of_fit(args))?;
    let effects = random_effects(&objective, &optimum).unwrap_or_else(|error| panic!("random effects: {error}"));
    let is_wanted = |effects: &LevelEffects| levels.contains(&effects.level);
    let effects = effects.into_iter().filter(is_wanted).collect();
    let errors = PredictionErrors::new(&objective, &optimum);
    pass.write(&Predictor::with_errors(fixed, effects, errors, interval)?, sink)
}

/// Opens the new data, with the text options of the fit unless others are given.
fn open(args: &PredictArgs, of_fit: &CsvOptions) -> anyhow::Result<Source> {
    let said = args.refit.csv.options()?;
    let source = Source::open_with(&args.new_data, &said.or(of_fit))?;
    crate::csv::checked(source, &said)
}

/// Returns the options for reading the data of the fit again; the text options are for the new data.
fn of_fit(args: &PredictArgs) -> RefitArgs {
    RefitArgs { csv: CsvArgs::default(), ..args.refit.clone() }
}

/// Returns the requested interval.
fn interval(args: &PredictArgs) -> anyhow::Result<Option<Interval>> {
    let level = args.conf_level;
    ensure!(level > 0.0 && level < 1.0, "--conf-level {level}: a confidence level lies between 0 and 1, such as 0.95");
    Ok(args.interval.map(|kind| Interval { kind, level }))
}

/// Returns the levels whose random effects are used, coarsest first.
fn levels(args: &PredictArgs, all: &[LevelSize]) -> anyhow::Result<Vec<String>> {
    let all: Vec<String> = all.iter().map(|level| level.name.clone()).collect();
    match &args.level {
        _ if args.population => Ok(Vec::new()),
        None => Ok(all),
        Some(level) => match all.iter().position(|name| name == level) {
            Some(finest) => Ok(all[..=finest].to_vec()),
            None => {
                bail!("--level {level}: the fit has no such level; its levels are, coarsest first, {}", all.join(", "))
            }
        },
    }
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
    let empty: Vec<LevelEffects> = levels.iter().map(|level| saved.effects().without_groups(level)).collect();
    let new_response = interval.is_some_and(|interval| interval.kind == IntervalKind::Prediction);
    let weights = saved.definition().weights.as_deref().filter(|_| new_response);
    let requests = Predictor::new(fixed, empty.clone())?.requests().to_vec();
    check::columns(source, &requests, &empty, weights, &saved.definition().fields)
}

/// A pass that is ready to start.
struct Pass<'a> {
    args: &'a PredictArgs,
    saved: &'a Saved,
    source: &'a Source,
    layout: &'a Layout,
}

impl Pass<'_> {
    /// Predicts for all rows; the file appears when it is complete.
    fn write(&self, predictor: &Predictor<'_>, mut sink: TableSink) -> anyhow::Result<Outcome> {
        let Pass { args, saved, source, layout } = self;
        let mut report = PredictionReport::new(args, (&saved.name, &saved.recipe.formula), predictor);
        let mut watch = Progress::new(args.refit.quiet).predicting(source.rows());
        let requests = [predictor.requests(), &layout.requests()].concat();
        RowPass::new(*source, requests)
            .run(&mut watch, |block| predictor.of_block(block), &mut |(block, rows): (Block, PredictedRows)| {
                report.count(&rows);
                Ok(sink.push(layout.columns(block, rows))?)
            })
            .map_err(|error| check::of_pass(error, source, &saved.recipe))?;
        drop(watch);
        sink.finish()?;
        report.finish();
        for note in report.all_unknown().into_iter().chain(report.not_estimable()) {
            eprint(&note);
        }
        match (args.json, args.refit.quiet) {
            (true, _) => print(&report.json())?,
            (false, true) => {}
            (false, false) => print(&report.text())?,
        }
        Ok(Outcome::Done)
    }
}
