//! A scan that is dropped stops. Alone in its file, that is in its process, to count threads.

mod common;

use std::time::{Duration, Instant};

use common::*;
use tiers_design::BLOCK_ROWS;

#[test]
fn a_scan_dropped_half_way_stops() {
    let dir = folder();
    for name in ["a.parquet", "a.arrow"] {
        let path = dir.path().join(name);
        if name.ends_with("parquet") {
            parquet_in_groups(&path, counted(0, 3_000_000), 50_000);
        } else {
            ipc(&path, counted(0, 3_000_000));
        }
        let source = open(&[&path]).unwrap();
        let mut scan = source.scan(&[number("x"), label("g")]).unwrap();
        assert_eq!(scan.next().unwrap().unwrap().rows(), BLOCK_ROWS);
        let start = Instant::now();
        drop(scan);
        assert!(start.elapsed() < Duration::from_secs(20));
        assert_no_thread_is_left();
        // And one that is never asked for anything.
        drop(source.scan(&[number("x")]).unwrap());
        assert_no_thread_is_left();
    }
}

/// No reading thread is left, but for the moment that the system takes to forget one that ended.
fn assert_no_thread_is_left() {
    let start = Instant::now();
    while threads_named("tiers-read") > 0 {
        assert!(start.elapsed() < Duration::from_secs(2), "a reading thread is left");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Threads of this process with such a name, where the system tells.
fn threads_named(prefix: &str) -> usize {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return 0 };
    tasks
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok())
        .filter(|name| name.starts_with(prefix))
        .count()
}
