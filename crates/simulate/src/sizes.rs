//! Distributions of group sizes.

use crate::streams::Stream;
use rand::RngExt;
use rand_distr::Beta;

/// Sum of the parameters of the beta distribution. This value gives a mode inside the range and also
/// groups near both ends.
const CONCENTRATION: f64 = 4.0;

/// A distribution of integers from `min` to `max`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sizes {
    pub min: u64,
    pub max: u64,
    /// `None` for a single size.
    shape: Option<Beta<f64>>,
    /// Expected size; approximate for skewed ranges of few sizes.
    pub mean: f64,
}

impl Sizes {
    /// Returns the distribution of a single size.
    pub(crate) fn fixed(size: u64) -> Sizes {
        Sizes { min: size, max: size, shape: None, mean: size as f64 }
    }

    /// Returns a scaled beta distribution with mean (1 − skew) / 2 of the range; `None` unless
    /// −1 < skew < 1.
    pub(crate) fn range(min: u64, max: u64, skew: f64) -> Option<Sizes> {
        let centre = (1.0 - skew) / 2.0;
        let shape = Beta::new(CONCENTRATION * centre, CONCENTRATION * (1.0 - centre)).ok()?;
        // The size is the integer part of a continuous one from min to max + 1: half a unit less on average.
        let mean = min as f64 + centre * (max - min + 1) as f64 - 0.5;
        Some(Sizes { min, max, shape: Some(shape), mean })
    }

    /// Draws a size.
    pub(crate) fn draw(&self, stream: &mut Stream) -> u64 {
        let Some(shape) = self.shape else { return self.min };
        let width = self.max - self.min;
        let above = (stream.sample(shape) * (width + 1) as f64) as u64;
        self.min + above.min(width)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::streams::block_stream;

    #[test]
    fn sizes_stay_in_their_range_and_have_their_mean() {
        let mut stream = block_stream(1, 0);
        for (min, max, skew) in [(10, 35, 0.0), (2, 30, 0.4), (1, 5, -0.6)] {
            let sizes = Sizes::range(min, max, skew).unwrap();
            let draws: Vec<f64> = (0..20_000).map(|_| sizes.draw(&mut stream) as f64).collect();
            let mean = draws.iter().sum::<f64>() / 20_000.0;
            assert!(draws.iter().all(|&d| d >= min as f64 && d <= max as f64));
            assert!((mean - sizes.mean).abs() < 0.03 * (max - min) as f64, "{mean} against {}", sizes.mean);
        }
        assert_eq!(Sizes::fixed(4).draw(&mut stream), 4);
        assert!(Sizes::range(1, 2, 1.0).is_none() && Sizes::range(1, 2, f64::NAN).is_none());
    }
}
