//! Tests of whole terms: F tables of type III and type I.

use super::estimable::{Hypothesis, hypotheses};
use super::{FTest, FixedModel};
use nalgebra::{DMatrix, DVector};
use serde::{Deserialize, Serialize};
use tiers_design::Recipe;

/// The F test of one term.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TermTest {
    /// Name of the term.
    pub term: String,
    /// `mean_sq` times `num_df`.
    pub sum_sq: f64,
    /// Wald's F times σ², as the mean square of an ordinary regression's table.
    pub mean_sq: f64,
    /// Numerator degrees of freedom.
    pub num_df: f64,
    /// Denominator degrees of freedom; `None` for the χ² approximation.
    pub den_df: Option<f64>,
    /// F; scaled, where degrees of freedom are Kenward and Roger's.
    pub f_value: f64,
    /// p value.
    pub p_value: f64,
}

/// The hypothesis that is tested for each term.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum AnovaType {
    /// Sequential: the term given only the terms before it.
    #[serde(rename = "I")]
    One,
    /// The term's effects averaged over the levels of the factors it interacts with, given all other terms.
    #[serde(rename = "III")]
    Three,
}

impl FixedModel {
    /// Tests all terms but the intercept, in the formula's order.
    pub fn anova(&self, recipe: &Recipe, kind: AnovaType, sigma: f64) -> Vec<TermTest> {
        let hypotheses = match kind {
            AnovaType::One => self.sequential(recipe),
            AnovaType::Three => hypotheses(recipe, &self.coefficients, &self.aliases(recipe)),
        };
        let test = |hypothesis: &Hypothesis| {
            let FTest { num_df, den_df, f, wald, p_value } = self.inference.f_test(&hypothesis.rows);
            let mean_sq = wald * sigma * sigma;
            let term = recipe.term_names[hypothesis.term].clone();
            TermTest { term, sum_sq: mean_sq * num_df, mean_sq, num_df, den_df, f_value: f, p_value }
        };
        hypotheses.iter().map(test).collect()
    }

    /// Type I: with `X'WX = L D L'`, L unit lower triangular, the rows of L'β of a term. Entry j of
    /// L'β is the coefficient of column j in the regression of Xβ on the columns up to j.
    fn sequential(&self, recipe: &Recipe) -> Vec<Hypothesis> {
        let p = self.coefficients.len();
        let shift = DVector::from_iterator(p, self.columns(recipe).map(|c| recipe.columns[c].shift));
        let constant = self.constant(recipe);
        // β̃ = (I + constant shift') β for the shifted columns.
        let to_shifted = DMatrix::identity(p, p) + &constant * shift.transpose();
        let last = |v: &DVector<f64>| (0..p).rev().find(|&i| v[i] != 0.0);
        let first = (0..p).find(|&i| shift[i] != 0.0);
        // Columns after those of the constant span the same space, shifted or not; shifted ones are more
        // accurate.
        let spans_same = first.is_none_or(|first| last(&constant).is_some_and(|last| last < first));
        let cross = self.cross_x(recipe);
        let l = match spans_same {
            true => unit_upper(cross) * &to_shifted,
            false => unit_upper(to_shifted.transpose() * cross * &to_shifted),
        };
        let mut out: Vec<Hypothesis> = Vec::new();
        for (term, name) in recipe.term_names.iter().enumerate() {
            let is_own = |&j: &usize| recipe.x[self.coefficients[j]].term == term;
            let rows: Vec<_> = (0..p).filter(is_own).map(|j| l.row(j).clone_owned()).collect();
            if !rows.is_empty() && name != "(Intercept)" {
                out.push(Hypothesis { term, rows: DMatrix::from_rows(&rows) });
            }
        }
        out
    }

    /// Every column of X as a combination of those in use (p×p_all): a dropped column is a combination
    /// of the ones before it.
    pub fn aliases(&self, recipe: &Recipe) -> DMatrix<f64> {
        let (p, all) = (self.coefficients.len(), recipe.x.len());
        let mut out = DMatrix::zeros(p, all);
        for (j, &i) in self.coefficients.iter().enumerate() {
            out[(j, i)] = 1.0;
        }
        let dropped: Vec<usize> = (0..all).filter(|i| !self.coefficients.contains(i)).collect();
        let Some(factor) = self.cross_x(recipe).cholesky().filter(|_| !dropped.is_empty()) else { return out };
        let constant = self.constant(recipe);
        let own: Vec<usize> = self.columns(recipe).collect();
        for i in dropped {
            let column = recipe.x[i].column;
            let right = DVector::from_iterator(p, own.iter().map(|&c| self.cross[(c, column)]));
            let mut by = factor.solve(&right);
            // x_d - s_d = Σ b_j (x_j - s_j)
            let of_shifts: f64 = own.iter().zip(by.iter()).map(|(&c, b)| recipe.columns[c].shift * b).sum();
            by += &constant * (recipe.columns[column].shift - of_shifts);
            let size = by.amax();
            by.iter_mut().filter(|b| b.abs() < 1e-8 * size).for_each(|b| *b = 0.0);
            out.set_column(i, &by);
        }
        out
    }

    /// Columns of C that hold the X columns in use.
    pub(super) fn columns<'a>(&'a self, recipe: &'a Recipe) -> impl Iterator<Item = usize> + 'a {
        self.coefficients.iter().map(|&i| recipe.x[i].column)
    }

    /// The combination of the coefficients' columns that is 1 on every row; zero where there is none.
    fn constant(&self, recipe: &Recipe) -> DVector<f64> {
        let weight = |&i: &usize| recipe.constant.as_ref().map_or(0.0, |constant| constant[i]);
        DVector::from_iterator(self.coefficients.len(), self.coefficients.iter().map(weight))
    }

    /// `X'WX` of the shifted columns in use.
    fn cross_x(&self, recipe: &Recipe) -> DMatrix<f64> {
        let own: Vec<usize> = self.columns(recipe).collect();
        DMatrix::from_fn(own.len(), own.len(), |i, j| self.cross[(own[i], own[j])])
    }
}

/// L' of `M = L D L'`, L unit lower triangular.
fn unit_upper(mut m: DMatrix<f64>) -> DMatrix<f64> {
    let p = m.nrows();
    for j in 0..p {
        let pivot = m[(j, j)];
        for i in j + 1..p {
            let factor = if pivot > 0.0 { m[(i, j)] / pivot } else { 0.0 };
            for k in j..p {
                m[(i, k)] -= factor * m[(j, k)];
            }
        }
    }
    DMatrix::from_fn(p, p, |i, j| match i.cmp(&j) {
        std::cmp::Ordering::Less if m[(i, i)] > 0.0 => m[(i, j)] / m[(i, i)],
        std::cmp::Ordering::Equal => 1.0,
        _ => 0.0,
    })
}
