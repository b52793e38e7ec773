//! Intervals from bootstrap replicates (Davison and Hinkley 1997, chapter 5).

use crate::inference::student;

/// Method for an interval from the replicates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IntervalType {
    /// Quantiles of the replicates.
    #[default]
    Percentile,
    /// Twice the estimate less the quantiles of the replicates.
    Basic,
    /// Estimate less bias, plus or minus the normal quantile times the standard deviation of the replicates.
    Normal,
}

impl std::fmt::Display for IntervalType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            IntervalType::Percentile => "percentile",
            IntervalType::Basic => "basic",
            IntervalType::Normal => "normal",
        })
    }
}

/// The interval of the given level; `None` for fewer than two replicates.
pub(super) fn interval(replicates: &[f64], estimate: f64, level: f64, kind: IntervalType) -> Option<(f64, f64)> {
    if replicates.len() < 2 {
        return None;
    }
    let tail = 0.5 - 0.5 * level;
    let mut sorted = replicates.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (low, high) = (quantile(&sorted, tail), quantile(&sorted, 1.0 - tail));
    Some(match kind {
        IntervalType::Percentile => (low, high),
        IntervalType::Basic => (2.0 * estimate - high, 2.0 * estimate - low),
        IntervalType::Normal => {
            let (mean, sd) = mean_sd(replicates);
            let (centre, half) = (2.0 * estimate - mean, student::normal_quantile(tail) * sd);
            (centre - half, centre + half)
        }
    })
}

/// Mean and standard deviation.
pub(super) fn mean_sd(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    (mean, (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt())
}

/// The (R + 1) p-th of R sorted replicates, interpolated on the scale of normal quantiles as in R's `boot`
/// (Davison and Hinkley 1997, equation 5.8); the outermost replicate beyond the range.
fn quantile(sorted: &[f64], p: f64) -> f64 {
    let r = sorted.len();
    let place = (r as f64 + 1.0) * p;
    let k = (place + 1e-10).floor() as usize;
    if k == 0 {
        return sorted[0];
    }
    if k >= r {
        return sorted[r - 1];
    }
    if place - k as f64 <= 1e-10 {
        return sorted[k - 1];
    }
    let normal = |p: f64| -student::normal_quantile(p);
    let at = |k: usize| normal(k as f64 / (r as f64 + 1.0));
    let share = (normal(p) - at(k)) / (at(k + 1) - at(k));
    sorted[k - 1] + share * (sorted[k] - sorted[k - 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R 4.2: boot:::perc.ci and boot:::basic.ci of (1:20)^1.5 around 30, conf = 0.9, and of the first 19.
    #[test]
    fn quantiles_are_those_of_boot() {
        let replicates: Vec<f64> = (1..=20).map(|i| f64::from(i).powf(1.5)).collect();
        let (low, high) = interval(&replicates, 30.0, 0.9, IntervalType::Percentile).expect("enough");
        assert!((low - BOOT[0]).abs() < 1e-6 && (high - BOOT[1]).abs() < 1e-6, "{low} {high}");
        let basic = interval(&replicates, 30.0, 0.9, IntervalType::Basic).expect("enough");
        assert_eq!(basic, (60.0 - high, 60.0 - low));
        // (R + 1) p is an integer: the first and the last.
        let few = interval(&replicates[..19], 30.0, 0.9, IntervalType::Percentile).expect("enough");
        assert_eq!(few, (1.0, replicates[18]));
        let (low, high) = interval(&replicates, 30.0, 0.95, IntervalType::Normal).expect("enough");
        let (mean, sd) = mean_sd(&replicates);
        assert!(
            (0.5 * (low + high) - (60.0 - mean)).abs() < 1e-12
                && (high - low - 2.0 * 1.959_963_984_5 * sd).abs() < 1e-8
        );
        assert_eq!(interval(&[1.0], 1.0, 0.95, IntervalType::Percentile), None);
    }

    const BOOT: [f64; 2] = [1.119_806_215_089_98, 89.008_710_476_586_8];
}
