//! Plans a scan: checks each request against the source, and builds the query for all of them.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use polars::prelude::{DataType, IdxSize, LazyFrame, PlSmallStr, PolarsResult, Schema, by_name};
use tiers_design::{Field, Kind, Request, Role};

use crate::error::TableError;
use crate::hive::Partition;
use crate::nearest::nearest;
use crate::paths::Format;
use crate::query::{self, PATH_COLUMN};
use crate::ranges::RowRange;
use crate::source::Inner;
use crate::text::TextTable;
use crate::text_reader::TextRequest;

/// The columns that a scan delivers.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) columns: Vec<Planned>,
    /// The columns to parse from text files.
    pub(crate) text: Vec<TextRequest>,
    /// Whether each row needs the path of its file: a column is in the path, or no other is requested.
    pub(crate) with_path: bool,
}

/// One requested column.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) name: String,
    /// Its name in the data frames that are read; for text files it depends on the role.
    pub(crate) frame_name: String,
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
        /// Number of each file by its path.
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
                    frame_name: frame_name(source, &field.name, request.role),
                    name: field.name.clone(),
                    role: request.role,
                    origin: partition.map_or(Origin::File, |partition| Origin::Folder {
                        partition: partition.clone(),
                        file_of: Arc::clone(&file_of),
                    }),
                })
            })
            .collect::<Result<Vec<Planned>, _>>()?;
        let in_file = |c: &Planned| matches!(c.origin, Origin::File);
        let with_path = columns.is_empty() || !columns.iter().all(in_file);
        let text = match &source.text {
            None => Vec::new(),
            Some(table) => text_requests(source, table, columns.iter().filter(|c| in_file(c)))?,
        };
        Ok(Plan { columns, text, with_path })
    }

    /// Builds the query for the requested columns of some of the source's files, or of a range of their rows.
    pub(crate) fn query(&self, source: &Inner, paths: &[&Path], range: Option<&RowRange>) -> PolarsResult<LazyFrame> {
        let in_file = |c: &&Planned| matches!(c.origin, Origin::File);
        let mut names: Vec<&str> = Vec::new();
        for column in self.columns.iter().filter(in_file) {
            if !names.contains(&column.name.as_str()) {
                names.push(&column.name);
            }
        }
        let with_path = self.with_path;
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

    /// Estimates the bytes of memory per row of the columns.
    pub(crate) fn row_bytes(&self, source: &Inner) -> usize {
        let is_text = |c: &Planned| matches!(source.common.schema.get(&c.name), Some(DataType::String));
        let bytes = |c: &Planned| if is_text(c) { 16 } else { 8 };
        self.columns.iter().map(bytes).sum::<usize>().max(1)
    }

    /// Returns the types with which to read the files, if they are not those of the first file.
    fn schema(&self, source: &Inner) -> Option<Schema> {
        match source.format {
            Format::Ipc => None,
            // Columns in which files differ are not requested: such a scan has been refused.
            Format::Parquet => source.widened.then(|| {
                let alike = |name: &PlSmallStr| !source.common.differences.contains_key(name.as_str());
                let columns = source.common.schema.iter().filter(|(name, _)| alike(name));
                columns.map(|(name, dtype)| (name.clone(), dtype.clone())).collect()
            }),
            Format::Csv => None,
        }
    }
}

/// Returns the name of a column in the data frames that are read.
fn frame_name(source: &Inner, name: &str, role: Role) -> String {
    match (&source.text, role) {
        (Some(_), Role::Label | Role::Level) => format!("{name}\u{1}label"),
        _ => name.to_owned(),
    }
}

/// Returns the columns to parse from text files, each once per role.
fn text_requests<'a>(
    source: &Inner,
    table: &TextTable,
    planned: impl Iterator<Item = &'a Planned>,
) -> Result<Vec<TextRequest>, TableError> {
    let mut requests: Vec<TextRequest> = Vec::new();
    for column in planned {
        let place = table.columns.iter().position(|own| own.name == column.name).expect("a field of the table");
        let own = &table.columns[place];
        if let Some(file) = own.absent {
            let first = source.files.iter().enumerate().find(|&(i, _)| table.headers[i].names.contains(&own.name));
            return Err(TableError::SchemaDiffers {
                first: first.map_or_else(|| source.first_path(), |(_, file)| file.path.clone()),
                second: source.files[file].path.clone(),
                column: own.name.clone(),
                why: "is missing in the second file".to_owned(),
            });
        }
        if requests.iter().all(|request| request.frame_name != column.frame_name) {
            let (wanted, stated) = own.wanted(column.role);
            requests.push(TextRequest { column: place, frame_name: column.frame_name.clone(), wanted, stated });
        }
    }
    Ok(requests)
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
    if let Some(difference) = source.common.differences.get(&field.name) {
        return Err(difference.of_column(&field.name));
    }
    let (found, remedy) = match (&field.kind, role) {
        (Kind::Other(name), _) => (format!("values of type {name}"), "convert it to numbers or strings"),
        (Kind::Text | Kind::Mixed(_), Role::Number) => {
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
            Role::Level => "levels of a factor",
        },
        remedy,
    })
}
