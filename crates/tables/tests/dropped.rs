//! Dropping a scan stops it. This test is alone in its file, and so in its process, to count threads.

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
        // Also a scan that never delivered a block.
        drop(source.scan(&[number("x")]).unwrap());
        assert_no_thread_is_left();
    }
}

/// Checks that no reading thread is left, allowing the system a moment to remove threads that ended.
fn assert_no_thread_is_left() {
    let start = Instant::now();
    while threads_named("tiers-read") > 0 {
        assert!(start.elapsed() < Duration::from_secs(2), "a reading thread is left");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Counts the threads of this process whose names begin with `prefix`; 0 if the system does not list them.
fn threads_named(prefix: &str) -> usize {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return 0 };
    tasks
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok())
        .filter(|name| name.starts_with(prefix))
        .count()
}
