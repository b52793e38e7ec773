//! The smallest and largest values of columns of numbers, with values apart that may be codes.
//!
//! Files from other programs have codes for missing values that look like numbers: -99, 999. A fit takes
//! them for what they seem to be. They are found by lying alone at an end of their column.

use tiers_design::{Block, Column};

/// Values that serve as codes, those below the others and those above them.
const CODES: [f64; 7] = [-99.0, -999.0, -9999.0, -99_999.0, 999.0, 9999.0, 99_999.0];

/// What the numbers of a column lie between.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Extremes {
    /// The smallest and the largest number that is none of the [`CODES`].
    pub(crate) ends: [f64; 2],
    /// Rows that have each of the codes, counted in blocks where one is at an end.
    pub(crate) codes: [u64; CODES.len()],
}

/// A value that looks like a code for missing values.
#[derive(Clone, Debug, PartialEq)]
pub struct Code {
    /// The column.
    pub column: String,
    /// The value.
    pub value: f64,
    /// Rows that have it, whether they are used or not.
    pub rows: u64,
    /// The smallest and the largest of the other values.
    pub others: [f64; 2],
}

impl Extremes {
    /// Of no values.
    pub(crate) const NONE: Extremes = Extremes { ends: [f64::INFINITY, f64::NEG_INFINITY], codes: [0; CODES.len()] };

    /// Of the columns of a block; labels have none.
    pub(crate) fn of_block(block: &Block) -> Vec<Extremes> {
        let of_column = |column: &Column| match column {
            Column::Numbers(values) => Extremes::of(values),
            Column::Labels(_) => Extremes::NONE,
        };
        block.columns.iter().map(of_column).collect()
    }

    fn of(values: &[f64]) -> Extremes {
        let all = Extremes { ends: ends(values.iter().copied()), ..Extremes::NONE };
        if !all.ends.iter().any(|end| CODES.contains(end)) {
            return all;
        }
        let mut out = Extremes { ends: ends(values.iter().copied().filter(|v| !CODES.contains(v))), ..Extremes::NONE };
        for (count, code) in out.codes.iter_mut().zip(CODES) {
            *count = values.iter().filter(|&&v| v == code).count() as u64;
        }
        out
    }

    /// Takes in those of further rows.
    pub(crate) fn merge(&mut self, other: &Extremes) {
        self.ends = [self.ends[0].min(other.ends[0]), self.ends[1].max(other.ends[1])];
        self.codes.iter_mut().zip(other.codes).for_each(|(own, other)| *own += other);
    }

    /// The values that lie alone at an end of the column: a negative code where all else is not
    /// negative, or one further from the rest than a good part of its extent.
    pub(crate) fn isolated(&self, column: &str) -> impl Iterator<Item = Code> {
        let [low, high] = self.ends;
        let extent = high - low;
        let is_alone = move |code: f64| match code < 0.0 {
            true => code < low && (low >= 0.0 || low - code > extent / 2.0),
            false => code > high && code - high > extent / 4.0,
        };
        let found: Vec<(f64, u64)> = CODES.into_iter().zip(self.codes).collect();
        let found = found.into_iter().filter(move |&(code, rows)| rows > 0 && low <= high && is_alone(code));
        let (column, others) = (column.to_owned(), self.ends);
        found.map(move |(value, rows)| Code { column: column.clone(), value, rows, others })
    }
}

/// The smallest and the largest of some numbers; comparisons with NaN are false.
fn ends(values: impl Iterator<Item = f64>) -> [f64; 2] {
    let mut ends = Extremes::NONE.ends;
    for v in values {
        ends = [if v < ends[0] { v } else { ends[0] }, if v > ends[1] { v } else { ends[1] }];
    }
    ends
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(blocks: &[&[f64]]) -> Vec<(f64, u64)> {
        let mut all = Extremes::NONE;
        blocks.iter().for_each(|values| all.merge(&Extremes::of(values)));
        all.isolated("x").map(|code| (code.value, code.rows)).collect()
    }

    #[test]
    fn codes_lie_alone_at_an_end() {
        assert_eq!(found(&[&[1.0, 2.0, -99.0, f64::NAN], &[5.0, -99.0]]), [(-99.0, 2)]);
        assert_eq!(found(&[&[120.0, 180.0, 999.0], &[150.0, 9999.0]]), [(999.0, 1), (9999.0, 1)]);
        assert_eq!(found(&[&[300.0, 700.0], &[-999.0, -99.0]]), [(-99.0, 1), (-999.0, 1)]);
        for all in [&[-99.0, -98.0, 10.0, 90.0][..], &[998.0, 999.0, 1.0], &[-99.0, -99.0], &[-150.0, -99.0, 3.0], &[]]
        {
            assert_eq!(found(&[all]), [], "{all:?}");
        }
        // Something further away in another block shows that the value is one among others.
        assert_eq!(found(&[&[1.0, -99.0], &[-140.0, 2.0]]), []);
    }
}
