//! `tiers ranef`: the groups of a saved fit with the largest and smallest random effects.

use tiers_report::extremes::{Effect, Extremes, note};

use crate::args::RanefArgs;
use crate::exit::{Outcome, print};
use crate::saved::open_any;
use anyhow::{anyhow, bail};
use serde_json::{Value, json};
use tiers_design::{Column as Read, Dictionary, Labels, Request, Role, Source};
use tiers_reml::normal_quantile;
use tiers_report::saved::{AnySaved, OF_EFFECTS, SavedEffects};
use tiers_tables::Parquet;

/// Reads the random effects of a level and shows the extreme ones.
pub(crate) fn run(args: &RanefArgs) -> anyhow::Result<Outcome> {
    let saved = open_any(&args.fit)?;
    let (effects, of_fit) = match &saved {
        AnySaved::Linear(saved) => (saved.effects(), saved.report.confidence_level),
        AnySaved::Generalised(saved) => (saved.effects(), saved.report.confidence_level),
    };
    let confidence = args.conf_level.unwrap_or(of_fit);
    if !(confidence > 0.0 && confidence < 1.0) {
        bail!("--conf-level {confidence}: a confidence level lies between 0 and 1, such as 0.95");
    }
    let level = level(&effects, args.level.as_deref())?;
    let source = effects.open(level, &Parquet, "fit the model again with `--out`")?;
    let ids: Vec<String> = source.fields().iter().map(|field| field.name.clone()).collect();
    let ids: Vec<String> = ids.into_iter().filter(|name| !OF_EFFECTS.contains(&name.as_str())).collect();
    let found = extremes(&*source, &ids, args.top)?;
    let z = normal_quantile(0.5 - 0.5 * confidence);
    match args.json {
        true => print(&tiers_report::json(&as_json(level, confidence, z, &ids, &found)))?,
        false => print(&text(level, confidence, z, &ids, &found))?,
    }
    Ok(Outcome::Done)
}

fn level<'a>(effects: &'a SavedEffects<'_>, named: Option<&str>) -> anyhow::Result<&'a str> {
    let levels: Vec<&str> = effects.levels().collect();
    match named {
        None => Ok(levels[0]),
        Some(name) => levels.iter().find(|level| **level == name).copied().ok_or_else(|| {
            anyhow!("--level {name}: the model has no such level; its levels are {}", levels.join(", "))
        }),
    }
}

/// Reads the file and keeps only the groups that are shown.
fn extremes(source: &dyn Source, ids: &[String], top: usize) -> anyhow::Result<Vec<Extremes>> {
    let request = |name: &str, role| Request { column: name.to_owned(), role };
    let mut requests: Vec<Request> = ids.iter().map(|id| request(id, Role::Label)).collect();
    requests.push(request("term", Role::Label));
    requests.extend(["estimate", "prediction_sd", "standardised"].map(|name| request(name, Role::Number)));
    let mut found: Vec<Extremes> = Vec::new();
    for block in source.scan(&requests).map_err(|error| anyhow!("{error}"))? {
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
                found.push(Extremes::new(&term));
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

fn text(level: &str, confidence: f64, z: f64, ids: &[String], found: &[Extremes]) -> String {
    let sections: Vec<String> = found.iter().map(|extremes| extremes.section(level, z, ids).text() + "\n").collect();
    sections.concat() + &note(confidence).text()
}

fn as_json(level: &str, confidence: f64, z: f64, ids: &[String], found: &[Extremes]) -> Value {
    let terms: Vec<Value> = found.iter().map(|extremes| extremes.json(z, ids)).collect();
    json!({ "level": level, "confidence_level": confidence, "terms": terms })
}
