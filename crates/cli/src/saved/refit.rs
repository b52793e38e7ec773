//! Reads the data of a saved fit again, and finds its optimum again.
//!
//! Profiles, bootstraps, influence and other commands need the moments. These are not saved, since
//! they can be large and a pass over the rows is short. The rows are encoded with the saved
//! definition, so the results are bit-identical to those of the first fit. Changed data are an error.

use super::open::Saved;
use crate::args::RefitArgs;
use crate::memory::check_heads;
use crate::progress::Progress;
use anyhow::anyhow;
use std::path::PathBuf;
use tiers_design::Plan;
use tiers_moments::{Dropped, HEADER, Ingested, MomentsFolder, Part, Reading, Until, accumulate_with, merge};
use tiers_reml::{DfMethod, FixedInference, FixedModel, Inference, Model, Objective, Optimum, build_model, check_core};
use tiers_report::saved::RefitError;
use tiers_tables::{Parquet, Source};

/// The data of a fit, opened again.
#[derive(Debug)]
pub(crate) enum Again {
    /// Rows, to be encoded with the saved recipe.
    Rows {
        /// The table.
        source: Source,
        /// The formula resolved against it.
        plan: Box<Plan>,
    },
    /// Moments of one data set in parts.
    Moments(Vec<MomentsFolder>),
}

impl Saved {
    /// Opens the data of the fit again, at the saved location or that of `--data`.
    pub(crate) fn open_data(&self, args: &RefitArgs) -> anyhow::Result<Again> {
        let paths = if args.data.is_empty() { self.data_paths() } else { args.data.clone() };
        if paths.iter().all(|path| path.join(HEADER).is_file()) {
            let parts = paths.iter().map(|path| MomentsFolder::open(path, &Parquet)).collect::<Result<_, _>>()?;
            return Ok(Again::Moments(parts));
        }
        check_heads(args.resources.limit()?, &paths)?;
        let said = args.csv.options()?;
        let opened = Source::open_with(&paths, &said.or(&self.report.data.csv));
        let source = opened.map_err(|error| match args.data.is_empty() {
            true => anyhow!(
                "{}: the data of this fit cannot be read: {error}; if they moved, name them by --data",
                self.name
            ),
            false => error.into(),
        })?;
        let source = crate::csv::checked(source, &said)?;
        let plan = self.plan(source.fields()).map_err(|error| anyhow!("{}: {error}", self.name))?;
        Ok(Again::Rows { source, plan: Box::new(plan) })
    }

    /// Reads the data again and returns the model with the moments of the first fit.
    pub(crate) fn read(&self, args: &RefitArgs, until: Until) -> anyhow::Result<(Model, Dropped)> {
        let limit = args.resources.limit()?;
        let memory = limit.of_rows(None, until);
        let again = self.open_data(args)?;
        let mut watch = Progress::new(args.quiet).reading(again.count());
        let limit = limit.of_rows(again.count(), until);
        let ingested: Ingested = match &again {
            Again::Rows { source, plan } => {
                let reading = Reading { recipe: Some(&self.recipe), limit, ..Reading::default() };
                accumulate_with(source, plan, &reading, &mut watch).map_err(|error| self.changed(&error.to_string()))?
            }
            Again::Moments(parts) => {
                let parts: Vec<Part<'_>> = parts.iter().map(MomentsFolder::part).collect();
                merge(&parts, limit, &mut watch)?.0
            }
        };
        drop(watch);
        let (model, dropped) = build_model(ingested).map_err(|error| self.changed(&error.to_string()))?;
        self.check_model(&model).map_err(|error| self.of_refit(error))?;
        if let Some(limit) = memory {
            check_core(&model, limit.bytes)?;
        }
        Ok((model, dropped))
    }

    /// Finds the optimum again, and checks that it is the saved one.
    pub(crate) fn optimum(&self, objective: &Objective<'_>, args: &RefitArgs) -> anyhow::Result<Optimum> {
        let watch = Progress::new(args.quiet).optimising();
        let mut observer = |_: &tiers_reml::Trial<'_>, step: &tiers_reml::Step| {
            watch.evaluated(step);
            true
        };
        (**self).optimum(objective, &mut observer).map_err(|error| self.of_refit(error))
    }

    /// Returns inference on the fixed effects by a method for the degrees of freedom (`None`: that of the
    /// fit). A method other than that of the fit reads the data again.
    pub(crate) fn fixed_by(&self, df: Option<DfMethod>, args: &RefitArgs) -> anyhow::Result<FixedModel> {
        let of_fit = self.inference().df_method();
        let df = df.unwrap_or(of_fit);
        if df == of_fit {
            return Ok(self.model.fixed.clone());
        }
        let (model, _) = self.read(args, Until::Estimates)?;
        let objective = Objective::new(&model, self.fit().method);
        let optimum = self.optimum(&objective, args)?;
        let settings = Inference { df, confidence: self.report.confidence_level };
        Ok(FixedModel::new(&model, FixedInference::new(&objective, &optimum, settings)))
    }

    fn of_refit(&self, error: RefitError) -> anyhow::Error {
        match error {
            RefitError::Changed(how) => self.changed(&how),
            error => error.into(),
        }
    }

    fn changed(&self, how: &str) -> anyhow::Error {
        anyhow!(
            "{}: the data are not those of the fit: {how}. Name the data of the fit with --data, or fit the model again",
            self.name
        )
    }
}

impl Again {
    /// Returns all files that are read.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        match self {
            Again::Rows { source, .. } => source.files().iter().map(|file| file.path.clone()).collect(),
            Again::Moments(parts) => parts.iter().flat_map(MomentsFolder::files).collect(),
        }
    }

    /// Returns the number of rows, or cells of moments, to read, if it is known.
    pub(crate) fn count(&self) -> Option<u64> {
        match self {
            Again::Rows { source, .. } => source.rows(),
            Again::Moments(parts) => parts.iter().map(MomentsFolder::count).sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Command;
    use clap::Parser;
    use std::fmt::Write;
    use std::fs;
    use std::path::Path;
    use tiers_reml::Method;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        refit: RefitArgs,
    }

    fn rows(changed: Option<usize>) -> String {
        let mut text = "y,x,sex,school\n".to_owned();
        for i in 0..90 {
            let noise = (f64::from(i) * 12.9898).sin() * 43_758.545_3 % 1.0;
            let school = (f64::from(i / 9) * 4.1).sin();
            let y = 1e3 + f64::from(i % 7) + school + noise + f64::from(u8::from(changed == Some(i as usize)));
            let sex = if i % 4 == 0 { "F" } else { "M" };
            writeln!(text, "{y},{},{sex},{}", i % 7, i / 9).expect("a text");
        }
        text
    }

    fn refit(arguments: &[&str]) -> RefitArgs {
        Line::parse_from(["refit", "--quiet"].iter().chain(arguments)).refit
    }

    fn saved(folder: &Path) -> Saved {
        let data = folder.join("a.csv");
        fs::write(&data, rows(None)).expect("a file");
        let (data, out) = (data.to_str().expect("UTF-8"), folder.join("out"));
        let out = out.to_str().expect("UTF-8");
        let line = ["tiers", "fit", "y ~ x + sex + (1 + x | school)", data, "--out", out, "--quiet"];
        let Ok(Command::Fit(args)) = crate::args::parse_from(line) else { panic!("a good command line") };
        crate::commands::fit::run(&crate::job::Job::new(args).expect("a good job")).expect("a fit");
        Saved::open(&Path::new(out).join("fit.json")).expect("a saved fit")
    }

    #[test]
    fn the_optimum_of_a_refit_is_bit_identical() {
        let folder = tempfile::tempdir().expect("a folder");
        let saved = saved(folder.path());
        let (model, _) = saved.read(&refit(&[]), Until::Estimates).expect("the same data");
        let objective = Objective::new(&model, Method::Reml);
        let optimum = saved.optimum(&objective, &refit(&[])).expect("the same optimum");
        assert_eq!(optimum.at.criterion.to_bits(), saved.fit().criterion.to_bits());
        for (term, effect) in saved.fit().fixed_effects.iter().enumerate() {
            assert_eq!(saved.inference().beta[term], effect.estimate);
        }
    }

    #[test]
    fn changed_data_are_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let saved = saved(folder.path());
        let message = |args: &RefitArgs| saved.read(args, Until::Estimates).expect_err("changed").to_string();
        let other = folder.path().join("b.csv");
        fs::write(&other, rows(Some(17))).expect("a file");
        let text = message(&refit(&["--data", other.to_str().expect("UTF-8")]));
        assert!(text.contains("mean of the response") && text.contains("--data"), "{text}");
        fs::write(&other, rows(None) + "1.5,2,X,3\n").expect("a file");
        let text = message(&refit(&["--data", other.to_str().expect("UTF-8")]));
        assert!(text.contains("not those of the fit") && text.contains('X'), "{text}");
        fs::remove_file(folder.path().join("a.csv")).expect("removed");
        let text = message(&refit(&[]));
        assert!(text.contains("a.csv") && text.contains("--data"), "{text}");
    }
}
