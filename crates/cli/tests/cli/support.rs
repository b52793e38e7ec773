//! Runs the program, and creates small tables for it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tiers_design::{Column, Labels, MISSING, PackedText, Request, Role};
use tiers_outputs::{OutColumn, OutValues};
use tiers_tables::{Source, write_parquet};

/// Exit code and output of a run.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Returns a command of the program without arguments.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tiers"));
    command.stdin(Stdio::null()).env_remove("POLARS_MAX_THREADS").env_remove("RUST_BACKTRACE");
    command
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> Ran {
    let output = command.output().expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program writes UTF-8");
    let code = output.status.code().expect("the program ends by itself");
    Ran { code, out: text(output.stdout), err: text(output.stderr) }
}

/// Waits for a program that was started with its outputs piped; kills it and fails if it hangs.
pub(crate) fn run_within(mut child: Child) -> Ran {
    let clock = Instant::now();
    while child.try_wait().expect("it can be asked").is_none() {
        if clock.elapsed() > Duration::from_secs(300) {
            child.kill().ok();
            panic!("the program hangs");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let output = child.wait_with_output().expect("it ended");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program writes UTF-8");
    let code = output.status.code().unwrap_or_else(|| panic!("ended by a signal: {:?}", output.status));
    Ran { code, out: text(output.stdout), err: text(output.stderr) }
}

/// Runs `tiers fit` with these arguments.
pub(crate) fn fit(arguments: &[&str]) -> Ran {
    run(program().arg("fit").args(arguments))
}

/// Runs the program, which must succeed without output on standard error; returns what it printed.
pub(crate) fn run_ok(arguments: &[&str]) -> String {
    let ran = run(program().args(arguments));
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{arguments:?}: {ran:?}");
    ran.out
}

/// Like [`run_ok`], for `tiers fit`.
pub(crate) fn fit_ok(arguments: &[&str]) -> String {
    run_ok(&[&["fit"], arguments].concat())
}

/// Runs the program, which must fail with code 1, nothing on standard output, and a message on
/// standard error that holds all these words; returns the message.
pub(crate) fn run_err(arguments: &[&str], words: &[&str]) -> String {
    let ran = run(program().args(arguments));
    assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{arguments:?}: {ran:?}");
    // Notes may come first.
    let error = ran.err.lines().find(|line| !line.starts_with("tiers: note: ")).unwrap_or_default();
    assert!(error.starts_with("tiers: error: "), "{ran:?}");
    assert_error(&ran.err, words);
    ran.err
}

/// Like [`run_err`], for `tiers fit`.
pub(crate) fn fit_err(arguments: &[&str], words: &[&str]) -> String {
    run_err(&[&["fit"], arguments].concat(), words)
}

/// Checks that an error is not an internal one, and holds all these words.
pub(crate) fn assert_error(error: &str, words: &[&str]) {
    assert!(!error.contains("panicked") && !error.contains("internal"), "{error}");
    for word in words {
        assert!(error.contains(word), "`{word}` is not in: {error}");
    }
}

/// A folder that is removed at the end of a test.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Folder {
        Folder(tempfile::tempdir().expect("a temporary folder"))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Returns the path of a file in the folder, as text.
    pub(crate) fn join(&self, name: &str) -> String {
        self.path().join(name).to_str().expect("UTF-8").to_owned()
    }

    /// Writes a text file; returns its path.
    pub(crate) fn text(&self, name: &str, text: &str) -> String {
        let path = self.join(name);
        std::fs::create_dir_all(Path::new(&path).parent().expect("it has one")).expect("a folder");
        std::fs::write(&path, text).expect("a file");
        path
    }

    /// Writes a table as parquet; returns its path.
    pub(crate) fn parquet(&self, name: &str, columns: Vec<OutColumn>) -> String {
        let path = self.join(name);
        std::fs::create_dir_all(Path::new(&path).parent().expect("it has one")).expect("a folder");
        write_parquet(Path::new(&path), columns).expect("a parquet file");
        path
    }

    /// Returns the sorted names of all entries of a subfolder, including hidden ones.
    pub(crate) fn names(&self, below: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path().join(below)).expect("a folder");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
        names.sort();
        names
    }
}

/// Keys of the seconds of a read in `fit.json` and `job.json`.
pub(crate) const READ_TIMES: [&str; 6] = ["scan", "decode", "encode", "sum", "merge", "wait"];

/// Returns the path of a file of `datasets/`.
pub(crate) fn dataset(name: &str) -> String {
    let path: PathBuf = tiers_testkit::datasets_dir().join(name).join(format!("{name}.parquet"));
    path.to_str().expect("UTF-8").to_owned()
}

pub(crate) fn numbers(name: &str, values: impl IntoIterator<Item = f64>) -> OutColumn {
    OutColumn::new(name, OutValues::F64(values.into_iter().collect()))
}

pub(crate) fn integers(name: &str, values: impl IntoIterator<Item = i64>) -> OutColumn {
    OutColumn::new(name, OutValues::I64(values.into_iter().collect()))
}

pub(crate) fn texts<S: AsRef<str>>(name: &str, values: impl IntoIterator<Item = S>) -> OutColumn {
    OutColumn::new(name, OutValues::Text(values.into_iter().collect::<PackedText>()))
}

/// Returns the column with these rows missing.
pub(crate) fn without(mut column: OutColumn, is_missing: impl Fn(usize) -> bool) -> OutColumn {
    column.missing = Some((0..column.values.len()).map(is_missing).collect());
    column
}

/// Number of rows of [`students`].
pub(crate) const ROWS: usize = 96;

/// Returns 96 students, eight in each of two classes of six schools: `y`, `x`, `z`, `school`, `class`
/// (0 and 1 in each school), `student`, `sex`.
pub(crate) fn students() -> Vec<OutColumn> {
    let noise = |i: usize, salt: f64| ((i as f64 + salt) * 12.9898).sin() * 43_758.545_3 % 1.0;
    let school = |i: usize| i / 16;
    let class = |i: usize| i / 8;
    let x = |i: usize| 10.0 * noise(i, 0.5);
    let y = |i: usize| 3.0 + 0.5 * x(i) + 2.0 * noise(school(i), 7.0) + noise(class(i), 3.0) + noise(i, 1.0);
    vec![
        numbers("y", (0..ROWS).map(y)),
        numbers("x", (0..ROWS).map(x)),
        numbers("z", (0..ROWS).map(|i| noise(i, 11.0))),
        integers("school", (0..ROWS).map(|i| school(i) as i64)),
        integers("class", (0..ROWS).map(|i| (class(i) % 2) as i64)),
        integers("student", (0..ROWS).map(|i| i as i64)),
        texts("sex", (0..ROWS).map(|i| if i % 3 == 0 { "F" } else { "M" })),
    ]
}

/// Returns [`students`] with one column replaced or added.
pub(crate) fn students_with(column: OutColumn) -> Vec<OutColumn> {
    let mut columns = students();
    columns.retain(|other| other.name != column.name);
    columns.push(column);
    columns
}

/// Reads a column of numbers; null becomes NaN.
pub(crate) fn numbers_of(path: &str, column: &str) -> Vec<f64> {
    let mut all = Vec::new();
    read(path, column, Role::Number, |column| match column {
        Column::Numbers(values) => all.extend(values),
        Column::Labels(_) => unreachable!("numbers were asked for"),
    });
    all
}

/// Reads a column of ids or texts; null becomes an empty text.
pub(crate) fn labels_of(path: &str, column: &str) -> Vec<String> {
    let mut all = Vec::new();
    read(path, column, Role::Label, |column| match column {
        Column::Labels(Labels { codes, dictionary }) => {
            let label = |&code: &u32| if code == MISSING { String::new() } else { dictionary.label(code as usize) };
            all.extend(codes.iter().map(label));
        }
        Column::Numbers(_) => unreachable!("labels were asked for"),
    });
    all
}

fn read(path: &str, column: &str, role: Role, mut take: impl FnMut(Column)) {
    let source = Source::open(&[PathBuf::from(path)]).expect("a parquet file");
    let request = Request { column: column.to_owned(), role };
    for block in source.scan(&[request]).expect("a column") {
        let mut block = block.and_then(|block| block.decode()).expect("a block");
        take(block.columns.remove(0));
    }
}
