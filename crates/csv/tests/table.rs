//! Tests on whole texts: header, separator, kinds and values.

use std::io::Cursor;

use tiers_csv::{
    ColumnKind, CsvError, CsvOptions, Mixed, Rules, Tally, TextFile, Values, Wanted, WantedColumn, default_separator,
};

fn open(text: &str, options: &CsvOptions) -> Result<TextFile, CsvError> {
    TextFile::read(Cursor::new(text.as_bytes().to_vec()), Some(b','), options)
}

fn tallies(text: &str, options: &CsvOptions) -> Result<Vec<Tally>, CsvError> {
    Ok(open(text, options)?.tally(&Rules::new(options), u64::MAX)?.0)
}

fn kinds(text: &str) -> Vec<ColumnKind> {
    let options = CsvOptions::default();
    tallies(text, &options).unwrap().iter().map(|tally| ColumnKind::of(tally, None)).collect()
}

/// Returns all rows of some columns.
fn values(text: &str, wanted: &[(usize, Wanted)], options: &CsvOptions) -> Result<Vec<Values>, CsvError> {
    let mut file = open(text, options)?;
    let (names, separator) = (file.names().to_vec(), file.separator());
    let wanted: Vec<_> = wanted.iter().map(|&(index, form)| WantedColumn { index, form, stated: false }).collect();
    let chunk = file.next_chunk()?.expect("there are rows");
    assert!(file.next_chunk()?.is_none(), "one chunk is enough");
    chunk.parse(&names, separator, &wanted, &Rules::new(options))
}

#[test]
fn other_separators_are_tried_if_the_expected_one_gives_a_single_column() {
    let check = |text: &str, separator: u8, names: [&str; 2]| {
        let file = open(text, &CsvOptions::default()).unwrap();
        assert_eq!((file.separator(), file.names()), (separator, &names.map(str::to_owned)[..]), "{text:?}");
    };
    check("a,b\n1,2\n", b',', ["a", "b"]);
    check("a;b\n1;2\n", b';', ["a", "b"]);
    check("a\tb\n1\t2\n", b'\t', ["a", "b"]);
    check("a|b\n1|2\n", b'|', ["a", "b"]);
    check("\"a,x\";b\n\"1,5\";2\n", b';', ["a,x", "b"]);
    check("# c;d\n\n a ; b \n1;2", b';', ["a", "b"]);
    // If only the header contains the character, it is part of a name and not a separator.
    let file = open("a;b\n1\n2\n", &CsvOptions::default()).unwrap();
    assert_eq!(file.names(), ["a;b"]);
}

#[test]
fn separators_by_extension() {
    let of = |name: &str| default_separator(std::path::Path::new(name));
    assert_eq!((of("a.csv"), of("a.CSV.gz"), of("a.tsv"), of("a.txt")), (Some(b','), Some(b','), Some(b'\t'), None));
}

#[test]
fn kinds_of_columns() {
    let mixed = |like_ids, other_decimals| ColumnKind::Mixed(Mixed { like_ids, other_decimals });
    let text = "i,f,t,b,m,d,n\n1,1.5,a,TRUE,1,1.5,\n2,2,b,false,.,\"1,5\",NA\nNA,NaN,7,NA,3,\"2,5\",\n";
    assert_eq!(
        kinds(text),
        [
            ColumnKind::Integer,
            ColumnKind::Float,
            ColumnKind::Text,
            ColumnKind::Boolean,
            mixed(false, false),
            mixed(true, true),
            ColumnKind::Float
        ]
    );
}

#[test]
fn dates_and_points_in_time() {
    let text =
        "d,t,m\n2020-01-31,2020-01-31 23:59,2020-01-31\nNA,,2020-01-31 10:00\n1969-12-31,1970-01-01T00:00:01Z,x\n";
    let mixed = ColumnKind::Mixed(Mixed { like_ids: false, other_decimals: false });
    assert_eq!(kinds(text), [ColumnKind::Date, ColumnKind::DateTime, ColumnKind::Text]);
    let with_odd = tallies("d\n2020-01-31\n.\n2020-02-01\n5\n2020-02-02\n", &CsvOptions::default()).unwrap();
    assert_eq!(ColumnKind::of(&with_odd[0], None), mixed);
    assert_eq!((with_odd[0].odd()[0].value.as_str(), with_odd[0].odd()[0].row, with_odd[0].odd().len()), (".", 2, 1));
    let columns = values(text, &[(0, Wanted::Days), (1, Wanted::Microseconds)], &CsvOptions::default()).unwrap();
    assert_eq!(columns[0], Values::Integers(vec![Some(18_292), None, Some(-1)]));
    assert_eq!(columns[1], Values::Integers(vec![Some(1_580_515_140_000_000), None, Some(1_000_000)]));
}

#[test]
fn values_in_every_form() {
    let text = "id,x,name,ok\n1,0.5,\"Smith, \"\"J\"\"\",T\n,NA,,f\n3, 1e2 ,x\n";
    let wanted = [(0, Wanted::Ids), (1, Wanted::Numbers), (2, Wanted::Text), (3, Wanted::Booleans)];
    let columns = values(text, &wanted, &CsvOptions::default()).unwrap();
    assert_eq!(columns[0], Values::Integers(vec![Some(1), None, Some(3)]));
    let Values::Numbers(numbers) = &columns[1] else { panic!() };
    assert!(numbers[0] == 0.5 && numbers[1].is_nan() && numbers[2] == 100.0);
    let Values::Text(texts) = &columns[2] else { panic!() };
    assert_eq!(texts.iter().collect::<Vec<_>>(), [Some("Smith, \"J\""), None, Some("x")]);
    // In a row with too few fields, the last values are missing.
    assert_eq!(columns[3], Values::Booleans(vec![Some(true), Some(false), None]));
}

#[test]
fn errors_state_row_line_and_remedy() {
    let default = CsvOptions::default();
    let check = |text: &str, wanted: (usize, Wanted), words: &[&str]| {
        let error = values(text, &[wanted], &default).unwrap_err().to_string();
        for word in words {
            assert!(error.contains(word), "{word} is not in: {error}");
        }
    };
    check(
        "# c\nx,y\n1,2\n\n\"a\nb\",3\n4,oops\n",
        (1, Wanted::Numbers),
        &["row 3 (line 7)", "column `y`", "`oops` is not a number", "--na 'oops'", "--types y=text"],
    );
    check("k,y\n7,1\n07,2\n", (0, Wanted::Ids), &["row 2 (line 3)", "`07`", "--types k=text"]);
    check("k,y\n7,1,2,3\n", (0, Wanted::Ids), &["line 2 has 4 fields", "header 2"]);
}

#[test]
fn rows_longer_than_the_header() {
    let error = |text: &str| tallies(text, &CsvOptions::default()).unwrap_err();
    let rows: String = (0..200).map(|i| format!("{i},1,2\n")).collect();
    assert!(matches!(error(&format!("x,y\n{rows}")), CsvError::RowNames { line: 2, fields: 3, names: 2, .. }));
    let rows: String = (0..200).map(|i| if i == 150 { "1,2,3\n".to_owned() } else { format!("{i},1\n") }).collect();
    assert!(matches!(error(&format!("x,y\n{rows}")), CsvError::LongRow { line: 152, fields: 3, names: 2, .. }));
}

#[test]
fn files_without_a_header_or_of_another_format_are_errors() {
    let error = |text: &str| open(text, &CsvOptions::default()).unwrap_err().to_string();
    assert!(error("# only\n\n# comments\n").contains("no header"));
    assert!(error("a,b\r1,2\r").contains("carriage returns"));
    assert!(error("a,b\n1,\0\n").contains("--encoding utf-16"));
}

#[test]
fn repeated_names_are_numbered() {
    let file = open("a,b,a,a\n", &CsvOptions::default()).unwrap();
    assert_eq!(file.names(), ["a", "b", "a_duplicated_0", "a_duplicated_1"]);
}

#[test]
fn many_columns_of_one_name_are_numbered_one_by_one() {
    let header = format!("{}x\n", "x,".repeat(99_999));
    let file = TextFile::read(Cursor::new(header.into_bytes()), Some(b','), &CsvOptions::default()).expect("a header");
    assert_eq!(file.names().len(), 100_000);
    assert_eq!(file.names()[99_999], "x_duplicated_99998");
}

/// Only the first bytes are examined to find the kind of a column.
#[test]
fn the_first_bytes_decide() {
    let rows: String = (0..400_000).map(|i| format!("{i}\n")).collect();
    let text = format!("x\n{rows}oops\n");
    let file = open(&text, &CsvOptions::default()).unwrap();
    let (tallies, complete) = file.tally(&Rules::new(&CsvOptions::default()), 1 << 20).unwrap();
    assert!(!complete && tallies[0].others() == 0 && tallies[0].integers > 100_000);
}
