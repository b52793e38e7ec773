//! Text in columns, and paragraphs of bounded width.

/// Most characters of a line of running text.
pub(crate) const WIDTH: usize = 80;

/// How a column's cells stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    /// Names.
    Left,
    /// Numbers.
    Right,
}

/// One column of a table: its head and its cells.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    head: String,
    align: Align,
    cells: Vec<String>,
}

impl Column {
    /// A column of names.
    pub(crate) fn names(head: &str, cells: Vec<String>) -> Self {
        Column { head: head.to_owned(), align: Align::Left, cells }
    }

    /// A column of numbers, already formatted.
    pub(crate) fn numbers(head: &str, cells: Vec<String>) -> Self {
        Column { head: head.to_owned(), align: Align::Right, cells }
    }

    /// What stands above.
    pub(crate) fn head(&self) -> &str {
        &self.head
    }

    /// The cells from above.
    pub(crate) fn cells(&self) -> &[String] {
        &self.cells
    }

    /// Whether it is one of numbers.
    pub(crate) fn is_numbers(&self) -> bool {
        self.align == Align::Right
    }

    fn width(&self) -> usize {
        self.cells.iter().chain([&self.head]).map(|cell| cell.chars().count()).max().unwrap_or(0)
    }
}

/// Lays columns out side by side, one space between them; no spaces at the ends of lines.
pub(crate) fn table(indent: usize, columns: &[Column]) -> String {
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

/// Breaks a text into lines of at most [`WIDTH`] characters, where its words allow; `hang` spaces
/// stand before all lines but the first.
pub(crate) fn paragraph(text: &str, hang: usize) -> String {
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
    fn paragraphs_break_between_words() {
        let text = paragraph(&"word ".repeat(40), 2);
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH));
        assert!(text.lines().nth(1).is_some_and(|line| line.starts_with("  word")));
    }
}
