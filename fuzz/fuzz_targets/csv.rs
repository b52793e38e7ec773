//! Reads any bytes as a text file with any options: the result must be columns or a printable error.
//!
//! The input is one line per option (`--sep ;`, `--na .,-99`, …), a line `--`, and the bytes of the file.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::io::Cursor;
use tiers_csv::{ColumnKind, CsvOptions, Rules, TextFile, Values, Wanted, WantedColumn};

fuzz_target!(|input: &[u8]| {
    let (head, file) = match input.windows(4).position(|window| window == b"\n--\n") {
        Some(end) => (&input[..end], &input[end + 4..]),
        None => (&b""[..], input),
    };
    let head = String::from_utf8_lossy(head);
    let Ok(options) = options(&head) else { return };
    let text = serde_json::to_string(&options).expect("options are plain data");
    assert_eq!(serde_json::from_str::<CsvOptions>(&text).expect("what was written"), options);

    let rules = Rules::new(&options);
    let open = || TextFile::read(Cursor::new(file.to_vec()), [None, Some(b','), Some(b'\t')][file.len() % 3], &options);
    let table = match open() {
        Ok(table) => table,
        Err(error) => return drop(error.to_string()),
    };
    let names = table.names().to_vec();
    let (tallies, _) = match table.tally(&rules, u64::MAX) {
        Ok(tallies) => tallies,
        Err(error) => return drop(error.to_string()),
    };
    let mut wanted = Vec::new();
    for (index, (name, tally)) in names.iter().zip(&tallies).enumerate() {
        let form = match ColumnKind::of(tally, options.types.get(name).copied()) {
            ColumnKind::Float => Wanted::Numbers,
            ColumnKind::Integer if tally.needs_text => Wanted::Numbers,
            ColumnKind::Integer => Wanted::Ids,
            ColumnKind::Boolean => Wanted::Booleans,
            ColumnKind::Date => Wanted::Days,
            ColumnKind::DateTime => Wanted::Microseconds,
            ColumnKind::Text | ColumnKind::Mixed(_) => Wanted::Text,
        };
        wanted.push(WantedColumn { index, form, stated: options.types.contains_key(name) });
    }
    let mut table = open().expect("it was opened before");
    let separator = table.separator();
    while let Some(chunk) = table.next_chunk().expect("it was cut before") {
        match chunk.parse(&names, separator, &wanted, &rules) {
            Ok(columns) => {
                for (column, wanted) in columns.iter().zip(&wanted) {
                    let rows = match column {
                        Values::Numbers(values) => values.len(),
                        Values::Integers(values) => values.len(),
                        Values::Booleans(values) => values.len(),
                        Values::Text(values) => values.iter().len(),
                    };
                    assert_eq!(rows, chunk.rows(), "{wanted:?}");
                }
            }
            // Without stated types the values match the inferred kinds, so only the encoding can be wrong.
            Err(error) => assert!(!options.types.is_empty() || error.to_string().contains("--encoding"), "{error}"),
        }
    }
});

fn options(text: &str) -> Result<CsvOptions, String> {
    let mut options = CsvOptions::default();
    for line in text.lines() {
        match line.split_once(' ') {
            Some(("--sep", value)) => options.sep = Some(value.parse()?),
            Some(("--decimal", value)) => options.decimal = Some(value.parse()?),
            Some(("--encoding", value)) => options.encoding = Some(value.parse()?),
            Some(("--na", value)) => options.na.extend(CsvOptions::parse_na(value)),
            Some(("--types", value)) => {
                let (column, kind) = CsvOptions::parse_type(value)?;
                options.types.insert(column, kind);
            }
            _ => return Err(line.to_owned()),
        }
    }
    Ok(options)
}
