//! Sections of a report as HTML. All text goes through maud, which escapes it.

use crate::layout::Column;
use crate::section::Section;
use maud::{Markup, PreEscaped, html};

/// Returns a section: its heading, its table and its notes.
pub(super) fn section(section: &Section) -> Markup {
    let Section { title, lead, columns, notes, .. } = section;
    html! {
        section {
            (heading(title, lead))
            (table(columns))
            @for note in notes { p.note { (note.text.trim()) } }
        }
    }
}

/// Returns a section with a figure and its caption.
pub(super) fn drawn(title: &str, lead: &str, svg: &str, caption: &str) -> Markup {
    html! {
        section {
            (heading(title, lead))
            figure { (PreEscaped(svg)) figcaption { (caption) } }
        }
    }
}

fn heading(title: &str, lead: &str) -> Markup {
    html! {
        h2 {
            (title.trim_end_matches(':'))
            @if !lead.is_empty() { " " small { (lead) } }
        }
    }
}

/// Returns a table; nothing if it has no columns.
pub(super) fn table(columns: &[Column]) -> Markup {
    let rows = columns.iter().map(|column| column.cells().len()).max().unwrap_or(0);
    let class = |column: &Column| column.is_numbers().then_some("number");
    html! {
        @if !columns.is_empty() {
            div.wide { table {
                thead { tr {
                    @for column in columns { th scope="col" class=[class(column)] { (column.head().trim()) } }
                } }
                tbody {
                    @for row in 0..rows { tr {
                        @for column in columns {
                            td class=[class(column)] { @if let Some(cell) = column.cells().get(row) { (cell) } }
                        }
                    } }
                }
            } }
        }
    }
}

/// Returns a list of names and values.
pub(super) fn facts<N: AsRef<str>, V: AsRef<str>>(facts: &[(N, V)]) -> Markup {
    html! {
        dl { @for (name, value) in facts { dt { (name.as_ref()) } dd { (value.as_ref()) } } }
    }
}
