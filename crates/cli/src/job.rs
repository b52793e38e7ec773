//! The settings of `tiers fit`, checked as far as possible without reading the data.

use crate::args::{Df, FitArgs, LaplaceError};
use crate::commands::generalised::GlmmHow;
use crate::fit_and_write::{Clustered, How};
use crate::input::InputSpec;
use crate::memory::Limit;
use anyhow::{anyhow, bail, ensure};
use std::path::PathBuf;
use tiers_design::Settings;
use tiers_glmm::{Distribution, GlmmSettings};
use tiers_moments::Until;
use tiers_reml::{DfMethod, FitSettings, Inference, Method, NewtonSettings};

/// Checked settings of `tiers fit`.
#[derive(Debug)]
pub(crate) struct Job {
    /// The models and their data.
    pub input: InputSpec,
    /// Limit on memory.
    pub memory: Limit,
    /// How it is fitted.
    pub how: How,
    /// How a generalised model is fitted.
    pub generalised: Option<GlmmHow>,
    /// Names of the models if there are several; otherwise empty.
    pub names: Vec<String>,
    /// Folder for the results.
    pub out: Option<PathBuf>,
    /// What to print to standard output.
    pub show: Show,
    /// Whether to suppress progress and timing.
    pub quiet: bool,
}

/// What to print to standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Show {
    /// The summary.
    Summary,
    /// The fit as JSON.
    Json,
    /// Nothing: the results are in the folder.
    Nothing,
}

impl Job {
    /// Checks the arguments of the command line.
    pub(crate) fn new(args: FitArgs) -> anyhow::Result<Job> {
        let confidence = args.conf_level;
        ensure!(
            confidence > 0.0 && confidence < 1.0,
            "--conf-level {confidence}: a confidence level lies between 0 and 1, such as 0.95"
        );
        ensure!(args.max_evaluations > 0, "--max-evaluations 0: at least one evaluation is needed; the default is 100");
        let method = if args.ml { Method::Ml } else { Method::Reml };
        let show = match (args.json, args.quiet && args.out.is_some()) {
            (true, _) => Show::Json,
            (false, true) => Show::Nothing,
            (false, false) => Show::Summary,
        };
        let reference = args.reference.iter().map(|text| reference(text)).collect::<anyhow::Result<_>>()?;
        let levels = args.levels.iter().map(|text| levels(text)).collect::<anyhow::Result<_>>()?;
        let texts: Vec<&String> = args.formula.iter().chain(&args.also).collect();
        let (names, formulas): (Vec<String>, Vec<&str>) = match texts[..] {
            [only] => (Vec::new(), vec![only]),
            ref several => several.iter().enumerate().map(|(i, text)| name(text, i)).unzip(),
        };
        if let Some(again) = names.iter().enumerate().find(|(i, name)| names[..*i].contains(name)) {
            bail!("two models have the name `{}`; give them names as in --also \"full = y ~ x + (1 | g)\"", again.1);
        }
        let input = match formulas.is_empty() {
            false => InputSpec::Rows {
                formulas: formulas.into_iter().map(str::parse).collect::<Result<_, _>>()?,
                design: Settings { weights: args.weights, reference, levels, generalised: args.family.is_some() },
                data: args.data,
                csv: args.csv.options()?,
            },
            true => InputSpec::Moments(args.moments),
        };
        let newton = NewtonSettings { max_evaluations: args.max_evaluations, ..NewtonSettings::default() };
        let distribution = args.family.map(|family| Distribution::new(family, args.link)).transpose()?;
        let settings = distribution.map(|distribution| GlmmSettings {
            distribution,
            newton: newton.clone(),
            confidence,
            nodes: args.agq.map_or(1, usize::from),
            laplace_error: args.laplace_error.unwrap_or_default() == LaplaceError::On,
        });
        let generalised = settings.map(|settings| GlmmHow::new(settings, args.exponentiate, false)).transpose();
        let generalised = generalised.map_err(|why| anyhow!("--exponentiate: {why}"))?;
        let memory = args.resources.limit()?;
        let robust = args.robust.map(|kind| Clustered { kind: kind.sandwich(), level: args.cluster, memory });
        Ok(Job {
            input,
            memory,
            how: How {
                fitting: FitSettings {
                    method,
                    newton,
                    inference: Inference { df: df_method(args.df, method)?, confidence },
                    memory: memory.of_rows(None, Until::Estimates).map(|limit| limit.bytes),
                },
                robust,
                intervals: None,
                fitted: args.fitted,
                report: args.report,
                reproducible: false,
            },
            generalised,
            names,
            out: args.out,
            show,
            quiet: args.quiet,
        })
    }
}

/// Splits `name = formula`. A formula without a name gets the name `model` and its number.
fn name(text: &str, index: usize) -> (String, &str) {
    let is_name = |name: &str| {
        let allowed = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
        !name.is_empty() && name.chars().all(allowed) && !name.starts_with('.')
    };
    match text.split_once('=') {
        Some((name, formula)) if is_name(name.trim()) => (name.trim().to_owned(), formula),
        _ => (format!("model{}", index + 1), text),
    }
}

/// Parses `factor=level`.
pub(crate) fn reference(text: &str) -> anyhow::Result<(String, String)> {
    match text.split_once('=') {
        Some((factor, level)) if !factor.is_empty() => Ok((factor.to_owned(), level.to_owned())),
        _ => bail!("--reference {text}: write the factor, `=` and the level, as in --reference gender=F"),
    }
}

/// Parses `factor=a,b,c`, in order; a comma within a level is written `\,`.
pub(crate) fn levels(text: &str) -> anyhow::Result<(String, Vec<String>)> {
    let Some((factor, list)) = text.split_once('=').filter(|(factor, list)| !factor.is_empty() && !list.is_empty())
    else {
        bail!("--levels {text}: write the factor, `=` and all its levels, as in --levels sector=private,public");
    };
    let mut levels = vec![String::new()];
    let mut letters = list.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if letters.peek() == Some(&',') => levels.last_mut().expect("one at least").extend(letters.next()),
            ',' => levels.push(String::new()),
            letter => levels.last_mut().expect("one at least").push(letter),
        }
    }
    Ok((factor.to_owned(), levels))
}

/// Returns the method for the degrees of freedom; an error if it does not apply to this likelihood.
pub(crate) fn df_method(df: Df, method: Method) -> anyhow::Result<DfMethod> {
    df.method(method).ok_or_else(|| {
        anyhow!("--df kenward-roger is an adjustment of REML fits; leave out --ml, or write --df satterthwaite")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_may_have_names() {
        assert_eq!(name("full = y ~ x", 1), ("full".to_owned(), " y ~ x"));
        assert_eq!(name("y ~ x", 1), ("model2".to_owned(), "y ~ x"));
        assert_eq!(name("y ~ I(x = 2)", 0).0, "model1");
    }

    #[test]
    fn a_level_may_hold_an_equals_sign() {
        assert_eq!(reference("size=a=b").unwrap(), ("size".to_owned(), "a=b".to_owned()));
        assert!(reference("size").is_err() && reference("=a").is_err());
    }

    #[test]
    fn levels_are_separated_by_commas() {
        assert_eq!(
            levels("f=a,b c,").unwrap(),
            ("f".to_owned(), vec!["a".to_owned(), "b c".to_owned(), String::new()])
        );
        assert_eq!(levels(r"f=a\,b,c").unwrap().1, ["a,b", "c"]);
        assert!(levels("f").is_err() && levels("f=").is_err() && levels("=a").is_err());
    }
}
