//! What a scan delivers: each request checked against the source, and the query that serves all.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use polars::prelude::{DataType, IdxSize, LazyFrame, PolarsResult, Schema, by_name};
use tiers_design::{Field, Kind, Request, Role};

use crate::error::TableError;
use crate::hive::Partition;
use crate::nearest::nearest;
use crate::paths::Format;
use crate::query::{self, PATH_COLUMN};
use crate::ranges::RowRange;
use crate::source::Inner;

/// What a scan delivers.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) columns: Vec<Planned>,
}

/// One requested column.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) origin: Origin,
}

/// Where a column's values are.
#[derive(Debug)]
pub(crate) enum Origin {
    /// In the files.
    File,
    /// In the names of the folders of the files.
    Folder {
        partition: Partition,
        /// Number of the file by its path.
        file_of: Arc<HashMap<String, usize>>,
    },
}

impl Plan {
    pub(crate) fn new(source: &Inner, requests: &[Request]) -> Result<Plan, TableError> {
        let file_of: HashMap<String, usize> = source
            .paths()
            .iter()
            .enumerate()
            .filter_map(|(i, p)| Some((query::polars_path(p).ok()?.as_str().to_owned(), i)))
            .collect();
        let file_of = Arc::new(file_of);
        let columns = requests
            .iter()
            .map(|request| {
                let field = find(source, &request.column)?;
                check_role(source, field, request.role)?;
                let partition = source.partitions.iter().find(|p| p.name == field.name);
                Ok(Planned {
                    name: field.name.clone(),
                    role: request.role,
                    origin: partition.map_or(Origin::File, |partition| Origin::Folder {
                        partition: partition.clone(),
                        file_of: Arc::clone(&file_of),
                    }),
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Plan { columns })
    }

    /// The query for the needed columns of some of the source's files, or of a range of their rows.
    pub(crate) fn query(&self, source: &Inner, paths: &[&Path], range: Option<&RowRange>) -> PolarsResult<LazyFrame> {
        let in_file = |c: &&Planned| matches!(c.origin, Origin::File);
        let mut names: Vec<&str> = Vec::new();
        for column in self.columns.iter().filter(in_file) {
            if !names.contains(&column.name.as_str()) {
                names.push(&column.name);
            }
        }
        let with_path = self.columns.iter().any(|c| !in_file(&c)) || names.is_empty();
        if with_path {
            names.push(PATH_COLUMN);
        }
        let schema = self.schema(source);
        let mut rows = query::rows(paths, source.format, schema.as_ref(), with_path)?;
        if let Some(range) = range {
            rows = rows.slice(range.offset as i64, range.rows as IdxSize);
        }
        Ok(rows.select([by_name(names, true, false).as_expr()]))
    }

    /// Memory that a row of the columns takes, roughly.
    pub(crate) fn row_bytes(&self, source: &Inner) -> usize {
        let is_text = |c: &Planned| matches!(source.schema.get(&c.name), Some(DataType::String));
        let bytes = |c: &Planned| if is_text(c) { 16 } else { 8 };
        self.columns.iter().map(bytes).sum::<usize>().max(1)
    }

    /// The types to read the files with, where they are not simply those of the first file.
    fn schema(&self, source: &Inner) -> Option<Schema> {
        match source.format {
            Format::Ipc => None,
            Format::Parquet => source.widened.then(|| source.schema.clone()),
            Format::Csv { .. } => {
                let mut schema = source.schema.clone();
                for (name, dtype) in schema.iter_mut() {
                    // `1.5` may come after many whole numbers.
                    if dtype.is_integer() && self.only_as_number(name) {
                        *dtype = DataType::Float64;
                    }
                }
                Some(schema)
            }
        }
    }

    /// Whether a column is needed, and as numbers only.
    fn only_as_number(&self, name: &str) -> bool {
        let mut uses = self.columns.iter().filter(|c| c.name == name).peekable();
        uses.peek().is_some() && uses.all(|c| c.role == Role::Number)
    }
}

fn find<'a>(source: &'a Inner, column: &str) -> Result<&'a Field, TableError> {
    let fields = source.fields();
    fields.iter().find(|f| f.name == column).ok_or_else(|| {
        let names = fields.iter().map(|f| f.name.as_str());
        TableError::UnknownColumn {
            path: source.first_path(),
            column: column.to_owned(),
            nearest: nearest(column, names.clone()).map(str::to_owned),
            columns: names.map(str::to_owned).collect(),
        }
    })
}

fn check_role(source: &Inner, field: &Field, role: Role) -> Result<(), TableError> {
    let (found, remedy) = match (&field.kind, role) {
        (Kind::Other(name), _) => (format!("values of type {name}"), "convert it to numbers or strings"),
        (Kind::Text, Role::Number) => {
            ("text".to_owned(), "use it as a factor, or convert it to numbers if that is what it holds")
        }
        _ => return Ok(()),
    };
    Err(TableError::WrongKind {
        path: source.first_path(),
        column: field.name.clone(),
        found,
        wanted: match role {
            Role::Number => "numbers",
            Role::Label => "labels of groups",
        },
        remedy,
    })
}
