//! Tables of results as csv: what the library writes without polars.

use crate::table::Table;
use crate::values::Values;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use tiers_csv::{ColumnKind, ColumnType, CsvOptions, Rules, TextFile, Values as Read, Wanted, WantedColumn};
use tiers_design::{Field, ReadingCost, Request, Scan, Source, SourceError};
use tiers_outputs::{
    Aside, OutColumn, OutField, OutValues, OutputError, TableFormat, TableReader, TableWriter, check_columns,
    check_fields,
};

/// Comma-separated text with a header; missing values are empty fields. Numbers keep all their digits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Csv;

impl TableFormat for Csv {
    fn extension(&self) -> &'static str {
        "csv"
    }

    fn create(&self, path: &Path, fields: &[OutField]) -> Result<Box<dyn TableWriter>, OutputError> {
        check_fields(path, fields)?;
        let aside = Aside::create(path)?;
        let mut file = BufWriter::new(aside.handle()?);
        let header = fields.iter().map(|field| quoted(&field.name)).collect::<Vec<_>>().join(",");
        writeln!(file, "{header}").map_err(|error| OutputError::writing(path, error))?;
        Ok(Box::new(Writing { fields: fields.to_vec(), file, aside }))
    }

    fn open(&self, path: &Path, texts: &[String]) -> Result<Box<dyn TableReader>, SourceError> {
        if path.extension().is_some_and(|extension| extension == "parquet") && path.exists() {
            let path = path.display();
            return Err(format!("{path}: this is parquet, which the crate tiers reads with its feature `files`").into());
        }
        let table = read(path, texts).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Box::new(CsvTable { table, path: path.to_owned() }))
    }
}

/// A file that is being written.
struct Writing {
    fields: Vec<OutField>,
    file: BufWriter<File>,
    aside: Aside,
}

impl TableWriter for Writing {
    fn push(&mut self, columns: Vec<OutColumn>) -> Result<(), OutputError> {
        let path = self.aside.target();
        let rows = check_columns(path, &self.fields, &columns)?;
        if let Some((column, text)) = columns.iter().find_map(unwritable) {
            return Err(OutputError::unusable(
                path,
                format!(
                    "column `{column}` has the value `{text}`, which csv cannot tell from a missing one; rename it, or \
                     write parquet (feature `files` of the crate tiers)"
                ),
            ));
        }
        let mut write = || -> io::Result<()> {
            for row in 0..rows {
                for (i, column) in columns.iter().enumerate() {
                    let separator = if i == 0 { "" } else { "," };
                    self.file.write_all(separator.as_bytes())?;
                    write_value(&mut self.file, column, row)?;
                }
                self.file.write_all(b"\n")?;
            }
            Ok(())
        };
        write().map_err(|error| OutputError::writing(path, error))
    }

    fn finish(mut self: Box<Self>) -> Result<(), OutputError> {
        self.file.flush().map_err(|error| OutputError::writing(self.aside.target(), error))?;
        self.aside.commit()
    }
}

/// Returns the name of the column and the first text in it that would be read as a missing value.
fn unwritable(column: &OutColumn) -> Option<(&str, &str)> {
    let OutValues::Text(texts) = &column.values else { return None };
    let is_missing = |row: usize| column.missing.as_ref().is_some_and(|missing| missing[row]);
    let rules = Rules::new(&CsvOptions::default());
    let lost = texts.iter().enumerate().find(|(row, text)| rules.is_missing(text.as_bytes()) && !is_missing(*row));
    lost.map(|(_, text)| (&column.name[..], text))
}

fn write_value(to: &mut impl Write, column: &OutColumn, row: usize) -> io::Result<()> {
    if column.missing.as_ref().is_some_and(|missing| missing[row]) {
        return Ok(());
    }
    match &column.values {
        OutValues::F64(values) => write!(to, "{}", values[row]),
        OutValues::I64(values) => write!(to, "{}", values[row]),
        OutValues::U32(values) => write!(to, "{}", values[row]),
        OutValues::Bool(values) => write!(to, "{}", values[row]),
        OutValues::Text(texts) => to.write_all(quoted(texts.get(row)).as_bytes()),
    }
}

/// Returns a field of csv, in quotes where a character has a meaning (RFC 4180), or where blanks at an end
/// or `#` at the start would be lost.
fn quoted(text: &str) -> String {
    let plain = !text.contains(['"', ',', '\n', '\r']) && text.trim() == text && !text.starts_with('#');
    match plain && !text.is_empty() {
        true => text.to_owned(),
        false => format!("\"{}\"", text.replace('"', "\"\"")),
    }
}

/// A csv file, read into memory.
struct CsvTable {
    table: Table,
    path: PathBuf,
}

impl Source for CsvTable {
    fn fields(&self) -> &[Field] {
        self.table.fields()
    }

    fn scan(&self, requests: &[Request]) -> Result<Scan, SourceError> {
        self.table.scan(requests)
    }

    fn cost(&self, requests: &[Request]) -> ReadingCost {
        self.table.cost(requests)
    }
}

impl TableReader for CsvTable {
    fn rows(&self) -> Option<u64> {
        Some(self.table.rows() as u64)
    }

    fn files(&self) -> Vec<PathBuf> {
        vec![self.path.clone()]
    }
}

/// Reads a table: integers and numbers as such, unless `texts` names the column, all else as text.
fn read(path: &Path, texts: &[String]) -> Result<Table, SourceError> {
    let types = texts.iter().map(|name| (name.clone(), ColumnType::Text)).collect();
    let options = CsvOptions { sep: Some(",".parse()?), types, ..CsvOptions::default() };
    let rules = Rules::new(&options);
    let (tallies, _) = TextFile::open(path, &options)?.tally(&rules, u64::MAX)?;
    let mut file = TextFile::open(path, &options)?;
    let names = file.names().to_vec();
    let wanted = |(index, (name, tally))| {
        let stated = options.types.get(name).copied();
        let form = match ColumnKind::of(tally, stated) {
            ColumnKind::Integer => Wanted::Integers,
            ColumnKind::Float => Wanted::Numbers,
            _ => Wanted::Text,
        };
        WantedColumn { index, form, stated: stated.is_some() }
    };
    let wanted: Vec<WantedColumn> = names.iter().zip(&tallies).enumerate().map(wanted).collect();
    let mut columns: Vec<Values> = wanted.iter().map(|column| empty(column.form)).collect();
    while let Some(chunk) = file.next_chunk()? {
        let parsed = chunk.parse(&names, file.separator(), &wanted, &rules)?;
        columns.iter_mut().zip(parsed).for_each(|(column, values)| append(column, values));
    }
    Ok(Table::from_columns(names.into_iter().zip(columns))?)
}

fn empty(form: Wanted) -> Values {
    match form {
        Wanted::Integers => Values::Integers(Vec::new()),
        Wanted::Numbers => Values::Numbers(Vec::new()),
        _ => Values::Texts(Vec::new()),
    }
}

fn append(column: &mut Values, values: Read) {
    match (column, values) {
        (Values::Integers(all), Read::Integers(values)) => all.extend(values),
        (Values::Numbers(all), Read::Numbers(values)) => all.extend(values),
        (Values::Texts(all), Read::Text(values)) => all.extend(values.iter().map(|text| text.map(str::to_owned))),
        _ => unreachable!("columns come in the form in which they were requested"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tiers_design::{Column, PackedText, Role};
    use tiers_outputs::write_table;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("tiers-csv-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        folder
    }

    #[test]
    fn a_table_is_read_back_unchanged() {
        let path = folder("back").join("table.csv");
        let texts = ["7", "say \"a\", or b", " blank ", "a\nb", "#3"];
        let numbers = vec![0.1 + 0.2, -0.0, f64::MIN_POSITIVE, f64::NAN, 1e300];
        let columns = vec![
            OutColumn::new("id", OutValues::I64(vec![i64::MIN, -1, 0, 1, i64::MAX])),
            OutColumn::new("a,b", OutValues::Text(texts.iter().collect::<PackedText>())),
            OutColumn {
                missing: Some(vec![false, false, false, true, false]),
                ..OutColumn::new("x", OutValues::F64(numbers.clone()))
            },
        ];
        write_table(&Csv, &path, columns).expect("written");
        let table = Csv.open(&path, &["a,b".to_owned()]).expect("a table");
        assert_eq!(table.rows(), Some(5));
        let request = |column: &str, role| Request { column: column.to_owned(), role };
        let requests = [request("id", Role::Label), request("a,b", Role::Label), request("x", Role::Number)];
        let block = table.scan(&requests).expect("a scan").next().expect("a block").expect("read");
        let columns = block.decode().expect("columns").columns;
        let labels = |column: &Column| -> Vec<String> {
            let Column::Labels(labels) = column else { panic!("labels") };
            labels.codes.iter().map(|&code| labels.dictionary.label(code as usize)).collect()
        };
        assert_eq!(labels(&columns[0]), [i64::MIN, -1, 0, 1, i64::MAX].map(|id| id.to_string()));
        assert_eq!(labels(&columns[1]), texts);
        let Column::Numbers(values) = &columns[2] else { panic!("numbers") };
        for (read, written) in values.iter().zip(&numbers) {
            assert!(read.to_bits() == written.to_bits() || (read.is_nan() && written.is_nan()), "{read} {written}");
        }
    }

    #[test]
    fn texts_that_stand_for_missing_values_are_errors() {
        let path = folder("missing").join("table.csv");
        for text in ["NA", "NaN", ""] {
            let columns = vec![OutColumn::new("school", OutValues::Text([text].iter().collect::<PackedText>()))];
            let error = write_table(&Csv, &path, columns).expect_err("a text that would be lost").to_string();
            assert!(error.contains("`school`") && error.contains("missing"), "{error}");
            assert!(!path.exists());
        }
    }
}
