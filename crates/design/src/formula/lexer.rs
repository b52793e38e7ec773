//! Splits a formula into tokens with their positions.

use super::error::{FormulaError, FormulaProblem};

/// Byte range of a token or node in the formula.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// One token.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token {
    Number(f64),
    Name(String),
    Plus,
    Minus,
    Star,
    Slash,
    Caret,
    Colon,
    In,
    Bar,
    DoubleBar,
    Tilde,
    Open,
    Close,
    Comma,
    End,
}

impl Token {
    /// Returns the text of the token, for messages.
    pub(crate) fn text(&self) -> &'static str {
        match self {
            Token::Number(_) => "a number",
            Token::Name(_) => "a name",
            Token::Plus => "+",
            Token::Minus => "-",
            Token::Star => "*",
            Token::Slash => "/",
            Token::Caret => "^",
            Token::Colon => ":",
            Token::In => "%in%",
            Token::Bar => "|",
            Token::DoubleBar => "||",
            Token::Tilde => "~",
            Token::Open => "(",
            Token::Close => ")",
            Token::Comma => ",",
            Token::End => "the end",
        }
    }
}

/// Returns all tokens of a formula; the last is [`Token::End`].
pub(crate) fn tokens(source: &str) -> Result<Vec<(Token, Span)>, FormulaError> {
    let mut found = Vec::new();
    let mut start = 0;
    while let Some(c) = source[start..].chars().next() {
        if c.is_whitespace() {
            start += c.len_utf8();
            continue;
        }
        let (token, length) = token(source, start, c)?;
        found.push((token, Span { start, end: start + length }));
        start += length;
    }
    found.push((Token::End, Span { start, end: start }));
    Ok(found)
}

/// Returns the token that begins with the character `c` at `start`, and its length in bytes.
fn token(source: &str, start: usize, c: char) -> Result<(Token, usize), FormulaError> {
    let rest = &source[start..];
    if starts_number(rest) {
        return number(source, start);
    }
    if starts_name(c) {
        let length = name_length(rest);
        return Ok((Token::Name(rest[..length].to_owned()), length));
    }
    let single = match c {
        '`' => return backticks(source, start),
        '|' if rest.starts_with("||") => return Ok((Token::DoubleBar, 2)),
        '%' if rest.starts_with("%in%") => return Ok((Token::In, 4)),
        '+' => Token::Plus,
        '-' => Token::Minus,
        '*' => Token::Star,
        '/' => Token::Slash,
        '^' => Token::Caret,
        ':' => Token::Colon,
        '|' => Token::Bar,
        '~' => Token::Tilde,
        '(' => Token::Open,
        ')' => Token::Close,
        ',' => Token::Comma,
        other => {
            let problem = FormulaProblem::Character { found: other.to_string(), instead: instead(other) };
            return Err(problem.at(source, start));
        }
    };
    Ok((single, 1))
}

/// Suggests a replacement for a character that is not allowed in a formula.
fn instead(c: char) -> Option<&'static str> {
    Some(match c {
        '\u{2212}' | '\u{2010}'..='\u{2015}' | '\u{ff0d}' => "type an ordinary minus sign, -",
        '\u{ff0b}' => "type an ordinary plus sign, +",
        '\u{d7}' | '\u{22c5}' | '\u{b7}' | '\u{2217}' | '\u{ff0a}' => "type an ordinary asterisk, *",
        '\u{223c}' | '\u{ff5e}' | '\u{2dc}' => "type an ordinary tilde, ~",
        '\u{2223}' | '\u{ff5c}' | '\u{a6}' | '\u{2502}' | '\u{2758}' | '\u{1c0}' => "type an ordinary bar, |",
        '\u{2225}' | '\u{2016}' => "type two ordinary bars, ||",
        '\u{ff08}' | '\u{ff09}' | '[' | ']' | '{' | '}' => "use round parentheses, ( and )",
        '\u{2236}' | '\u{ff1a}' => "type an ordinary colon, :",
        '\u{f7}' | '\u{2215}' | '\u{2044}' => "type an ordinary slash, /",
        '\u{2018}' | '\u{2019}' | '\u{201c}' | '\u{201d}' | '"' | '\'' | '\u{b4}' => {
            "names stand without quotes, or in backticks: `my column`"
        }
        '=' => "write ~ between the response and the terms; comparisons are not supported",
        '<' | '>' | '&' | '!' | '%' => "comparisons and logic are not supported: compute such a column beforehand",
        '$' | '@' => "write the name of the column alone",
        '_' => "a name that begins with _ goes in backticks",
        _ => return None,
    })
}

fn starts_number(rest: &str) -> bool {
    let mut chars = rest.chars();
    match chars.next() {
        Some('.') => chars.next().is_some_and(|c| c.is_ascii_digit()),
        Some(c) => c.is_ascii_digit(),
        None => false,
    }
}

fn number(source: &str, start: usize) -> Result<(Token, usize), FormulaError> {
    let bytes = &source.as_bytes()[start..];
    let digits = |from: usize| bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    let mut length = digits(0);
    if bytes.get(length) == Some(&b'.') {
        length += 1 + digits(length + 1);
    }
    if matches!(bytes.get(length), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(length + 1), Some(b'+' | b'-')));
        let exponent = bytes.get(length + 1 + sign..).map_or(0, |_| digits(length + 1 + sign));
        if exponent > 0 {
            length += 1 + sign + exponent;
        }
    }
    let text = &source[start..start + length];
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok((Token::Number(value), length)),
        _ => Err(FormulaProblem::NumberTooLarge(text.to_owned()).at(source, start)),
    }
}

fn starts_name(c: char) -> bool {
    c == '.' || c.is_alphabetic()
}

fn name_length(rest: &str) -> usize {
    rest.find(|c: char| !(c.is_alphanumeric() || c == '.' || c == '_')).unwrap_or(rest.len())
}

/// Whether a name can be written in a formula without backticks.
pub(crate) fn is_plain_name(name: &str) -> bool {
    name.chars().next().is_some_and(starts_name)
        && !starts_number(name)
        && name != "."
        && name_length(name) == name.len()
}

/// Parses a name in backticks; within them a backslash escapes the next character.
fn backticks(source: &str, start: usize) -> Result<(Token, usize), FormulaError> {
    let mut name = String::new();
    let mut chars = source[start + 1..].char_indices();
    while let Some((i, c)) = chars.next() {
        match c {
            '`' if name.is_empty() => return Err(FormulaProblem::EmptyName.at(source, start)),
            '`' => return Ok((Token::Name(name), i + 2)),
            '\\' => name.extend(chars.next().map(|(_, escaped)| escaped)),
            other => name.push(other),
        }
    }
    Err(FormulaProblem::UnterminatedBacktick.at(source, start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(source: &str) -> Vec<Token> {
        tokens(source).unwrap().into_iter().map(|(token, _)| token).collect()
    }

    #[test]
    fn names_are_as_in_r() {
        let name = |s: &str| Token::Name(s.to_owned());
        assert_eq!(kinds("a.b_1 .x größe"), [name("a.b_1"), name(".x"), name("größe"), Token::End]);
        assert_eq!(kinds("`my \\` var`"), [name("my ` var"), Token::End]);
    }

    #[test]
    fn numbers_end_where_a_name_begins() {
        assert_eq!(
            kinds("1.5e3 .5 2e"),
            [Token::Number(1500.0), Token::Number(0.5), Token::Number(2.0), Token::Name("e".to_owned()), Token::End]
        );
    }

    #[test]
    fn a_typographic_bar_gets_a_remedy() {
        let error = tokens("y ~ (1 ∣ g)").unwrap_err();
        assert_eq!(error.place.position, 7);
        assert!(error.to_string().contains("type an ordinary bar"), "{error}");
    }
}
