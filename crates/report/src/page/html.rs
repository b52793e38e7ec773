//! Parts of a report as HTML. All text goes through maud, which escapes it.

use crate::layout::Column;
use crate::section::Section;
use maud::{Markup, PreEscaped, html};

/// A section: its heading, its table and what is to be said of it.
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

/// A section that is a figure, with what the figure shows.
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

/// A table; nothing without columns.
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

/// Names and what is to be said of each.
pub(super) fn facts<N: AsRef<str>, V: AsRef<str>>(facts: &[(N, V)]) -> Markup {
    html! {
        dl { @for (name, value) in facts { dt { (name.as_ref()) } dd { (value.as_ref()) } } }
    }
}
