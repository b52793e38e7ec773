//! Time and memory that a run took.

use indicatif::HumanCount;
use tiers_report::{Report, Timing};

/// Formats the time of a run by phase, on one line.
pub(crate) fn timing_line(report: &Report) -> String {
    let Some(Timing { read, fit, total, .. }) = report.timing_seconds else { return String::new() };
    let rate = HumanCount((report.rows() as f64 / read.max(1e-9)) as u64);
    format!("read {read:.2} s ({rate} rows/s), fit {fit:.2} s, total {total:.2} s")
}

/// Returns the peak memory of this process so far, in bytes.
pub(crate) fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(1024 * kilobytes)
}
