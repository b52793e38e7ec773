//! Plots time and memory against the number of rows on logarithmic axes, as SVG.

use super::stats::Cell;
use plotters::coord::Shift;
use plotters::prelude::*;
use std::ops::Range;
use tiers_report::figure::{COLOURS, FONT, Outcome, svg_of};

const SIZE: (u32, u32) = (1200, 560);

/// A line of a plot: its name and its points (rows, value), by rows.
type Line = (String, Vec<(f64, f64)>);

/// Draws the plot as SVG.
pub(super) fn svg(cells: &[Cell]) -> anyhow::Result<String> {
    Ok(svg_of(SIZE, |area| draw(area, cells))?)
}

fn draw<DB: DrawingBackend>(area: &DrawingArea<DB, Shift>, cells: &[Cell]) -> Outcome<DB> {
    area.fill(&WHITE)?;
    let (left, right) = area.split_horizontally(SIZE.0 / 2);
    panel(&left, "time of a fit", "seconds", &lines(cells, |cell| Some(cell.wall)))?;
    let megabytes = |cell: &Cell| cell.peak_memory_bytes.map(|bytes| bytes as f64 / 1e6);
    panel(&right, "most memory", "MB", &lines(cells, megabytes))?;
    area.present()
}

/// Returns a line for every model and number of threads.
fn lines(cells: &[Cell], value: impl Fn(&Cell) -> Option<f64>) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for cell in cells {
        let Some(value) = value(cell) else { continue };
        let plural = if cell.threads == 1 { "" } else { "s" };
        let name = format!("{}, {} thread{plural}", cell.model, cell.threads);
        let point = (cell.rows as f64, value);
        match lines.iter_mut().find(|(known, _)| *known == name) {
            Some((_, points)) => points.push(point),
            None => lines.push((name, vec![point])),
        }
    }
    lines.iter_mut().for_each(|(_, points)| points.sort_by(|a, b| a.0.total_cmp(&b.0)));
    lines
}

fn panel<DB: DrawingBackend>(area: &DrawingArea<DB, Shift>, title: &str, unit: &str, lines: &[Line]) -> Outcome<DB> {
    let points = || lines.iter().flat_map(|(_, points)| points);
    if points().next().is_none() {
        return area.draw_text(&format!("{title}: not known here"), &(FONT, 16).into_text_style(area), (40, 40));
    }
    let (x, y) = (decades(points().map(|p| p.0)), decades(points().map(|p| p.1)));
    let mut chart = ChartBuilder::on(area)
        .caption(title, (FONT, 20))
        .margin(14)
        .x_label_area_size(46)
        .y_label_area_size(74)
        .build_cartesian_2d(x.clone().log_scale(), y.clone().log_scale())?;
    chart
        .configure_mesh()
        .x_desc("rows")
        .y_desc(unit)
        .axis_desc_style((FONT, 15))
        .label_style((FONT, 13))
        .max_light_lines(9)
        .light_line_style(RGBColor(235, 235, 235))
        .bold_line_style(RGBColor(205, 205, 205))
        .x_label_formatter(&|v| power(*v))
        .y_label_formatter(&|v| power(*v))
        .draw()?;
    // A quantity that grows in proportion to the rows is parallel to this line.
    let (from, to) = (x.start, x.end.min(x.start * y.end / y.start));
    let proportional = [(from, y.start), (to, y.start * to / from)];
    chart
        .draw_series(DashedLineSeries::new(proportional, 6, 5, RGBColor(150, 150, 150).stroke_width(1)))?
        .label("in proportion")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 18, y)], RGBColor(150, 150, 150)));
    for (i, (name, points)) in lines.iter().enumerate() {
        let colour = COLOURS[i % COLOURS.len()];
        chart.draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))?;
        chart
            .draw_series(points.iter().map(|&point| Circle::new(point, 4, colour.filled())))?
            .label(name.as_str())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .label_font((FONT, 13))
        .background_style(WHITE.mix(0.85))
        .border_style(RGBColor(205, 205, 205))
        .draw()
}

/// Returns the smallest range of whole powers of ten that holds all values.
fn decades(values: impl Iterator<Item = f64>) -> Range<f64> {
    let logs: Vec<f64> = values.filter(|v| *v > 0.0).map(f64::log10).collect();
    let low = logs.iter().copied().fold(f64::INFINITY, f64::min).floor();
    let high = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max).ceil();
    10f64.powf(low)..10f64.powf(high.max(low + 1.0))
}

/// Formats a tick as `1e6`, `0.01` or `100`.
fn power(value: f64) -> String {
    match value {
        v if (0.001..10_000.0).contains(&v) => format!("{v}"),
        v => format!("{v:e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn cell(model: &str, rows: u64, wall: f64) -> Cell {
        let (peak_memory_bytes, phases) = (Some(rows * 60), BTreeMap::new());
        let model = model.to_owned();
        Cell { model, rows, threads: 2, wall, spread: 0.1, peak_memory_bytes, phases, groups: 10, evaluations: 4 }
    }

    #[test]
    fn the_picture_names_its_lines_and_axes() {
        let cells = [cell("a", 100_000, 0.05), cell("a", 1_000_000, 0.2), cell("b", 100_000, 0.06)];
        let svg = svg(&cells).unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        assert!(svg.contains("a, 2 threads") && svg.contains("seconds"));
    }

    #[test]
    fn axes_hold_all_values() {
        assert_eq!(decades([0.05, 2.0].into_iter()), 0.01..10.0);
        assert_eq!(decades([100.0].into_iter()), 100.0..1000.0);
    }
}
