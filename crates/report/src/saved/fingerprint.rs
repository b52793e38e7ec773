//! Fingerprint of data, to recognise them: sums that do not depend on the order of the rows.

use serde::{Deserialize, Serialize};
use tiers_design::Recipe;
use tiers_reml::Model;

/// Relative tolerance for sums of the same rows in another order.
const ROUNDING: f64 = 1e-9;

/// Summary of the rows and the response of a fit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Number of rows used.
    pub rows: u64,
    /// Response as written in the formula, with the offsets.
    pub response: String,
    /// Column of the weights.
    pub weights: Option<String>,
    /// Σ log w.
    pub sum_log_weights: f64,
    /// Σ w; `None` if no column of the model is constant.
    pub sum_weights: Option<f64>,
    /// Weighted mean of the response minus offsets; `None` if no column of the model is constant.
    pub mean: Option<f64>,
    /// Weighted sum of squares of the response about that mean, or about zero if it is not known.
    pub sum_of_squares: f64,
}

impl Fingerprint {
    /// Computes the fingerprint of the data of a model.
    pub fn of(model: &Model) -> Fingerprint {
        let totals = model.totals();
        Fingerprint::of_sums(&model.recipe, totals.rows, totals.sum_log_weights, totals.cross)
    }

    /// Computes the fingerprint from the sums of a recipe's columns: `C'WC`, m×m.
    pub fn of_sums(recipe: &Recipe, rows: u64, sum_log_weights: f64, cross: &[f64]) -> Fingerprint {
        let (m, y) = (recipe.columns.len() + 1, recipe.columns.len());
        let constant = recipe.columns.iter().position(|column| column.atoms.is_empty());
        let weights = constant.map(|c| cross[c * m + c]);
        let sum = constant.map(|c| cross[c * m + y]);
        let total = cross[y * m + y];
        let about_mean = sum.zip(weights).map(|(sum, weights)| (total - sum * sum / weights).max(0.0));
        let offsets = recipe.offsets.iter().map(|offset| format!(" - {offset}"));
        Fingerprint {
            rows,
            response: recipe.response_name.clone() + &offsets.collect::<String>(),
            weights: recipe.weights.map(|request| recipe.requests[request].column.clone()),
            sum_log_weights,
            sum_weights: weights,
            mean: sum.zip(weights).map(|(sum, weights)| sum / weights + recipe.response_shift),
            sum_of_squares: about_mean.unwrap_or(total),
        }
    }

    /// Describes the first difference between the data (`rows: 1600 and 1599`); `None` if there is none.
    pub fn difference(&self, other: &Fingerprint) -> Option<String> {
        let differs = |what: &str, one: &dyn std::fmt::Display, two: &dyn std::fmt::Display| {
            Some(format!("{what}: {one} and {two}"))
        };
        if self.response != other.response {
            return differs("response", &self.response, &other.response);
        }
        if self.rows != other.rows {
            return differs("rows used", &self.rows, &other.rows);
        }
        if self.weights != other.weights {
            let name = |weights: &Option<String>| weights.clone().unwrap_or_else(|| "none".to_owned());
            return differs("weights", &name(&self.weights), &name(&other.weights));
        }
        if !near(self.sum_log_weights, other.sum_log_weights, self.rows as f64) {
            return differs("sum of the logarithms of the weights", &self.sum_log_weights, &other.sum_log_weights);
        }
        if let (Some(one), Some(two)) = (self.mean, other.mean) {
            let spread = (self.sum_of_squares / self.rows as f64).sqrt();
            if !near(one, two, spread) {
                return differs("mean of the response", &one, &two);
            }
            if !near(self.sum_of_squares, other.sum_of_squares, 0.0) {
                return differs("variation of the response", &self.sum_of_squares, &other.sum_of_squares);
            }
        }
        let (one, two) = (self.about_zero(), other.about_zero());
        match near(one, two, 0.0) {
            true => None,
            false => differs("sum of squares of the response", &one, &two),
        }
    }

    fn about_zero(&self) -> f64 {
        let of_mean = self.mean.zip(self.sum_weights).map_or(0.0, |(mean, weights)| weights * mean * mean);
        self.sum_of_squares + of_mean
    }
}

/// Whether two sums are equal up to rounding; `scale` is the size of terms that may have cancelled.
fn near(one: f64, two: f64, scale: f64) -> bool {
    (one - two).abs() <= ROUNDING * one.abs().max(two.abs()).max(scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint() -> Fingerprint {
        Fingerprint {
            rows: 100,
            response: "y".to_owned(),
            weights: None,
            sum_log_weights: 0.0,
            sum_weights: Some(100.0),
            mean: Some(1e8),
            sum_of_squares: 99.0,
        }
    }

    #[test]
    fn rounding_is_ignored_and_other_rows_differ() {
        let one = fingerprint();
        let same = Fingerprint { sum_of_squares: 99.0 + 1e-9, mean: Some(1e8 + 1e-8), ..one.clone() };
        assert_eq!(one.difference(&same), None);
        let spread = Fingerprint { sum_of_squares: 99.1, ..one.clone() };
        assert!(one.difference(&spread).is_some_and(|text| text.contains("variation")));
        let rows = Fingerprint { rows: 99, ..one.clone() };
        assert_eq!(one.difference(&rows).as_deref(), Some("rows used: 100 and 99"));
        // For a model without a constant column, only the sum of squares about zero is known.
        let bare = Fingerprint { mean: None, sum_weights: None, sum_of_squares: 1e18 + 99.0, ..one.clone() };
        assert_eq!(one.difference(&bare), None);
        assert!(one.difference(&Fingerprint { sum_of_squares: 2e18, ..bare }).is_some());
    }
}
