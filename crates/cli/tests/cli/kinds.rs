//! Kinds of columns: ids and levels as other programs store them, the order of levels, and notes on
//! values that may not be what the user meant.

use crate::moments::rows_of;
use crate::support::{
    Folder, ROWS, fit_err, fit_ok, integers, labels_of, numbers, numbers_of, run_err, run_ok, students, students_with,
    texts, without,
};
use serde_json::Value;

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

fn criterion(text: &str) -> f64 {
    json(text)["criterion"].as_f64().expect("a number")
}

fn terms(fit: &Value) -> Vec<&str> {
    let effects = fit["fixed_effects"].as_array().expect("coefficients");
    effects.iter().map(|effect| effect["term"].as_str().expect("a name")).collect()
}

/// Programs without missing integers (pandas, R) store ids as floating-point numbers.
#[test]
fn whole_floats_are_ids_of_groups_in_every_command() {
    let folder = Folder::new();
    let school = |i: usize| 1000.0 + (i / 16) as f64;
    let as_floats = students_with(without(numbers("school", (0..ROWS).map(school)), |i| i == 5));
    let as_integers = students_with(without(integers("school", (0..ROWS).map(|i| school(i) as i64)), |i| i == 5));
    let floats = folder.parquet("floats.parquet", as_floats);
    let whole = folder.parquet("integers.parquet", as_integers);
    let formula = "y ~ x + (1 | school/class)";
    let want = fit_ok(&[formula, &whole, "--json"]);
    let out = folder.join("out");
    let got = fit_ok(&[formula, &floats, "--json", "--out", &out]);
    assert_eq!(criterion(&got), criterion(&want));
    assert_eq!(json(&got)["n_dropped"], 1);
    // Ids are printed as integers.
    let effects = labels_of(&folder.join("out/random_effects/school.parquet"), "school");
    assert_eq!(effects, ["1000", "1001", "1002", "1003", "1004", "1005"]);
    // The groups are the same, however the ids are stored.
    for new in [&floats, &whole] {
        let file = folder.join("p.parquet");
        run_ok(&["predict", &out, new, "--out", &file, "--quiet"]);
        assert_eq!(labels_of(&file, "known_school").iter().filter(|known| *known == "TRUE").count(), ROWS - 1);
        run_ok(&["predict", &out, new, "--out", &file, "--quiet", "--se", "--data", new]);
    }
    let (one, two) = (folder.join("one.moments"), folder.join("two.moments"));
    run_ok(&["moments", formula, &floats, "--out", &one, "--quiet"]);
    let merged = fit_ok(&["--moments", &one, "--json"]);
    assert!((criterion(&merged) - criterion(&want)).abs() < 1e-9);
    // A part may have ids as floating-point numbers because one of them is missing there.
    run_ok(&["moments", formula, &whole, "--out", &two, "--quiet"]);
    assert_eq!(json(&fit_ok(&["--moments", &one, &two, "--json"]))["levels"][0]["groups"], 6);
    let job = folder.text(
        "job.toml",
        "[data]\npaths = [\"floats.parquet\"]\n[output]\nfolder = \"by\"\n[[models]]\nname = \"m\"\n\
         formula = \"y ~ x + (1 | class)\"\nby = [\"school\"]\n",
    );
    run_ok(&["run", &job, "--quiet"]);
    assert_eq!(numbers_of(&folder.join("by/m/by.parquet"), "school")[0], 1000.0);
    let odd = folder.parquet("odd.parquet", students_with(numbers("school", (0..ROWS).map(|i| school(i) + 0.5))));
    fit_err(&[formula, &odd], &["column `school`, row 1", "1000.5", "not a whole number"]);
}

/// Doses and times are numbers that can also serve as factors.
#[test]
fn numbers_that_are_not_whole_are_levels_of_factors() {
    let folder = Folder::new();
    let doses = [0.5, 12.0, 0.0, 2.25];
    let data = folder.parquet("a.parquet", students_with(numbers("dose", (0..ROWS).map(|i| doses[i % 4]))));
    let names = ["z0.5", "a12", "b0", "c2.25"];
    let text = folder.parquet("b.parquet", students_with(texts("dose", (0..ROWS).map(|i| names[i % 4]))));
    let out = folder.join("out");
    let fit = fit_ok(&["y ~ factor(dose) + (1 | school)", &data, "--json", "--out", &out]);
    assert!((criterion(&fit) - criterion(&fit_ok(&["y ~ dose + (1 | school)", &text, "--json"]))).abs() < 1e-9);
    let fit = json(&fit);
    assert_eq!(terms(&fit), ["(Intercept)", "factor(dose)0.5", "factor(dose)2.25", "factor(dose)12"]);
    assert_eq!(fit["factors"][0]["levels"], serde_json::json!(["0", "0.5", "2.25", "12"]));
    assert!(run_ok(&["means", &out, "dose"]).contains("2.25"));
    let reference = ["y ~ factor(dose) + (1 | school)", &data, "--reference", "dose=0.5", "--json"];
    assert_eq!(terms(&json(&fit_ok(&reference)))[1], "factor(dose)0");
    // New data may have the same levels as text, or some of them as integers.
    let new = folder.text("new.csv", "dose,school\n12,1\n0,2\n");
    let file = folder.join("p.parquet");
    run_ok(&["predict", &out, &new, "--out", &file, "--quiet"]);
    assert!(numbers_of(&file, "prediction").iter().all(|value| value.is_finite()));
    let new = folder.text("new.csv", "dose,school\n12,1\n0.75,2\n");
    run_err(&["predict", &out, &new, "--out", &file], &["`dose`", "`0.75`", "row 2", "0, 0.5, 2.25, 12"]);
}

#[test]
fn levels_can_be_put_in_order() {
    let folder = Folder::new();
    let sizes = ["small", "large", "medium"];
    let data = folder.parquet("a.parquet", students_with(texts("size", (0..ROWS).map(|i| sizes[i % 3]))));
    let formula = "y ~ size + (1 | school)";
    let levels = "size=small,medium,large,huge";
    let fit = json(&fit_ok(&[formula, &data, "--levels", levels, "--json"]));
    assert_eq!(terms(&fit), ["(Intercept)", "sizemedium", "sizelarge"]);
    let factor = serde_json::json!({"name": "size", "reference": "small", "levels": ["small", "medium", "large"]});
    assert_eq!(fit["factors"], serde_json::json!([factor]));
    let summary = fit_ok(&[formula, &data, "--levels", levels]);
    assert!(summary.contains("Reference levels: size small\n"), "{summary}");
    let summary = fit_ok(&["y ~ size + sex + (1 | school)", &data, "--reference", "sex=M"]);
    assert!(summary.contains("Reference levels: size large, sex M\n"), "{summary}");
    // If every level has a coefficient, there is no reference level.
    assert!(!fit_ok(&["y ~ 0 + size + (1 | school)", &data]).contains("Reference levels"));
    fit_err(&[formula, &data, "--levels", "size=small,large"], &["`size`", "`medium`", "small, large"]);
    fit_err(&[formula, &data, "--levels", "sex=F,M"], &["levels are listed for `sex`"]);
    fit_err(&[formula, &data, "--levels", "size"], &["--levels size", "sector=private,public"]);
    // The order is kept with the fit, and with moments.
    let (out, part) = (folder.join("out"), folder.join("a.moments"));
    fit_ok(&[formula, &data, "--levels", levels, "--out", &out, "--quiet"]);
    let means = run_ok(&["means", &out, "size"]);
    let at = |word: &str| means.find(word).expect(word);
    assert!(at("small") < at("medium") && at("medium") < at("large"), "{means}");
    run_ok(&["moments", formula, &data, "--levels", "size=small,medium,large", "--out", &part, "--quiet"]);
    let merged = json(&fit_ok(&["--moments", &part, "--json"]));
    assert_eq!(terms(&merged), ["(Intercept)", "sizemedium", "sizelarge"]);
    let job = folder.text(
        "job.toml",
        "[data]\npaths = [\"a.parquet\"]\n[data.levels]\nsize = [\"medium\", \"small\", \"large\"]\n[output]\n\
         folder = \"run\"\n[[models]]\nname = \"m\"\nformula = \"y ~ size + (1 | school)\"\n",
    );
    run_ok(&["run", &job, "--quiet"]);
    let fit = std::fs::read_to_string(folder.join("run/m/fit.json")).expect("a fit");
    assert_eq!(terms(&json(&fit)), ["(Intercept)", "sizesmall", "sizelarge"]);
    let ran =
        run_err(&["run", &job, "--set", "data.levels.colour=[\"red\"]"], &["`colour` is not a factor of any model"]);
    assert!(ran.contains("data.levels.colour"), "{ran}");
}

/// A later file has one more column, and another type in a column that no model uses.
#[test]
fn parts_of_a_table_may_differ_in_columns_that_are_not_used() {
    let folder = Folder::new();
    let rows = |rows: std::ops::Range<usize>| rows_of(students(), &rows.collect::<Vec<_>>());
    let whole = folder.parquet("whole.parquet", students());
    let mut first = rows(0..40);
    first.push(integers("remark", 0..40));
    folder.parquet("parts/a.parquet", first);
    let mut second = rows(40..ROWS);
    second.insert(0, texts("added", (40..ROWS).map(|_| "x")));
    second.push(texts("remark", (40..ROWS).map(|_| "late")));
    folder.parquet("parts/b.parquet", second);
    let parts = folder.join("parts");
    let formula = "y ~ x + sex + (1 | school/class)";
    assert_eq!(criterion(&fit_ok(&[formula, &parts, "--json"])), criterion(&fit_ok(&[formula, &whole, "--json"])));
    fit_err(&["y ~ remark + (1 | school)", &parts], &["`remark`", "a.parquet", "b.parquet", "is of type"]);
    fit_err(&["y ~ x + (1 | added)", &parts], &["`added`", "missing in the first file"]);
}

/// The cell of b and w is empty: a prediction there would depend on the reference level.
#[test]
fn combinations_that_never_occurred_have_no_prediction() {
    let folder = Folder::new();
    let cells = [("a", "u"), ("a", "w"), ("b", "u"), ("c", "w"), ("c", "u")];
    let mut columns = students();
    columns.push(texts("f", (0..ROWS).map(|i| cells[i % 5].0)));
    columns.push(texts("g", (0..ROWS).map(|i| cells[i % 5].1)));
    let data = folder.parquet("a.parquet", columns);
    let new = folder.text("new.csv", "f,g,x,school\na,w,1,1\nb,u,2,1\nb,w,3,1\nc,w,,2\n");
    for reference in ["f=a", "f=b", "g=w"] {
        let (out, file) = (folder.join("out"), folder.join("p.parquet"));
        fit_ok(&["y ~ f * g + x + (1 | school)", &data, "--reference", reference, "--out", &out, "--quiet"]);
        for options in [&["--se"][..], &["--population", "--interval", "confidence"], &[]] {
            let line = [&["predict", &out, &new, "--out", &file, "--json"], options].concat();
            let ran = crate::support::run(crate::support::program().args(&line));
            assert_eq!(ran.code, 0, "{ran:?}");
            assert!(ran.err.contains("row 3 has no prediction"), "{ran:?}");
            let report = json(&ran.out);
            assert_eq!(
                (&report["not_estimable"], &report["first_not_estimable"], &report["predicted"]),
                (&1.into(), &3.into(), &2.into())
            );
            for column in ["prediction", "std_error", "lower"] {
                if column != "prediction" && !options.contains(&["--se", "--interval"][usize::from(column == "lower")])
                {
                    continue;
                }
                let there: Vec<bool> = numbers_of(&file, column).iter().map(|value| value.is_finite()).collect();
                assert_eq!(there, [true, true, false, false], "{column} {options:?}");
            }
        }
        assert!(run_ok(&["means", &out, "f*g"]).contains("nonEst"));
    }
}

#[test]
fn notes_are_in_the_summary_the_json_and_on_the_page() {
    let folder = Folder::new();
    let mut columns = students_with(numbers("x", (0..ROWS).map(|i| if i % 30 == 4 { -999.0 } else { i as f64 })));
    columns.push(numbers("w", (0..ROWS).map(|i| 20.0 + (i % 5) as f64)));
    let data = folder.parquet("a.parquet", columns);
    let out = folder.join("out");
    let line = ["y ~ x + (1 | school)", &data, "--weights", "w", "--out", &out, "--report"];
    let summary = fit_ok(&line);
    let words = ["The mean of the weights in column `w` is", "Column `x` is -999 in 4 rows"];
    let fit = json(&std::fs::read_to_string(folder.join("out/fit.json")).expect("a fit"));
    let notes = fit["notes"].as_array().expect("notes");
    assert_eq!(notes.len(), 2);
    let page = std::fs::read_to_string(folder.join("out/report.html")).expect("a page");
    let flat = summary.split_whitespace().collect::<Vec<_>>().join(" ");
    for (note, words) in notes.iter().zip(words) {
        let note = note.as_str().expect("a text");
        assert!(note.contains(words), "{note}");
        assert!(flat.contains(&format!("Note: {note}")), "{summary}");
        assert!(page.contains(words), "{page}");
    }
    let plain = folder.parquet("b.parquet", students());
    assert_eq!(json(&fit_ok(&["y ~ x + (1 | school)", &plain, "--json"]))["notes"], serde_json::json!([]));
}

/// School 3 alone has the new books.
#[test]
fn a_coefficient_of_one_cluster_has_no_robust_standard_error() {
    let folder = Folder::new();
    let books = (0..ROWS).map(|i| match i / 16 {
        3 => "new",
        0 | 4 => "mixed",
        _ => "old",
    });
    let data = folder.parquet("a.parquet", students_with(texts("books", books)));
    for kind in ["CR0", "CR1", "CR1S", "CR2"] {
        let line = ["y ~ books + x + (1 | school)", &data, "--robust", kind];
        let summary = fit_ok(&line);
        let row = summary.lines().find(|line| line.starts_with("booksnew")).expect("a coefficient");
        assert_eq!(row.split_whitespace().filter(|cell| *cell == "NA").count(), 6, "{row}");
        assert!(
            summary.contains("`booksnew` has no robust standard error (NA): without the cluster 3 of"),
            "{summary}"
        );
        let fit = json(&fit_ok(&[&line[..], &["--json"]].concat()));
        let robust = &fit["robust"];
        assert_eq!(robust["one_cluster"][0], serde_json::json!({"cluster": "3", "coefficients": ["booksnew"]}));
        for (effect, there) in
            robust["coefficients"].as_array().expect("coefficients").iter().zip([true, false, true, true])
        {
            assert_eq!(effect["std_error"].is_number(), there, "{kind} {effect}");
            assert_eq!(effect["p_value"].is_number(), there, "{kind} {effect}");
        }
        assert!(fit["fixed_effects"][1]["std_error"].is_number(), "the model's own error stays");
    }
    // Later commands can use the saved fit.
    let out = folder.join("out");
    fit_ok(&["y ~ books + x + (1 | school)", &data, "--robust", "CR2", "--out", &out, "--report", "--quiet"]);
    run_ok(&["anova", &out]);
    run_ok(&["means", &out, "books"]);
}

/// Dates in text files are days, as in parquet; no other format is taken for a date.
#[test]
fn dates_of_text_files_are_days() {
    let folder = Folder::new();
    let days = ["2019-12-30", "2020-01-01", "2020-02-29", "2020-03-15"];
    let counts = [18_260, 18_262, 18_321, 18_336];
    let rows = |of: &dyn Fn(usize) -> String| {
        let noise = |i: usize| ((i as f64) * 12.9898).sin() * 43_758.545_3 % 1.0;
        let row = |i: usize| format!("{:.4},{},{}\n", noise(i) + (i / 12 % 3) as f64, of(i % 4), i / 12);
        "y,day,g\n".to_owned() + &(0..96).map(row).collect::<String>()
    };
    let dates = folder.text("dates.csv", &rows(&|i| days[i].to_owned()));
    let times = folder.text("times.csv", &rows(&|i| format!("{}T12:00:00+12:00", days[i])));
    let numbers = folder.text("numbers.csv", &rows(&|i| counts[i].to_string()));
    let slashes = folder.text("slashes.csv", &rows(&|i| days[i].replace('-', "/")));
    let formula = "y ~ day + (1 | g)";
    let fit = |path: &String| json(&fit_ok(&[formula, path, "--json"]));
    assert_eq!(fit(&dates)["fixed_effects"], fit(&numbers)["fixed_effects"]);
    let per_second = fit(&times)["fixed_effects"][1]["estimate"].as_f64().expect("a number");
    let per_day = fit(&dates)["fixed_effects"][1]["estimate"].as_f64().expect("a number");
    assert!((86_400.0 * per_second - per_day).abs() < 1e-6 * per_day.abs(), "{per_second} {per_day}");
    let factor = json(&fit_ok(&["y ~ factor(day) + (1 | g)", &dates, "--json"]));
    assert_eq!(terms(&factor)[1..], days[1..].iter().map(|day| format!("factor(day){day}")).collect::<Vec<_>>());
    assert_eq!(terms(&fit(&slashes))[1], "day2020/01/01", "text, and so a factor");
    let (out, file) = (folder.join("out"), folder.join("p.parquet"));
    fit_ok(&[formula, &dates, "--out", &out, "--quiet"]);
    run_ok(&["predict", &out, &dates, "--out", &file, "--quiet", "--se"]);
    run_err(&["predict", &out, &times, "--out", &file], &["`day` holds points in time", "dates in the fit"]);
    run_err(&["predict", &out, &numbers, "--out", &file], &["`day` holds numbers", "dates in the fit"]);
}
