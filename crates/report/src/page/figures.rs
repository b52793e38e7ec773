//! The figures of a page, as SVG. They are drawn at twice the size at which they are shown, since the
//! library places elements at whole pixels.

use super::ranks::Point;
use crate::error::ReportError;
use crate::figure::{COLOURS, FONT, svg_of};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::ops::Range;
use tiers_reml::FixedEffect;

const WIDTH: u32 = 1640;
/// Heights of a row of the figure of coefficients, and of the axis below the rows.
const ROW: u32 = 52;
const AXIS: u32 = 84;
const CATERPILLAR: u32 = 720;
/// Longest name in a figure, in characters; the tables have names in full.
const NAME: usize = 40;
const LETTERS: i32 = 30;

const INK: RGBColor = RGBColor(40, 40, 40);
const GREY: RGBColor = RGBColor(150, 150, 150);
const LIGHT: RGBColor = RGBColor(228, 228, 228);

/// An estimate and its interval, on the scale of a figure.
#[derive(Clone, Copy, Debug)]
struct Interval {
    lower: f64,
    estimate: f64,
    upper: f64,
}

impl Interval {
    /// Returns blue if the interval does not contain zero.
    fn colour(self) -> RGBColor {
        if self.lower > 0.0 || self.upper < 0.0 { COLOURS[0] } else { GREY }
    }

    fn map(self, by: impl Fn(f64) -> f64) -> Interval {
        Interval { lower: by(self.lower), estimate: by(self.estimate), upper: by(self.upper) }
    }

    fn is_finite(self) -> bool {
        self.lower.is_finite() && self.estimate.is_finite() && self.upper.is_finite()
    }
}

/// An axis that contains zero. Values are drawn in units of a power of ten, since the library finds
/// good ticks only for numbers of moderate size.
struct Scale {
    unit: f64,
    range: Range<f64>,
}

impl Scale {
    /// Returns a scale for these intervals; `None` if they have no extent that can be drawn.
    fn of(intervals: &[Interval]) -> Option<Scale> {
        let low = intervals.iter().map(|i| i.lower).fold(0.0, f64::min);
        let high = intervals.iter().map(|i| i.upper).fold(0.0, f64::max);
        let unit = 10f64.powf((high - low).log10().floor());
        let margin = 0.03 * (high - low);
        let range = (low - margin) / unit..(high + margin) / unit;
        (unit.is_normal() && range.start.is_finite() && range.end.is_finite()).then_some(Scale { unit, range })
    }

    /// Formats a number of the axis, without rounding error.
    fn label(&self, at: f64) -> String {
        let value: f64 = format!("{:.6e}", at * self.unit).parse().unwrap_or(0.0);
        match value.abs() {
            _ if at.abs() < 1e-9 => "0".to_owned(),
            size if (1e-4..1e6).contains(&size) => value.to_string(),
            _ => format!("{value:e}"),
        }
    }
}

/// Draws the coefficients with their intervals, without the intercept; `None` if there is none to draw.
pub(super) fn coefficients(effects: &[FixedEffect]) -> Result<Option<String>, ReportError> {
    let interval = |e: &FixedEffect| Interval { lower: e.lower, estimate: e.estimate, upper: e.upper };
    let shown = effects.iter().filter(|effect| effect.term != "(Intercept)" && interval(effect).is_finite());
    let (names, intervals): (Vec<String>, Vec<Interval>) = shown.map(|e| (short(&e.term), interval(e))).unzip();
    let Some(scale) = Scale::of(&intervals) else { return Ok(None) };
    let letters = names.iter().map(|name| name.chars().count() as u32).max().unwrap_or(0);
    let size = (WIDTH, ROW * names.len() as u32 + AXIS);
    let drawn = svg_of(size, |area| {
        let rows = names.len() as f64;
        let mut chart = ChartBuilder::on(area)
            .margin(10)
            .margin_right(40)
            .x_label_area_size(64)
            .y_label_area_size(40 + 16 * letters)
            .build_cartesian_2d(scale.range.clone(), -0.5..rows - 0.5)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .disable_y_axis()
            .y_labels(0)
            .x_labels(9)
            .light_line_style(TRANSPARENT)
            .bold_line_style(LIGHT.stroke_width(2))
            .axis_style(GREY.stroke_width(2))
            .label_style((FONT, LETTERS).with_color(INK))
            .x_label_formatter(&|at| scale.label(*at))
            .draw()?;
        chart.draw_series([PathElement::new([(0.0, -0.5), (0.0, rows - 0.5)], GREY.stroke_width(2))])?;
        let style = (FONT, LETTERS).into_font().color(&INK).pos(Pos::new(HPos::Right, VPos::Center));
        for (i, (name, interval)) in names.iter().zip(&intervals).enumerate() {
            let (y, at, colour) = (rows - 1.0 - i as f64, interval.map(|v| v / scale.unit), interval.colour());
            let name = Text::new(name.clone(), (-20, 0), style.clone());
            chart.draw_series([EmptyElement::at((scale.range.start, y)) + name])?;
            chart.draw_series([PathElement::new([(at.lower, y), (at.upper, y)], colour.stroke_width(5))])?;
            chart.draw_series([Circle::new((at.estimate, y), 9, colour.filled())])?;
        }
        area.present()
    });
    drawn.map(Some)
}

/// Draws random effects in increasing order with intervals of `z` standard deviations; `None` if they
/// have no extent.
pub(super) fn caterpillar(points: &[Point], z: f64) -> Result<Option<String>, ReportError> {
    let interval =
        |p: &Point| Interval { lower: p.estimate - z * p.sd, estimate: p.estimate, upper: p.estimate + z * p.sd };
    let shown = points.iter().filter(|point| interval(point).is_finite());
    let (ranks, intervals): (Vec<f64>, Vec<Interval>) = shown.map(|p| (p.rank as f64, interval(p))).unzip();
    let (Some(scale), Some(last)) = (Scale::of(&intervals), ranks.last()) else { return Ok(None) };
    // Add half a place at either end.
    let side = 0.5 * (last - ranks[0]) / ranks.len() as f64 + 0.5;
    let x = ranks[0] - side..last + side;
    let width = if ranks.len() > 60 { 3 } else { 6 };
    let drawn = svg_of((WIDTH, CATERPILLAR), |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(10)
            .margin_right(40)
            .x_label_area_size(96)
            .y_label_area_size(130)
            .build_cartesian_2d(x.clone(), scale.range.clone())?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .x_labels(11)
            .y_labels(8)
            .x_desc("rank")
            .light_line_style(TRANSPARENT)
            .bold_line_style(LIGHT.stroke_width(2))
            .axis_style(GREY.stroke_width(2))
            .label_style((FONT, LETTERS).with_color(INK))
            .x_label_formatter(&|at| if at.fract() == 0.0 { at.to_string() } else { String::new() })
            .y_label_formatter(&|at| scale.label(*at))
            .draw()?;
        chart.draw_series([PathElement::new([(x.start, 0.0), (x.end, 0.0)], GREY.stroke_width(2))])?;
        for (&x, interval) in ranks.iter().zip(&intervals) {
            let (at, colour) = (interval.map(|v| v / scale.unit), interval.colour());
            chart.draw_series([PathElement::new([(x, at.lower), (x, at.upper)], colour.stroke_width(width))])?;
            chart.draw_series([Circle::new((x, at.estimate), width + 1, INK.filled())])?;
        }
        area.present()
    });
    drawn.map(Some)
}

/// Shortens a name to fit beside a figure.
fn short(name: &str) -> String {
    match name.chars().count() > NAME {
        true => name.chars().take(NAME - 1).chain(['…']).collect(),
        false => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn effect(term: &str, estimate: f64, half: f64) -> FixedEffect {
        let blank = serde_json::json!({
            "term": term, "estimate": 0.0, "std_error": 0.0, "df": null, "t_value": 1.0, "p_value": 0.5,
            "lower": 0.0, "upper": 0.0,
        });
        let mut effect: FixedEffect = serde_json::from_value(blank).expect("a coefficient");
        (effect.estimate, effect.std_error) = (estimate, half / 2.0);
        (effect.lower, effect.upper) = (estimate - half, estimate + half);
        effect
    }

    #[test]
    fn numbers_of_any_size_are_drawn() {
        for unit in [1e-300, 1e-17, 1e-3, 1.0, 1e9, 1e300] {
            let effects =
                [effect("(Intercept)", 5.0, 1.0), effect("a", 2.0 * unit, unit), effect("b", -unit, 3.0 * unit)];
            let svg = coefficients(&effects).expect("a figure").expect("coefficients");
            assert!(
                svg.contains("\\na\\n".replace("\\n", "\n").as_str()) && !svg.contains("Intercept"),
                "{unit}: {svg}"
            );
            assert_eq!(svg.matches("<circle").count(), 2);
            let numbers = svg.lines().filter(|line| line.parse::<f64>().is_ok()).count();
            assert!((3..15).contains(&numbers), "{unit}: {numbers} numbers");
        }
    }

    #[test]
    fn intervals_that_cannot_be_drawn_are_left_out() {
        let none = [effect("(Intercept)", 5.0, 1.0), effect("a", f64::NAN, 1.0), effect("b", 0.0, 0.0)];
        assert!(coefficients(&none).expect("no error").is_none());
        assert!(coefficients(&[effect("a", 1.0, f64::INFINITY)]).expect("no error").is_none());
        assert!(caterpillar(&[], 2.0).expect("no error").is_none());
        let one = Point { rank: 1, estimate: 0.5, sd: 1.0 };
        assert!(caterpillar(&[one], 2.0).expect("no error").is_some());
    }

    #[test]
    fn numbers_of_an_axis_are_plain() {
        let scale = Scale { unit: 0.1, range: -3.0..3.0 };
        assert_eq!([3.0, -2.0, 1e-17, 1.5].map(|at| scale.label(at)), ["0.3", "-0.2", "0", "0.15"]);
        assert_eq!(Scale { unit: 1e8, range: 0.0..3.0 }.label(2.0), "2e8");
    }
}
