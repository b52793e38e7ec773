//! Colour and bold type, on terminals that show them.
//!
//! `NO_COLOR`, `CLICOLOR`, `CLICOLOR_FORCE` and `TERM` are respected, as far as `--color` leaves it to
//! them. Text that is not printed to a terminal is never changed.

use crate::args::Color;
use anstream::{AutoStream, ColorChoice, stream::RawStream};
use clap::builder::styling::{AnsiColor, Style};

/// Style of headings.
const HEADING: Style = Style::new().bold();

/// Sets when colours are used, for the rest of the run.
pub(crate) fn set(color: Color) {
    match color {
        Color::Auto => ColorChoice::Auto,
        Color::Always => ColorChoice::Always,
        Color::Never => ColorChoice::Never,
    }
    .write_global();
}

/// Whether text to this stream is styled.
pub(crate) fn is_on(stream: &impl RawStream) -> bool {
    AutoStream::choice(stream) != ColorChoice::Never
}

/// Styles the prefix of an error or a note; other lines stay as they are.
pub(crate) fn message(text: &str) -> String {
    let prefixes = [
        ("tiers: error:", AnsiColor::Red),
        ("tiers: internal error:", AnsiColor::Red),
        ("tiers: note:", AnsiColor::Cyan),
    ];
    match prefixes.iter().find(|(prefix, _)| text.starts_with(prefix)) {
        Some((prefix, color)) => {
            let style = color.on_default().bold();
            format!("{style}{prefix}{style:#}{}", &text[prefix.len()..])
        }
        None => text.to_owned(),
    }
}

/// Styles the headings of a report: its first line, and the beginning of each paragraph up to a colon.
pub(crate) fn report(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 256);
    let mut after_blank = true;
    for (i, line) in text.split_inclusive('\n').enumerate() {
        let heading = match line.find(':') {
            _ if i == 0 => line.trim_end().len(),
            Some(colon) if after_blank && !line.starts_with(' ') => colon + 1,
            _ => 0,
        };
        let (heading, rest) = line.split_at(heading);
        match heading.is_empty() {
            true => out += rest,
            false => out += &format!("{HEADING}{heading}{HEADING:#}{rest}"),
        }
        after_blank = line.trim().is_empty();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use anstream::adapter::strip_str;

    #[test]
    fn styles_leave_the_text_unchanged() {
        let text =
            "Linear mixed model fit by REML\nFormula: y ~ x\n\nRandom effects:\n Groups: 3\n\nNumber of rows: 12\n";
        let styled = report(text);
        assert_eq!(strip_str(&styled).to_string(), text);
        assert!(styled.contains("\u{1b}[1mRandom effects:\u{1b}[0m\n"), "{styled:?}");
        assert!(styled.contains("\n Groups: 3\n") && styled.contains("\nFormula: y ~ x\n"), "{styled:?}");
        let error = message("tiers: error: no such file");
        assert!(error.starts_with('\u{1b}') && strip_str(&error).to_string() == "tiers: error: no such file");
        assert_eq!(message("interrupted"), "interrupted");
    }
}
