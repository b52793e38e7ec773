//! Predictions of a generalised fit.

use super::columns::Layout;
use super::report::PredictionReport;
use super::{WITHOUT_EFFECTS, check, levels, open};
use crate::args::PredictArgs;
use crate::exit::{Outcome, eprint, print};
use crate::progress::Progress;
use anyhow::{bail, ensure};
use tiers_design::Block;
use tiers_glmm::{GlmmPredictor, PredictScale};
use tiers_moments::RowPass;
use tiers_reml::{FixedPart, Interval, IntervalKind, LevelEffects, PredictedRows};
use tiers_report::saved::SavedGlmm;
use tiers_tables::{Format, Parquet, TableSink};

/// Predicts from a generalised fit, and writes the file of predictions.
pub(super) fn run(args: &PredictArgs, saved: &SavedGlmm, interval: Option<Interval>) -> anyhow::Result<Outcome> {
    let scale = args.scale.unwrap_or(PredictScale::Response);
    let levels = levels(args, &saved.fit().levels)?;
    let with_errors = args.se || interval.is_some();
    ensure!(
        !with_errors || levels.is_empty(),
        "standard errors and intervals of predictions with random effects are not available for generalised fits; add \
         --population for those of the population, or leave out --se and --interval"
    );
    if interval.is_some_and(|interval| interval.kind == IntervalKind::Prediction) {
        bail!(
            "--interval prediction: a new response of the {} family is a count or an outcome, not a number with an \
             interval; ask for --interval confidence, that of the mean",
            saved.fit().family
        );
    }
    let source = open(args, &saved.report.data.csv)?;
    let (fixed, effects) = (&saved.model.inference.fixed, saved.effects());
    let aliases = fixed.aliases(&saved.recipe);
    let part = FixedPart {
        recipe: &saved.recipe,
        coefficients: &fixed.coefficients,
        beta: &fixed.inference.beta,
        aliases: &aliases,
    };
    let layout = Layout::new(&source, &args.keep, (args.se, interval.is_some()), &levels)?;
    let predictor = |effects: Vec<LevelEffects>| {
        let fit = saved.fit();
        GlmmPredictor::new(part, effects, &fit.variance_components, fit.link, scale)
    };
    let empty: Vec<LevelEffects> = levels.iter().map(|level| effects.without_groups(level)).collect();
    let requests = predictor(empty.clone())?.requests().to_vec();
    check::columns(&source, &requests, &empty, None, &saved.model.definition.fields)?;
    check::output(args, effects, &source, None)?;
    let mut predictor = predictor(effects.read(&levels, false, &Parquet, WITHOUT_EFFECTS)?)?;
    if with_errors {
        let level = interval.map(|interval| interval.level);
        predictor = predictor.with_errors(&saved.recipe, &saved.model.inference, level);
    }
    let mut sink = TableSink::create(&args.out, layout.fields(), Format::of(&args.out))?;
    let mut report = PredictionReport::new(args, (&saved.name, &saved.recipe.formula), predictor.linear());
    report.scale = Some(match scale {
        PredictScale::Link => "link",
        PredictScale::Response => "response",
    });
    let mut watch = Progress::new(args.refit.quiet).predicting(source.rows());
    let requests = [predictor.requests(), &layout.requests()].concat();
    RowPass::new(&source, requests)
        .run(&mut watch, |block| predictor.of_block(block), &mut |(block, rows): (Block, PredictedRows)| {
            report.count(&rows);
            Ok(sink.push(layout.columns(block, rows))?)
        })
        .map_err(|error| check::of_pass(error, &source, &saved.recipe))?;
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
