//! Marginal means over a grid of settings, and their pairwise differences.

use super::means::{Grid, MeansError, Setting};
use super::{FixedInference, TTest};
use nalgebra::DVector;
use serde::Serialize;
use std::collections::BTreeMap;

/// A variable with the settings at which means are computed.
pub type Margin = (String, Vec<(String, Setting)>);

/// The mean at one combination of settings.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct MarginalMean {
    /// The compared settings, as text, by variable.
    pub at: Vec<(String, String)>,
    /// Settings within which means are compared.
    pub by: Vec<(String, String)>,
    /// The mean with its interval; `None` where the data do not determine it.
    pub mean: Option<TTest>,
    #[serde(skip)]
    row: Option<DVector<f64>>,
}

/// The difference of two means.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct MeanDifference {
    /// Settings of the first mean.
    pub one: Vec<(String, String)>,
    /// Settings of the second, which is subtracted.
    pub other: Vec<(String, String)>,
    /// Settings within which means are compared.
    pub by: Vec<(String, String)>,
    /// The difference with its test; `None` where the data do not determine it.
    pub difference: Option<TTest>,
    /// The p value adjusted for all differences within the same `by`.
    pub adjusted_p_value: Option<f64>,
}

impl Grid<'_> {
    /// Computes the means at all combinations of the margins' settings, the first margin's varying
    /// fastest, within all combinations of `by`; `held` are settings common to all.
    pub fn means(
        &self,
        inference: &FixedInference,
        margins: &[Margin],
        by: &[Margin],
        held: &BTreeMap<String, Setting>,
    ) -> Result<Vec<MarginalMean>, MeansError> {
        let mut out = Vec::new();
        for within in combinations(by) {
            for at in combinations(margins) {
                let mut set = held.clone();
                set.extend(at.iter().chain(&within).map(|(name, (_, setting))| (name.clone(), setting.clone())));
                let row = self.mean_at(&set)?;
                let mean = row.as_ref().map(|row| inference.t_test(row));
                out.push(MarginalMean { at: texts(&at), by: texts(&within), mean, row });
            }
        }
        Ok(out)
    }
}

/// Computes the differences of all pairs of means within the same `by`, with p values adjusted by Holm
/// (1979) or unadjusted.
pub fn pairwise(means: &[MarginalMean], inference: &FixedInference, holm: bool) -> Vec<MeanDifference> {
    let mut out = Vec::new();
    for group in means.chunk_by(|a, b| a.by == b.by) {
        let first = out.len();
        for (i, one) in group.iter().enumerate() {
            for other in &group[i + 1..] {
                let rows = one.row.as_ref().zip(other.row.as_ref());
                let difference = rows.map(|(a, b)| inference.t_test(&(a - b)));
                out.push(MeanDifference {
                    one: one.at.clone(),
                    other: other.at.clone(),
                    by: one.by.clone(),
                    adjusted_p_value: difference.map(|test| test.p_value),
                    difference,
                });
            }
        }
        if holm {
            let known: Vec<f64> = out[first..].iter().filter_map(|d: &MeanDifference| d.adjusted_p_value).collect();
            let mut adjusted = holm_adjusted(&known).into_iter();
            out[first..].iter_mut().filter_map(|d| d.adjusted_p_value.as_mut()).for_each(|p| {
                *p = adjusted.next().expect("as many as there were");
            });
        }
    }
    out
}

/// Adjusts p values by Holm's step-down method: the k-th smallest of m times m - k + 1, made monotone.
pub fn holm_adjusted(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&i, &j| p_values[i].total_cmp(&p_values[j]));
    let mut out = vec![f64::NAN; p_values.len()];
    let mut least = 0.0_f64;
    for (rank, &i) in order.iter().enumerate() {
        least = least.max((p_values.len() - rank) as f64 * p_values[i]).min(1.0);
        out[i] = if p_values[i].is_nan() { f64::NAN } else { least };
    }
    out
}

type Combination = Vec<(String, (String, Setting))>;

fn combinations(margins: &[Margin]) -> Vec<Combination> {
    let mut all: Vec<Combination> = vec![Vec::new()];
    for (name, settings) in margins {
        let with = |setting: &(String, Setting)| {
            let one = (name.clone(), setting.clone());
            all.iter().map(|before| [before.clone(), vec![one.clone()]].concat()).collect::<Vec<_>>()
        };
        all = settings.iter().flat_map(with).collect();
    }
    all
}

fn texts(combination: &Combination) -> Vec<(String, String)> {
    combination.iter().map(|(name, (text, _))| (name.clone(), text.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holm_as_in_r() {
        // R: p.adjust(c(0.01, 0.04, 0.03, 0.5), "holm")
        let adjusted = holm_adjusted(&[0.01, 0.04, 0.03, 0.5]);
        for (got, want) in adjusted.iter().zip([0.04, 0.09, 0.09, 0.5]) {
            assert!((got - want).abs() < 1e-15, "{adjusted:?}");
        }
    }
}
