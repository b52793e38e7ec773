//! What is to be done, checked as far as can be without touching the data.

use crate::args::{Df, FitArgs};
use crate::memory::Limit;
use anyhow::{bail, ensure};
use std::path::PathBuf;
use tiers_design::{Formula, Settings};
use tiers_reml::{DfMethod, Inference, Method, NewtonSettings};

/// A fit to be made.
#[derive(Debug)]
pub(crate) struct Job {
    /// What is fitted.
    pub input: Input,
    /// How much memory may be used.
    pub memory: Limit,
    /// REML or ML.
    pub method: Method,
    /// When the optimiser stops.
    pub newton: NewtonSettings,
    /// Degrees of freedom, and the level of confidence intervals.
    pub inference: Inference,
    /// Folder for the results.
    pub out: Option<PathBuf>,
    /// Whether fitted values are written too.
    pub fitted: bool,
    /// What goes to standard output.
    pub show: Show,
    /// Whether to leave out progress and timing.
    pub quiet: bool,
}

/// What a fit is made from.
#[derive(Debug)]
pub(crate) enum Input {
    /// Rows of a table.
    Rows {
        /// The model.
        formula: Box<Formula>,
        /// Weights and reference levels.
        design: Settings,
        /// Where the rows are.
        data: Vec<PathBuf>,
    },
    /// Folders of moments.
    Moments(Vec<PathBuf>),
}

/// What goes to standard output.
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
    /// Checks what the command line says.
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
        let input = match args.formula {
            Some(formula) => Input::Rows {
                formula: Box::new(formula.parse()?),
                design: Settings { weights: args.weights, reference },
                data: args.data,
            },
            None => Input::Moments(args.moments),
        };
        Ok(Job {
            input,
            memory: Limit::parse(&args.memory_limit)?,
            method,
            newton: NewtonSettings { max_evaluations: args.max_evaluations, ..NewtonSettings::default() },
            inference: Inference { df: df_method(args.df, method)?, confidence },
            out: args.out,
            fitted: args.fitted,
            show,
            quiet: args.quiet,
        })
    }
}

/// `factor=level`.
pub(crate) fn reference(text: &str) -> anyhow::Result<(String, String)> {
    match text.split_once('=') {
        Some((factor, level)) if !factor.is_empty() => Ok((factor.to_owned(), level.to_owned())),
        _ => bail!("--reference {text}: write the factor, `=` and the level, as in --reference gender=F"),
    }
}

/// The method of the fit, if it is one for this likelihood.
pub(crate) fn df_method(df: Df, method: Method) -> anyhow::Result<DfMethod> {
    Ok(match (df, method) {
        (Df::KenwardRoger, Method::Ml) => {
            bail!("--df kenward-roger is an adjustment of REML fits; leave out --ml, or write --df satterthwaite")
        }
        (Df::KenwardRoger, Method::Reml) => DfMethod::KenwardRoger,
        (Df::Satterthwaite, _) => DfMethod::Satterthwaite,
        (Df::None, _) => DfMethod::None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_may_hold_an_equals_sign() {
        assert_eq!(reference("size=a=b").unwrap(), ("size".to_owned(), "a=b".to_owned()));
        assert!(reference("size").is_err() && reference("=a").is_err());
    }
}
