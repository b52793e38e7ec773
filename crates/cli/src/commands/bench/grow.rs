//! Estimates the number of distinct groups in all rows from a sample of the first rows.
//!
//! The estimate depends on the order of the rows. If they are sorted by group, a share f of the rows
//! holds a share f of the groups. If they are in random order and K groups have the equal size N / K,
//! a share f of the N rows shows
//!
//! ```text
//! D(f) = K (1 - (1 - f)^(N/K)),
//! ```
//!
//! groups, which is solved for K. The number of groups in half of the sample decides between the two:
//! it is half of the number in the whole sample if the rows are sorted, and larger if not.

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
    /// Returns the share of the rows in the sample.
    fn share(self) -> f64 {
        (self.sampled / self.rows).min(1.0)
    }

    /// Estimates the number of distinct groups in all rows.
    pub(super) fn all(self, seen: Seen) -> f64 {
        let f = self.share();
        // If the second half added no groups, the other rows will add none.
        if f >= 1.0 || seen.half >= seen.whole {
            return seen.whole;
        }
        let (sorted, mixed) = (seen.whole / f, self.mixed(seen.whole));
        // If half of the sample has half of the groups, the rows are sorted; if it has as many as
        // expected in random order, they are mixed. Between the two, the estimates are interpolated.
        let expected = distinct(mixed, self.rows, 0.5 * f).max(0.5 * seen.whole);
        let room = expected - 0.5 * seen.whole;
        if room < 2.0 * seen.whole.sqrt() {
            // The difference could be chance: nearly every row would have its own group in any order.
            return sorted;
        }
        let weight = ((seen.half - 0.5 * seen.whole) / room).clamp(0.0, 1.0);
        sorted.powf(1.0 - weight) * mixed.powf(weight)
    }

    /// Whether the rows of a group are spread over the table.
    pub(super) fn is_mixed(self, seen: Seen) -> bool {
        self.sampled < self.rows && seen.half > 0.51 * seen.whole + 2.0 * seen.whole.sqrt()
    }

    /// Solves for K of a random order, by bisection between the number in the sample and one group per row.
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

/// Returns the expected number of distinct groups in a share of `rows` rows in random order.
fn distinct(groups: f64, rows: f64, share: f64) -> f64 {
    groups * (1.0 - (rows / groups * (-share).ln_1p()).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_sorted_rows_grow_in_proportion() {
        let sample = Sample { rows: 1e7, sampled: 1e6 };
        let all = sample.all(Seen { half: 22_100.0, whole: 44_400.0 });
        assert!((all / 444_000.0 - 1.0).abs() < 0.02, "{all}");
    }

    #[test]
    fn groups_of_mixed_rows_are_estimated() {
        for groups in [30.0, 31_000.0, 444_000.0, 4_000_000.0] {
            let sample = Sample { rows: 1e7, sampled: 1e6 };
            let seen = Seen { half: distinct(groups, 1e7, 0.05), whole: distinct(groups, 1e7, 0.1) };
            let all = sample.all(seen);
            assert!((all / groups - 1.0).abs() < 0.05, "{all} of {groups}");
        }
    }

    #[test]
    fn a_sample_of_all_rows_is_exact() {
        let sample = Sample { rows: 5e4, sampled: 5e4 };
        assert_eq!(sample.all(Seen { half: 60.0, whole: 100.0 }), 100.0);
    }
}
