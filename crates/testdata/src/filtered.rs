//! The rows of one partition as a separate table.

use std::collections::BTreeSet;
use tiers_design::{
    Block, Column, Dictionary, Field, Labels, MISSING, RawBlock, Request, Role, Scan, Source, SourceError,
};

/// The rows of a table with these labels.
pub struct Filtered<'a> {
    /// The table.
    pub source: &'a dyn Source,
    /// Columns that divide the table.
    pub by: &'a [String],
    /// The label of the partition in each of them.
    pub label: &'a [String],
}

impl Source for Filtered<'_> {
    fn fields(&self) -> &[Field] {
        self.source.fields()
    }

    fn scan(&self, requests: &[Request]) -> Result<Scan, SourceError> {
        let mut all = requests.to_vec();
        all.extend(by_requests(self.by));
        let (wanted, label) = (requests.len(), self.label.to_vec());
        let scan = self.source.scan(&all)?;
        Ok(Box::new(scan.map(move |raw| {
            let block = raw?.decode()?;
            Ok(Box::new(filter(&block, wanted, &label)) as Box<dyn RawBlock>)
        })))
    }
}

fn by_requests(by: &[String]) -> impl Iterator<Item = Request> {
    by.iter().map(|column| Request { column: column.clone(), role: Role::Label })
}

fn filter(block: &Block, wanted: usize, label: &[String]) -> Block {
    let mut keep = vec![true; block.rows];
    for (column, label) in block.columns[wanted..].iter().zip(label) {
        let Column::Labels(labels) = column else { unreachable!("requested as labels") };
        let own = (0..labels.dictionary.len()).find(|&code| labels.dictionary.label(code) == *label);
        keep.iter_mut().zip(&labels.codes).for_each(|(keep, &code)| *keep &= own == Some(code as usize));
    }
    fn kept<T: Copy>(values: &[T], keep: &[bool]) -> Vec<T> {
        values.iter().zip(keep).filter(|(_, keep)| **keep).map(|(v, _)| *v).collect()
    }
    let column = |column: &Column| match column {
        Column::Numbers(values) => Column::Numbers(kept(values, &keep)),
        Column::Labels(labels) => Column::Labels(used_labels(kept(&labels.codes, &keep), &labels.dictionary)),
    };
    let columns = block.columns[..wanted].iter().map(column).collect();
    Block { first_row: block.first_row, rows: keep.iter().filter(|keep| **keep).count(), columns }
}

/// Codes with a dictionary of the labels that they use.
fn used_labels(codes: Vec<u32>, dictionary: &Dictionary) -> Labels {
    let mut new = vec![MISSING; dictionary.len()];
    let mut used = Vec::new();
    let translate = |code: u32| {
        if code == MISSING {
            return MISSING;
        }
        let place = &mut new[code as usize];
        if *place == MISSING {
            *place = used.len() as u32;
            used.push(code as usize);
        }
        *place
    };
    let codes = codes.into_iter().map(translate).collect();
    let dictionary = match dictionary {
        Dictionary::Text(text) => Dictionary::Text(used.iter().map(|&code| text.get(code)).collect()),
        Dictionary::Integer(values) => Dictionary::Integer(used.iter().map(|&code| values[code]).collect()),
    };
    Labels { codes, dictionary }
}

/// Returns the labels of the partitions in order, and the number of rows that belong to none because a
/// label is missing.
///
/// # Errors
/// As the table's scan.
pub fn partition_labels(source: &dyn Source, by: &[String]) -> Result<(Vec<Vec<String>>, u64), SourceError> {
    let requests: Vec<Request> = by_requests(by).collect();
    let mut seen: BTreeSet<Vec<(i64, String)>> = BTreeSet::new();
    let mut without = 0;
    for raw in source.scan(&requests)? {
        let block = raw.and_then(|raw| raw.decode())?;
        for row in 0..block.rows {
            let label = |column: &Column| match column {
                Column::Labels(labels) if labels.codes[row] != MISSING => {
                    let code = labels.codes[row] as usize;
                    Some(match &labels.dictionary {
                        Dictionary::Integer(values) => (values[code], String::new()),
                        Dictionary::Text(text) => (0, text.get(code).to_owned()),
                    })
                }
                _ => None,
            };
            match block.columns.iter().map(label).collect::<Option<Vec<_>>>() {
                Some(labels) => _ = seen.insert(labels),
                None => without += 1,
            }
        }
    }
    let integer: Vec<bool> = by
        .iter()
        .map(|column| {
            let field = source.fields().iter().find(|field| field.name == *column);
            matches!(field.map(|field| &field.kind), Some(tiers_design::Kind::Integer | tiers_design::Kind::Float))
        })
        .collect();
    let text = |labels: &Vec<(i64, String)>| {
        let own = labels.iter().zip(&integer);
        own.map(|((value, text), integer)| if *integer { value.to_string() } else { text.clone() }).collect()
    };
    Ok((seen.iter().map(text).collect(), without))
}
