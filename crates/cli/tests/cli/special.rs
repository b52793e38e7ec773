//! `--out` with special files and links, and formats by extension.

use crate::support::{Folder, Ran, labels_of, numbers_of, program, run, run_err, run_ok, run_within, students};
use std::fs;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::process::{Command, Stdio};
use tiers_outputs::{OutColumn, OutValues};

const MODEL: &str = "y ~ x + (1 | school)";

/// Creates a folder with data, a fit of them and a pipe.
fn folder() -> Folder {
    let folder = Folder::new();
    let data = folder.parquet("data/a.parquet", students());
    run_ok(&["fit", MODEL, &data, "--out", &folder.join("fit"), "--quiet"]);
    assert!(Command::new("mkfifo").arg(folder.join("pipe")).status().expect("mkfifo").success());
    folder
}

fn started(arguments: &[&str]) -> Ran {
    let mut command = program();
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    run_within(command.spawn().expect("the program starts"))
}

#[test]
fn devices_and_pipes_are_errors_and_are_kept() {
    let folder = folder();
    let (fit, data, pipe) = (folder.join("fit"), folder.join("data/a.parquet"), folder.join("pipe"));
    let spec = folder.text("spec.toml", &run(program().args(["simulate", "--example"])).out);
    let job = folder.text(
        "job.toml",
        "[data]\npaths = [\"data/a.parquet\"]\n[output]\nfolder = \"pipe\"\n[[models]]\nname = \"m\"\nformula = \"y ~ x \
         + (1 | school)\"\n",
    );
    let own = folder.join("own");
    fs::create_dir(&own).expect("a folder");
    for name in ["influence.parquet", "confint.json", "bench.json", "status.json", "sim.parquet"] {
        let path = folder.join(&format!("own/{name}"));
        assert!(Command::new("mkfifo").arg(path).status().expect("mkfifo").success());
    }
    let wald = ["--method", "wald"];
    let cases: [&[&str]; 12] = [
        &["predict", &fit, &data, "--out", &pipe],
        &["fit", MODEL, &data, "--out", &pipe],
        &["moments", MODEL, &data, "--out", &pipe],
        &["simulate", &spec, "--rows", "200", "--out", &folder.join("own/sim.parquet")],
        &["confint", &fit, wald[0], wald[1], "--out", &pipe],
        &["confint", &fit, wald[0], wald[1], "--out", &own],
        &["influence", &fit, "--out", &pipe],
        &["influence", &fit, "--out", &own],
        &["bench", MODEL, &data, "--out", &pipe, "--repeats", "1"],
        &["bench", MODEL, &data, "--out", &own, "--repeats", "1"],
        &["run", &job],
        &["run", &job, "--set", "output.folder=own"],
    ];
    let before = folder.names(".");
    for case in cases {
        let ran = started(case);
        assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{case:?}: {ran:?}");
        assert!(ran.err.contains("no ordinary file") || case[0] == "run", "{case:?}: {ran:?}");
        assert!(ran.err.contains("pipe") || ran.err.contains("own"), "{case:?}: {ran:?}");
        assert_eq!(folder.names("."), before, "{case:?}");
    }
    let is_pipe = |name: &str| fs::metadata(folder.join(name)).expect("it is there").file_type().is_fifo();
    assert!(is_pipe("pipe") && is_pipe("own/confint.json") && is_pipe("own/sim.parquet"));
    // A device of the system, which a program that renames files would remove.
    run_err(&["predict", &fit, &data, "--out", "/dev/null"], &["--out /dev/null", "no ordinary file"]);
    run_err(&["fit", MODEL, &data, "--out", "/dev/null"], &["--out /dev/null", "no ordinary file"]);
}

#[test]
fn links_are_followed() {
    let folder = folder();
    let (fit, data) = (folder.join("fit"), folder.join("data/a.parquet"));
    fs::create_dir(folder.join("elsewhere")).expect("a folder");
    for (target, text) in [("elsewhere/old.parquet", Some("precious")), ("elsewhere/new.parquet", None)] {
        let link = folder.join("link");
        fs::remove_file(&link).ok();
        symlink(target, &link).expect("a link");
        if let Some(text) = text {
            fs::write(folder.join(target), text).expect("a file");
        }
        run_ok(&["predict", &fit, &data, "--out", &link, "--quiet"]);
        assert!(fs::symlink_metadata(&link).expect("a link").is_symlink());
        assert_eq!(numbers_of(&folder.join(target), "prediction").len(), 96);
    }
    // A link to a folder, which need not exist.
    for target in ["elsewhere/old", "elsewhere/new"] {
        let link = folder.join("folder");
        fs::remove_file(&link).ok();
        symlink(folder.join(target), &link).expect("a link");
        if target.ends_with("old") {
            fs::create_dir(folder.join(target)).expect("a folder");
        }
        run_ok(&["fit", MODEL, &data, "--out", &link, "--quiet"]);
        assert!(fs::symlink_metadata(&link).expect("a link").is_symlink());
        assert!(folder.names(target).contains(&"fit.json".to_owned()));
    }
}

#[test]
fn predictions_are_written_in_the_format_of_the_extension() {
    let folder = folder();
    let (fit, data) = (folder.join("fit"), folder.join("data/a.parquet"));
    let mut new = students();
    new.retain(|column| column.name != "x");
    let x = OutValues::F64((0..96).map(|i| f64::from(i) / 7.0).collect());
    let missing = (0..96).map(|i| i == 3).collect();
    new.push(OutColumn { name: "x".to_owned(), values: x, missing: Some(missing) });
    let new = folder.parquet("new.parquet", new);
    let predict = |name: &str| {
        let out = folder.join(name);
        run_ok(&["predict", &fit, &new, "--out", &out, "--keep", "sex", "--se", "--quiet"]);
        out
    };
    let whole = predict("p.parquet");
    for name in ["p.csv", "p.tsv", "p.arrow", "p.feather", "p.dat.parquet"] {
        let out = predict(name);
        // Text has all digits. The reader does not know the extension of p.feather, so it reads a copy.
        let path = if name == "p.feather" {
            fs::copy(&out, folder.join("q.arrow")).map(|_| folder.join("q.arrow")).expect("a copy")
        } else {
            out
        };
        for column in ["prediction", "std_error", "row"] {
            let (got, want) = (numbers_of(&path, column), numbers_of(&whole, column));
            let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&got), bits(&want), "{name}: {column}");
        }
        assert_eq!(labels_of(&path, "sex"), labels_of(&whole, "sex"), "{name}");
    }
    let text = fs::read_to_string(folder.join("p.csv")).expect("text");
    assert_eq!(text.lines().next(), Some("row,sex,prediction,std_error,known_school"));
    assert!(text.lines().nth(4).is_some_and(|line| line.starts_with("4,F,,,")), "{text}");
    // Other extensions mean parquet.
    assert_eq!(fs::read(predict("p.out")).expect("a file"), fs::read(&whole).expect("a file"));
    drop(data);
}
