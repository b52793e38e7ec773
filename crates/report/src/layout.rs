//! Text in columns, and paragraphs of bounded width.

use crate::visible;
use std::borrow::Cow;

/// Longest line of running text, in characters.
pub const WIDTH: usize = 80;

/// Alignment of a column's cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Names.
    Left,
    /// Numbers.
    Right,
}

/// One column of a table: its head and its cells.
#[derive(Clone, Debug)]
pub struct Column {
    head: String,
    align: Align,
    cells: Vec<String>,
}

impl Column {
    /// A column of names.
    pub fn names(head: &str, cells: Vec<String>) -> Self {
        Column::new(head, Align::Left, cells)
    }

    /// A column of numbers, already formatted.
    pub fn numbers(head: &str, cells: Vec<String>) -> Self {
        Column::new(head, Align::Right, cells)
    }

    /// Escapes control characters: labels come from the data, and a line break would break the table.
    fn new(head: &str, align: Align, cells: Vec<String>) -> Self {
        let shown = |cell: String| match visible::line(&cell) {
            Cow::Borrowed(_) => cell,
            Cow::Owned(shown) => shown,
        };
        Column { head: visible::line(head).into_owned(), align, cells: cells.into_iter().map(shown).collect() }
    }

    /// Returns the head of the column.
    pub fn head(&self) -> &str {
        &self.head
    }

    /// Returns the cells from top to bottom.
    pub fn cells(&self) -> &[String] {
        &self.cells
    }

    /// Whether this is a column of numbers.
    pub fn is_numbers(&self) -> bool {
        self.align == Align::Right
    }

    fn width(&self) -> usize {
        self.cells.iter().chain([&self.head]).map(|cell| cell.chars().count()).max().unwrap_or(0)
    }
}

/// Lays columns out side by side, one space between them; no spaces at the ends of lines.
pub fn table(indent: usize, columns: &[Column]) -> String {
    let rows = columns.iter().map(|column| column.cells.len()).max().unwrap_or(0);
    let widths: Vec<usize> = columns.iter().map(Column::width).collect();
    let line = |cell: &dyn Fn(&Column) -> String| {
        let padded = columns.iter().zip(&widths).map(|(column, &width)| match column.align {
            Align::Left => format!("{:<width$}", cell(column)),
            Align::Right => format!("{:>width$}", cell(column)),
        });
        let line = padded.collect::<Vec<_>>().join(" ");
        format!("{:indent$}{}\n", "", line.trim_end())
    };
    let mut text = line(&|column| column.head.clone());
    if columns.iter().all(|column| column.head.is_empty()) {
        text.clear();
    }
    for row in 0..rows {
        text += &line(&|column| column.cells.get(row).cloned().unwrap_or_default());
    }
    text
}

/// Wraps a text into lines of at most [`WIDTH`] characters, as far as its words allow. All lines but
/// the first are indented by `hang` spaces. Line breaks and tabs in the text become spaces.
pub fn paragraph(text: &str, hang: usize) -> String {
    let text = &visible::line(&text.replace(['\n', '\r', '\t'], " ")).into_owned();
    let indent = text.len() - text.trim_start().len();
    let mut out = " ".repeat(indent);
    let (mut length, mut first) = (indent, true);
    for word in text.trim_start().split(' ') {
        let size = word.chars().count();
        if !first && length + 1 + size > WIDTH {
            out += &format!("\n{:hang$}", "");
            length = hang;
        } else if !first {
            out.push(' ');
            length += 1;
        }
        first = false;
        out += word;
        length += size;
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let text = table(
            1,
            &[
                Column::names("Name", vec!["(Intercept)".into(), "größe".into()]),
                Column::numbers("Estimate", vec!["-1.5".into(), "22.0".into()]),
            ],
        );
        assert_eq!(text, " Name        Estimate\n (Intercept)     -1.5\n größe           22.0\n");
    }

    #[test]
    fn a_line_break_in_a_label_does_not_break_the_table() {
        let labels = vec!["a\nb".to_owned(), "\u{1b}[2Jc".to_owned()];
        let text = table(0, &[Column::names("gro\tup", labels), Column::numbers("n", vec!["1".into(), "2".into()])]);
        assert_eq!(text, "gro\\u{9}up n\na\\u{a}b    1\n\\u{1b}[2Jc 2\n");
        assert_eq!(paragraph("y ~ x +\n  z", 2), "y ~ x +   z\n");
    }

    #[test]
    fn paragraphs_break_between_words() {
        let text = paragraph(&"word ".repeat(40), 2);
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH));
        assert!(text.lines().nth(1).is_some_and(|line| line.starts_with("  word")));
    }
}
