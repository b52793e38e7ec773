//! How many distinct groups all rows have, from the numbers in a sample of the first rows.
//!
//! Two orders of rows are told apart. Sorted by group, a share f of the rows holds a share f of the
//! groups. In random order, of K groups of equal size N / K a share f of the N rows shows
//!
//! ```text
//! D(f) = K (1 - (1 - f)^(N/K)),
//! ```
//!
//! which is solved for K. The number in half of the sample tells which of the two it is: half as many
//! as in the whole sample, or more.

/// Distinct groups in a sample and in its first half.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Seen {
    /// In the first half.
    pub half: f64,
    /// In the sample.
    pub whole: f64,
}

/// A sample: the first `sampled` of `rows` rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sample {
    /// All rows.
    pub rows: f64,
    /// Rows of the sample.
    pub sampled: f64,
}

impl Sample {
    /// The share of the rows that was seen.
    fn share(self) -> f64 {
        (self.sampled / self.rows).min(1.0)
    }

    /// Distinct groups in all rows.
    pub(super) fn all(self, seen: Seen) -> f64 {
        let f = self.share();
        // What did not grow in the second half will not grow any more.
        if f >= 1.0 || seen.half >= seen.whole {
            return seen.whole;
        }
        let (sorted, mixed) = (seen.whole / f, self.mixed(seen.whole));
        // Where a half showed no more than half, the rows are sorted; where it showed as much as a
        // random order would have, they are mixed; in between, in between.
        let expected = distinct(mixed, self.rows, 0.5 * f).max(0.5 * seen.whole);
        let room = expected - 0.5 * seen.whole;
        if room < 2.0 * seen.whole.sqrt() {
            // No more than chance: nearly every row would have a group of its own in any order.
            return sorted;
        }
        let weight = ((seen.half - 0.5 * seen.whole) / room).clamp(0.0, 1.0);
        sorted.powf(1.0 - weight) * mixed.powf(weight)
    }

    /// Whether groups come again and again.
    pub(super) fn is_mixed(self, seen: Seen) -> bool {
        self.sampled < self.rows && seen.half > 0.51 * seen.whole + 2.0 * seen.whole.sqrt()
    }

    /// K of a random order: by bisection between what was seen and one group per row.
    fn mixed(self, whole: f64) -> f64 {
        let (mut low, mut high) = (whole.ln(), self.rows.max(whole).ln());
        for _ in 0..100 {
            let middle = 0.5 * (low + high);
            if distinct(middle.exp(), self.rows, self.share()) < whole {
                low = middle;
            } else {
                high = middle;
            }
        }
        high.exp()
    }
}

/// Distinct groups in a share of `rows` rows in random order.
fn distinct(groups: f64, rows: f64, share: f64) -> f64 {
    groups * (1.0 - (rows / groups * (-share).ln_1p()).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorted_rows() {
        let sample = Sample { rows: 1e7, sampled: 1e6 };
        let all = sample.all(Seen { half: 22_100.0, whole: 44_400.0 });
        assert!((all / 444_000.0 - 1.0).abs() < 0.02, "{all}");
    }

    #[test]
    fn mixed_rows() {
        for groups in [30.0, 31_000.0, 444_000.0, 4_000_000.0] {
            let sample = Sample { rows: 1e7, sampled: 1e6 };
            let seen = Seen { half: distinct(groups, 1e7, 0.05), whole: distinct(groups, 1e7, 0.1) };
            let all = sample.all(seen);
            assert!((all / groups - 1.0).abs() < 0.05, "{all} of {groups}");
        }
    }

    #[test]
    fn all_rows_seen() {
        let sample = Sample { rows: 5e4, sampled: 5e4 };
        assert_eq!(sample.all(Seen { half: 60.0, whole: 100.0 }), 100.0);
    }
}
