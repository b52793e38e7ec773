//! Writes rows as parquet columns on a separate thread while the next ones are drawn.

use crate::progress::Simulating;
use anyhow::anyhow;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use tiers_design::PackedText;
use tiers_outputs::{OutColumn, OutField, OutKind, OutValues, OutputError};
use tiers_simulate::{Column, Field, FieldKind, IdPattern, IdStyle, Values};
use tiers_tables::TableSink;

/// Largest number of chunks that wait to be written.
const WAITING: usize = 16;

/// Receives the rows to write.
pub(super) struct Sink<'a> {
    fields: &'a [Field],
    sender: SyncSender<Vec<OutColumn>>,
}

/// Runs `produce`, which sends rows to the sink. Returns the file, which gets its name when it is
/// finished.
pub(super) fn write(
    path: &Path,
    fields: &[Field],
    produce: impl FnOnce(&Sink<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<TableSink> {
    let out: Vec<OutField> =
        fields.iter().map(|field| OutField { name: field.name.clone(), kind: kind(field) }).collect();
    let file = TableSink::parquet(path, &out)?;
    thread::scope(|scope| {
        let (sender, receiver) = sync_channel(WAITING);
        let write = move || push_all(file, &receiver);
        let writer = thread::Builder::new().name("tiers-write".to_owned()).spawn_scoped(scope, write);
        let writer = writer.map_err(|error| anyhow!("no thread can be started to write the rows: {error}"))?;
        let sink = Sink { fields, sender };
        let produced = produce(&sink);
        drop(sink);
        // If the writer failed, its error says more than that of the producer, so it is checked first.
        let file = writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        produced?;
        Ok(file)
    })
}

fn push_all(mut file: TableSink, rows: &Receiver<Vec<OutColumn>>) -> Result<TableSink, OutputError> {
    for columns in rows {
        file.push(columns)?;
    }
    Ok(file)
}

impl Sink<'_> {
    /// Converts columns for writing. This takes longer than drawing them, so call it from many threads.
    pub(super) fn prepare(&self, columns: Vec<Column>) -> Vec<OutColumn> {
        let both = self.fields.iter().zip(columns);
        both.map(|(field, column)| OutColumn {
            name: field.name.clone(),
            values: out_values(&field.kind, column.values),
            missing: column.missing,
        })
        .collect()
    }

    /// Sends rows to the writer, which keeps the order of the calls.
    pub(super) fn send(&self, columns: Vec<OutColumn>, watch: &Simulating) -> anyhow::Result<()> {
        let rows = columns.first().map_or(0, |column| column.values.len());
        self.sender.send(columns).map_err(|_| anyhow!("the file cannot be written"))?;
        watch.more_rows(rows as u64);
        Ok(())
    }
}

fn kind(field: &Field) -> OutKind {
    match &field.kind {
        FieldKind::Real => OutKind::F64,
        FieldKind::Binary | FieldKind::Count | FieldKind::Id(IdStyle::Integer) => OutKind::I64,
        FieldKind::Categorical(_) | FieldKind::Id(IdStyle::Text(_)) => OutKind::Text,
    }
}

fn out_values(kind: &FieldKind, values: Values) -> OutValues {
    match (kind, values) {
        (_, Values::Real(values)) => OutValues::F64(values),
        (FieldKind::Id(IdStyle::Text(pattern)), Values::Whole(numbers)) => OutValues::Text(ids(pattern, &numbers)),
        (_, Values::Whole(values)) => OutValues::I64(values.into_iter().map(|value| value as i64).collect()),
        (FieldKind::Categorical(labels), Values::Code(codes)) => {
            let mut text = PackedText::new();
            codes.iter().for_each(|&code| text.push(&labels[code as usize]));
            OutValues::Text(text)
        }
        (_, Values::Code(_)) => unreachable!("only categorical covariates have codes"),
    }
}

fn ids(pattern: &IdPattern, numbers: &[u64]) -> PackedText {
    let mut text = PackedText::new();
    let mut id = String::new();
    let mut of = None;
    for &number in numbers {
        if of != Some(number) {
            id.clear();
            pattern.write(number, &mut id);
            of = Some(number);
        }
        text.push(&id);
    }
    text
}
