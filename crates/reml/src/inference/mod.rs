//! Tests of fixed effects: covariance of β, degrees of freedom, t and F statistics.
//!
//! Everything follows from the sums over groups of the fit: nothing is n×n, and no cost depends on the
//! number of rows. See `docs/theory.md`, "Inference on β".

mod adjust;
mod anova;
mod estimable;
mod fisher;
mod fixed_model;
mod kenward_roger;
mod linear;
mod marginal;
mod means;
pub(crate) mod observed;
mod packed;
mod robust;
mod satterthwaite;
pub(crate) mod student;

pub use anova::{AnovaType, TermTest};
pub use fisher::chi_squared_tail;
pub use fixed_model::FixedModel;
pub use kenward_roger::KenwardRoger;
pub use linear::{LinearError, LinearHypothesis};
pub use marginal::{Margin, MarginalMean, MeanDifference, holm_adjusted, pairwise};
pub use means::{Averaging, Grid, MeansError, Setting};
pub use robust::{OneCluster, Robust, RobustError, Sandwich};
pub use satterthwaite::Satterthwaite;
pub(crate) use satterthwaite::pseudo_inverse;
pub use student::normal_quantile;

use crate::estimate::Optimum;
use crate::fit::FixedEffect;
use crate::model::Model;
use crate::objective::{Method, Objective};
use nalgebra::{DMatrix, DVector, SymmetricEigen};
use serde::{Deserialize, Serialize};

/// Method for degrees of freedom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DfMethod {
    /// Satterthwaite (1946), as in lmerTest.
    #[default]
    Satterthwaite,
    /// Kenward and Roger (1997), with their adjusted covariance, as in pbkrtest; REML only.
    KenwardRoger,
    /// None: the normal (and χ²) approximation.
    None,
}

/// Settings of the inference on β.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inference {
    /// Degrees of freedom (default Satterthwaite).
    pub df: DfMethod,
    /// Level of confidence intervals (default 0.95).
    pub confidence: f64,
}

impl Default for Inference {
    fn default() -> Self {
        Inference { df: DfMethod::default(), confidence: 0.95 }
    }
}

/// The fixed effects of a fit with everything that tests of them need, also after being read from a file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FixedInference {
    /// β in the user's columns.
    #[serde(with = "packed::vector")]
    pub beta: DVector<f64>,
    /// Covariance of β that tests use: model-based, or adjusted (Kenward–Roger).
    #[serde(with = "packed::symmetric")]
    pub covariance: DMatrix<f64>,
    /// The same for the model's shifted columns, which is more accurate for combinations near the middle
    /// of the data.
    #[serde(with = "packed::symmetric")]
    shifted: DMatrix<f64>,
    /// Shifts that were subtracted from the columns.
    #[serde(with = "packed::vector")]
    shift: DVector<f64>,
    /// The combination of the columns that is 1 on every row.
    #[serde(with = "packed::vector")]
    constant: DVector<f64>,
    settings: Inference,
    approximation: Approximation,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Approximation {
    Satterthwaite(Satterthwaite),
    KenwardRoger(KenwardRoger),
    None,
}

/// A t (or z) test of one linear combination.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TTest {
    /// l'β.
    pub estimate: f64,
    /// Its standard error.
    pub std_error: f64,
    /// Degrees of freedom; `None` for the normal approximation, and where there is no test.
    pub df: Option<f64>,
    /// The estimate less its hypothesised value, divided by its standard error.
    pub statistic: f64,
    /// Two-sided p value.
    pub p_value: f64,
    /// Lower end of the confidence interval.
    pub lower: f64,
    /// Upper end of the confidence interval.
    pub upper: f64,
}

/// An F test of several linear combinations at once.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct FTest {
    /// Numerator degrees of freedom.
    pub num_df: f64,
    /// Denominator degrees of freedom; `None` for the χ² approximation.
    pub den_df: Option<f64>,
    /// F.
    pub f: f64,
    /// Wald's F before Kenward and Roger's scaling; equal to `f` for other methods.
    pub wald: f64,
    /// P(F' > F).
    pub p_value: f64,
}

impl FixedInference {
    /// Prepares inference on β at an optimum.
    pub fn new(objective: &Objective<'_>, optimum: &Optimum, settings: Inference) -> Self {
        let model = objective.model();
        let sigma2 = optimum.at.fixed.pwrss / objective.nu();
        let df = match (settings.df, objective.method) {
            // Kenward and Roger's adjustment is derived for REML.
            (DfMethod::KenwardRoger, Method::Ml) => DfMethod::Satterthwaite,
            (df, _) => df,
        };
        let settings = Inference { df, ..settings };
        let model_based = packed::mirrored(&optimum.at.fixed.xx_inverse * sigma2);
        let (shifted, approximation) = match df {
            DfMethod::None => (model_based, Approximation::None),
            DfMethod::Satterthwaite => {
                let parts = Satterthwaite::new(objective, optimum);
                (model_based, Approximation::Satterthwaite(parts))
            }
            DfMethod::KenwardRoger => {
                let parts = KenwardRoger::new(objective, optimum);
                (parts.adjusted.clone(), Approximation::KenwardRoger(parts))
            }
        };
        let (beta, covariance) = model.unshift(&optimum.at.fixed.beta, &shifted);
        let shift = model.x().into_iter().map(|column| model.recipe.columns[column].shift);
        let shift = DVector::from_iterator(model.p(), shift);
        let constant = model.constant().unwrap_or_else(|| DVector::zeros(model.p()));
        let covariance = packed::mirrored(covariance);
        FixedInference { beta, covariance, shifted, shift, constant, settings, approximation }
    }

    /// Prepares inference by the normal approximation, for estimates of another criterion than the linear model's:
    /// `beta` in the user's columns, and `covariance`, that of the coefficients of the model's shifted columns.
    pub fn normal(model: &Model, beta: DVector<f64>, covariance: DMatrix<f64>, confidence: f64) -> Self {
        let map = model.unshift_map();
        let shift = model.x().into_iter().map(|column| model.recipe.columns[column].shift);
        FixedInference {
            covariance: packed::mirrored(&map * &covariance * map.transpose()),
            shifted: packed::mirrored(covariance),
            shift: DVector::from_iterator(model.p(), shift),
            constant: model.constant().unwrap_or_else(|| DVector::zeros(model.p())),
            beta,
            settings: Inference { df: DfMethod::None, confidence },
            approximation: Approximation::None,
        }
    }

    /// Converts combinations of β to those of the shifted columns' coefficients: `β = (I - a s') β̃` plus a
    /// constant, with s the shifts and a the combination that is 1, so `l̃ = l - (l'a) s`.
    fn to_shifted(&self, l: &DMatrix<f64>) -> DMatrix<f64> {
        l - l * &self.constant * self.shift.transpose()
    }

    /// `S_xx⁻¹` of the model's shifted columns (the covariance over σ²), where it is kept exactly, that is
    /// with Satterthwaite's degrees of freedom.
    pub(crate) fn unscaled(&self) -> Option<&DMatrix<f64>> {
        match &self.approximation {
            Approximation::Satterthwaite(parts) => parts.unscaled(),
            Approximation::KenwardRoger(_) | Approximation::None => None,
        }
    }

    /// Number of coefficients; `None` if the parts disagree on it.
    pub fn p(&self) -> Option<usize> {
        let p = self.beta.len();
        let parts = match &self.approximation {
            Approximation::Satterthwaite(parts) => parts.has_size(p),
            Approximation::KenwardRoger(parts) => parts.has_size(p),
            Approximation::None => true,
        };
        let sizes = [self.covariance.nrows(), self.shifted.nrows(), self.shift.len(), self.constant.len()];
        (parts && sizes.iter().all(|size| *size == p)).then_some(p)
    }

    /// Whether all numbers are valid: finite, covariances positive semidefinite up to rounding, degrees of
    /// freedom by the stated method. Checks data that were read from a file.
    pub fn is_sound(&self) -> bool {
        let finite = |numbers: &[f64]| numbers.iter().all(|number| number.is_finite());
        let vectors = [&self.beta, &self.shift, &self.constant].into_iter().all(|vector| finite(vector.as_slice()));
        let covariances =
            [&self.covariance, &self.shifted].into_iter().all(|c| finite(c.as_slice()) && is_covariance(c));
        let method = match &self.approximation {
            Approximation::Satterthwaite(parts) => parts.is_sound() && self.settings.df == DfMethod::Satterthwaite,
            Approximation::KenwardRoger(parts) => parts.is_sound() && self.settings.df == DfMethod::KenwardRoger,
            Approximation::None => self.settings.df == DfMethod::None,
        };
        let confidence = self.settings.confidence;
        vectors && covariances && method && confidence > 0.0 && confidence < 1.0
    }

    /// Level of the confidence intervals.
    pub fn confidence(&self) -> f64 {
        self.settings.confidence
    }

    /// Returns the same inference with intervals of another level.
    pub fn with_confidence(self, confidence: f64) -> Self {
        FixedInference { settings: Inference { confidence, ..self.settings }, ..self }
    }

    /// Method actually used for degrees of freedom.
    pub fn df_method(&self) -> DfMethod {
        self.settings.df
    }

    /// Returns the t tests of all coefficients, with these names.
    pub fn coefficients<'a>(&self, names: impl Iterator<Item = &'a str>) -> Vec<FixedEffect> {
        names.enumerate().map(|(place, name)| FixedEffect::new(name, &self.coefficient(place))).collect()
    }

    /// Tests one coefficient, by its position among those in use.
    pub fn coefficient(&self, place: usize) -> TTest {
        self.t_test(&DVector::from_fn(self.beta.len(), |j, _| f64::from(u8::from(j == place))))
    }

    /// Tests l'β = 0; also gives its confidence interval.
    pub fn t_test(&self, l: &DVector<f64>) -> TTest {
        self.t_test_of(l, 0.0)
    }

    /// Tests l'β = c; also gives the confidence interval of l'β.
    pub fn t_test_of(&self, l: &DVector<f64>, c: f64) -> TTest {
        let estimate = l.dot(&self.beta);
        let row = self.to_shifted(&DMatrix::from_rows(&[l.transpose()]));
        let l = row.transpose().column(0).clone_owned();
        let std_error = l.dot(&(&self.shifted * &l)).sqrt();
        let df = match &self.approximation {
            Approximation::None => None,
            Approximation::Satterthwaite(parts) => Some(parts.df(&l)),
            Approximation::KenwardRoger(parts) => Some(parts.test(&row).df),
        };
        t_test(estimate, c, std_error, df, self.settings.confidence)
    }

    /// Tests L β = 0. Linearly dependent rows of L do not count.
    pub fn f_test(&self, l: &DMatrix<f64>) -> FTest {
        self.f_test_of(l, &DVector::zeros(l.nrows()))
    }

    /// Tests L β = c.
    pub fn f_test_of(&self, l: &DMatrix<f64>, c: &DVector<f64>) -> FTest {
        let estimate = l * &self.beta - c;
        let l = &self.to_shifted(l);
        let eigen = SymmetricEigen::new(l * &self.shifted * l.transpose());
        // Along the directions that the rows span, largest variance first.
        let mut order: Vec<usize> = (0..l.nrows()).collect();
        order.sort_by(|&i, &j| eigen.eigenvalues[j].total_cmp(&eigen.eigenvalues[i]));
        order.truncate(self.rank(l));
        let directions: Vec<DVector<f64>> = order.iter().map(|&i| eigen.eigenvectors.column(i).clone_owned()).collect();
        let q = directions.len();
        let squares = directions.iter().zip(&order).map(|(d, &i)| d.dot(&estimate).powi(2) / eigen.eigenvalues[i]);
        let wald = squares.sum::<f64>() / q as f64;
        let rows: Vec<_> = directions.iter().map(|d| d.transpose() * l).collect();
        let (f, den_df) = match &self.approximation {
            _ if q == 0 => return FTest { num_df: 0.0, den_df: None, f: f64::NAN, wald: f64::NAN, p_value: f64::NAN },
            Approximation::None => (wald, None),
            Approximation::KenwardRoger(parts) => {
                let scaled = parts.test(&DMatrix::from_rows(&rows));
                (wald * scaled.scale, Some(scaled.df))
            }
            Approximation::Satterthwaite(parts) => {
                let dfs: Vec<f64> = rows.iter().map(|row| parts.df(&row.transpose())).collect();
                (wald, Some(satterthwaite_f(&dfs)))
            }
        };
        let p_value = match reference(den_df) {
            Reference::Counted(df) => fisher::upper_tail(f, q, df),
            Reference::Infinite => chi_squared_tail(q as f64 * f, q),
            Reference::None => f64::NAN,
        };
        FTest { num_df: q as f64, den_df, f, wald, p_value }
    }

    /// The rank of L (in the shifted columns), independent of units.
    fn rank(&self, l: &DMatrix<f64>) -> usize {
        let covariance = l * &self.shifted * l.transpose();
        let scale = covariance.diagonal().map(|v| if v > 0.0 { 1.0 / v.sqrt() } else { 0.0 });
        let correlation = DMatrix::from_fn(l.nrows(), l.nrows(), |i, j| covariance[(i, j)] * scale[i] * scale[j]);
        let eigenvalues = correlation.symmetric_eigenvalues();
        eigenvalues.iter().filter(|value| **value > 1e-9).count()
    }
}

/// The distribution that a statistic is compared with.
enum Reference {
    /// Student's t, or F, with these degrees of freedom.
    Counted(f64),
    /// The normal distribution, or χ²: degrees of freedom are infinite or were not requested.
    Infinite,
    /// No distribution: negative or NaN degrees of freedom are invalid, and so would be a p value.
    None,
}

fn reference(df: Option<f64>) -> Reference {
    match df {
        None | Some(f64::INFINITY) => Reference::Infinite,
        Some(df) if df > 0.0 => Reference::Counted(df),
        Some(_) => Reference::None,
    }
}

/// Whether a symmetric matrix is positive semidefinite up to rounding, independent of units.
pub(crate) fn is_covariance(matrix: &DMatrix<f64>) -> bool {
    const ROUNDING: f64 = 1e-7;
    if matrix.diagonal().iter().any(|variance| *variance < 0.0) {
        return false;
    }
    let scale = matrix.diagonal().map(|v| if v > 0.0 { 1.0 / v.sqrt() } else { 0.0 });
    let n = matrix.nrows();
    let scaled = DMatrix::from_fn(n, n, |i, j| match i == j {
        true => 1.0 + ROUNDING,
        false => matrix[(i, j)] * scale[i] * scale[j],
    });
    let in_range = (0..n).all(|i| (0..i).all(|j| scale[i] * scale[j] > 0.0 || matrix[(i, j)] == 0.0));
    in_range && scaled.cholesky().is_some()
}

/// Tests an estimate against c, and computes its confidence interval.
fn t_test(estimate: f64, c: f64, std_error: f64, df: Option<f64>, confidence: f64) -> TTest {
    let statistic = (estimate - c) / std_error;
    let tail = 0.5 - 0.5 * confidence;
    let (p_value, quantile) = match reference(df) {
        _ if statistic.is_nan() => (f64::NAN, f64::NAN),
        Reference::Counted(df) => (2.0 * student::upper_tail(statistic.abs(), df), student::upper_quantile(tail, df)),
        Reference::Infinite => (2.0 * student::normal_tail(statistic.abs()), student::normal_quantile(tail)),
        Reference::None => (f64::NAN, f64::NAN),
    };
    let df = df.filter(|df| *df > 0.0 && !statistic.is_nan());
    let half = quantile * std_error;
    TTest { estimate, std_error, df, statistic, p_value, lower: estimate - half, upper: estimate + half }
}

/// Denominator degrees of freedom of an F test from those of its independent t tests (Fai and
/// Cornelius 1996, as in lmerTest): `2E/(E - q)`, `E = Σ ν_m/(ν_m - 2)` over `ν_m > 2`.
fn satterthwaite_f(dfs: &[f64]) -> f64 {
    if let [df] = *dfs {
        return df;
    }
    let same = dfs.iter().all(|df| (df - dfs[0]).abs() < 1e-8 * dfs[0].abs());
    if same {
        return dfs[0];
    }
    if dfs.iter().any(|df| *df <= 2.0) {
        return 2.0;
    }
    let e: f64 = dfs.iter().map(|df| df / (df - 2.0)).sum();
    2.0 * e / (e - dfs.len() as f64)
}
