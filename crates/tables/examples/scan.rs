//! Measures how fast rows are read from a file and decoded to plain columns.
//!
//! ```text
//! cargo run --release -p tiers-tables --example scan -- FILE [--threads 2] [--no-decode] label:school label:class number:score
//! ```
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tiers_design::{Column, Request, Role};
use tiers_tables::{RawBlock, Source, TableError};

fn main() -> Result<(), Box<dyn Error>> {
    let (mut threads, mut decode) = (2, true);
    let (mut paths, mut requests) = (Vec::new(), Vec::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let (role, rest) = argument.split_once(':').unwrap_or(("", &argument));
        match (role, rest) {
            ("label", name) => requests.push(request(name, Role::Label)),
            ("number", name) => requests.push(request(name, Role::Number)),
            (_, "--threads") => threads = arguments.next().unwrap_or_default().parse()?,
            (_, "--no-decode") => decode = false,
            _ => paths.push(PathBuf::from(argument)),
        }
    }

    let start = Instant::now();
    let source = Source::open(&paths)?;
    let opened = start.elapsed();
    let scan = Mutex::new(source.scan(&requests)?);
    let next = || scan.lock().unwrap().next();
    let (rows, labels) = (AtomicU64::new(0), AtomicU64::new(0));
    let busy = Mutex::new(0.0);
    let work = |raw: RawBlock| -> Result<(), TableError> {
        rows.fetch_add(raw.rows() as u64, Ordering::Relaxed);
        if decode {
            for column in raw.decode()?.columns {
                if let Column::Labels(found) = column {
                    labels.fetch_add(found.dictionary.len() as u64, Ordering::Relaxed);
                }
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| -> Result<(), TableError> {
                    let mut spent = 0.0;
                    while let Some(raw) = next() {
                        let begun = Instant::now();
                        work(raw?)?;
                        spent += begun.elapsed().as_secs_f64();
                    }
                    *busy.lock().unwrap() += spent;
                    Ok(())
                })
            })
            .collect();
        workers.into_iter().try_for_each(|w| w.join().unwrap())
    })?;

    let seconds = start.elapsed().as_secs_f64();
    let rows = rows.into_inner();
    println!(
        "{rows} rows in {seconds:.3} s ({:.1} M rows/s); open {:.1} ms; decoding {:.3} s of thread time; \
         {} labels over all blocks; peak memory {} MB",
        rows as f64 / seconds / 1e6,
        opened.as_secs_f64() * 1e3,
        busy.into_inner()?,
        labels.into_inner(),
        peak_memory(),
    );
    Ok(())
}

fn request(column: &str, role: Role) -> Request {
    Request { column: column.to_owned(), role }
}

/// Peak resident memory of this process in MB, or `?` if the system does not report it.
fn peak_memory() -> String {
    std::fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|status| {
            let line = status.lines().find(|l| l.starts_with("VmHWM"))?;
            let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
            Some((kilobytes / 1024).to_string())
        })
        .unwrap_or_else(|| "?".to_owned())
}
