//! Packs rows into records of bytes of fixed width.

use tiers_simulate::{Column, Field, FieldKind, Values};

/// Layout of a record.
pub(super) struct Record {
    fields: Vec<Place>,
    width: usize,
}

/// Place of a column in a record.
struct Place {
    start: usize,
    width: usize,
    kind: FieldKind,
    has_missing: bool,
}

/// Records, sorted by bucket.
pub(super) struct Packed {
    /// The records.
    pub bytes: Vec<u8>,
    /// End of every bucket in `bytes`.
    pub ends: Vec<usize>,
}

impl Record {
    pub(super) fn new(fields: &[Field]) -> Record {
        let mut end = 0;
        let place = |field: &Field| {
            let start = end;
            let width = match field.kind {
                FieldKind::Binary => 1,
                FieldKind::Categorical(_) => 4,
                FieldKind::Id(_) | FieldKind::Real | FieldKind::Count => 8,
            };
            // One more byte marks missing values.
            end += width + usize::from(field.has_missing);
            Place { start, width, kind: field.kind.clone(), has_missing: field.has_missing }
        };
        let fields = fields.iter().map(place).collect();
        Record { fields, width: end }
    }

    /// Returns the number of bytes of a record.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// Packs rows, sorted by bucket; the order within a bucket is kept.
    pub(super) fn pack(&self, columns: &[Column], bucket_of: &[u32], buckets: usize) -> Packed {
        let mut next = vec![0; buckets + 1];
        for &bucket in bucket_of {
            next[bucket as usize + 1] += self.width;
        }
        for bucket in 0..buckets {
            next[bucket + 1] += next[bucket];
        }
        let ends = next[1..].to_vec();
        let place = |&bucket: &u32| {
            let start = next[bucket as usize];
            next[bucket as usize] += self.width;
            start
        };
        let starts: Vec<usize> = bucket_of.iter().map(place).collect();
        let mut bytes = vec![0; starts.len() * self.width];
        for (place, column) in self.fields.iter().zip(columns) {
            place.put(column, &starts, &mut bytes);
        }
        Packed { bytes, ends }
    }

    /// Unpacks the records with these numbers into columns.
    pub(super) fn unpack(&self, bytes: &[u8], rows: &[u32]) -> Vec<Column> {
        let records: Vec<&[u8]> =
            rows.iter().map(|&row| &bytes[row as usize * self.width..(row as usize + 1) * self.width]).collect();
        self.fields.iter().map(|place| place.get(&records)).collect()
    }
}

impl Place {
    fn put(&self, column: &Column, starts: &[usize], bytes: &mut [u8]) {
        let mut put =
            |row: usize, value: &[u8]| bytes[starts[row] + self.start..][..value.len()].copy_from_slice(value);
        match &column.values {
            Values::Real(values) => (0..).zip(values).for_each(|(row, value)| put(row, &value.to_le_bytes())),
            Values::Whole(values) => {
                (0..).zip(values).for_each(|(row, value)| put(row, &value.to_le_bytes()[..self.width]));
            }
            Values::Code(values) => (0..).zip(values).for_each(|(row, value)| put(row, &value.to_le_bytes())),
        }
        if let Some(missing) = &column.missing {
            for (start, &gone) in starts.iter().zip(missing) {
                bytes[start + self.start + self.width] = u8::from(gone);
            }
        }
    }

    fn get(&self, records: &[&[u8]]) -> Column {
        let (start, end) = (self.start, self.start + self.width);
        let eight = |record: &&[u8]| {
            let mut value = [0; 8];
            value[..end - start].copy_from_slice(&record[start..end]);
            u64::from_le_bytes(value)
        };
        let values = match self.kind {
            FieldKind::Real => Values::Real(records.iter().map(|record| f64::from_bits(eight(record))).collect()),
            FieldKind::Categorical(_) => Values::Code(records.iter().map(|record| eight(record) as u32).collect()),
            _ => Values::Whole(records.iter().map(eight).collect()),
        };
        let missing = self.has_missing.then(|| records.iter().map(|record| record[end] != 0).collect());
        Column { values, missing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tiers_simulate::IdStyle;

    #[test]
    fn packed_rows_are_unpacked() {
        let kinds =
            [FieldKind::Id(IdStyle::Integer), FieldKind::Real, FieldKind::Binary, FieldKind::Categorical(Vec::new())];
        let field = |kind| Field { name: String::new(), kind, has_missing: true };
        let record = Record::new(&kinds.map(field));
        assert_eq!(record.width(), 8 + 8 + 1 + 4 + 4);
        let missing = |at: usize| Some((0..3).map(|i| i == at).collect());
        let columns = vec![
            Column { values: Values::Whole(vec![1, u64::MAX, 3]), missing: missing(9) },
            Column { values: Values::Real(vec![-0.5, 1e300, 0.25]), missing: missing(0) },
            Column { values: Values::Whole(vec![1, 0, 1]), missing: missing(1) },
            Column { values: Values::Code(vec![7, 0, 70_000]), missing: missing(2) },
        ];
        let packed = record.pack(&columns, &[1, 0, 1], 2);
        assert_eq!(packed.ends, [25, 75]);
        // Bucket 0 holds row 1, bucket 1 rows 0 and 2.
        assert_eq!(record.unpack(&packed.bytes, &[1, 0, 2]), columns);
    }
}
