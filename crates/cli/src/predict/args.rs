//! The command line of `tiers predict`.

use crate::csv::CsvArgs;
use crate::saved::{RefitArgs, Saved};
use anyhow::{bail, ensure};
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use tiers_reml::{Interval, IntervalKind};
use tiers_tables::Source;

/// Examples below the help.
pub(crate) const EXAMPLES: &str = "\
Examples:
  Predictions with all random effects, and intervals for new observations:
    tiers fit \"score ~ pretest + (1 | school/class)\" students.parquet --out results
    tiers predict results new_students.parquet --out predicted.parquet --interval prediction

  With the effects of schools only, the id of the student kept beside the prediction:
    tiers predict results new_students.parquet --out predicted.parquet --level school --keep student

  For the population, no group known, with standard errors:
    tiers predict results new_students.parquet --out predicted.parquet --population --se

  As text, for a spreadsheet:
    tiers predict results new_students.csv --out predicted.csv

Rows of groups that the fit has not seen are predicted without their effects, and `known_LEVEL`
tells them apart. Predictions alone need nothing but the folder of results, and so do --population
--se and --interval confidence of a fit with Satterthwaite's degrees of freedom; other standard
errors and intervals read the data of the fit once more.";

/// `tiers predict`.
#[derive(Debug, Args)]
pub(crate) struct PredictArgs {
    /// Folder that `tiers fit --out` wrote, or the fit.json in it
    pub fit: PathBuf,

    /// Rows to predict for: files, folders or globs, all of one table; the response is not needed
    #[arg(required = true)]
    pub new_data: Vec<PathBuf>,

    /// File for the predictions, a row for each row, in the same order; its ending says the format:
    /// .csv, .tsv, .arrow, otherwise parquet
    #[arg(long, value_name = "FILE", required = true)]
    pub out: PathBuf,

    /// Use the random effects of this level and all coarser ones (default: of all levels)
    #[arg(long, value_name = "LEVEL")]
    pub level: Option<String>,

    /// Use no random effects: predictions for the population
    #[arg(long, conflicts_with = "level")]
    pub population: bool,

    /// Standard errors too
    #[arg(long)]
    pub se: bool,

    /// Lower and upper ends too
    #[arg(long, value_name = "KIND", value_enum)]
    pub interval: Option<Kind>,

    /// Confidence level of the interval
    #[arg(long, value_name = "LEVEL", default_value_t = 0.95)]
    pub conf_level: f64,

    /// Columns of the new data to copy, separated by commas
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    pub keep: Vec<String>,

    /// Print what was done as JSON
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub refit: RefitArgs,
}

/// What an interval is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// The mean of rows like this: uncertain estimates, and effects of groups not seen
    Confidence,
    /// A new response: the residual on top, and the effects of levels that are left out
    Prediction,
}

impl PredictArgs {
    /// The new data, read as those of the fit unless the options say otherwise.
    pub(crate) fn open(&self, saved: &Saved) -> anyhow::Result<Source> {
        let said = self.refit.csv.options()?;
        let source = Source::open_with(&self.new_data, &said.or(&saved.report.data.csv))?;
        crate::csv::checked(source, &said)
    }

    /// How the data of the fit are read once more: the options are of the new data.
    pub(crate) fn of_fit(&self) -> RefitArgs {
        RefitArgs { csv: CsvArgs::default(), ..self.refit.clone() }
    }

    /// The interval that is wanted.
    pub(crate) fn interval(&self) -> anyhow::Result<Option<Interval>> {
        let level = self.conf_level;
        ensure!(
            level > 0.0 && level < 1.0,
            "--conf-level {level}: a confidence level lies between 0 and 1, such as 0.95"
        );
        let kind = |kind| match kind {
            Kind::Confidence => IntervalKind::Confidence,
            Kind::Prediction => IntervalKind::Prediction,
        };
        Ok(self.interval.map(|of| Interval { kind: kind(of), level }))
    }

    /// The levels whose random effects are used, coarsest first.
    pub(crate) fn levels(&self, saved: &Saved) -> anyhow::Result<Vec<String>> {
        let all: Vec<String> = saved.fit().levels.iter().map(|level| level.name.clone()).collect();
        match &self.level {
            _ if self.population => Ok(Vec::new()),
            None => Ok(all),
            Some(level) => match all.iter().position(|name| name == level) {
                Some(finest) => Ok(all[..=finest].to_vec()),
                None => bail!(
                    "--level {level}: the fit has no such level; its levels are, coarsest first, {}",
                    all.join(", ")
                ),
            },
        }
    }
}
