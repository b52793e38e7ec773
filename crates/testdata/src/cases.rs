//! Cases made from seeds, with a check that enough of them were made.

use std::collections::BTreeMap;

/// Why a sample is not a case: a reason that the test's author expects for some samples. Any other error must
/// fail the test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refused(pub &'static str);

/// Cases made from seeds.
#[derive(Debug)]
pub struct Cases<I> {
    made: I,
    count: usize,
    refused: BTreeMap<Refused, usize>,
    at_least: usize,
}

impl<T, I: Iterator<Item = Result<T, Refused>>> Cases<I> {
    /// Cases from an iterator that makes them or refuses a sample.
    pub fn new(made: I) -> Self {
        Cases { made, count: 0, refused: BTreeMap::new(), at_least: 1 }
    }

    /// Requires a number of cases; without it one suffices. The iterator panics at its end if there were fewer.
    #[must_use]
    pub fn expect_at_least(self, at_least: usize) -> Self {
        Cases { at_least, ..self }
    }
}

impl<T, I: Iterator<Item = Result<T, Refused>>> Iterator for Cases<I> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        for made in self.made.by_ref() {
            match made {
                Ok(case) => {
                    self.count += 1;
                    return Some(case);
                }
                Err(reason) => *self.refused.entry(reason).or_default() += 1,
            }
        }
        let Cases { count, refused, at_least, .. } = self;
        assert!(*count >= *at_least, "{count} cases, but {at_least} are expected; refused: {refused:?}");
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn even(seeds: std::ops::Range<u64>) -> Cases<impl Iterator<Item = Result<u64, Refused>>> {
        Cases::new(seeds.map(|seed| if seed % 2 == 0 { Ok(seed) } else { Err(Refused("odd")) }))
    }

    #[test]
    fn cases_are_counted() {
        assert_eq!(even(0..6).expect_at_least(3).collect::<Vec<_>>(), [0, 2, 4]);
    }

    #[test]
    #[should_panic(expected = "3 cases, but 4 are expected; refused: {Refused(\"odd\"): 3}")]
    fn too_few_cases_panic() {
        even(0..6).expect_at_least(4).for_each(drop);
    }
}
