//! Merged moments of parts equal those of all rows.

use crate::support::same_moments;
use proptest::prelude::*;
use tiers_design::{Formula, Plan, Recipe, Settings, Source};
use tiers_moments::{
    CellColumns, Cells, Definition, Dropped, Further, IngestError, Ingested, MemoryLimit, Part, Reading, Totals, Until,
    accumulate_with, merge,
};
use tiers_testdata::{Memory, Random, Values};

/// Columns of a table, from which parts can be taken.
type Columns = Vec<(&'static str, Values)>;

/// A part as in files, held in memory.
struct Written {
    name: String,
    definition: Definition,
    totals: Totals,
    dropped: Dropped,
    cells: Memory,
}

/// Reads rows as a part, by a recipe of their own or by a given one.
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

/// Assigns rows to three parts: at random, or such that part p lacks level p of `f`.
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]

    /// Merged sums equal the sums over all rows by the merged recipe, up to rounding.
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
        let (mut want, _) = read(&Memory::new(table), formula, weights, Some(&got.recipe));
        // Parts count the same missing values separately.
        want.dropped = got.dropped.clone();
        same_moments(formula, &got, &want, 1e-10);
    }
}

#[test]
fn parts_of_different_models_are_refused() {
    let table = students(100, 5);
    let [a, b, _] = split(&table, 100, false, 1);
    let of = |name: &str, rows: &[usize], formula: &str, weights| {
        Written::new(name, &rows_of(&table, rows), formula, weights)
    };
    let message = |one: Written, other: Written| merged(&[one, other]).unwrap_err().to_string();
    let first = || of("a", &a, "y ~ x + (1 | school)", None);
    let text = message(first(), of("b", &b, "y ~ x + z + (1 | school)", None));
    assert!(text.starts_with("a and b are moments of different models: the formula is y ~ x + (1 | school)"), "{text}");
    let text = message(first(), of("b", &b, "y ~ x + (1 | school)", Some("w")));
    assert!(text.contains("the column of weights is none in the first and w in the second"), "{text}");
    let mut other = rows_of(&table, &b);
    other = other.with("school", Values::Texts(b.iter().map(|i| i.to_string()).collect()));
    let text = message(first(), Written::new("b", &other, "y ~ x + (1 | school)", None));
    assert!(text.contains("the column `school` is integers in the first and text in the second"), "{text}");
    let spaces = of("b", &b, "y~x  + ( 1|school )", None);
    merged(&[first(), spaces]).expect("spaces make no other formula");
}

#[test]
fn damaged_parts_are_refused() {
    let table = students(100, 6);
    let whole: Vec<usize> = (0..100).collect();
    let written = || Written::new("a", &rows_of(&table, &whole), "y ~ x + (1 | school/class)", None);
    let message = |part: Written| merged(&[part]).map(|_| ()).unwrap_err().to_string();
    let mut part = written();
    part.totals.rows += 1;
    let text = message(part);
    assert!(text.contains("the constant sums to 100 over 101 rows"), "{text}");
    let mut part = written();
    part.cells = part.cells.map("1*x", |v| v + 1e-3);
    assert!(message(part).contains("do not add up: `1*x` is"));
    let mut part = written();
    part.cells = part.cells.map("1*y", |_| f64::NAN);
    assert!(message(part).contains("cell 1 (counted from 1) has NaN for its sum `1*y`"));
    let mut part = written();
    part.cells = part.cells.map("rows", |v| v + 0.5);
    assert!(message(part).contains("for its number of rows"));
    let mut part = written();
    part.definition.columns.swap(0, 1);
    assert!(message(part).contains("its columns are x, 1, y, but its formula and levels give 1, x, y"));
    let mut part = written();
    part.definition.columns[0].shift = 1.0;
    assert!(message(part).contains("its column `1` is shifted by 1"));
}

#[test]
fn too_many_groups_for_the_memory_are_an_error_before_it_is_used() {
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
