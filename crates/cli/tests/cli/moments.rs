//! `tiers moments` and `tiers fit --moments`: a fit to parts that cut through groups equals that to the whole.

use crate::support::{Folder, ROWS, fit, fit_err, fit_ok, program, run, run_err, students, texts};
use tiers_outputs::{OutColumn, OutValues};

const FORMULA: &str = "y ~ x + sex + (1 + x | school) + (1 | school:class)";

/// Returns some rows of a table.
pub(crate) fn rows_of(columns: Vec<OutColumn>, rows: &[usize]) -> Vec<OutColumn> {
    let pick = |column: OutColumn| {
        let values = match &column.values {
            OutValues::F64(v) => OutValues::F64(rows.iter().map(|&i| v[i]).collect()),
            OutValues::I64(v) => OutValues::I64(rows.iter().map(|&i| v[i]).collect()),
            OutValues::Text(v) => OutValues::Text(rows.iter().map(|&i| v.get(i)).collect()),
            other => panic!("{other:?}"),
        };
        OutColumn::new(column.name, values)
    };
    columns.into_iter().map(pick).collect()
}

/// Runs `tiers moments`, which must succeed without output.
fn moments(arguments: &[&str]) {
    let ran = run(program().arg("moments").args(arguments).arg("--quiet"));
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "", ""), "{arguments:?}");
}

/// Runs `tiers moments`, which must fail with a message that holds these words.
fn moments_err(arguments: &[&str], words: &[&str]) {
    run_err(&[&["moments"], arguments].concat(), words);
}

/// Writes the moments of the students in three parts of every third pair of rows, so that every part
/// has rows of every group.
fn three_parts(folder: &Folder, formula: &str) -> Vec<String> {
    let part = |p: usize| {
        let rows: Vec<usize> = (0..ROWS).filter(|i| i / 2 % 3 == p).collect();
        let data = folder.parquet(&format!("{p}.parquet"), rows_of(students(), &rows));
        let out = folder.join(&format!("{p}.moments"));
        moments(&[formula, &data, "--out", &out]);
        out
    };
    (0..3).map(part).collect()
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).expect("JSON")
}

/// Returns all numbers below a key, in order.
fn numbers(json: &serde_json::Value) -> Vec<f64> {
    match json {
        serde_json::Value::Number(number) => vec![number.as_f64().expect("a number")],
        serde_json::Value::Array(values) => values.iter().flat_map(numbers).collect(),
        serde_json::Value::Object(values) => values.values().flat_map(numbers).collect(),
        _ => Vec::new(),
    }
}

/// Checks that two fits are the same up to rounding.
fn check_same(got: &serde_json::Value, want: &serde_json::Value) {
    for key in ["n_obs", "n_dropped", "n_parameters", "levels"] {
        assert_eq!(got[key], want[key], "{key}");
    }
    for key in ["criterion", "sigma", "theta", "variance_components"] {
        for (got, want) in numbers(&got[key]).iter().zip(&numbers(&want[key])) {
            assert!((got - want).abs() <= 1e-8 * want.abs().max(1e-3), "{key}: {got} {want}");
        }
    }
    for (got, want) in got["fixed_effects"].as_array().unwrap().iter().zip(want["fixed_effects"].as_array().unwrap()) {
        assert_eq!(got["term"], want["term"]);
        let number = |of: &serde_json::Value, key: &str| of[key].as_f64().unwrap();
        let (one, other) = (number(got, "estimate"), number(want, "estimate"));
        assert!(
            (one - other).abs() <= 1e-10 * (other.abs() + number(want, "std_error")),
            "{}: {one} {other}",
            got["term"]
        );
    }
}

#[test]
fn a_fit_to_parts_that_cut_through_groups_equals_that_to_the_whole() {
    let folder = Folder::new();
    let whole = folder.parquet("whole.parquet", students());
    for formula in ["y ~ x + z + (1 | school/class)", "y ~ x * sex + (1 | school)"] {
        let parts = three_parts(&folder, formula);
        for method in ["--reml", "--ml"] {
            let want = fit_ok(&[formula, &whole, "--json", method]);
            let arguments: Vec<&str> =
                ["--json", method, "--moments"].into_iter().chain(parts.iter().map(String::as_str)).collect();
            check_same(&json(&fit_ok(&arguments)), &json(&want));
        }
    }
}

#[test]
fn results_are_written_from_moments_too() {
    let folder = Folder::new();
    let parts = three_parts(&folder, "y ~ x + (1 | school/class)");
    let out = folder.join("results");
    let summary = fit_ok(&["--moments", &parts[0], &parts[1], &parts[2], "--out", &out]);
    assert!(summary.contains("school:class, 12; school, 6"), "{summary}");
    assert_eq!(folder.names("results/random_effects"), ["school.class.parquet", "school.parquet"]);
    assert_eq!(folder.names("0.moments"), ["cells.parquet", "moments.json", "totals.parquet"]);
}

#[test]
fn a_part_may_lack_levels_of_a_factor() {
    let folder = Folder::new();
    let arm = |i: usize| ["a", "b", "c"][i % 7 % 3];
    let columns = || {
        let mut columns = students();
        columns.push(texts("arm", (0..ROWS).map(arm)));
        columns
    };
    let whole = folder.parquet("whole.parquet", columns());
    let formula = "y ~ x * arm + (1 | school/class)";
    let mut parts = Vec::new();
    for lacking in ["a", "b", "c"] {
        // Rows with level a go to the part that lacks b, and so on.
        let next = |level: &str| ["b", "c", "a"][["a", "b", "c"].iter().position(|l| *l == level).unwrap()];
        let rows: Vec<usize> = (0..ROWS).filter(|&i| next(arm(i)) == lacking).collect();
        let data = folder.parquet(&format!("{lacking}.parquet"), rows_of(columns(), &rows));
        parts.push(folder.join(&format!("{lacking}.moments")));
        moments(&[formula, &data, "--out", parts.last().unwrap()]);
    }
    let want = json(&fit_ok(&[formula, &whole, "--json"]));
    check_same(&json(&fit_ok(&["--json", "--moments", &parts[0], &parts[1], &parts[2]])), &want);
    // Another reference level has to be named for all parts, which then need all levels too.
    let data = folder.join("a.parquet");
    let other = ["--reference", "arm=b"];
    moments_err(
        &[formula, &data, "--out", &parts[0], other[0], other[1]],
        &["no level `b` to take as the reference", "--levels"],
    );
    moments(&[formula, &data, "--out", &parts[0], other[0], other[1], "--levels", "arm=a,b,c"]);
    for (part, name) in parts[1..].iter().zip(["b", "c"]) {
        let data = folder.join(&format!("{name}.parquet"));
        moments(&[formula, &data, "--out", part, other[0], other[1], "--like", &parts[0]]);
    }
    let want = json(&fit_ok(&[formula, &whole, "--json", other[0], other[1]]));
    check_same(&json(&fit_ok(&["--json", "--moments", &parts[0], &parts[1], &parts[2]])), &want);
    let data = folder.join("c.parquet");
    moments_err(&[formula, &data, "--out", &parts[0], "--levels", "arm=a,c"], &["a level `b`", "--levels"]);
    moments_err(
        &[formula, &data, "--out", &parts[0], "--levels", "sex=F"],
        &["listed for `sex`, which is not a factor of the formula"],
    );
}

#[test]
fn moments_that_cannot_be_merged_are_errors() {
    let folder = Folder::new();
    let parts = three_parts(&folder, FORMULA);
    let other = folder.join("other.moments");
    let data = folder.join("0.parquet");
    moments(&["y ~ z + (1 | school)", &data, "--out", &other]);
    fit_err(&["--moments", &parts[0], &other], &["different models", "the formula is", "y ~ z + (1 | school)"]);
    fit_err(&["--moments", &folder.join("nowhere")], &["nowhere", "no such folder of moments"]);
    fit_err(&["--moments", &folder.path().display().to_string()], &["has no moments.json"]);
    fit_err(&["--moments", &parts[0], "--memory-limit", "1MB"], &["not enough memory", "the limit is 1 MB"]);
    fit_err(&["--moments", &parts[0], "--memory-limit", "much"], &["--memory-limit much"]);
    moments_err(&["y ~ z + (1 | school)", &data, "--out", &other, "--like", &parts[0]], &["different models"]);
    let ran = fit(&["y ~ x + (1 | school)", "--moments", &parts[0]]);
    assert_eq!(ran.code, 1, "{ran:?}");
}

#[test]
fn damaged_moments_are_errors() {
    let folder = Folder::new();
    let parts = three_parts(&folder, FORMULA);
    let header = std::fs::read_to_string(format!("{}/moments.json", parts[0])).unwrap();
    let with = |text: String| folder.text("0.moments/moments.json", &text);
    with(header.replace("\"tiers_moments\": 1", "\"tiers_moments\": 2"));
    fit_err(&["--moments", &parts[0]], &["moments.json: moments of format version 2", "reads version 1"]);
    with(header.replace("\"rows\": 32", "\"rows\": 33"));
    fit_err(&["--moments", &parts[0]], &["fingerprint"]);
    // Without a fingerprint, the damage shows in the sums.
    let mut bare = json(&header);
    bare.as_object_mut().unwrap().remove("fingerprint");
    bare["rows"] = 33.into();
    with(bare.to_string());
    fit_err(&["--moments", &parts[0]], &["cannot be sums over rows: the constant sums to 32 over 33 rows"]);
    with(header[..header.len() / 2].to_owned());
    fit_err(&["--moments", &parts[0]], &["moments.json: not what docs/moments.md says"]);
    with(header.clone());
    fit_ok(&["--quiet", "--moments", &parts[0], "--df", "none"]);
    // Files of another part.
    let swap = |name: &str| std::fs::copy(format!("{}/{name}", parts[1]), format!("{}/{name}", parts[0])).unwrap();
    swap("totals.parquet");
    fit_err(&["--moments", &parts[0]], &["fingerprint"]);
    std::fs::remove_file(format!("{}/totals.parquet", parts[0])).unwrap();
    fit_err(&["--moments", &parts[0]], &["totals.parquet: no such file"]);
    swap("totals.parquet");
    swap("moments.json");
    fit_err(&["--moments", &parts[0]], &["cells.parquet", "belongs to other moments"]);
    std::fs::write(format!("{}/cells.parquet", parts[0]), "PAR1").unwrap();
    fit_err(&["--moments", &parts[0]], &["cells.parquet"]);
}

#[test]
fn a_part_without_complete_rows_adds_nothing() {
    let folder = Folder::new();
    let parts = three_parts(&folder, "y ~ x + sex + (1 | school/class)");
    let empty = folder.join("empty.moments");
    let mut columns = students();
    columns[0].missing = Some(vec![true; ROWS]);
    let data = folder.parquet("empty.parquet", columns);
    moments(&["y ~ x + sex + (1 | school/class)", &data, "--out", &empty]);
    let with = json(&fit_ok(&["--json", "--moments", &parts[0], &empty, &parts[1], &parts[2]]));
    let without = json(&fit_ok(&["--json", "--moments", &parts[0], &parts[1], &parts[2]]));
    assert_eq!(with["n_dropped"], ROWS);
    assert_eq!(with["criterion"], without["criterion"]);
}

/// Moments as a GROUP BY query writes them according to docs/moments.md: no shifts, no fingerprint, no
/// first rows, one part.
#[test]
fn moments_of_another_program_fit() {
    let folder = Folder::new();
    let whole = folder.parquet("whole.parquet", students());
    let part = folder.join("sql.moments");
    let values = |name: &str| match &students().into_iter().find(|c| c.name == name).unwrap().values {
        OutValues::F64(v) => v.clone(),
        OutValues::I64(v) => v.iter().map(|&v| v as f64).collect(),
        other => panic!("{other:?}"),
    };
    let (y, x, school, class) = (values("y"), values("x"), values("school"), values("class"));
    let mut cells: std::collections::BTreeMap<(i64, i64), [f64; 4]> = std::collections::BTreeMap::new();
    let mut totals = [0.0; 6];
    for i in 0..ROWS {
        let cell = cells.entry((school[i] as i64, class[i] as i64)).or_default();
        [1.0, 1.0, x[i], y[i]].iter().zip(cell).for_each(|(v, sum)| *sum += v);
        let products = [1.0, x[i], y[i], x[i] * x[i], x[i] * y[i], y[i] * y[i]];
        products.iter().zip(&mut totals).for_each(|(v, sum)| *sum += v);
    }
    let column = |k: usize| OutValues::F64(cells.values().map(|cell| cell[k]).collect());
    let id = |which: fn(&(i64, i64)) -> i64| OutValues::I64(cells.keys().map(which).collect());
    folder.parquet(
        "sql.moments/cells.parquet",
        vec![
            OutColumn::new("school", id(|k| k.0)),
            OutColumn::new("class", id(|k| k.1)),
            OutColumn::new("rows", column(0)),
            OutColumn::new("1*1", column(1)),
            OutColumn::new("1*x", column(2)),
            OutColumn::new("1*y", column(3)),
        ],
    );
    folder.parquet(
        "sql.moments/totals.parquet",
        vec![
            texts("row", ["1", "1", "1", "x", "x", "y"]),
            texts("column", ["1", "x", "y", "x", "y", "y"]),
            OutColumn::new("value", OutValues::F64(totals.to_vec())),
        ],
    );
    folder.text(
        "sql.moments/moments.json",
        r#"{"tiers_moments": 1, "formula": "y ~ x + (1 | school/class)", "rows": 96,
            "fields": [{"name": "y", "kind": "Float"}, {"name": "x", "kind": "Float"},
                       {"name": "school", "kind": "Integer"}, {"name": "class", "kind": "Integer"}],
            "columns": [{"name": "1"}, {"name": "x"}, {"name": "y"}]}"#,
    );
    let want = json(&fit_ok(&["y ~ x + (1 | school/class)", &whole, "--json"]));
    check_same(&json(&fit_ok(&["--json", "--moments", &part])), &want);
}
