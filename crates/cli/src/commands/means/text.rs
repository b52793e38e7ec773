//! The tables of `tiers means`, in the layout of emmeans.

use crate::commands::means::{Found, Means, Tested};
use tiers_reml::{DfMethod, TTest};
use tiers_report::layout::{Column, paragraph, table};
use tiers_report::numbers::{column, decimals_of_smallest, fixed_point, p_values, round};
use tiers_report::saved::SavedFixed;

/// Significant digits of estimates.
const DIGITS: usize = 4;

/// Returns all requested tables.
pub(super) fn text(found: &Found, saved: &SavedFixed<'_>) -> String {
    let mut sections: Vec<String> = Vec::new();
    if let Some(means) = &found.means {
        sections.push(of_means(means, found));
        sections.extend(differences(means, found));
    }
    if !found.tests.is_empty() {
        sections.push(tests(found));
    }
    let mut text = sections.join("\n");
    if found.means.is_some() {
        text += &notes(found, saved);
    }
    text
}

type Settings = [(String, String)];

/// Returns a column per variable of the settings.
fn settings<'a>(rows: &(impl Iterator<Item = &'a Settings> + Clone)) -> Vec<Column> {
    let names: Vec<String> = rows.clone().next().unwrap_or(&[]).iter().map(|(name, _)| name.clone()).collect();
    let cells = |i: usize| rows.clone().map(|row| row[i].1.clone()).collect();
    names.iter().enumerate().map(|(i, name)| Column::names(name, cells(i))).collect()
}

/// Formats estimates and standard errors with common decimals, as in the summary, and the ends of the
/// intervals; what is not estimable becomes `nonEst`.
fn estimates(tests: &[Option<TTest>]) -> [Vec<String>; 4] {
    let of = |value: fn(&TTest) -> f64| -> Vec<f64> { tests.iter().flatten().map(value).collect() };
    let both = [of(|t| t.estimate), of(|t| t.std_error)].concat();
    let decimals = decimals_of_smallest(&both, DIGITS as i32);
    let cells = |value: fn(&TTest) -> f64, missing: &str| {
        let rounded: Vec<f64> = of(value).iter().map(|&v| round(v, decimals)).collect();
        let mut known = column(&rounded, DIGITS).into_iter();
        let one = |test: &Option<TTest>| match test {
            Some(_) => known.next().unwrap_or_default(),
            None => missing.to_owned(),
        };
        tests.iter().map(one).collect()
    };
    [cells(|t| t.estimate, "nonEst"), cells(|t| t.std_error, ""), cells(|t| t.lower, ""), cells(|t| t.upper, "")]
}

/// Formats degrees of freedom, with a decimal if some are below 100.
fn degrees(tests: &[Option<TTest>]) -> Vec<String> {
    let known = |test: &TTest| test.df.filter(|df| *df < 1e9);
    let fewest = tests.iter().flatten().filter_map(known).fold(f64::INFINITY, f64::min);
    let decimals = usize::from(fewest < 100.0);
    let one = |test: &Option<TTest>| match test {
        Some(test) => known(test).map_or_else(|| "Inf".to_owned(), |df| fixed_point(df, decimals)),
        None => String::new(),
    };
    tests.iter().map(one).collect()
}

/// Formats test statistics and p values.
fn statistics(tests: &[Option<TTest>], p_of: impl Fn(usize) -> Option<f64>) -> [Vec<String>; 2] {
    let known: Vec<f64> = tests.iter().flatten().map(|test| round(test.statistic, 3)).collect();
    let p: Vec<f64> = (0..tests.len()).filter(|&i| tests[i].is_some()).map(|i| p_of(i).unwrap_or(f64::NAN)).collect();
    let mut cells = [column(&known, DIGITS).into_iter(), p_values(&p).into_iter()];
    let mut next = |which: usize| -> Vec<String> {
        tests.iter().map(|test| test.and_then(|_| cells[which].next()).unwrap_or_default()).collect()
    };
    [next(0), next(1)]
}

fn of_means(means: &Means, found: &Found) -> String {
    let rows = &means.means;
    let variables: Vec<&str> = rows.first().map_or(vec![], |row| row.at.iter().map(|(name, _)| &name[..]).collect());
    let tests: Vec<Option<TTest>> = rows.iter().map(|row| row.mean).collect();
    let [mean, error, lower, upper] = estimates(&tests);
    let mut columns = settings(&rows.iter().map(|row| &row.by[..]));
    columns.extend(settings(&rows.iter().map(|row| &row.at[..])));
    columns.push(Column::numbers("emmean", mean));
    columns.push(Column::numbers("SE", error));
    if found.df_method != DfMethod::None {
        columns.push(Column::numbers("df", degrees(&tests)));
    }
    columns.extend([Column::numbers("lower.CL", lower), Column::numbers("upper.CL", upper)]);
    format!("Estimated marginal means of {}\n{}", variables.join(", "), table(1, &columns))
}

fn differences(means: &Means, found: &Found) -> Option<String> {
    let rows = &means.differences;
    if rows.is_empty() {
        return None;
    }
    let label = |settings: &Settings| settings.iter().map(|(_, text)| &text[..]).collect::<Vec<_>>().join(" ");
    let tests: Vec<Option<TTest>> = rows.iter().map(|row| row.difference).collect();
    let [difference, error, ..] = estimates(&tests);
    let [statistic, p] = statistics(&tests, |i| rows[i].adjusted_p_value);
    let mut columns = settings(&rows.iter().map(|row| &row.by[..]));
    columns.push(Column::names(
        "contrast",
        rows.iter().map(|r| format!("{} - {}", label(&r.one), label(&r.other))).collect(),
    ));
    columns.extend([Column::numbers("estimate", difference), Column::numbers("SE", error)]);
    columns.extend(tested_columns(found, &tests, statistic, p));
    let mut text = format!("Pairwise differences\n{}", table(1, &columns));
    let of_one = rows.iter().filter(|row| row.by == rows[0].by).count();
    if means.adjust == "holm" && of_one > 1 {
        text += &paragraph(&format!("p values adjusted by Holm's method for {of_one} tests"), 0);
    }
    Some(text)
}

fn tested_columns(found: &Found, tests: &[Option<TTest>], statistic: Vec<String>, p: Vec<String>) -> Vec<Column> {
    let letter = if found.df_method == DfMethod::None { 'z' } else { 't' };
    let mut columns =
        vec![Column::numbers(&format!("{letter} value"), statistic), Column::numbers(&format!("Pr(>|{letter}|)"), p)];
    if found.df_method != DfMethod::None {
        columns.insert(0, Column::numbers("df", degrees(tests)));
    }
    columns
}

fn tests(found: &Found) -> String {
    let tests: Vec<Option<TTest>> = found.tests.iter().map(|tested| Some(tested.test)).collect();
    let [estimate, error, lower, upper] = estimates(&tests);
    let [statistic, p] = statistics(&tests, |i| tests[i].map(|test| test.p_value));
    let with_value = |tested: &Tested| match tested.hypothesis.contains('=') {
        true => tested.hypothesis.clone(),
        false => format!("{} = 0", tested.hypothesis),
    };
    let mut columns = vec![
        Column::names("", found.tests.iter().map(with_value).collect()),
        Column::numbers("estimate", estimate),
        Column::numbers("SE", error),
    ];
    columns.extend(tested_columns(found, &tests, statistic, p));
    columns.extend([Column::numbers("lower.CL", lower), Column::numbers("upper.CL", upper)]);
    let mut text = format!("Linear hypotheses\n{}", table(1, &columns));
    if let Some(joint) = &found.joint {
        let df = match joint.den_df {
            Some(df) => format!("{} and {} df", joint.num_df, fixed_point(df, 1)),
            None => format!("{} df", joint.num_df),
        };
        let p = &p_values(&[joint.p_value])[0];
        let p = if p.starts_with('<') { format!("p {p}") } else { format!("p = {p}") };
        let f = &column(&[round(joint.f, 3)], DIGITS)[0];
        text += &format!("All together: F = {f} with {df}, {p}\n");
    }
    text + &paragraph(&method(found), 0)
}

fn method(found: &Found) -> String {
    let by = match found.df_method {
        DfMethod::Satterthwaite => "Satterthwaite's degrees of freedom",
        DfMethod::KenwardRoger => "Kenward and Roger's covariance and degrees of freedom",
        DfMethod::None => "Normal approximation",
    };
    let level = format!("{:.4}", 100.0 * found.confidence_level);
    let scale = found.scale.map_or_else(String::new, |link| format!("On the {link} scale. "));
    format!("{scale}{by}; confidence level {} %", level.trim_end_matches('0').trim_end_matches('.'))
}

/// Returns notes on how the means were computed.
fn notes(found: &Found, saved: &SavedFixed<'_>) -> String {
    let Some(means) = &found.means else { return String::new() };
    let mut notes = Vec::new();
    if !means.averaged_over.is_empty() {
        let how = if means.weights == "equal" { "with equal weights" } else { "as often as they occur" };
        notes.push(format!("Averaged over the levels of {} ({how})", means.averaged_over.join(", ")));
    }
    if !means.at.is_empty() {
        let number = |text: &String| text.parse().map_or_else(|_| text.clone(), |v: f64| column(&[v], 5)[0].clone());
        let stand: Vec<String> = means.at.iter().map(|(name, value)| format!("{name} = {}", number(value))).collect();
        notes.push(format!("At {}", stand.join(", ")));
    }
    if !saved.recipe.offsets.is_empty() {
        notes.push("The offset is left out".to_owned());
    }
    if means.means.iter().any(|mean| mean.mean.is_none()) {
        notes.push("nonEst: not estimable, since a combination of levels does not occur in the data".to_owned());
    }
    if means.differences.is_empty() && means.means.len() > 1 {
        notes.push("There are too many means to compare pair by pair; name fewer levels with --at".to_owned());
    }
    if found.tests.is_empty() {
        notes.push(method(found));
    }
    notes.iter().map(|line| paragraph(line, 2)).collect()
}
