//! Finds the fields of a record and the end of a record. Both use the same rule for quotes: a double
//! quote opens a quoted field only at the start of a field (blanks before it are ignored); a doubled
//! quote within a quoted field stands for one; a quote anywhere else is an ordinary character.

use memchr::{memchr, memchr2};

/// One field of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field<'a> {
    /// The bytes between the quotes, or, without quotes, the bytes without surrounding blanks.
    pub(crate) bytes: &'a [u8],
    /// Whether it contains doubled quotes.
    pub(crate) doubled: bool,
}

impl Field<'_> {
    /// Returns the text with doubled quotes made single.
    pub(crate) fn unescaped(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.bytes.len());
        let mut rest = self.bytes;
        while let Some(quote) = memchr(b'"', rest).filter(|_| self.doubled) {
            out.extend_from_slice(&rest[..=quote]);
            rest = &rest[(quote + 2).min(rest.len())..];
        }
        out.extend_from_slice(rest);
        out
    }
}

/// Whether a byte is a blank, which is stripped from the ends of an unquoted value.
#[inline]
fn is_blank(byte: u8, separator: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r') && byte != separator
}

/// Returns the field that begins at `at`, and what follows it: the next field of the record or the
/// next record.
#[inline]
pub(crate) fn next_field(bytes: &[u8], at: usize, separator: u8) -> (Field<'_>, Next) {
    let mut start = at;
    while start < bytes.len() && is_blank(bytes[start], separator) {
        start += 1;
    }
    let mut end = start;
    if bytes.get(start) == Some(&b'"')
        && let Some((close, doubled)) = closing_quote(bytes, start)
    {
        end = close + 1;
        while end < bytes.len() && is_blank(bytes[end], separator) {
            end += 1;
        }
        if end == bytes.len() || bytes[end] == separator || bytes[end] == b'\n' {
            return (Field { bytes: &bytes[start + 1..close], doubled }, Next::behind(bytes, end));
        }
        // Something other than blanks follows the closing quote, so the quotes are part of the field.
    }
    while end < bytes.len() && bytes[end] != separator && bytes[end] != b'\n' {
        end += 1;
    }
    let mut last = end;
    while last > start && is_blank(bytes[last - 1], separator) {
        last -= 1;
    }
    (Field { bytes: &bytes[start..last], doubled: false }, Next::behind(bytes, end))
}

/// Finds the quote that closes the one at `open`, and whether there are doubled quotes in between.
fn closing_quote(bytes: &[u8], open: usize) -> Option<(usize, bool)> {
    let mut doubled = false;
    let mut at = open + 1;
    loop {
        at += memchr(b'"', &bytes[at..])?;
        if bytes.get(at + 1) != Some(&b'"') {
            return Some((at, doubled));
        }
        doubled = true;
        at += 2;
    }
}

/// What follows a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Another field of the record begins here.
    Field(usize),
    /// The record has ended; the next one begins here.
    Record(usize),
}

impl Next {
    fn behind(bytes: &[u8], end: usize) -> Next {
        match bytes.get(end) {
            None => Next::Record(end),
            Some(b'\n') => Next::Record(end + 1),
            Some(_) => Next::Field(end + 1),
        }
    }
}

/// The fields of one record.
pub(crate) fn fields(record: &[u8], separator: u8) -> Vec<Field<'_>> {
    let mut all = Vec::new();
    let mut at = 0;
    loop {
        let (field, next) = next_field(record, at, separator);
        all.push(field);
        match next {
            Next::Field(next) => at = next,
            Next::Record(_) => return all,
        }
    }
}

/// Where a record ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The next record begins here; the record takes this many lines.
    At(usize, u64),
    /// The bytes end within the record.
    Open,
    /// The bytes end within a quoted field, which the quote at this position opens.
    InQuotes(usize),
}

/// Finds the end of the record that begins at `start`.
pub(crate) fn record_end(bytes: &[u8], start: usize, separator: u8) -> End {
    let mut at = start;
    let mut lines = 1;
    while let Some(found) = memchr2(b'\n', b'"', &bytes[at..]) {
        let found = at + found;
        if bytes[found] == b'\n' {
            return End::At(found + 1, lines);
        }
        at = found + 1;
        if opens(bytes, start, found, separator) {
            let Some((close, _)) = closing_quote(bytes, found) else { return End::InQuotes(found) };
            lines += memchr::memchr_iter(b'\n', &bytes[found..close]).count() as u64;
            at = close + 1;
        }
    }
    End::Open
}

/// Whether the quote at `at` is at the start of a field.
fn opens(bytes: &[u8], start: usize, at: usize, separator: u8) -> bool {
    let before = bytes[start..at].iter().rev().find(|&&byte| !is_blank(byte, separator));
    before.is_none_or(|&byte| byte == separator)
}

/// If the record at `at` is a blank line, returns where the next one begins.
#[inline]
pub(crate) fn blank_line(bytes: &[u8], at: usize, separator: u8) -> Option<usize> {
    let mut end = at;
    while end < bytes.len() && is_blank(bytes[end], separator) {
        end += 1;
    }
    match bytes.get(end) {
        None => Some(end),
        Some(b'\n') => Some(end + 1),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(record: &str, separator: u8) -> Vec<String> {
        let text = |field: &Field<'_>| String::from_utf8(field.unescaped()).unwrap();
        fields(record.as_bytes(), separator).iter().map(text).collect()
    }

    #[test]
    fn blanks_around_fields_are_not_part_of_them() {
        assert_eq!(texts("a, b ,c \r\n", b','), ["a", "b", "c"]);
        assert_eq!(texts(" \"a b \" , \" c\"\n", b','), ["a b ", " c"]);
        assert_eq!(texts("a\t\t b", b'\t'), ["a", "", "b"]);
    }

    #[test]
    fn quotes_quote_only_where_a_field_begins() {
        assert_eq!(texts("\"a,b\",5\" pipe,\"say \"\"x\"\"\"", b','), ["a,b", "5\" pipe", "say \"x\""]);
        assert_eq!(texts("\"a\"b,c", b','), ["\"a\"b", "c"]);
        assert_eq!(texts("", b','), [""]);
        assert_eq!(texts("a,", b','), ["a", ""]);
    }

    /// A record ends where its last field ends, whatever the quotes.
    #[test]
    fn ends_of_records_and_of_fields_agree() {
        for text in [
            "a,b\nc",
            "\"a\nb\",c\nd",
            "5\" x,\"y\n\"\nz",
            " \"a\n\" ,b\nc",
            "\"a\"b\nc",
            "\"a\" \"b\nc\n",
            "a,\"\"\"\n\"\"\",b\nc",
            "\"a\nb\"c,d\ne",
        ] {
            let bytes = text.as_bytes();
            let End::At(end, lines) = record_end(bytes, 0, b',') else { panic!("{text}") };
            let mut at = 0;
            let of_fields = loop {
                match next_field(bytes, at, b',').1 {
                    Next::Field(next) => at = next,
                    Next::Record(end) => break end,
                }
            };
            assert_eq!(end, of_fields, "{text:?}");
            assert_eq!(lines, memchr::memchr_iter(b'\n', &bytes[..end]).count() as u64, "{text:?}");
        }
        assert_eq!(record_end(b"a,\"b\nc", 0, b','), End::InQuotes(2));
        assert_eq!(record_end(b"a,b", 0, b','), End::Open);
    }
}
