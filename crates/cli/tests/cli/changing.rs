//! Data that change or disappear between opening and reading.
//!
//! The tests catch that moment by a pipe in the place of a former `fit.json`, which the program reads
//! after it has opened the data and before it reads them: it waits there until the test has changed
//! the data.

use crate::support::{Folder, assert_error, program, students, students_with, texts};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, SystemTime};

/// Fits `data` into `out`; `change` runs after the data were opened.
fn fit_while(folder: &Folder, data: &[&str], change: impl FnOnce()) -> Output {
    fs::create_dir_all(folder.join("out")).expect("a folder");
    // If the folder holds another file, the program reads `fit.json` only once.
    folder.text("out/notes.txt", "mine");
    let pipe = folder.join("out/fit.json");
    let made = Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success();
    assert!(made, "a pipe");
    let mut command = program();
    command.args(["fit", "y ~ x + sex + (1 | school)"]).args(data).args(["--out", &folder.join("out"), "--fitted"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    let mut writer = other_end(&pipe, &mut child);
    change();
    // The program may look again, and must not find a pipe that nobody writes to.
    fs::remove_file(&pipe).expect("removed");
    writer.write_all(br#"{"tiers": "0"}"#).expect("a line");
    drop(writer);
    child.wait_with_output().expect("the program ends")
}

/// Opens the pipe for writing, which waits until the program opens it for reading.
fn other_end(pipe: &str, child: &mut Child) -> File {
    let (send, opened) = channel();
    let path = pipe.to_owned();
    let waiting = thread::spawn(move || send.send(OpenOptions::new().write(true).open(path)));
    loop {
        if let Ok(file) = opened.recv_timeout(Duration::from_millis(20)) {
            waiting.join().expect("no panic").expect("it was received");
            return file.expect("the other end");
        }
        let ended = child.try_wait().expect("its state");
        assert!(ended.is_none(), "the program ended before it looked at the folder: {ended:?}");
    }
}

/// Checks that a fit whose data change is an error with these words, and writes nothing.
fn err_while(folder: &Folder, data: &[&str], words: &[&str], change: impl FnOnce()) {
    let output = fit_while(folder, data, change);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!((output.status.code(), out.as_str()), (Some(1), ""), "{err}");
    assert!(err.starts_with("tiers: error: "), "{err}");
    assert_error(&err, words);
    assert_eq!(folder.names("out"), ["notes.txt"], "{err}");
    assert!(folder.names(".").iter().all(|name| !name.ends_with(".tmp")), "{err}");
    fs::remove_dir_all(folder.join("out")).expect("removed");
}

/// Returns students as csv.
fn csv(rows: usize) -> String {
    let row =
        |i: usize| format!("{}.5,{},{},{}\n", (i * 7) % 11, i % 5, if i.is_multiple_of(3) { "F" } else { "M" }, i / 16);
    "y,x,sex,school\n".to_owned() + &(0..rows).map(row).collect::<String>()
}

#[test]
fn unchanged_data_are_fitted() {
    let folder = Folder::new();
    let data = folder.parquet("a.parquet", students());
    let output = fit_while(&folder, &[&data], || {});
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let names = ["fit.json", "fitted.parquet", "model.json", "notes.txt", "random_effects", "summary.txt"];
    assert_eq!(folder.names("out"), names);
}

#[test]
fn a_file_that_disappears_is_an_error() {
    let folder = Folder::new();
    for data in [folder.parquet("a.parquet", students()), folder.text("a.csv", &csv(90))] {
        let name = data.rsplit('/').next().expect("a name").to_owned();
        err_while(&folder, &[&data], &[&name, "disappeared"], || fs::remove_file(&data).expect("removed"));
    }
}

#[test]
fn one_of_several_files_that_disappears_is_an_error() {
    let folder = Folder::new();
    let one = folder.parquet("a/1.parquet", students());
    let two = folder.parquet("a/2.parquet", students());
    let both = folder.join("a");
    err_while(&folder, &[&both], &["2.parquet", "disappeared"], || fs::remove_file(&two).expect("removed"));
    assert!(fs::exists(&one).expect("it is there"));
}

#[test]
fn a_file_that_is_rewritten_is_an_error() {
    let folder = Folder::new();
    // Parquet with other contents; then csv that is longer, shorter, or of the same size.
    let data = folder.parquet("a.parquet", students());
    err_while(&folder, &[&data], &["a.parquet", "while it was being read"], || {
        let other = texts("sex", (0..96).map(|i| if i % 2 == 0 { "Female" } else { "Male" }));
        folder.parquet("a.parquet", students_with(other));
    });
    let data = folder.text("a.csv", &csv(90));
    let append = |text: &str| {
        let mut file = OpenOptions::new().append(true).open(&data).expect("the file");
        file.write_all(text.as_bytes()).expect("written");
    };
    err_while(&folder, &[&data], &["a.csv", "changed its size"], || append("3.5,1,F,5\n"));
    err_while(&folder, &[&data], &["a.csv", "changed its size"], || {
        folder.text("a.csv", &csv(40));
    });
    let same_size = csv(40).replace('M', "W");
    err_while(&folder, &[&data], &["a.csv", "was written to"], || {
        folder.text("a.csv", &same_size);
        // The clock of the file system may be coarse.
        let later = SystemTime::now() + Duration::from_secs(5);
        File::open(&data).and_then(|file| file.set_modified(later)).expect("a later time");
    });
}

#[test]
fn a_file_that_becomes_a_folder_is_an_error() {
    let folder = Folder::new();
    let data = folder.parquet("a.parquet", students());
    err_while(&folder, &[&data], &["a.parquet"], || {
        fs::remove_file(&data).expect("removed");
        fs::create_dir(&data).expect("a folder");
    });
}
