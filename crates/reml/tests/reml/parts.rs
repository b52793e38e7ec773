//! Moments of parts, merged, are those of all rows.

use crate::common::{METHODS, Random, report};
use crate::memory::{Memory, Values};
use proptest::prelude::*;
use tiers_design::{Formula, Plan, Recipe, Settings, Source};
use tiers_moments::{
    CellColumns, Cells, Definition, Dropped, Further, IngestError, Ingested, MemoryLimit, Part, Reading, Totals, Until,
    accumulate_with, merge,
};
use tiers_reml::{Fit, Method, NewtonSettings, Objective, Status, build_model, optimise};

/// Columns of a table, of which parts can be taken.
type Columns = Vec<(&'static str, Values)>;

/// A part as it stands in files, in memory.
struct Written {
    name: String,
    definition: Definition,
    totals: Totals,
    dropped: Dropped,
    cells: Memory,
}

/// Reads rows as a part, by a recipe of their own or by the one that is given.
fn read(rows: &Memory, formula: &str, weights: Option<&str>, recipe: Option<&Recipe>) -> (Ingested, Definition) {
    let settings = Settings { weights: weights.map(str::to_owned), ..Settings::default() };
    let formula: Formula = formula.parse().unwrap();
    let plan = Plan::new(&formula, rows.fields(), &settings).unwrap();
    let reading = Reading { part: true, recipe, ..Reading::default() };
    let ingested = accumulate_with(rows, &plan, &reading, &mut ()).unwrap();
    let definition = Definition::of(&ingested.recipe, &formula, &settings, rows.fields());
    assert_eq!(definition.recipe().unwrap(), ingested.recipe, "a definition says all");
    (ingested, definition)
}

impl Written {
    fn new(name: &str, rows: &Memory, formula: &str, weights: Option<&str>) -> Written {
        let (Ingested { recipe, moments, dropped }, definition) = read(rows, formula, weights, None);
        let columns = CellColumns::of(&recipe);
        let per_cell = moments.summands.per_cell();
        let all: Vec<Cells> = (0..moments.shards.len()).map(|shard| moments.cells_of(shard)).collect();
        let mut table: Vec<(&str, Values)> = Vec::new();
        for (k, key) in columns.keys.iter().enumerate() {
            let labels = |cells: &Cells| {
                let labels = cells.keys[k].clone();
                labels.codes.iter().map(|&code| labels.dictionary.label(code as usize)).collect::<Vec<_>>()
            };
            let texts: Vec<String> = all.iter().flat_map(labels).collect();
            let integers: Option<Vec<i64>> = texts.iter().map(|text| text.parse().ok()).collect();
            table.push((key, integers.map_or(Values::Texts(texts), Values::Ids)));
        }
        let counts = all.iter().flat_map(|cells| cells.rows.iter().map(|&n| n as f64));
        table.push((&columns.rows, Values::Numbers(counts.collect())));
        let first_rows = all.iter().flat_map(|cells| cells.first_row.iter().map(|&n| n as f64));
        table.push((&columns.first_row, Values::Numbers(first_rows.collect())));
        for (name, places) in &columns.sums {
            let sums = all.iter().flat_map(|cells| cells.sums.chunks_exact(per_cell).map(|cell| cell[places[0]]));
            table.push((name, Values::Numbers(sums.collect())));
        }
        let cells = Memory::new(table).in_blocks_of(7);
        Written { name: name.to_owned(), totals: Totals::of(&moments), definition, dropped, cells }
    }

    fn part(&self) -> Part<'_> {
        let Written { name, definition, totals, dropped, cells } = self;
        Part { name, definition, totals, dropped, cells: Some(cells) }
    }
}

fn merged(parts: &[Written]) -> Result<(Ingested, Definition), IngestError> {
    let parts: Vec<Part<'_>> = parts.iter().map(Written::part).collect();
    merge(&parts, None, &mut ())
}

fn fit(ingested: Ingested, method: Method) -> Fit {
    let (model, dropped) = build_model(ingested).unwrap();
    let objective = Objective::new(&model, method);
    let optimum = optimise(&objective, &NewtonSettings::default(), &mut |_, _| {});
    report(&objective, &optimum, &dropped)
}

/// Students in classes in schools, with two factors, a far-off covariate and weights.
fn students(rows: usize, seed: u64) -> Columns {
    let mut random = Random(seed);
    let draws: Vec<[f64; 4]> = (0..rows).map(|_| std::array::from_fn(|_| random.normal())).collect();
    let school: Vec<i64> = (0..rows).map(|_| random.below(7) as i64).collect();
    let class: Vec<i64> = (0..rows).map(|_| random.below(3) as i64).collect();
    let effect: Vec<f64> = (0..35).map(|_| random.normal()).collect();
    let y = |i: usize| {
        let (s, c) = (school[i] as usize, class[i] as usize);
        let slope = 0.5 + effect[28 + s];
        1000.0 + draws[i][0] + slope * draws[i][1] + effect[s] + 0.7 * effect[7 + 3 * s + c]
    };
    let level = |names: &[&str], random: &mut Random| -> Vec<String> {
        (0..rows).map(|_| names[random.below(names.len())].to_owned()).collect()
    };
    vec![
        ("y", Values::Numbers((0..rows).map(y).collect())),
        ("x", Values::Numbers((0..rows).map(|i| 500.0 + 10.0 * draws[i][1]).collect())),
        ("z", Values::Numbers(draws.iter().map(|d| d[2]).collect())),
        ("w", Values::Numbers(draws.iter().map(|d| 0.5 + d[3].abs()).collect())),
        ("f", Values::Texts(level(&["A", "B", "C"], &mut random))),
        ("g", Values::Texts(level(&["u", "v"], &mut random))),
        ("k", Values::Ids((0..rows).map(|_| [2, 10, 9][random.below(3)]).collect())),
        ("school", Values::Ids(school.clone())),
        ("class", Values::Texts(class.iter().map(|c| format!("c{c}")).collect())),
    ]
}

const FORMULAS: [&str; 9] = [
    "y ~ x + z + (1 | school/class)",
    "y ~ x * f + (1 + x | school) + (1 | school:class)",
    "y ~ 0 + f + x + (0 + x | school)",
    "y ~ f:x + (1 + f | school)",
    "y ~ f * g + x + (x || school)",
    "y ~ g + f:g + (1 + x | school/class)",
    "y ~ f:g + g:factor(k) + (1 | school)",
    "y ~ log(x) + factor(k) * z + offset(z) + (0 + f | school)",
    "y ~ 0 + x + z + (1 + z | school)",
];

/// Some rows of a table.
fn rows_of(columns: &Columns, rows: &[usize]) -> Memory {
    let picked = |values: &Values| match values {
        Values::Numbers(v) => Values::Numbers(rows.iter().map(|&i| v[i]).collect()),
        Values::Ids(v) => Values::Ids(rows.iter().map(|&i| v[i]).collect()),
        Values::Texts(v) => Values::Texts(rows.iter().map(|&i| v[i].clone()).collect()),
    };
    Memory::new(columns.iter().map(|(name, values)| (*name, picked(values))).collect())
}

/// Which of three parts a row goes to: at random, or such that part p lacks level p of `f`.
fn split(columns: &Columns, rows: usize, by_level: bool, seed: u64) -> [Vec<usize>; 3] {
    let mut random = Random(seed);
    let Some((_, Values::Texts(f))) = columns.iter().find(|(name, _)| *name == "f") else { unreachable!() };
    let mut parts: [Vec<usize>; 3] = Default::default();
    for (i, level) in f.iter().enumerate().take(rows) {
        let level = ["A", "B", "C"].iter().position(|l| l == level).unwrap();
        let part = if by_level { (level + 1 + random.below(2)) % 3 } else { random.below(3) };
        parts[part].push(i);
    }
    parts
}

/// Per cell its labels, rows and sums, in the order of the labels.
fn by_label(ingested: &Ingested) -> Vec<(Vec<String>, u64, Vec<f64>)> {
    let per_cell = ingested.moments.summands.per_cell();
    let mut all = Vec::new();
    for shard in 0..ingested.moments.shards.len() {
        let cells = ingested.moments.cells_of(shard);
        for (i, &rows) in cells.rows.iter().enumerate() {
            let label: Vec<String> = cells.keys.iter().map(|key| key.dictionary.label(key.codes[i] as usize)).collect();
            all.push((label, rows, cells.sums[i * per_cell..(i + 1) * per_cell].to_vec()));
        }
    }
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]

    /// Merged sums are the sums over all rows by the merged recipe, to rounding.
    #[test]
    fn moments_of_parts_add_up(
        formula in 0..FORMULAS.len(), rows in 60_usize..200, seed in 0_u64..1 << 40, by_level: bool, weighted: bool,
    ) {
        let (table, formula) = (students(rows, seed), FORMULAS[formula]);
        let weights = weighted.then_some("w");
        let parts = split(&table, rows, by_level, seed ^ 1);
        prop_assume!(parts.iter().all(|part| !part.is_empty()));
        let name = |p: usize| format!("part {p}");
        let part = |(p, rows): (usize, &Vec<usize>)| Written::new(&name(p), &rows_of(&table, rows), formula, weights);
        let parts: Vec<Written> = parts.iter().enumerate().map(part).collect();
        let (got, _) = merged(&parts).unwrap();
        let (want, _) = read(&Memory::new(table), formula, weights, Some(&got.recipe));
        prop_assert_eq!(got.moments.rows, want.moments.rows);
        prop_assert!((got.moments.sum_log_weights - want.moments.sum_log_weights).abs() < 1e-9);
        let m = want.moments.summands.m;
        let scale = |i: usize| want.moments.cross.get(i, i).sqrt().max(1e-3);
        for (i, j) in (0..m).flat_map(|i| (0..m).map(move |j| (i, j))) {
            let (got, want) = (got.moments.cross.get(i, j), want.moments.cross.get(i, j));
            prop_assert!((got - want).abs() <= 1e-10 * scale(i) * scale(j), "C'WC {i} {j}: {got} {want}");
        }
        let (got_cells, want_cells) = (by_label(&got), by_label(&want));
        prop_assert_eq!(got_cells.len(), want_cells.len());
        for ((label, rows, sums), (want_label, want_rows, want_sums)) in got_cells.iter().zip(&want_cells) {
            prop_assert_eq!((label, rows), (want_label, want_rows));
            for (k, (got, want_sum)) in sums.iter().zip(want_sums).enumerate() {
                let room = 1e-10 * scale(want.moments.summands.z[k / m]) * scale(k % m);
                prop_assert!((got - want_sum).abs() <= room, "{label:?} {k}: {got} {want_sum}");
            }
        }
    }
}

/// Estimates from parts are those from all rows, whatever the cut.
#[test]
fn fits_to_merged_moments_are_those_to_all_rows() {
    // Not the one whose far-off slope cannot be shifted: its optimum is flat.
    let formulas = [0, 1, 2, 3, 5].map(|i| FORMULAS[i]);
    for (formula, by_level) in formulas.iter().zip([false, true].iter().cycle()) {
        let table = students(900, 7);
        let parts = split(&table, 900, *by_level, 3);
        let part = |rows: &Vec<usize>| Written::new("a part", &rows_of(&table, rows), formula, None);
        let parts: Vec<Written> = parts.iter().map(part).collect();
        for method in METHODS {
            let got = fit(merged(&parts).unwrap().0, method);
            let want = fit(read(&Memory::new(table.clone()), formula, None, None).0, method);
            let close = |what: &str, got: f64, want: f64, room: f64| {
                assert!((got - want).abs() <= room, "{formula} {method} {what}: {got} {want}");
            };
            // Where a covariance is singular the optimum is flat in some direction, and rounding shows.
            let digits = if want.status == Status::Boundary { 1e-7 } else { 1e-10 };
            close("criterion", got.criterion, want.criterion, 1e-10 * want.criterion.abs());
            close("sigma", got.sigma, want.sigma, digits * want.sigma);
            assert_eq!((got.levels, got.status), (want.levels, want.status), "{formula} {method}");
            for (got, want) in got.fixed_effects.iter().zip(&want.fixed_effects) {
                assert_eq!(got.term, want.term);
                close(&want.term, got.estimate, want.estimate, digits * (want.estimate.abs() + want.std_error));
                close(&format!("se of {}", want.term), got.std_error, want.std_error, digits * want.std_error);
            }
        }
    }
}

#[test]
fn parts_of_different_models_are_refused() {
    let table = students(100, 5);
    let [a, b, _] = split(&table, 100, false, 1);
    let of = |name: &str, rows: &[usize], formula: &str, weights| {
        Written::new(name, &rows_of(&table, rows), formula, weights)
    };
    let told = |one: Written, other: Written| merged(&[one, other]).unwrap_err().to_string();
    let first = || of("a", &a, "y ~ x + (1 | school)", None);
    let text = told(first(), of("b", &b, "y ~ x + z + (1 | school)", None));
    assert!(text.starts_with("a and b are moments of different models: the formula is y ~ x + (1 | school)"), "{text}");
    let text = told(first(), of("b", &b, "y ~ x + (1 | school)", Some("w")));
    assert!(text.contains("the column of weights is none in the first and w in the second"), "{text}");
    let mut other = rows_of(&table, &b);
    other = other.with("school", Values::Texts(b.iter().map(|i| i.to_string()).collect()));
    let text = told(first(), Written::new("b", &other, "y ~ x + (1 | school)", None));
    assert!(text.contains("the column `school` is integers in the first and text in the second"), "{text}");
    let spaces = of("b", &b, "y~x  + ( 1|school )", None);
    merged(&[first(), spaces]).expect("spaces make no other formula");
}

#[test]
fn damaged_parts_are_refused() {
    let table = students(100, 6);
    let whole: Vec<usize> = (0..100).collect();
    let written = || Written::new("a", &rows_of(&table, &whole), "y ~ x + (1 | school/class)", None);
    let told = |part: Written| merged(&[part]).map(|_| ()).unwrap_err().to_string();
    let mut part = written();
    part.totals.rows += 1;
    let text = told(part);
    assert!(text.contains("the constant sums to 100 over 101 rows"), "{text}");
    let mut part = written();
    part.cells = part.cells.map("1*x", |v| v + 1e-3);
    assert!(told(part).contains("do not add up: `1*x` is"));
    let mut part = written();
    part.cells = part.cells.map("1*y", |_| f64::NAN);
    assert!(told(part).contains("cell 1 (counted from 1) has NaN for its sum `1*y`"));
    let mut part = written();
    part.cells = part.cells.map("rows", |v| v + 0.5);
    assert!(told(part).contains("for its number of rows"));
    let mut part = written();
    part.definition.columns.swap(0, 1);
    assert!(told(part).contains("its columns are x, 1, y, but its formula and levels give 1, x, y"));
    let mut part = written();
    part.definition.columns[0].shift = 1.0;
    assert!(told(part).contains("its column `1` is shifted by 1"));
}

#[test]
fn too_many_groups_for_the_memory_are_told_before_it_is_used() {
    let table = Memory::new(students(400, 8)).in_blocks_of(50);
    let formula: Formula = "y ~ x + (1 | school/class)".parse().unwrap();
    let plan = Plan::new(&formula, table.fields(), &Settings::default()).unwrap();
    let limit =
        |bytes| Some(MemoryLimit { bytes, rows: Some(400), until: Until::Effects, inference: Further::default() });
    let read = |bytes| accumulate_with(&table, &plan, &Reading { limit: limit(bytes), ..Reading::default() }, &mut ());
    let text = read(1 << 20).unwrap_err().to_string();
    assert!(text.starts_with("not enough memory: to read 4 columns takes at least"), "{text}");
    assert!(text.contains("the limit is 1 MB"), "{text}");
    read(1 << 30).expect("a gigabyte is enough");
}
