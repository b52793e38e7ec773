//! The machine that a benchmark runs on, as far as the system describes it.

use serde::Serialize;
use std::fs;

/// The machine that a benchmark ran on.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Machine {
    /// Processor.
    pub processor: Option<String>,
    /// Number of available cores.
    pub cores: usize,
    /// Bytes of memory.
    pub memory_bytes: Option<u64>,
    /// System and architecture.
    pub system: String,
    /// Load average over the minute before the benchmark began.
    pub load: Option<f64>,
}

impl Machine {
    /// Describes this machine.
    pub(super) fn this() -> Machine {
        let value = |file: &str, name: &str| {
            let text = fs::read_to_string(file).ok()?;
            let line =
                text.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix(':').map(str::trim));
            line.map(str::to_owned)
        };
        let kilobytes = value("/proc/meminfo", "MemTotal");
        let kilobytes = kilobytes.and_then(|text| text.strip_suffix("kB")?.trim().parse::<u64>().ok());
        let load = fs::read_to_string("/proc/loadavg").ok();
        Machine {
            processor: value("/proc/cpuinfo", "model name"),
            cores: std::thread::available_parallelism().map_or(1, |n| n.get()),
            memory_bytes: kilobytes.map(|kilobytes| 1024 * kilobytes),
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            load: load.and_then(|text| text.split_whitespace().next()?.parse().ok()),
        }
    }

    /// Formats the description as one line.
    pub(super) fn in_words(&self) -> String {
        let processor = self.processor.as_deref().unwrap_or("unknown processor");
        let memory = self.memory_bytes.map_or(String::new(), |bytes| format!(", {:.0} GB", bytes as f64 / 1e9));
        let load = self.load.map_or(String::new(), |load| format!("; load before: {load}"));
        format!("{processor}, {} cores{memory}, {}{load}", self.cores, self.system)
    }
}
