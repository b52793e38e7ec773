//! The parts of a report as data, so that its text and its page cannot say different things.

use crate::layout::{Column, paragraph, table};
use crate::visible;

/// A title, a table, and what is to be said of it. It becomes text here, and HTML in [`crate::page`].
#[derive(Clone, Debug, Default)]
pub struct Section {
    /// What stands above, with a colon where the text has one.
    pub title: String,
    /// How the line of the title goes on.
    pub lead: String,
    /// Spaces before the lines of the table.
    pub indent: usize,
    /// The table; none without columns.
    pub columns: Vec<Column>,
    /// What is to be said below it.
    pub notes: Vec<Note>,
}

/// A paragraph of running text.
#[derive(Clone, Debug)]
pub struct Note {
    /// What it says.
    pub text: String,
    /// Spaces before all lines but the first.
    pub hang: usize,
}

impl Note {
    /// A paragraph.
    pub fn new(text: impl Into<String>, hang: usize) -> Note {
        Note { text: text.into(), hang }
    }

    /// The paragraph in lines.
    pub fn text(&self) -> String {
        paragraph(&self.text, self.hang)
    }
}

impl Section {
    /// The section as text.
    pub fn text(&self) -> String {
        self.head() + &self.body()
    }

    /// What stands below that line: the table and the notes.
    pub fn body(&self) -> String {
        table(self.indent, &self.columns) + &self.notes.iter().map(Note::text).collect::<String>()
    }

    /// The line above the table.
    pub fn head(&self) -> String {
        let Section { title, lead, .. } = self;
        let line = if lead.is_empty() { title.clone() } else { format!("{title} {lead}") };
        visible::line(&line).into_owned() + "\n"
    }
}
