//! Text from data, made safe to show: control characters become visible.
//!
//! Labels, column names and file names may hold anything. Raw, an escape character would let them
//! move a terminal's cursor or set its title, and a line break would let them forge a line of a
//! table. Tables in parquet keep the text as it is.

use std::borrow::Cow;
use std::fmt::Write;

/// Whether a character acts on a terminal rather than being shown: controls, breaks of lines and
/// paragraphs, and those that turn the direction of the text around them.
fn acts(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A single line, such as the cell of a table: every such character is shown as `\u{1b}`.
pub fn line(text: &str) -> Cow<'_, str> {
    escaped(text, |_| false, |out, c| out.extend(c.escape_unicode()))
}

/// Whole lines: the same, but for line feeds and tabs.
pub fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| matches!(c, '\n' | '\t'), |out, c| out.extend(c.escape_unicode()))
}

/// JSON that says the same: such characters can stand in its strings only, where `\u009b` means the
/// character. (Those below a space are escaped by every writer of JSON.)
pub fn json(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c < ' ', |out, c| _ = write!(out, "\\u{:04x}", u32::from(c)))
}

fn escaped(text: &str, allowed: impl Fn(char) -> bool, escape: impl Fn(&mut String, char)) -> Cow<'_, str> {
    let to_escape = |c: char| acts(c) && !allowed(c);
    if !text.contains(to_escape) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if to_escape(c) { escape(&mut out, c) } else { out.push(c) }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown_and_all_else_is_kept() {
        assert_eq!(line("a\u{7}b\nc\td\u{9b}\u{7f}"), "a\\u{7}b\\u{a}c\\u{9}d\\u{9b}\\u{7f}");
        assert_eq!(lines("a\u{1b}[2J\n\tb\r"), "a\\u{1b}[2J\n\tb\\u{d}");
        assert_eq!(line("\u{202e}txt"), "\\u{202e}txt");
        assert!(matches!(line("größe, 東京, עברית"), Cow::Borrowed(_)));
    }

    #[test]
    fn escaped_json_says_the_same() {
        let value = serde_json::json!({ "label": "\u{9b}31m\u{7f}\u{1b}x\n" });
        let text = serde_json::to_string_pretty(&value).unwrap();
        let safe = json(&text);
        assert!(!safe.contains(['\u{9b}', '\u{7f}', '\u{1b}']));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).unwrap(), value);
    }
}
