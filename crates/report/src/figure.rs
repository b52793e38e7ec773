//! What all figures share: a font to measure text with, colours, and how they become SVG.

use crate::error::ReportError;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};

/// Font family: the sans-serif font of the viewer.
pub const FONT: &str = "sans-serif";

/// Colours that colour-blind people can distinguish (Okabe and Ito).
pub const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
];

/// Whether drawing succeeded.
pub type Outcome<DB> = Result<(), DrawingAreaErrorKind<<DB as DrawingBackend>::ErrorType>>;

/// Registers the font that text is measured and drawn with, since a system may have none.
pub fn prepare() {
    // This can fail only for invalid font data.
    register_font(FONT, FontStyle::Normal, epaint_default_fonts::HACK_REGULAR).ok();
}

/// Draws a figure of this size as SVG.
pub fn svg_of(
    size: (u32, u32),
    draw: impl FnOnce(&DrawingArea<SVGBackend<'_>, Shift>) -> Result<(), DrawingAreaErrorKind<std::io::Error>>,
) -> Result<String, ReportError> {
    prepare();
    let mut text = String::new();
    draw(&SVGBackend::with_string(&mut text, size).into_drawing_area())
        .map_err(|error| ReportError(format!("figure: {error}")))?;
    Ok(text)
}
