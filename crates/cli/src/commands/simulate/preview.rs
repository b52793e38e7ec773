//! Expected numbers of rows, groups and bytes of a simulation, for `--dry-run`.

use super::record::Record;
use std::fmt::Write;
use tiers_simulate::{Limit, Simulation};

/// Returns rows, groups, bytes and the formula as text.
pub(super) fn text(simulation: &Simulation) -> String {
    let expected = simulation.expected();
    let is_exact = matches!(simulation.limit(), Limit::Rows(_));
    let mut lines = vec![("rows".to_owned(), format!("{}{:.0}", if is_exact { "" } else { "about " }, expected.rows))];
    for (level, (name, groups)) in simulation.groupings().into_iter().zip(&expected.groups).enumerate() {
        let about = if level == 0 && !is_exact { "" } else { "about " };
        lines.push((name, format!("{about}{groups:.0} groups")));
    }
    lines.push(("file".to_owned(), format!("about {}", size(expected.rows * expected.row_bytes))));
    if simulation.shuffle() {
        let record = Record::new(&simulation.fields()).width() as f64;
        lines.push(("temporary file".to_owned(), format!("about {}", size(expected.rows * record))));
    }
    lines.push(("columns".to_owned(), simulation.fields().into_iter().map(|f| f.name).collect::<Vec<_>>().join(", ")));
    lines.push(("formula".to_owned(), simulation.formula()));
    let width = lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    lines.iter().fold(String::new(), |mut text, (name, value)| {
        let _ = writeln!(text, "{name:width$}  {value}");
        text
    })
}

/// Formats a number of bytes with a unit.
fn size(bytes: f64) -> String {
    let units = ["bytes", "kB", "MB", "GB", "TB", "PB"];
    let power = ((bytes.max(1.0).log10() / 3.0) as usize).min(units.len() - 1);
    let number = bytes / 1000f64.powi(power as i32);
    let decimals = usize::from(power > 0 && number < 10.0);
    format!("{number:.decimals$} {}", units[power])
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_have_units() {
        assert_eq!([0.0, 999.0, 3100.0, 42e6, 3.14e9].map(size), ["0 bytes", "999 bytes", "3.1 kB", "42 MB", "3.1 GB"]);
    }
}
