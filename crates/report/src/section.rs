//! The sections of a report as data, so that the text and the HTML page cannot differ.

use crate::layout::{Column, paragraph, table};
use crate::visible;

/// A title, a table, and notes on it. It becomes text here, and HTML in [`crate::page`].
#[derive(Clone, Debug, Default)]
pub struct Section {
    /// Title above the table, with the colon if the text has one.
    pub title: String,
    /// Rest of the title line.
    pub lead: String,
    /// Spaces before the lines of the table.
    pub indent: usize,
    /// Columns of the table; empty if there is no table.
    pub columns: Vec<Column>,
    /// Notes below the table.
    pub notes: Vec<Note>,
}

/// A paragraph of running text.
#[derive(Clone, Debug)]
pub struct Note {
    /// The text, unwrapped.
    pub text: String,
    /// Indent of all lines but the first.
    pub hang: usize,
}

impl Note {
    /// Creates a paragraph.
    pub fn new(text: impl Into<String>, hang: usize) -> Note {
        Note { text: text.into(), hang }
    }

    /// Returns the paragraph, wrapped into lines.
    pub fn text(&self) -> String {
        paragraph(&self.text, self.hang)
    }
}

impl Section {
    /// Returns the section as text.
    pub fn text(&self) -> String {
        self.head() + &self.body()
    }

    /// Returns the table and the notes, without the title.
    pub fn body(&self) -> String {
        table(self.indent, &self.columns) + &self.notes.iter().map(Note::text).collect::<String>()
    }

    /// Returns the title line.
    pub fn head(&self) -> String {
        let Section { title, lead, .. } = self;
        let line = if lead.is_empty() { title.clone() } else { format!("{title} {lead}") };
        visible::line(&line).into_owned() + "\n"
    }
}
