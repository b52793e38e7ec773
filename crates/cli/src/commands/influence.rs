//! `tiers influence`: the influence of each top-level group on a saved fit.

use crate::args::InfluenceArgs;
use crate::exit::{Outcome, print};
use crate::progress::Progress;
use crate::saved::{Again, Saved};
use anyhow::{anyhow, bail, ensure};
use serde_json::{Map, Value, json};
use std::path::Path;
use tiers_moments::{ClusterError, ClusterMoments, Until, cluster_level};
use tiers_outputs::{OutColumn, OutValues, own_name};
use tiers_reml::{Influence, KeyLabels, Objective, WithoutGroup};
use tiers_report::layout::{Column, paragraph, table};
use tiers_report::numbers::{column, fixed_point};
use tiers_report::saved::group_columns;
use tiers_tables::write_parquet;

/// Name of the file of all groups.
const FILE: &str = "influence.parquet";

/// Reads the data of a fit again and leaves the groups out one by one.
pub(crate) fn run(args: &InfluenceArgs) -> anyhow::Result<Outcome> {
    let saved = Saved::open(&args.fit)?;
    if let Some(out) = &args.out {
        tiers_outputs::check_files("--out", out, &[FILE])?;
    }
    let again = saved.open_data(&args.refit)?;
    let Again::Rows { source, .. } = &again else {
        bail!(
            "{}: this fit was made from moments, which do not hold the products of all columns by group; influence needs \
             the rows: fit to the rows, or name them by --data",
            saved.name
        );
    };
    let (model, _) = saved.read(&args.refit, Until::Estimates)?;
    cluster_level(model.structure(), args.level.as_deref()).map_err(|error| match error {
        ClusterError::Crossed { .. } => anyhow!("{}: {error}", saved.name),
        _ => wrong_level(&saved, args.level.as_deref()),
    })?;
    ensure!(model.p() > 0, "{}: influence is measured on the fixed effects, and the model has none", saved.name);
    let objective = Objective::new(&model, saved.fit().method);
    let optimum = saved.optimum(&objective, &args.refit)?;
    let limit = args.refit.resources.limit()?.of_rows(again.count(), Until::Moments);
    let mut watch = Progress::new(args.refit.quiet).second_pass(saved.fit().n_obs + saved.fit().n_dropped);
    let moments = ClusterMoments::read((&model.recipe, model.structure()), source, limit, &mut watch)?;
    drop(watch);
    let influence = Influence::new(&objective, &optimum, &moments);
    if let Some(out) = &args.out {
        write(out, &influence)?;
    }
    match args.json {
        true => print(&tiers_report::json(&as_json(&saved, &influence, args.top)))?,
        false => print(&text(&saved, &influence, args.top))?,
    }
    Ok(Outcome::Done)
}

fn wrong_level(saved: &Saved, named: Option<&str>) -> anyhow::Error {
    let levels: Vec<&str> = saved.fit().levels.iter().map(|level| level.name.as_str()).collect();
    let (named, top) = (named.unwrap_or_default(), levels[0]);
    match levels.contains(&named) {
        true => anyhow!(
            "--level {named}: only groups of the top level ({top}) are independent of each other, so that one can be \
             taken out of the sums; groups of {named} share the effects of {top}"
        ),
        false => anyhow!("--level {named}: the model has no such level; its levels are {}", levels.join(", ")),
    }
}

/// Returns the groups in decreasing order of `size`, those where it is NaN first.
fn ranked(influence: &Influence, size: impl Fn(&WithoutGroup) -> f64, top: usize) -> Vec<usize> {
    let of = |i: usize| Some(size(&influence.groups[i])).filter(|v| !v.is_nan()).unwrap_or(f64::INFINITY);
    let mut order: Vec<usize> = (0..influence.groups.len()).collect();
    order.sort_by(|&a, &b| of(b).total_cmp(&of(a)));
    order.truncate(top);
    order
}

/// Returns the index and value of the largest relative change of a standard deviation.
fn largest_change(influence: &Influence, group: &WithoutGroup) -> (usize, f64) {
    let changes = group.deviations.iter().zip(&influence.all).map(|(without, all)| match *all > 0.0 {
        true => without / all - 1.0,
        false => 0.0,
    });
    let larger = |a: (usize, f64), b: (usize, f64)| if b.1.abs() > a.1.abs() { b } else { a };
    changes.enumerate().fold((0, 0.0), larger)
}

fn largest_dfbetas(group: &WithoutGroup) -> (usize, f64) {
    let larger = |a: (usize, f64), b: (usize, f64)| if b.1.abs() > a.1.abs() { b } else { a };
    group.dfbetas.iter().copied().enumerate().fold((0, 0.0), larger)
}

/// `(Intercept) | school`, `Residual`.
fn deviation_name(name: &(String, Option<String>)) -> String {
    match name {
        (level, Some(term)) => format!("{term} | {level}"),
        (level, None) => level.clone(),
    }
}

fn label(labels: &KeyLabels, group: usize) -> String {
    match labels {
        KeyLabels::Integer(values) => values[group].to_string(),
        KeyLabels::Text(values) => values.get(group).to_owned(),
    }
}

fn text(saved: &Saved, influence: &Influence, top: usize) -> String {
    let Influence { level, groups, terms, rows, .. } = influence;
    let mut text =
        paragraph(&format!("Influence of the {} groups of {level} on {}", groups.len(), saved.fit().formula), 2);
    let keys = |order: &[usize]| -> Vec<Column> {
        let key = |key: &tiers_reml::KeyColumn| {
            Column::names(&key.name, order.iter().map(|&i| label(&key.labels, i)).collect())
        };
        let mut columns: Vec<Column> = influence.keys.iter().map(key).collect();
        columns.push(Column::numbers("Rows", order.iter().map(|&i| rows[i].to_string()).collect()));
        columns
    };
    let order = ranked(influence, |group| group.cooks_distance, top);
    let of = |value: &dyn Fn(&WithoutGroup) -> f64| -> Vec<f64> { order.iter().map(|&i| value(&groups[i])).collect() };
    let mut columns = keys(&order);
    columns.push(Column::numbers("Cook's D", column(&of(&|g| g.cooks_distance), 3)));
    columns.push(Column::numbers("MDFFITS", column(&of(&|g| g.mdffits), 3)));
    columns.push(Column::numbers("DFBETAS", column(&of(&|g| largest_dfbetas(g).1), 3)));
    let coefficient = |&i: &usize| terms[largest_dfbetas(&groups[i]).0].clone();
    columns.push(Column::names("of", order.iter().map(coefficient).collect()));
    text += "\nFixed effects without the group, variances held, by Cook's distance\n(the largest DFBETAS, and its coefficient):\n";
    text += &table(1, &columns);

    let order = ranked(
        influence,
        |group| match group.cooks_distance.is_nan() {
            true => f64::NAN,
            false => largest_change(influence, group).1.abs(),
        },
        top,
    );
    let mut columns = keys(&order);
    let at: Vec<(usize, f64)> = order.iter().map(|&i| largest_change(influence, &groups[i])).collect();
    columns
        .push(Column::names("Std.Dev. of", at.iter().map(|at| deviation_name(&influence.deviations[at.0])).collect()));
    let pairs = order.iter().zip(&at);
    let both: Vec<f64> = pairs
        .clone()
        .map(|(_, at)| influence.all[at.0])
        .chain(pairs.map(|(&i, at)| groups[i].deviations[at.0]))
        .collect();
    let cells = column(&both, 4);
    let (all, without) = cells.split_at(order.len());
    columns.push(Column::numbers("All", all.to_vec()));
    columns.push(Column::numbers("Without", without.to_vec()));
    columns
        .push(Column::numbers("Change", at.iter().map(|at| format!("{} %", fixed_point(100.0 * at.1, 1))).collect()));
    text += "\nStandard deviations without the group, by one step of scoring (the one that\nchanges most):\n";
    text += &table(1, &columns);
    let undetermined: Vec<String> = (0..groups.len())
        .filter(|&i| groups[i].cooks_distance.is_nan())
        .map(|i| influence.keys.iter().map(|key| label(&key.labels, i)).collect::<Vec<_>>().join(":"))
        .collect();
    if !undetermined.is_empty() {
        let names = undetermined.iter().take(10).cloned().collect::<Vec<_>>().join(", ");
        let more = if undetermined.len() > 10 { ", …" } else { "" };
        text += &format!(
            "\n{}",
            paragraph(
                &format!("NaN: without {level} {names}{more} the other groups do not determine all coefficients."),
                2
            )
        );
    }
    text
}

/// Returns the groups at the top of either list, with all their measures.
fn as_json(saved: &Saved, influence: &Influence, top: usize) -> Value {
    let mut shown = ranked(influence, |group| group.cooks_distance, top);
    for i in ranked(influence, |group| largest_change(influence, group).1.abs(), top) {
        if !shown.contains(&i) {
            shown.push(i);
        }
    }
    let named = |names: &[String], values: &[f64]| -> Value {
        names.iter().zip(values).map(|(name, value)| (name.clone(), json!(value))).collect::<Map<_, _>>().into()
    };
    let deviations: Vec<String> = influence.deviations.iter().map(deviation_name).collect();
    let group = |&i: &usize| {
        let WithoutGroup { cooks_distance, mdffits, beta, dfbetas, deviations: without } = &influence.groups[i];
        let labels = influence.keys.iter().map(|key| {
            let value = match &key.labels {
                KeyLabels::Integer(values) => json!(values[i]),
                KeyLabels::Text(values) => json!(values.get(i)),
            };
            (key.name.clone(), value)
        });
        json!({
            "group": labels.collect::<Map<_, _>>(),
            "rows": influence.rows[i],
            "cooks_distance": cooks_distance,
            "mdffits": mdffits,
            "dfbetas": named(&influence.terms, dfbetas),
            "beta_without": named(&influence.terms, beta),
            "sd_without": named(&deviations, without),
        })
    };
    json!({
        "formula": saved.fit().formula,
        "level": influence.level,
        "groups": influence.groups.len(),
        "sd": named(&deviations, &influence.all),
        "most_influential": shown.iter().map(group).collect::<Vec<_>>(),
    })
}

/// Writes `influence.parquet`, one row per group.
fn write(folder: &Path, influence: &Influence) -> anyhow::Result<()> {
    tiers_outputs::make_folder("--out", folder)?;
    let mut columns = group_columns(&influence.keys, influence.groups.len());
    let push = |columns: &mut Vec<OutColumn>, name: &str, value: &dyn Fn(&WithoutGroup) -> f64| {
        let taken: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let values: Vec<f64> = influence.groups.iter().map(value).collect();
        let missing = values.iter().any(|v| v.is_nan()).then(|| values.iter().map(|v| v.is_nan()).collect());
        let name = own_name(name, &taken);
        columns.push(OutColumn { name, values: OutValues::F64(values), missing });
    };
    let taken: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    let rows = influence.rows.iter().map(|&rows| rows as i64).collect();
    let rows = OutColumn::new(own_name("rows", &taken), OutValues::I64(rows));
    columns.push(rows);
    push(&mut columns, "cooks_distance", &|group| group.cooks_distance);
    push(&mut columns, "mdffits", &|group| group.mdffits);
    for (j, term) in influence.terms.iter().enumerate() {
        push(&mut columns, &format!("beta:{term}"), &|group| group.beta[j]);
        push(&mut columns, &format!("dfbetas:{term}"), &|group| group.dfbetas[j]);
    }
    for (j, name) in influence.deviations.iter().enumerate() {
        let name = match name {
            (level, Some(term)) => format!("sd:{level}:{term}"),
            (_, None) => "sd:Residual".to_owned(),
        };
        push(&mut columns, &name, &|group| group.deviations[j]);
    }
    Ok(write_parquet(&folder.join(FILE), columns)?)
}
