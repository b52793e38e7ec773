//! Makes text from data safe to print: control characters are escaped.
//!
//! Labels, column names and file names may hold any character. An unescaped escape character would let
//! them move a terminal's cursor or set its title, and a line break would let them forge a line of a
//! table. Tables in parquet keep the text unchanged.

use serde::Serialize;
use std::borrow::Cow;
use std::fmt::Write;

/// Whether a character acts on a terminal rather than being shown: control characters, line and
/// paragraph separators, and characters that change the direction of the text around them.
fn acts(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Escapes a single line, such as the cell of a table: every such character becomes `\u{1b}` or alike.
pub fn line(text: &str) -> Cow<'_, str> {
    escaped(text, |_| false, |out, c| out.extend(c.escape_unicode()))
}

/// Escapes whole lines: like [`line()`], but keeps line feeds and tabs.
pub fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| matches!(c, '\n' | '\t'), |out, c| out.extend(c.escape_unicode()))
}

/// Escapes JSON without changing its meaning: such characters can occur only in its strings, where
/// `\u009b` means the character. (Every JSON writer escapes the characters below a space.)
pub fn json(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c < ' ', |out, c| _ = write!(out, "\\u{:04x}", u32::from(c)))
}

/// Formats plain data as indented JSON that ends in a line feed; control characters in its texts are
/// escaped.
pub fn json_of(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).expect("plain data without keys that are not strings");
    text.push('\n');
    match json(&text) {
        Cow::Borrowed(_) => text,
        Cow::Owned(shown) => shown,
    }
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
    fn only_control_characters_are_escaped() {
        assert_eq!(line("a\u{7}b\nc\td\u{9b}\u{7f}"), "a\\u{7}b\\u{a}c\\u{9}d\\u{9b}\\u{7f}");
        assert_eq!(lines("a\u{1b}[2J\n\tb\r"), "a\\u{1b}[2J\n\tb\\u{d}");
        assert_eq!(line("\u{202e}txt"), "\\u{202e}txt");
        assert!(matches!(line("größe, 東京, עברית"), Cow::Borrowed(_)));
    }

    #[test]
    fn escaped_json_has_the_same_value() {
        let value = serde_json::json!({ "label": "\u{9b}31m\u{7f}\u{1b}x\n" });
        let text = serde_json::to_string_pretty(&value).unwrap();
        let safe = json(&text);
        assert!(!safe.contains(['\u{9b}', '\u{7f}', '\u{1b}']));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).unwrap(), value);
    }
}
