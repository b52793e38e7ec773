//! Limit on memory: the value of `--memory-limit`, and the memory that is available.

use anyhow::bail;
use std::fs;
use std::path::{Path, PathBuf};
use tiers_moments::{Further, MemoryLimit, Until};
use tiers_tables::check_footers;

/// Default of `--memory-limit`.
pub(crate) const DEFAULT: &str = "80%";

/// A limit on memory, as given by `--memory-limit`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Limit {
    /// A number of bytes.
    Bytes(u64),
    /// A share of the available memory.
    Share(f64),
}

impl Limit {
    /// Parses `800000000`, `2GB`, `1.5GiB`, `500M`, `80%`.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Limit> {
        let text = text.trim();
        let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let number = number.parse::<f64>().ok().filter(|number| *number > 0.0);
        let unit = unit.trim().to_ascii_lowercase();
        let factor = match unit.as_str() {
            "" | "b" => 1.0,
            "k" | "kb" => 1e3,
            "m" | "mb" => 1e6,
            "g" | "gb" => 1e9,
            "t" | "tb" => 1e12,
            "kib" => 1024.0,
            "mib" => f64::from(1 << 20),
            "gib" => f64::from(1 << 30),
            "tib" => 1024.0 * f64::from(1 << 30),
            "%" => 0.01,
            _ => bail!("--memory-limit {text}: `{unit}` is not a unit; write bytes, or kB, MB, GB, KiB, MiB, GiB or %"),
        };
        match (number, unit.as_str()) {
            (Some(number), "%") if number <= 100.0 => Ok(Limit::Share(number * factor)),
            (Some(number), unit) if unit != "%" && number * factor >= 1.0 => Ok(Limit::Bytes((number * factor) as u64)),
            _ => bail!(
                "--memory-limit {text}: write a size such as 2GB or 500MB, or a share of what is available, as 80%"
            ),
        }
    }

    /// Returns the limit in bytes for this number of rows. `None` if the limit is a share and the
    /// available memory is not known.
    pub(crate) fn of_rows(self, rows: Option<u64>, until: Until) -> Option<MemoryLimit> {
        let bytes = match self {
            Limit::Bytes(bytes) => bytes,
            Limit::Share(share) => (share * available()? as f64) as u64,
        };
        Some(MemoryLimit { bytes, rows, until, inference: Further::default() })
    }
}

/// Returns an error if even the footers of the named files would exceed the limit.
pub(crate) fn check_heads(limit: Limit, paths: &[PathBuf]) -> anyhow::Result<()> {
    let Some(limit) = limit.of_rows(None, Until::Moments) else { return Ok(()) };
    Ok(check_footers(paths, limit.bytes)?)
}

/// Returns the available memory in bytes: what the system has free or can free, or less if a control
/// group allows less.
pub(crate) fn available() -> Option<u64> {
    let of_system = fs::read_to_string("/proc/meminfo").ok().and_then(|text| mem_available(&text));
    let of_group = group_rest();
    match (of_system, of_group) {
        (Some(system), Some(group)) => Some(system.min(group)),
        (one, other) => one.or(other),
    }
}

/// Parses `MemAvailable` of `/proc/meminfo`.
fn mem_available(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(1024 * kilobytes)
}

/// Returns the least memory that any control group of this process, or one above it, still allows.
fn group_rest() -> Option<u64> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let mut least: Option<u64> = None;
    for line in own.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        // Version 2 has one tree and no controller names; version 1 has a tree per controller.
        let (root, limit, usage) = match controllers.split(',').any(|c| c == "memory") {
            true => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
            false if controllers.is_empty() => ("/sys/fs/cgroup", "memory.max", "memory.current"),
            false => continue,
        };
        // In a container the path may be the one outside of it; only the root is visible then.
        let folders = Path::new(path.trim_start_matches('/')).ancestors().map(|path| Path::new(root).join(path));
        for folder in folders {
            let number = |name| fs::read_to_string(folder.join(name)).ok()?.trim().parse::<u64>().ok();
            if let Some(limit) = number(limit) {
                let rest = limit.saturating_sub(number(usage).unwrap_or(0));
                least = Some(least.map_or(rest, |least| least.min(rest)));
            }
        }
    }
    least
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_shares_are_parsed() {
        assert_eq!(Limit::parse("2GB").unwrap(), Limit::Bytes(2_000_000_000));
        assert_eq!(Limit::parse("1.5 GiB").unwrap(), Limit::Bytes(3 << 29));
        assert_eq!(Limit::parse("1000").unwrap(), Limit::Bytes(1000));
        assert_eq!(Limit::parse("80%").unwrap(), Limit::Share(0.8));
        for wrong in ["", "GB", "2 XB", "0", "120%", "-1GB", "1..2"] {
            assert!(Limit::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn available_memory_is_parsed() {
        let text = "MemTotal:       24000000 kB\nMemAvailable:     1000 kB\n";
        assert_eq!(mem_available(text), Some(1_024_000));
        assert_eq!(mem_available("MemTotal: 1 kB"), None);
    }
}
