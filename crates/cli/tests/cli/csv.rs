//! Text files in many variants: separators, decimal commas, encodings, missing values, ids with leading
//! zeros, and rows that do not fit their header.

use crate::support::{Folder, fit_err, fit_ok, run_err, run_ok, texts};
use serde_json::Value;
use tiers_outputs::{OutColumn, OutValues};

const MODEL: &str = "y ~ x + (1 | g)";
const ROWS: usize = 60;

/// Returns the response, the predictor and the group (0 to 5) of a row.
fn row(i: usize) -> (f64, f64, usize) {
    let g = i % 6;
    let noise = ((i * 37) % 11) as f64 / 4.0 - 1.25;
    let x = ((i * 17) % 23) as f64 / 8.0;
    ((g * g) as f64 / 3.0 + 0.75 * x + noise, x, g)
}

/// Formats a table as text with a separator, and formats for numbers and groups.
fn table(sep: &str, number: impl Fn(f64) -> String, group: impl Fn(usize) -> String) -> String {
    let line = |i: usize| {
        let (y, x, g) = row(i);
        [number(y), number(x), group(g)].join(sep) + "\n"
    };
    [["y", "x", "g"].join(sep) + "\n"].into_iter().chain((0..ROWS).map(line)).collect()
}

fn plain() -> String {
    table(",", |v| v.to_string(), |g| g.to_string())
}

fn fitted(arguments: &[&str]) -> Value {
    serde_json::from_str(&fit_ok(&[arguments, &["--json", "-q"]].concat())).expect("JSON")
}

fn criterion(arguments: &[&str]) -> f64 {
    fitted(arguments)["criterion"].as_f64().expect("a number")
}

fn groups(arguments: &[&str]) -> u64 {
    fitted(arguments)["levels"][0]["groups"].as_u64().expect("a number")
}

#[test]
fn variants_of_a_text_file_give_the_same_fit() {
    let folder = Folder::new();
    let expected = criterion(&[MODEL, &folder.text("plain.csv", &plain())]);
    let comma = |v: f64| v.to_string().replace('.', ",");
    let semicolons = table(";", |v| v.to_string(), |g| g.to_string());
    let check = |name: &str, text: &str, options: &[&str]| {
        let path = folder.text(name, text);
        assert_eq!(criterion(&[&[MODEL, &path], options].concat()), expected, "{name}");
    };
    check("semi.csv", &semicolons, &[]);
    check("tab.txt", &semicolons.replace(';', "\t"), &[]);
    check("tab.tsv", &semicolons.replace(';', "\t"), &[]);
    check("bar.csv", &semicolons.replace(';', "|"), &[]);
    check("comma.txt", &plain(), &[]);
    check("tilde.csv", &semicolons.replace(';', "~"), &["--sep", "~"]);
    check("euro.csv", &table(";", comma, |g| g.to_string()), &["--decimal", ","]);
    check(
        "quoted.csv",
        &table(",", |v| format!("\"{}\"", comma(v)), |g| g.to_string()),
        &["--decimal", ",", "--sep", ","],
    );
    check("blanks.csv", &plain().replace(',', " , "), &[]);
    check("commented.csv", &format!("# exported today, \"by hand\n#\n\n{}\n\n  \n", plain()), &[]);
    check("windows.csv", &plain().replace('\n', "\r\n"), &[]);
    check("marked.csv", &format!("\u{feff}{}", plain()), &[]);
    let cut = plain();
    check("no_last_line_end.csv", cut.trim_end(), &[]);
}

#[test]
fn compressed_and_encoded_files_give_the_same_fit() {
    let folder = Folder::new();
    let text = plain().replace("y,x,g", "y,größe,g");
    let model = "y ~ größe + (1 | g)";
    let expected = criterion(&[model, &folder.text("plain.csv", &text)]);
    let write = |name: &str, bytes: &[u8]| {
        std::fs::write(folder.path().join(name), bytes).expect("a file");
        folder.join(name)
    };
    let utf16: Vec<u8> = format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let latin: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).expect("latin-1")).collect();
    assert_eq!(criterion(&[model, &write("utf16.csv", &utf16)]), expected);
    assert_eq!(criterion(&[model, &write("unmarked.csv", &utf16[2..]), "--encoding", "utf-16"]), expected);
    let latin = write("latin.csv", &latin);
    assert_eq!(criterion(&[model, &latin, "--encoding", "latin-1"]), expected);
    fit_err(&[model, &latin], &["latin.csv", "not valid utf-8", "--encoding latin-1"]);
    fit_err(&[model, &write("bare.csv", &utf16[2..])], &["bare.csv", "--encoding utf-16"]);
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut gz, text.as_bytes()).expect("compressed");
    let gz = gz.finish().expect("compressed");
    assert_eq!(criterion(&[model, &write("plain.csv.gz", &gz)]), expected);
    fit_err(&[model, &write("cut.csv.gz", &gz[..gz.len() / 2])], &["cut.csv.gz"]);
}

#[test]
fn rows_longer_than_the_header_are_errors_whatever_columns_are_used() {
    let folder = Folder::new();
    let with_last =
        |text: &str| text.lines().map(|line| format!("{line},9\n")).collect::<String>().replacen(",9", ",z", 1);
    let whole = with_last(&plain());
    // A decimal comma without quotes in row 4.
    let lines: Vec<String> =
        whole.lines().enumerate().map(|(i, l)| if i == 4 { format!("7,{l}") } else { l.into() }).collect();
    let path = folder.text("ragged.csv", &(lines.join("\n") + "\n"));
    let words = ["ragged.csv", "line 5 has 5 fields", "header 4"];
    fit_err(&[MODEL, &path], &words);
    fit_err(&["y ~ x + z + (1 | g)", &path], &words);
    run_err(&["moments", MODEL, &path, "--out", &folder.join("m")], &words);
    let out = folder.join("fit");
    run_ok(&["fit", MODEL, &folder.text("plain.csv", &plain()), "--out", &out, "-q"]);
    run_err(&["predict", &out, &path, "--out", &folder.join("p.parquet")], &words);
    let job = folder.text(
        "job.toml",
        &format!("[data]\npaths = [\"ragged.csv\"]\n[output]\nfolder = \"o\"\n[[models]]\nname = \"m\"\nformula = \"{MODEL}\"\n"),
    );
    run_err(&["run", &job, "-q"], &words);
}

#[test]
fn a_header_without_a_name_for_row_names_is_explained() {
    let folder = Folder::new();
    let text: String = plain()
        .lines()
        .enumerate()
        .map(|(i, l)| if i == 0 { format!("{l}\n") } else { format!("\"{i}\",{l}\n") })
        .collect();
    fit_err(&[MODEL, &folder.text("r.csv", &text)], &["r.csv", "row names", "row.names = FALSE"]);
    // With an empty name, as R's write.csv writes it, it is a column like others.
    let named = format!("\"\",{text}");
    assert_eq!(
        criterion(&[MODEL, &folder.text("named.csv", &named)]),
        criterion(&[MODEL, &folder.text("p.csv", &plain())])
    );
}

/// Returns the table with some values of x replaced.
fn with_odd(odd: &[(usize, &str)]) -> String {
    let line = |(i, line): (usize, &str)| match odd.iter().find(|(row, _)| *row == i) {
        Some((_, value)) => {
            let fields: Vec<&str> = line.split(',').collect();
            format!("{},{value},{}\n", fields[0], fields[2])
        }
        None => format!("{line}\n"),
    };
    plain().lines().enumerate().map(line).collect()
}

#[test]
fn numbers_with_a_few_texts_are_errors_unless_options_say_what_they_are() {
    let folder = Folder::new();
    let odd = [(8, "."), (12, "NULL"), (13, "-99")];
    let path = folder.text("odd.csv", &with_odd(&odd));
    let error =
        fit_err(&[MODEL, &path], &["`x`", "`.` in row 8", "`NULL` in row 12", "--na '.,NULL'", "--types x=text"]);
    assert!(!error.contains("-99"), "{error}");
    let missing = folder.text("na.csv", &with_odd(&odd.map(|(row, _)| (row, "NA"))));
    let (said, expected) = (fitted(&[MODEL, &path, "--na", ".,NULL,-99"]), fitted(&[MODEL, &missing]));
    assert_eq!((&said["criterion"], &said["n_dropped"]), (&expected["criterion"], &Value::from(3)));
    // The formula or the type can make the column a factor.
    let model = "y ~ g + (1 | s)";
    let lines: String = plain()
        .lines()
        .enumerate()
        .map(|(i, l)| match i {
            0 => format!("{l},s\n"),
            8 => format!("{}?,{}\n", &l[..l.len() - 1], i % 10),
            _ => format!("{l},{}\n", i % 10),
        })
        .collect();
    let path = folder.text("codes.csv", &lines);
    fit_err(&[model, &path], &["`g`", "`?` in row 8"]);
    let by_type = fitted(&[model, &path, "--types", "g=text"]);
    assert_eq!(by_type["criterion"], fitted(&["y ~ factor(g) + (1 | s)", &path])["criterion"]);
    assert_eq!(by_type["fixed_effects"].as_array().map(Vec::len), Some(7));
    fit_err(&[model, &path, "--types", "g=number"], &["row 8 (line 9)", "column `g`", "`?`", "--na '?'"]);
    // The response, and groups without any digit.
    fit_err(&["g ~ x + (1 | s)", &path], &["`g`", "`?` in row 8"]);
    fit_err(&["y ~ x + (1 | g)", &path], &["`g`", "`?` in row 8", "--na"]);
}

#[test]
fn ids_that_are_mostly_numbers_may_have_letters() {
    let folder = Folder::new();
    let text = table(",", |v| v.to_string(), |g| if g == 2 { "2A".to_owned() } else { g.to_string() });
    assert_eq!(groups(&[MODEL, &folder.text("ids.csv", &text)]), 6);
}

#[test]
fn decimal_commas_are_reported_and_not_guessed() {
    let folder = Folder::new();
    let text = table(";", |v| v.to_string().replace('.', ","), |g| g.to_string());
    fit_err(&[MODEL, &folder.text("euro.csv", &text)], &["--decimal ,"]);
}

#[test]
fn ids_keep_leading_zeros_signs_and_quoted_blanks() {
    let folder = Folder::new();
    let ids = ["1", "01", "+1", "001", "2", "\" 2\""];
    let text = table(",", |v| v.to_string(), |g| ids[g].to_owned());
    let path = folder.text("ids.csv", &text);
    assert_eq!(groups(&[MODEL, &path]), 6);
    assert_eq!(groups(&[MODEL, &path, "--types", "g=integer"]), 2);
    // The same ids as text in parquet give the same fit.
    let labels: Vec<String> = (0..ROWS).map(|i| ids[row(i).2].replace('"', "")).collect();
    let numbers = |of: fn((f64, f64, usize)) -> f64| OutValues::F64((0..ROWS).map(|i| of(row(i))).collect());
    let parquet = folder.parquet(
        "ids.parquet",
        vec![
            OutColumn::new("y", numbers(|r| r.0)),
            OutColumn::new("x", numbers(|r| r.1)),
            texts("g", labels.iter().map(String::as_str).collect::<Vec<_>>()),
        ],
    );
    assert_eq!(criterion(&[MODEL, &path]), criterion(&[MODEL, &parquet]));
    // Such numbers are still numbers as predictors.
    let padded = table(",", |v| format!("0{v}"), |g| g.to_string());
    let padded = padded.replace("0-", "-0");
    assert_eq!(
        criterion(&[MODEL, &folder.text("padded.csv", &padded)]),
        criterion(&[MODEL, &folder.text("p.csv", &plain())])
    );
    // A fit recognises its groups in a table of another format.
    let out = folder.join("fit");
    run_ok(&["fit", MODEL, &path, "--out", &out, "-q"]);
    run_ok(&["predict", &out, &parquet, "--out", &folder.join("p.parquet"), "-q"]);
}

#[test]
fn types_keep_ids_as_text() {
    let folder = Folder::new();
    let path = folder.text("plain.csv", &plain());
    let out = folder.join("fit");
    run_ok(&["fit", MODEL, &path, "--types", "g=text", "--out", &out, "-q"]);
    let model = std::fs::read_to_string(folder.path().join("fit/model.json")).expect("model.json");
    assert!(model.contains("\"Text\""), "{model}");
    fit_err(&[MODEL, &path, "--types", "h=text"], &["--types h", "no column `h`"]);
    fit_err(&[MODEL, &path, "--types", "y=integer"], &["`y` must hold integers"]);
    fit_err(&[MODEL, &path, "--types", "y=float8"], &["float8", "number, integer, text and boolean"]);
}

#[test]
fn folders_of_partitions_keep_leading_zeros() {
    let folder = Folder::new();
    for (i, zip) in ["1", "01", "001", "+1"].iter().enumerate() {
        let text: String =
            plain().lines().enumerate().filter(|(l, _)| *l == 0 || l % 4 == i).map(|(_, l)| format!("{l}\n")).collect();
        folder.text(&format!("t/zip={zip}/a.csv"), &text);
    }
    assert_eq!(groups(&["y ~ x + (1 | zip)", &folder.join("t")]), 4);
    assert_eq!(groups(&["y ~ x + (1 | zip)", &folder.join("t/zip=*1"), "--types", "zip=text"]), 4);
}

#[test]
fn options_are_stored_with_a_fit_and_used_again() {
    let folder = Folder::new();
    let comma = |v: f64| v.to_string().replace('.', ",");
    let euro = table(";", comma, |g| format!("{g}")).replace("\n0,5;", "\n-99;");
    let path = folder.text("euro.csv", &euro);
    let out = folder.join("fit");
    run_ok(&["fit", MODEL, &path, "--decimal", ",", "--na", "-99", "--types", "g=text", "--out", &out, "-q"]);
    let json: Value =
        serde_json::from_str(&std::fs::read_to_string(folder.path().join("fit/fit.json")).expect("fit.json"))
            .expect("JSON");
    assert_eq!(json["data"]["csv"], serde_json::json!({"decimal": ",", "na": ["-99"], "types": {"g": "text"}}));
    run_ok(&["influence", &out, "-q"]);
    run_ok(&["confint", &out, "-q"]);
    run_ok(&["anova", &out, "--df", "kenward-roger", "-q"]);
    // New data are read with the same options, unless others are given.
    let predicted = |name: &str, data: &str, options: &[&str]| {
        let to = folder.join(name);
        run_ok(&[&["predict", &out, data, "--out", &to, "-q"], options].concat());
        std::fs::read(to).expect("predictions")
    };
    let same = predicted("a.parquet", &path, &[]);
    let point = folder.text("point.csv", &table(",", |v| v.to_string(), |g| g.to_string()));
    assert_eq!(same, predicted("b.parquet", &point, &["--decimal", ".", "--sep", ","]));
    // Intervals read the data of the fit again, with its own options.
    predicted("c.parquet", &point, &["--decimal", ".", "--sep", ",", "--interval", "prediction"]);
}

#[test]
fn jobs_have_the_options_as_keys() {
    let folder = Folder::new();
    let comma = |v: f64| v.to_string().replace('.', ",");
    folder.text("euro.csv", &format!("# a comment\n{}", table("~", comma, |g| format!("0{g}"))));
    let job = |data: &str| {
        folder.text(
            "job.toml",
            &format!("[data]\npaths = [\"euro.csv\"]\n{data}\n[output]\nfolder = \"o\"\n[[models]]\nname = \"m\"\nformula = \"{MODEL}\"\n"),
        )
    };
    run_ok(&[
        "run",
        &job("sep = \"~\"\ndecimal = \",\"\nencoding = \"latin-1\"\nna = [\".\"]\ntypes = {g = \"text\"}"),
        "-q",
    ]);
    let json: Value =
        serde_json::from_str(&std::fs::read_to_string(folder.path().join("o/m/fit.json")).expect("fit.json"))
            .expect("JSON");
    // Groups as integers and as text have different orders, and so have the sums.
    let (got, want) = (json["criterion"].as_f64(), criterion(&[MODEL, &folder.text("plain.csv", &plain())]));
    assert!(got.is_some_and(|got| (got - want).abs() < 1e-10), "{got:?}, not {want}");
    assert_eq!(json["data"]["csv"]["sep"], "~");
    run_err(&["run", &job("sep = \"~~\""), "-q"], &["line 3", "data.sep", "~~"]);
    run_err(
        &["run", &job("sep = \"~\"\ndecimal = \",\"\ntypes = {h = \"text\"}"), "-q"],
        &["data.types.h", "no column `h`"],
    );
}

#[test]
fn options_of_text_files_are_errors_for_parquet() {
    let folder = Folder::new();
    let path = folder.parquet("a.parquet", crate::support::students());
    fit_err(&["y ~ x + (1 | school)", &path, "--na", "."], &["--na", "text files"]);
}

#[test]
fn overlong_lines_and_open_quotes_are_errors_at_once() {
    let folder = Folder::new();
    let path = folder.text("long.csv", &format!("y,x,g\n1,2,3\n{}", "1".repeat(40 << 20)));
    let clock = std::time::Instant::now();
    fit_err(&[MODEL, &path], &["long.csv", "line 3", "16 MB"]);
    assert!(clock.elapsed().as_secs() < 60);
    let open = folder.text("open.csv", &format!("{}\"1,2,3\n", plain()));
    fit_err(&[MODEL, &open], &["open.csv", "line 62", "double quote"]);
}

#[test]
fn a_factor_with_a_level_for_every_few_rows_has_a_note() {
    let folder = Folder::new();
    let text = |levels: usize| {
        let line = |i: usize| format!("{},f{},{}\n", row(i).0 + (i % 13) as f64, i % levels, i % 7);
        "y,f,g\n".to_owned() + &(0..240).map(line).collect::<String>()
    };
    let notes = |levels| fitted(&["y ~ f + (1 | g)", &folder.text("f.csv", &text(levels))])["notes"].to_string();
    assert!(notes(60).contains("`f` is a factor with 60 levels for 240 rows"), "{}", notes(60));
    assert_eq!(notes(40), "[]");
}
