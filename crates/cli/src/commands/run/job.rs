//! The settings of a job, checked as far as possible without the data.

use super::file::{DataKeys, DecimalKey, JobFile, MethodKey, ModelKeys, OnError, TypeKey};
use super::parse::Document;
use crate::args::{Df, IntervalMethod};
use crate::commands::confint::IntervalRequest;
use crate::commands::generalised::GlmmHow;
use crate::fit_and_write::{Clustered, How};
use crate::memory::Limit;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tiers_design::Formula;
use tiers_glmm::{Distribution, Family, FamilyError, GlmmSettings, Link, MAX_NODES};
use tiers_moments::Until;
use tiers_reml::{FitSettings, Inference, Method, NewtonSettings};
use tiers_tables::{ColumnType, CsvOptions, Decimal};

/// Checked settings of a job.
#[derive(Debug)]
pub(crate) struct Job {
    /// The job file.
    pub document: Document,
    /// Files, folders or globs of the rows.
    pub paths: Vec<PathBuf>,
    /// How text files are read.
    pub csv: CsvOptions,
    /// Folder for the results.
    pub folder: PathBuf,
    /// Number of threads; all cores if `None`.
    pub threads: Option<NonZeroUsize>,
    /// Limit on memory.
    pub memory: Limit,
    /// Time between checkpoints.
    pub checkpoints: Duration,
    /// The models.
    pub models: Vec<ModelJob>,
}

/// Checked settings of a model.
#[derive(Clone, Debug)]
pub(crate) struct ModelJob {
    /// The keys as written in the job file.
    pub keys: ModelKeys,
    /// The formula.
    pub formula: Formula,
    /// How it is fitted.
    pub how: How,
    /// How it is fitted if it is generalised.
    pub generalised: Option<GlmmHow>,
}

/// Names of files in the folder of results, which models cannot have.
const TAKEN: [&str; 3] = [super::status::STATUS, super::manifest::MANIFEST, super::manifest::JOB];

impl Job {
    /// Checks the job file. Its paths are relative to its folder.
    pub(crate) fn new(document: Document, path: &Path) -> anyhow::Result<Job> {
        let JobFile { data, output, run, models } = &document.file;
        let fail = |key: &str, why: &dyn std::fmt::Display| document.error(key, why);
        let above = path.parent().unwrap_or(Path::new(""));
        if data.paths.is_empty() {
            return Err(fail("data.paths", &"no file, folder or glob is named"));
        }
        if output.folder.as_os_str().is_empty() {
            return Err(fail("output.folder", &"no folder is named"));
        }
        if models.is_empty() {
            return Err(fail("models", &"there is no model; write a table [[models]] with a name and a formula"));
        }
        let threads = run.threads.map(|n| NonZeroUsize::new(n).ok_or(n)).transpose();
        let threads = threads.map_err(|_| fail("run.threads", &"at least one thread is needed"))?;
        let memory = Limit::parse(&run.memory_limit).map_err(|error| {
            fail("run.memory_limit", &error.to_string().trim_start_matches("--memory-limit ").to_owned())
        })?;
        let checkpoints = Duration::try_from_secs_f64(run.checkpoint_seconds)
            .map_err(|_| fail("run.checkpoint_seconds", &"a number of seconds is 0 or more"))?;
        check_names(&document, models)?;
        let checked =
            models.iter().enumerate().map(|(i, keys)| model(&document, i, keys, memory)).collect::<Result<_, _>>()?;
        Ok(Job {
            paths: data.paths.iter().map(|path| above.join(path)).collect(),
            csv: csv_options(&document, data)?,
            folder: above.join(&output.folder),
            threads,
            memory,
            checkpoints,
            models: checked,
            document,
        })
    }

    /// Returns the keys of the data.
    pub(crate) fn data(&self) -> &DataKeys {
        &self.document.file.data
    }

    /// Whether the job continues after a model that cannot be fitted.
    pub(crate) fn goes_on(&self) -> bool {
        self.document.file.run.on_error == OnError::Continue
    }
}

/// Returns the options for text files.
fn csv_options(document: &Document, data: &DataKeys) -> anyhow::Result<CsvOptions> {
    let fail = |key: &str, why: String| document.error(&format!("data.{key}"), why);
    let kind = |kind: &TypeKey| match kind {
        TypeKey::Number => ColumnType::Number,
        TypeKey::Integer => ColumnType::Integer,
        TypeKey::Text => ColumnType::Text,
        TypeKey::Boolean => ColumnType::Boolean,
    };
    let na = data.na.iter().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    Ok(CsvOptions {
        sep: data.sep.as_ref().map(|text| text.parse().map_err(|why| fail("sep", why))).transpose()?,
        decimal: data.decimal.map(|mark| match mark {
            DecimalKey::Point => Decimal::Point,
            DecimalKey::Comma => Decimal::Comma,
        }),
        encoding: data.encoding.as_ref().map(|text| text.parse().map_err(|why| fail("encoding", why))).transpose()?,
        na: na.collect(),
        types: data.types.iter().map(|(column, of)| (column.clone(), kind(of))).collect(),
    })
}

/// Checks that model names are unique and can be names of folders.
fn check_names(document: &Document, models: &[ModelKeys]) -> anyhow::Result<()> {
    for (i, model) in models.iter().enumerate() {
        let (key, name) = (format!("models[{i}].name"), &model.name);
        let bad = |c: char| matches!(c, '/' | '\\') || c.is_control();
        let why = if name.trim().is_empty() {
            "a model needs a name, which is that of its folder".to_owned()
        } else if name.contains(bad) || name.starts_with('.') || name.len() > 200 {
            format!(
                "`{}` cannot be the name of a folder; leave out slashes, dots at the beginning and control characters",
                name.escape_debug()
            )
        } else if TAKEN.contains(&name.as_str()) {
            format!("`{name}` is the name of a file in the folder of results; name the model otherwise")
        } else if let Some(before) = models[..i].iter().position(|other| other.name == *name) {
            format!("`{name}` is also the name of models[{before}]; every model needs a name of its own")
        } else {
            continue;
        };
        return Err(document.error(&key, why));
    }
    Ok(())
}

fn model(document: &Document, i: usize, keys: &ModelKeys, memory: Limit) -> anyhow::Result<ModelJob> {
    let fail = |key: &str, why: &dyn std::fmt::Display| document.error(&format!("models[{i}].{key}"), why);
    let formula = keys.formula.parse::<Formula>().map_err(|error| fail("formula", &error))?;
    if !(keys.conf_level > 0.0 && keys.conf_level < 1.0) {
        let why = format!("{}: a confidence level lies between 0 and 1, such as 0.95", keys.conf_level);
        return Err(fail("conf_level", &why));
    }
    if keys.max_evaluations == 0 {
        return Err(fail("max_evaluations", &"at least one evaluation is needed; the default is 100"));
    }
    if keys.fitted && !keys.by.is_empty() {
        return Err(fail("fitted", &"fitted values are not written by partition; leave out `fitted` or `by`"));
    }
    if keys.robust.is_some() && !keys.by.is_empty() {
        return Err(fail("robust", &"robust standard errors are not made by partition; leave out `robust` or `by`"));
    }
    if keys.report && !keys.by.is_empty() {
        return Err(fail("report", &"a page is not made by partition; leave out `report` or `by`"));
    }
    if keys.cluster.is_some() && keys.robust.is_none() {
        return Err(fail("cluster", &"it names the clusters of robust standard errors; write robust = \"CR2\" too"));
    }
    let intervals = intervals(keys).map_err(|(key, why)| fail(key, &why))?;
    if let Some(again) = keys.by.iter().enumerate().find(|(k, column)| keys.by[..*k].contains(column)) {
        return Err(fail("by", &format!("`{}` stands here twice", again.1)));
    }
    let method = match keys.method {
        MethodKey::Reml => Method::Reml,
        MethodKey::Ml => Method::Ml,
    };
    let Some(df) = keys.df.method(method) else {
        let why = "kenward-roger is an adjustment of REML fits; write satterthwaite, or method REML";
        return Err(fail("df", &why));
    };
    let newton = NewtonSettings { max_evaluations: keys.max_evaluations, ..NewtonSettings::default() };
    let inference = Inference { df, confidence: keys.conf_level };
    let robust = keys.robust.map(|kind| Clustered { kind: kind.sandwich(), level: keys.cluster.clone(), memory });
    let (fitted, report) = (keys.fitted, keys.report);
    let memory = memory.of_rows(None, Until::Estimates).map(|limit| limit.bytes);
    let fitting = FitSettings { method, newton, inference, memory };
    let how = How { fitting, robust, intervals, fitted, report, reproducible: true };
    let generalised = generalised(keys, &how.fitting).map_err(|(key, why)| fail(key, &why))?;
    Ok(ModelJob { keys: keys.clone(), formula, how, generalised })
}

/// Returns how a generalised model is fitted; the error is the invalid key and the reason.
fn generalised(keys: &ModelKeys, fitting: &FitSettings) -> Result<Option<GlmmHow>, (&'static str, String)> {
    let Some(family) = &keys.family else {
        let given = [
            ("link", keys.link.is_some()),
            ("agq", keys.agq.is_some()),
            ("laplace_error", keys.laplace_error.is_some()),
            ("exponentiate", keys.exponentiate.is_some()),
        ];
        return match given.into_iter().find(|(_, is_given)| *is_given) {
            Some((key, _)) => Err((key, "it applies to generalised models; write the family too".to_owned())),
            None => Ok(None),
        };
    };
    let for_linear = [
        ("df", keys.df != Df::default()),
        ("robust", keys.robust.is_some()),
        ("intervals", keys.intervals.is_some()),
        ("fitted", keys.fitted),
        ("report", keys.report),
        ("by", !keys.by.is_empty()),
    ];
    if let Some((key, _)) = for_linear.into_iter().find(|(_, is_given)| *is_given) {
        return Err((key, "it is not available for generalised models; leave out this key or the family".to_owned()));
    }
    let family: Family = family.parse().map_err(|error: FamilyError| ("family", error.to_string()))?;
    let link: Option<Link> = keys
        .link
        .as_ref()
        .map(|link| link.parse())
        .transpose()
        .map_err(|error: FamilyError| ("link", error.to_string()))?;
    let distribution = Distribution::new(family, link).map_err(|error| ("link", error.to_string()))?;
    let nodes = keys.agq.unwrap_or(1);
    if !(1..=MAX_NODES).contains(&nodes) {
        return Err(("agq", format!("{nodes}: the number of nodes lies between 1 and {MAX_NODES}")));
    }
    let settings = GlmmSettings {
        distribution,
        newton: fitting.newton.clone(),
        confidence: fitting.inference.confidence,
        nodes,
        laplace_error: keys.laplace_error.unwrap_or(true),
    };
    let how = GlmmHow::new(settings, keys.exponentiate.unwrap_or(false), true);
    how.map(Some).map_err(|why| ("exponentiate", why))
}

/// Returns the settings of intervals, if any; the error is the invalid key and the reason.
fn intervals(keys: &ModelKeys) -> Result<Option<IntervalRequest>, (&'static str, String)> {
    let given = [("replicates", keys.replicates.is_some()), ("seed", keys.seed.is_some())];
    if keys.intervals != Some(IntervalMethod::Bootstrap)
        && let Some((key, _)) = given.into_iter().find(|(_, is_given)| *is_given)
    {
        return Err((
            key,
            "it applies to the bootstrap only; write intervals = \"bootstrap\" too, or leave it out".to_owned(),
        ));
    }
    let Some(method) = keys.intervals else { return Ok(None) };
    if !keys.by.is_empty() {
        return Err(("intervals", "intervals are not made by partition; leave out `intervals` or `by`".to_owned()));
    }
    let request = IntervalRequest::new(method, keys.conf_level, keys.replicates, keys.seed);
    request.check_replicates().map_err(|why| ("replicates", why))?;
    Ok(Some(request))
}
