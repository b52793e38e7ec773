//! Each kind of bad input has its own error, which names the file and says what to try.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use common::*;
use polars::prelude::{NamedFrom, Series};
use tiers_design::Kind;
use tiers_tables::{Source, TableError};

/// Checks the error of opening the files or, if that succeeds, of reading the rows: its message must
/// contain all `words`.
fn check(paths: &[&Path], is: fn(&TableError) -> bool, words: &[&str]) {
    let outcome = open(paths).and_then(|source| {
        let requests: Vec<_> = source.fields().iter().map(|f| label(&f.name)).collect();
        blocks(&source, &requests)
    });
    let error = outcome.map(|_| "no error").expect_err("an error was expected");
    let message = error.to_string();
    assert!(is(&error), "wrong kind: {error:?}");
    for word in words {
        assert!(message.contains(word), "`{word}` is not in: {message}");
    }
}

/// Replaces a file. A thread that still reads the old one, perhaps in the background after an error, has
/// it mapped into memory, so it must not be truncated in place.
fn replace(path: &Path, bytes: &[u8]) {
    let aside = path.with_extension("aside");
    fs::write(&aside, bytes).unwrap();
    fs::rename(&aside, path).unwrap();
}

#[test]
fn nothing_named() {
    check(&[], |e| matches!(e, TableError::NothingNamed), &["no data"]);
}

#[test]
fn missing_file() {
    let dir = folder();
    parquet(&dir.path().join("students.parquet"), counted(0, 3));
    let path = dir.path().join("student.parquet");
    check(
        &[&path],
        |e| matches!(e, TableError::NotFound { .. }),
        &["student.parquet", "did you mean `students.parquet`"],
    );
    check(&[Path::new("/nowhere/at/all.parquet")], |e| matches!(e, TableError::NotFound { .. }), &["no such file"]);
}

#[test]
fn folder_without_data() {
    let dir = folder();
    fs::create_dir(dir.path().join("empty")).unwrap();
    fs::write(dir.path().join("notes.txt"), "hello").unwrap();
    check(&[dir.path()], |e| matches!(e, TableError::NoDataFiles { .. }), &["no data files", ".parquet"]);
}

#[test]
fn pattern_without_matches() {
    let dir = folder();
    let pattern = dir.path().join("*.parquet");
    check(&[&pattern], |e| matches!(e, TableError::NoMatch { .. }), &["*.parquet", "matches no file"]);
    let pattern = dir.path().join("no/such/folder/*.parquet");
    check(&[&pattern], |e| matches!(e, TableError::NoMatch { .. }), &["matches no file"]);
}

#[test]
fn pattern_that_cannot_be_read() {
    let dir = folder();
    let pattern = dir.path().join("[abc.parquet");
    check(&[&pattern], |e| matches!(e, TableError::BadPattern { .. }), &["`[`"]);
}

#[test]
fn text_called_parquet() {
    let dir = folder();
    for text in ["", "hi", "id,score\n1,2\n3,4\n", &"words ".repeat(1000)] {
        let path = dir.path().join("a.parquet");
        fs::write(&path, text).unwrap();
        match text {
            "" => check(&[&path], |e| matches!(e, TableError::EmptyFile { .. }), &["a.parquet", "empty"]),
            _ => check(&[&path], |e| matches!(e, TableError::WrongFormat { .. }), &["a.parquet", "not parquet"]),
        }
    }
}

#[test]
fn text_called_arrow() {
    let dir = folder();
    let path = dir.path().join("a.arrow");
    fs::write(&path, "id,score\n1,2\n").unwrap();
    check(&[&path], |e| matches!(e, TableError::WrongFormat { .. }), &["not arrow ipc"]);
}

#[test]
fn parquet_cut_off_anywhere() {
    let dir = folder();
    let path = dir.path().join("a.parquet");
    parquet_in_groups(&path, counted(0, 20_000), 3000);
    let whole = fs::read(&path).unwrap();
    for kept in [5, 8, 11, 12, 100, whole.len() / 2, whole.len() - 100, whole.len() - 4, whole.len() - 1] {
        replace(&path, &whole[..kept]);
        check(&[&path], |e| matches!(e, TableError::CutOff { .. }), &["a.parquet", "cut off"]);
    }
}

/// The footer is intact and a part before it is missing.
#[test]
fn parquet_with_a_hole() {
    let dir = folder();
    let path = dir.path().join("a.parquet");
    parquet_in_groups(&path, counted(0, 20_000), 3000);
    let mut bytes = fs::read(&path).unwrap();
    bytes.drain(1000..bytes.len() / 2);
    replace(&path, &bytes);
    let known = |e: &TableError| matches!(e, TableError::CutOff { .. } | TableError::Damaged { .. });
    check(&[&path], known, &["a.parquet"]);
}

/// A wrong byte anywhere gives an error or wrong numbers, but neither hangs nor panics.
#[test]
fn parquet_with_wrong_bytes() {
    let dir = folder();
    let path = dir.path().join("a.parquet");
    parquet_in_groups(&path, counted(0, 5_000), 1000);
    let whole = fs::read(&path).unwrap();
    let mut failures = 0;
    for i in 0..120 {
        let mut bytes = whole.clone();
        let at = i * bytes.len() / 120;
        bytes[at..].iter_mut().take(6).for_each(|b| *b = !*b);
        replace(&path, &bytes);
        let outcome = open(&[&path]).and_then(|s| blocks(&s, &[number("x"), label("g")]));
        failures += usize::from(outcome.is_err());
    }
    assert!(failures > 20, "{failures}");
}

#[test]
fn arrow_cut_off_anywhere() {
    let dir = folder();
    let path = dir.path().join("a.arrow");
    ipc(&path, counted(0, 20_000));
    let whole = fs::read(&path).unwrap();
    for kept in [6, 100, whole.len() / 2, whole.len() - 1] {
        replace(&path, &whole[..kept]);
        let known = |e: &TableError| matches!(e, TableError::CutOff { .. } | TableError::Damaged { .. });
        check(&[&path], known, &["a.arrow"]);
    }
}

/// The error names the damaged file among good ones.
#[test]
fn the_damaged_file_is_named() {
    let dir = folder();
    for i in 0..5 {
        parquet(&dir.path().join(format!("part-{i}.parquet")), counted(i * 1000, 1000));
    }
    let bad = dir.path().join("part-3.parquet");
    let mut bytes = fs::read(&bad).unwrap();
    bytes[4..200].fill(0xFF);
    replace(&bad, &bytes);
    check(&[dir.path()], |e| matches!(e, TableError::Damaged { .. }), &["part-3.parquet"]);
}

#[test]
fn no_rows() {
    let dir = folder();
    for name in ["a.parquet", "b.parquet"] {
        parquet(&dir.path().join(name), counted(0, 0));
    }
    check(&[dir.path()], |e| matches!(e, TableError::NoRows { .. }), &["a.parquet", "1 other file", "no rows"]);
    let arrow = dir.path().join("c.arrow");
    ipc(&arrow, counted(0, 0));
    check(&[&arrow], |e| matches!(e, TableError::NoRows { .. }), &["no rows"]);
    let text = dir.path().join("d.csv");
    fs::write(&text, "x,g\n").unwrap();
    check(&[&text], |e| matches!(e, TableError::NoRows { .. }), &["d.csv", "no rows"]);
    fs::write(&text, "").unwrap();
    check(&[&text], |e| matches!(e, TableError::EmptyFile { .. }), &["d.csv", "0 bytes"]);
}

#[test]
fn mixed_formats() {
    let dir = folder();
    parquet(&dir.path().join("a.parquet"), counted(0, 3));
    csv(&dir.path().join("b.csv"), counted(3, 3));
    check(&[dir.path()], |e| matches!(e, TableError::MixedFormats { .. }), &["a.parquet", "b.csv", "formats"]);
}

#[test]
fn unknown_extension() {
    let dir = folder();
    let path = dir.path().join("a.xlsx");
    fs::write(&path, "PK").unwrap();
    check(&[&path], |e| matches!(e, TableError::Unsupported { .. }), &["a.xlsx", ".xlsx", "convert"]);
    check(&[&dir.path().join("*.xlsx")], |e| matches!(e, TableError::Unsupported { .. }), &[".xlsx"]);
}

#[test]
fn files_with_different_columns() {
    let dir = folder();
    let (a, b) = (dir.path().join("a.parquet"), dir.path().join("b.parquet"));
    parquet(&a, counted(0, 3));
    let check = |column: &str, words: &[&str]| {
        let source = open(&[dir.path()]).unwrap();
        let field = source.fields().iter().find(|field| field.name == column).unwrap();
        let error = source.scan(&[label(column)]).map(|_| ()).unwrap_err();
        assert!(matches!(error, TableError::SchemaDiffers { .. }), "{error:?}");
        // A formula that uses the column gives the same message.
        assert_eq!(field.kind, Kind::Unequal(error.to_string()));
        words.iter().for_each(|word| assert!(error.to_string().contains(word), "{error}"));
    };
    parquet(&b, frame([Series::new("x".into(), [1i64])]));
    check("g", &["`g`", "missing in the second", "a.parquet", "b.parquet"]);
    parquet(&b, counted(0, 3).hstack(&[Series::new("z".into(), [1, 2, 3]).into()]).unwrap());
    check("z", &["`z`", "missing in the first"]);
    parquet(&b, frame([Series::new("x".into(), ["1"]), Series::new("g".into(), ["a"])]));
    check("x", &["`x`", "i64", "str"]);
}

#[test]
fn unknown_column() {
    let dir = folder();
    let path = dir.path().join("a.parquet");
    parquet(&path, frame([Series::new("pretest".into(), [1.0]), Series::new("school".into(), ["a"])]));
    let error = open(&[&path]).unwrap().scan(&[number("pretset")]).map(|_| ()).unwrap_err();
    let message = error.to_string();
    assert!(message.contains("`pretset`") && message.contains("did you mean `pretest`"), "{message}");
    assert!(message.contains("`school`"), "{message}");
}

#[test]
fn bad_value_in_csv() {
    let dir = folder();
    let path = dir.path().join("a.csv");
    // Only the first rows of a large file decide the kinds of its columns.
    let rows: String = (0..6_000_000).map(|i| format!("{i}\n")).collect();
    fs::write(&path, format!("x\n{rows}oops\n")).unwrap();
    let source = open(&[&path]).unwrap();
    let error = blocks(&source, &[number("x")]).unwrap_err();
    assert!(matches!(error, TableError::BadCsv { .. }), "{error:?}");
    assert!(error.to_string().contains("oops"), "{error}");
}

#[test]
fn a_file_that_changes_or_disappears_while_it_is_read() {
    let dir = folder();
    let path = dir.path().join("a.parquet");
    let changes: [fn(&Path); 3] = [
        |path| fs::remove_file(path).unwrap(),
        |path| {
            fs::remove_file(path).unwrap();
            parquet(path, counted(0, 7));
        },
        |path| {
            let later = SystemTime::now() + Duration::from_secs(5);
            fs::File::open(path).unwrap().set_modified(later).unwrap();
        },
    ];
    for change in changes {
        parquet_in_groups(&path, counted(0, 2_000_000), 50_000);
        let source = open(&[&path]).unwrap();
        let mut scan = source.scan(&[number("x")]).unwrap();
        scan.next().unwrap().unwrap();
        change(&path);
        let error = scan.find_map(Result::err).expect("an error");
        assert!(matches!(error, TableError::Changed { .. }), "{error}");
        assert!(scan.next().is_none(), "nothing comes after an error");
        // Also if the file changes between opening and scanning.
        assert!(blocks(&source, &[number("x")]).is_err());
        fs::remove_file(&path).ok();
    }
}

#[cfg(unix)]
#[test]
fn permission_denied() {
    use std::os::unix::fs::PermissionsExt;
    let dir = folder();
    let path = dir.path().join("a.parquet");
    parquet(&path, counted(0, 3));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::File::open(&path).is_ok() {
        return; // the superuser may read everything
    }
    check(&[&path], |e| matches!(e, TableError::Denied { .. }), &["a.parquet", "permission denied"]);
}

#[cfg(unix)]
#[test]
fn a_name_that_is_not_utf8() {
    use std::os::unix::ffi::OsStrExt;
    let dir = folder();
    let path = dir.path().join(std::ffi::OsStr::from_bytes(b"a\xFF.parquet"));
    parquet(&path, counted(0, 3));
    check(&[&path], |e| matches!(e, TableError::BadName { .. }), &["UTF-8"]);
}

#[test]
fn errors_can_go_to_other_threads() {
    fn is_send<T: Send + Sync + 'static>() {}
    is_send::<TableError>();
    is_send::<Source>();
    let boxed: Box<dyn std::error::Error + Send + Sync> =
        Source::open(&[PathBuf::from("/nowhere")]).unwrap_err().into();
    assert!(boxed.to_string().contains("/nowhere"));
}

#[test]
fn a_footer_that_is_too_large_is_an_error_before_it_is_read() {
    let folder = folder();
    let path = folder.path().join("groups.parquet");
    parquet_in_groups(&path, counted(0, 2_000), 1);
    let check = |bytes| tiers_tables::check_footers(std::slice::from_ref(&path), bytes);
    let error = check(100_000).unwrap_err().to_string();
    assert!(error.contains("groups.parquet") && error.contains("row groups of 100,000 rows"), "{error}");
    check(1 << 30).unwrap();
    // Other problems are reported when the files are opened.
    std::fs::write(folder.path().join("no.parquet"), "PAR1").unwrap();
    tiers_tables::check_footers(&[folder.path().to_owned(), folder.path().join("none")], 1).unwrap();
}
