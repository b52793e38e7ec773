//! `tiers means`: marginal means of a saved fit, their differences, and linear hypotheses.
//!
//! ```text
//! text   the tables
//! ```

mod text;

use crate::args::{Adjust, MeansArgs};
use crate::exit::{Outcome, print};
use crate::saved::open_any;
use anyhow::{anyhow, bail, ensure};
use serde::Serialize;
use std::collections::BTreeMap;
use tiers_glmm::Link;
use tiers_reml::{
    Averaging, DfMethod, FTest, FixedInference, FixedModel, Grid, LinearHypothesis, Margin, MarginalMean,
    MeanDifference, MeansError, Setting, TTest, pairwise,
};
use tiers_report::saved::SavedFixed;

/// Largest number of means that are compared pair by pair.
const MOST_COMPARED: usize = 100;

/// Results, as `--json` prints them.
#[derive(Debug, Serialize)]
struct Found {
    tiers: &'static str,
    formula: String,
    /// The link of a generalised fit, on whose scale means and tests are.
    #[serde(skip_serializing_if = "Option::is_none")]
    scale: Option<Link>,
    df_method: DfMethod,
    confidence_level: f64,
    #[serde(flatten)]
    means: Option<Means>,
    tests: Vec<Tested>,
    /// Joint test of all hypotheses, if there are several.
    joint: Option<FTest>,
}

#[derive(Debug, Serialize)]
struct Means {
    averaged_over: Vec<String>,
    weights: &'static str,
    /// Values of the numeric variables.
    at: BTreeMap<String, String>,
    means: Vec<MarginalMean>,
    adjust: &'static str,
    differences: Vec<MeanDifference>,
}

#[derive(Debug, Serialize)]
struct Tested {
    hypothesis: String,
    /// Hypothesised value of the combination.
    value: f64,
    #[serde(flatten)]
    test: TTest,
}

/// Prints means, differences and tests.
pub(crate) fn run(args: &MeansArgs) -> anyhow::Result<Outcome> {
    let opened = open_any(&args.fit)?;
    let saved = opened.fixed();
    let confidence = args.conf_level.unwrap_or(saved.confidence_level);
    ensure!(
        confidence > 0.0 && confidence < 1.0,
        "--conf-level {confidence}: a confidence level lies between 0 and 1, such as 0.95"
    );
    let inference = saved.fixed.inference.clone().with_confidence(confidence);
    let means = args.margins.as_ref().map(|margins| means(args, margins, &saved, &inference)).transpose()?;
    let (tests, joint) = tests(&args.test, &saved, &inference)?;
    let found = Found {
        tiers: env!("CARGO_PKG_VERSION"),
        formula: saved.recipe.formula.clone(),
        scale: saved.link,
        df_method: inference.df_method(),
        confidence_level: confidence,
        means,
        tests,
        joint,
    };
    print(&if args.json { tiers_report::json(&found) } else { text::text(&found, &saved) })?;
    Ok(Outcome::Done)
}

/// Computes the means and differences of the named variables.
fn means(args: &MeansArgs, margins: &str, saved: &SavedFixed<'_>, inference: &FixedInference) -> anyhow::Result<Means> {
    let fixed: &FixedModel = saved.fixed;
    let grid = Grid::new(fixed, saved.recipe, args.weights);
    let mut at = BTreeMap::new();
    for text in &args.at {
        let (name, values) = values(text)?;
        grid.settings(&name, Some(&[])).map_err(|error| anyhow!("--at {text}: {error}"))?;
        at.insert(name, values);
    }
    let names = |text: &str| text.split('*').map(|name| name.trim().trim_matches('`').to_owned()).collect::<Vec<_>>();
    let (targets, by): (Vec<String>, Vec<String>) = (names(margins), args.by.iter().flat_map(|by| names(by)).collect());
    let mut seen = Vec::new();
    for name in targets.iter().chain(&by) {
        ensure!(!seen.contains(&name), "`{name}` is named twice");
        seen.push(name);
    }
    let margin = |name: &String| -> anyhow::Result<Margin> { Ok((name.clone(), settings(&grid, name, at.get(name))?)) };
    let margins = targets.iter().map(margin).collect::<anyhow::Result<Vec<_>>>()?;
    let within = by.iter().map(margin).collect::<anyhow::Result<Vec<_>>>()?;
    let mut held = BTreeMap::new();
    for (name, values) in at.iter().filter(|(name, _)| !targets.contains(name) && !by.contains(name)) {
        let one = settings(&grid, name, Some(values))?;
        let [(_, setting)] = &one[..] else {
            bail!("--at {name}={}: one value, for `{name}` is neither compared nor in --by", values.join(","));
        };
        held.insert(name.clone(), setting.clone());
    }
    let set: Vec<&str> = seen.iter().map(|name| &name[..]).chain(held.keys().map(|name| &name[..])).collect();
    let (averaged_over, numbers) = grid.others(&set);
    let mut stand: BTreeMap<String, String> =
        numbers.into_iter().map(|(name, mean)| (name, mean.to_string())).collect();
    stand.extend(at.iter().filter(|(name, _)| held.contains_key(*name)).map(|(name, v)| (name.clone(), v[0].clone())));
    let means = grid.means(inference, &margins, &within, &held)?;
    let compared = margins.iter().map(|(_, settings)| settings.len()).product::<usize>() <= MOST_COMPARED;
    let differences = if compared { pairwise(&means, inference, args.adjust == Adjust::Holm) } else { Vec::new() };
    Ok(Means {
        averaged_over,
        weights: if args.weights == Averaging::Equal { "equal" } else { "proportional" },
        at: stand,
        means,
        adjust: if args.adjust == Adjust::Holm { "holm" } else { "none" },
        differences,
    })
}

/// Parses `name=a,b`.
fn values(text: &str) -> anyhow::Result<(String, Vec<String>)> {
    match text.split_once('=') {
        Some((name, values)) if !name.is_empty() && !values.is_empty() => {
            let values = values.split(',').map(|value| value.trim().to_owned()).collect();
            Ok((name.trim().trim_matches('`').to_owned(), values))
        }
        _ => bail!("--at {text}: write the name, `=` and values, as in --at age=10,20"),
    }
}

/// Returns the settings of a variable: those of `--at`, or all levels.
fn settings(grid: &Grid<'_>, name: &str, at: Option<&Vec<String>>) -> anyhow::Result<Vec<(String, Setting)>> {
    let Some(values) = at else { return Ok(grid.settings(name, None)?) };
    if grid.factor(name).is_some() {
        let all = grid.settings(name, None)?;
        let one = |value: &String| {
            all.iter().find(|(level, _)| level == value).cloned().ok_or_else(|| {
                let levels = all.iter().map(|(level, _)| level.clone()).collect();
                MeansError::Level { factor: name.to_owned(), level: value.clone(), levels }.into()
            })
        };
        return values.iter().map(one).collect();
    }
    let number = |value: &String| match value.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => Err(anyhow!("--at {name}={value}: `{name}` is numeric, but `{value}` is not a number")),
    };
    let numbers = values.iter().map(number).collect::<anyhow::Result<Vec<f64>>>()?;
    Ok(grid.settings(name, Some(&numbers))?)
}

/// Tests the hypotheses one by one and jointly.
fn tests(
    texts: &[String],
    saved: &SavedFixed<'_>,
    inference: &FixedInference,
) -> anyhow::Result<(Vec<Tested>, Option<FTest>)> {
    let name = |&i: &usize| saved.recipe.x[i].name.clone();
    let names: Vec<String> = saved.fixed.coefficients.iter().map(name).collect();
    let mut hypotheses = Vec::new();
    for text in texts {
        let parsed = LinearHypothesis::parse(text, &names).map_err(|error| {
            let dropped = saved.dropped.iter().find(|name| text.contains(name.as_str()));
            match dropped {
                Some(name) => anyhow!("--test {error}. `{name}` was dropped from the fit: other columns determine it"),
                None => anyhow!("--test {error}"),
            }
        })?;
        hypotheses.push(parsed);
    }
    let tested = texts.iter().zip(&hypotheses).map(|(text, hypothesis)| Tested {
        hypothesis: text.clone(),
        value: hypothesis.value,
        test: hypothesis.test(inference),
    });
    let joint = (hypotheses.len() > 1).then(|| LinearHypothesis::test_all(&hypotheses, inference)).transpose();
    Ok((tested.collect(), joint.map_err(|error| anyhow!("--test: {error}"))?))
}
