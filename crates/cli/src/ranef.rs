//! `tiers ranef`: the groups of a saved fit with the largest and the smallest random effects.

use crate::exit::{Outcome, print};
use crate::layout::{Column, paragraph, table};
use crate::numbers::column;
use crate::outputs::EFFECTS;
use crate::saved::Saved;
use crate::tables::{OF_EFFECTS, file_name};
use anyhow::{anyhow, bail};
use clap::Args;
use serde_json::{Map, Value, json};
use std::cmp::Ordering;
use std::path::PathBuf;
use tiers_design::{Column as Read, Dictionary, Labels, Request, Role};
use tiers_reml::normal_quantile;
use tiers_tables::Source;

/// `tiers ranef`.
#[derive(Debug, Args)]
pub(crate) struct RanefArgs {
    /// The fit: the folder that `tiers fit --out` wrote, or the fit.json in it
    pub fit: PathBuf,

    /// The level whose groups are shown (default: the top level)
    #[arg(long, value_name = "LEVEL")]
    pub level: Option<String>,

    /// How many of the largest and how many of the smallest are shown
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub top: usize,

    /// Confidence level of the intervals (default: that of the fit)
    #[arg(long, value_name = "LEVEL")]
    pub conf_level: Option<f64>,

    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

/// One group's random effect.
#[derive(Clone, Debug)]
struct Effect {
    group: Vec<Value>,
    estimate: f64,
    sd: f64,
    standardised: f64,
}

/// The largest and smallest effects of one coefficient.
#[derive(Debug)]
struct Extremes {
    term: String,
    groups: usize,
    /// Largest first.
    largest: Vec<Effect>,
    /// Smallest last.
    smallest: Vec<Effect>,
}

/// Reads the random effects of a level and shows the extreme ones.
pub(crate) fn run(args: &RanefArgs) -> anyhow::Result<Outcome> {
    let saved = Saved::open(&args.fit)?;
    let confidence = args.conf_level.unwrap_or(saved.report.confidence_level);
    if !(confidence > 0.0 && confidence < 1.0) {
        bail!("--conf-level {confidence}: a confidence level lies between 0 and 1, such as 0.95");
    }
    let level = level(&saved, args.level.as_deref())?;
    let source = Source::open(&[path(&saved, level)])?;
    let ids: Vec<String> = source.fields().iter().map(|field| field.name.clone()).collect();
    let ids: Vec<String> = ids.into_iter().filter(|name| !OF_EFFECTS.contains(&name.as_str())).collect();
    let found = extremes(&source, &ids, args.top)?;
    let z = normal_quantile(0.5 - 0.5 * confidence);
    match args.json {
        true => print(&format!("{:#}\n", as_json(level, confidence, z, &ids, &found)))?,
        false => print(&text(level, confidence, z, &ids, &found, args.top))?,
    }
    Ok(Outcome::Done)
}

fn level<'a>(saved: &'a Saved, named: Option<&str>) -> anyhow::Result<&'a str> {
    let levels: Vec<&str> = saved.fit().levels.iter().map(|level| level.name.as_str()).collect();
    match named {
        None => Ok(levels[0]),
        Some(name) => levels.iter().find(|level| **level == name).copied().ok_or_else(|| {
            anyhow!("--level {name}: the model has no such level; its levels are {}", levels.join(", "))
        }),
    }
}

/// The file of a level, by the rule by which it was named.
fn path(saved: &Saved, level: &str) -> PathBuf {
    let mut taken = Vec::new();
    let names = saved.fit().levels.iter().map(|other| (other.name.as_str(), file_name(&other.name, &mut taken)));
    let names: Vec<_> = names.collect();
    let name = names.iter().find(|(name, _)| *name == level).map(|(_, file)| file.clone());
    PathBuf::from(&saved.name).join(EFFECTS).join(name.expect("a level of the fit"))
}

/// Goes through the file, keeping no more than what is shown.
fn extremes(source: &Source, ids: &[String], top: usize) -> anyhow::Result<Vec<Extremes>> {
    let request = |name: &str, role| Request { column: name.to_owned(), role };
    let mut requests: Vec<Request> = ids.iter().map(|id| request(id, Role::Label)).collect();
    requests.push(request("term", Role::Label));
    requests.extend(["estimate", "prediction_sd", "standardised"].map(|name| request(name, Role::Number)));
    let mut found: Vec<Extremes> = Vec::new();
    for block in source.scan(&requests)? {
        let block = block.and_then(|raw| raw.decode()).map_err(|error| anyhow!("{error}"))?;
        let labels = |i: usize| match &block.columns[i] {
            Read::Labels(labels) => labels,
            Read::Numbers(_) => unreachable!("labels were asked for"),
        };
        let numbers = |i: usize| match &block.columns[ids.len() + 1 + i] {
            Read::Numbers(values) => values,
            Read::Labels(_) => unreachable!("numbers were asked for"),
        };
        let (terms, estimates, deviations, standardised) = (labels(ids.len()), numbers(0), numbers(1), numbers(2));
        for row in 0..block.rows {
            let term = terms.dictionary.label(terms.codes[row] as usize);
            let at = found.iter().position(|extremes| extremes.term == term).unwrap_or_else(|| {
                found.push(Extremes { term, groups: 0, largest: Vec::new(), smallest: Vec::new() });
                found.len() - 1
            });
            let extremes = &mut found[at];
            extremes.groups += 1;
            if extremes.has_place(estimates[row], top) {
                let group = (0..ids.len()).map(|i| value(labels(i), row)).collect();
                let (estimate, sd, standardised) = (estimates[row], deviations[row], standardised[row]);
                extremes.take(Effect { group, estimate, sd, standardised }, top);
            }
        }
    }
    found.iter_mut().for_each(|extremes| extremes.no_group_twice(top));
    Ok(found)
}

fn value(labels: &Labels, row: usize) -> Value {
    let code = labels.codes[row] as usize;
    match &labels.dictionary {
        Dictionary::Integer(values) => json!(values[code]),
        Dictionary::Text(texts) => json!(texts.get(code)),
    }
}

impl Extremes {
    fn has_place(&self, estimate: f64, top: usize) -> bool {
        let beyond = |list: &[Effect], by: fn(&f64, &f64) -> bool| {
            list.len() < top || list.get(top - 1).is_some_and(|last| by(&estimate, &last.estimate))
        };
        top > 0 && (beyond(&self.largest, f64::gt) || beyond(&self.smallest, f64::lt))
    }

    fn take(&mut self, effect: Effect, top: usize) {
        let falling = |a: &Effect, b: &Effect| b.estimate.total_cmp(&a.estimate);
        insert(&mut self.largest, effect.clone(), top, falling);
        insert(&mut self.smallest, effect, top, |a, b| falling(b, a));
    }

    /// With few groups the two lists are one, without repetition.
    fn no_group_twice(&mut self, top: usize) {
        self.smallest.truncate(self.groups.saturating_sub(top));
        self.smallest.reverse();
    }
}

/// Inserts into a sorted list of bounded length; of equal ones the first stays first.
fn insert(list: &mut Vec<Effect>, effect: Effect, top: usize, order: impl Fn(&Effect, &Effect) -> Ordering) {
    let at = list.partition_point(|other| order(other, &effect).is_le());
    list.insert(at, effect);
    list.truncate(top);
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn text(level: &str, confidence: f64, z: f64, ids: &[String], found: &[Extremes], top: usize) -> String {
    let mut text = String::new();
    for extremes in found {
        let Extremes { term, groups, largest, smallest } = extremes;
        let all: Vec<&Effect> = largest.iter().chain(smallest).collect();
        let of = |value: &dyn Fn(&Effect) -> f64| -> Vec<f64> { all.iter().map(|effect| value(effect)).collect() };
        let which = match *groups > 2 * top {
            true => format!("the {} largest and {} smallest of {groups}", largest.len(), smallest.len()),
            false => format!("all {groups}"),
        };
        text += &format!("{term} | {level}: {which}\n");
        let id = |(i, id): (usize, &String)| Column::names(id, all.iter().map(|e| plain(&e.group[i])).collect());
        let mut columns: Vec<Column> = ids.iter().enumerate().map(id).collect();
        columns.push(Column::numbers("Estimate", column(&of(&|e| e.estimate), 4)));
        columns.push(Column::numbers("Std.Dev.", column(&of(&|e| e.sd), 4)));
        let bounds = [of(&|e| e.estimate - z * e.sd), of(&|e| e.estimate + z * e.sd)].concat();
        let bounds = column(&bounds, 4);
        columns.push(Column::numbers("Lower", bounds[..all.len()].to_vec()));
        columns.push(Column::numbers("Upper", bounds[all.len()..].to_vec()));
        columns.push(Column::numbers("Standardised", column(&of(&|e| e.standardised), 3)));
        text += &table(1, &columns);
        text.push('\n');
    }
    let percent = 100.0 * confidence;
    text + &paragraph(
        &format!(
            "Std.Dev. of the error of prediction, beta's uncertainty included; {percent} % intervals by the normal \
             distribution; standardised: over the standard deviation of the estimate itself"
        ),
        0,
    )
}

fn as_json(level: &str, confidence: f64, z: f64, ids: &[String], found: &[Extremes]) -> Value {
    let effect = |effect: &Effect| {
        let group: Map<_, _> = ids.iter().cloned().zip(effect.group.iter().cloned()).collect();
        let Effect { estimate, sd, standardised, .. } = effect;
        json!({
            "group": group, "estimate": estimate, "prediction_sd": sd,
            "lower": estimate - z * sd, "upper": estimate + z * sd, "standardised": standardised,
        })
    };
    let term = |extremes: &Extremes| {
        json!({
            "term": extremes.term,
            "groups": extremes.groups,
            "largest": extremes.largest.iter().map(effect).collect::<Vec<_>>(),
            "smallest": extremes.smallest.iter().map(effect).collect::<Vec<_>>(),
        })
    };
    json!({ "level": level, "confidence_level": confidence, "terms": found.iter().map(term).collect::<Vec<_>>() })
}
