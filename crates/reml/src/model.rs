//! The model to be fitted: the equations with their X, and the maps back to the user's columns.

use crate::order::by_groups;
use nalgebra::{DMatrix, DVector};
use tiers_design::Recipe;
use tiers_equations::Equations;
use tiers_moments::{Level, RowTotals, Structure};

/// Rank tolerance: a column is linearly dependent on those before it if its pivot of `X'WX` is below
/// this share of its diagonal. Cross-products square the condition number: 1e-12 here is 1e-6 in norm.
pub(crate) const RANK_TOLERANCE: f64 = 1e-12;

/// Why a model cannot be fitted.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// Listwise deletion leaves no rows.
    #[error("no row is left to fit: all {dropped} rows have a missing value in a column of the model ({})", worst.join(", "))]
    NoRows {
        /// Rows dropped.
        dropped: u64,
        /// Columns by number of missing values.
        worst: Vec<String>,
    },
    /// There are at least as many coefficients as rows.
    #[error(
        "{p} fixed-effect coefficients from {n} rows leave nothing to estimate variances from: drop terms or add rows"
    )]
    TooFewRows {
        /// Coefficients.
        p: usize,
        /// Rows.
        n: u64,
    },
    /// The response does not vary.
    #[error("the response {name} has the same value on all {n} rows: there is nothing to explain")]
    ConstantResponse {
        /// Response as written.
        name: String,
        /// Rows.
        n: u64,
    },
    /// The fixed effects fit the response exactly, so that no residual is left.
    #[error(
        "the fixed effects fit the response {name} exactly on all {n} rows: no residual is left. \
         Look for a predictor that is the response in disguise"
    )]
    PerfectFit {
        /// Response as written.
        name: String,
        /// Rows.
        n: u64,
    },
    /// A grouping has a single group.
    #[error("the grouping {level} has only one group: a variance between groups needs at least two. Drop the term")]
    OneGroup {
        /// Name of the grouping.
        level: String,
    },
    /// A grouping has at least as many random effects as there are rows.
    #[error(
        "{level} has {groups} groups with {r} random effect(s) each, {effects} in all, for {n} rows: \
         its variance cannot be distinguished from the residual variance. Drop that level (a level with one row per \
         group is the residual itself), or its slopes"
    )]
    NotIdentified {
        /// Name of the grouping.
        level: String,
        /// Groups.
        groups: usize,
        /// Random coefficients per group.
        r: usize,
        /// Random effects, groups · r.
        effects: usize,
        /// Rows.
        n: u64,
    },
    /// Fixed and random effects together fit every row.
    #[error(
        "the model's {effects} random effects and {p} coefficients together fit all {n} rows exactly: no residual is \
         left, and the variances have no best value. Take out random slopes or a level"
    )]
    Saturated {
        /// Random effects.
        effects: usize,
        /// Coefficients.
        p: usize,
        /// Rows.
        n: u64,
    },
    /// The likelihood is the same for many values of the variances.
    #[error(
        "the data do not determine {}: the likelihood has the same value for many combinations of them. Leave out \
         random slopes or a level, or the fixed effects that stand for the same groups",
        parameters.join(" and ")
    )]
    Undetermined {
        /// The variances and covariances, in words.
        parameters: Vec<String>,
    },
    /// The random effects fit the response exactly.
    #[error(
        "the groups explain the response {name} on all {n} rows, exactly or up to rounding in 16 digits: no \
         residual is left from which variances could be estimated. If the rows of a group repeat one value, keep one \
         row per group and leave that level out"
    )]
    NoResidual {
        /// Response as written.
        name: String,
        /// Rows.
        n: u64,
    },
    /// The residual variance is too small a part of the response's variance.
    #[error(
        "the groups explain the response {name} but for {share:.0e} of its variance: too little of the residual is left \
         in 16 digits, and estimates would have errors of {error:.0e}. If the rows of a group differ only by rounding, \
         keep one row per group and leave that level out"
    )]
    ResidualTooSmall {
        /// Response as written.
        name: String,
        /// The residual's share of the sum of squares.
        share: f64,
        /// Relative error of the residual variance.
        error: f64,
    },
    /// A coefficient's information is too small a part of its column's variation.
    #[error(
        "the groups explain the response so nearly that too few of 16 digits are left for the coefficient of {column}. If the \
         rows of a group differ only by rounding, keep one row per group and leave that level out"
    )]
    CoefficientDigits {
        /// Name of the coefficient.
        column: String,
    },
    /// Products of a column's values are too large for floating point.
    #[error(
        "the values of {column} are so large (a root mean square of {size:.0e}) that products of them overflow: \
         look for damaged values, or divide the column by a constant"
    )]
    TooLarge {
        /// The column of X or Z, or the response.
        column: String,
        /// Root mean square of its values, weights included.
        size: f64,
    },
    /// The formula has no random effect.
    #[error("the formula has no random effect: add a term such as (1 | school), or fit it by ordinary regression")]
    NoRandomEffects,
}

/// The equations of a model, with the linearly independent columns of X.
#[derive(Debug)]
pub struct Model {
    /// Definition of the columns.
    pub recipe: Recipe,
    /// The groups with their moments.
    pub equations: Equations,
    /// The coefficients in use: indices into [`Recipe::x`].
    pub coefficients: Vec<usize>,
    /// Coefficients that were dropped because their columns depend linearly on the columns before them.
    pub dropped: Vec<usize>,
    /// Those among the dropped whose column is not exactly dependent, but too nearly so for double
    /// precision: the coefficient, and the share of its sum of squares that the columns before it leave.
    pub nearly_dependent: Vec<(usize, f64)>,
}

/// If the columns before it leave less than this share of a column's sum of squares, it is rounding.
const MORE_THAN_ROUNDING: f64 = 1e-14;

/// Largest sum of squares; squares and products of larger ones overflow.
const LARGEST: f64 = 1e150;

fn check_sizes(recipe: &Recipe, totals: &RowTotals<'_>) -> Result<(), ModelError> {
    let names = recipe.columns.iter().map(|column| &column.name).chain([&recipe.response_name]);
    for (j, name) in names.enumerate() {
        let square = totals.get(j, j);
        if square.is_nan() || square > LARGEST {
            let size = (square / totals.rows as f64).sqrt();
            return Err(ModelError::TooLarge { column: name.clone(), size });
        }
    }
    Ok(())
}

impl Model {
    /// Checks a model and finds the rank of its X.
    pub fn new(recipe: Recipe, structure: Structure) -> Result<Self, ModelError> {
        let totals = structure.totals();
        if !structure.levels().is_empty() {
            check_sizes(&recipe, &totals)?;
        }
        if !structure.levels().is_empty() && is_constant(&recipe, &totals) {
            return Err(ModelError::ConstantResponse { name: recipe.response_name, n: totals.rows });
        }
        Model::build(recipe, structure, true)
    }

    /// Checks all but the response, which a generalised model reads from the rows, and finds the rank of X.
    pub fn of_generalised(recipe: Recipe, structure: Structure) -> Result<Self, ModelError> {
        Model::build(recipe, structure, false)
    }

    fn build(recipe: Recipe, structure: Structure, linear: bool) -> Result<Self, ModelError> {
        let totals = structure.totals();
        let (n, name) = (totals.rows, recipe.response_name.clone());
        if structure.levels().is_empty() {
            return Err(ModelError::NoRandomEffects);
        }
        check_sizes(&recipe, &totals)?;
        let columns: Vec<usize> = recipe.x.iter().map(|x| x.column).collect();
        let (kept, nearly_dependent, residual) = independent(&totals, &columns);
        if kept.len() as u64 >= n {
            return Err(ModelError::TooFewRows { p: kept.len(), n });
        }
        if linear && residual <= 1e-14 * totals.get(totals.y(), totals.y()) * (n as f64).sqrt() {
            return Err(ModelError::PerfectFit { name, n });
        }
        for level in structure.levels() {
            if level.groups < 2 {
                return Err(ModelError::OneGroup { level: level.name.clone() });
            }
        }
        let dropped = (0..columns.len()).filter(|i| !kept.contains(i)).collect();
        let equations = Equations::new(structure);
        Ok(Model { recipe, equations, coefficients: kept, dropped, nearly_dependent })
    }

    /// Returns the structure of the groupings.
    pub fn structure(&self) -> &Structure {
        self.equations.structure()
    }

    /// Whether the groupings cross, so that they are not one nest.
    pub fn is_crossed(&self) -> bool {
        self.structure().crossed().is_some()
    }

    /// Returns the levels by rising number of groups, as results list them: in a nest the coarsest first.
    pub(crate) fn coarsest_first(&self) -> impl Iterator<Item = &Level> {
        by_groups(self.levels()).into_iter().rev().map(|k| &self.levels()[k])
    }

    /// Returns the levels of random effects: in a nest the finest first, in a crossed design the leaf first.
    pub fn levels(&self) -> &[Level] {
        self.equations.levels()
    }

    /// Returns the sums over all rows.
    pub fn totals(&self) -> RowTotals<'_> {
        self.equations.totals()
    }

    /// Number of fixed-effect coefficients in use.
    pub fn p(&self) -> usize {
        self.coefficients.len()
    }

    /// Columns of C that hold the X columns in use, in the order of the coefficients.
    pub fn x(&self) -> Vec<usize> {
        self.coefficients.iter().map(|&i| self.recipe.x[i].column).collect()
    }

    /// Returns β and its covariance in terms of the user's columns.
    ///
    /// The model was fitted to columns less their shifts and a response less its shift. With the
    /// constant `1 = Σ_i c_i x_i`: `β_i = β̃_i + c_i (shift_y - Σ_j shift_j β̃_j)`, a unimodular map,
    /// so log|X'V⁻¹X| needs no correction.
    pub fn unshift(&self, beta: &DVector<f64>, covariance: &DMatrix<f64>) -> (DVector<f64>, DMatrix<f64>) {
        let map = self.unshift_map();
        let shifted = &map * beta + self.response_offset();
        (shifted, &map * covariance * map.transpose())
    }

    /// The linear part of [`Model::unshift`], p×p.
    pub fn unshift_map(&self) -> DMatrix<f64> {
        let p = self.p();
        let shift = DVector::from_iterator(p, self.x().into_iter().map(|c| self.recipe.columns[c].shift));
        DMatrix::identity(p, p) - self.constant().unwrap_or_else(|| DVector::zeros(p)) * shift.transpose()
    }

    /// The constant part of [`Model::unshift`]: what the response's shift adds to β.
    pub fn response_offset(&self) -> DVector<f64> {
        self.constant().map_or_else(|| DVector::zeros(self.p()), |constant| constant * self.recipe.response_shift)
    }

    /// The combination of the coefficients' columns that is 1 on every row, where there is one.
    pub(crate) fn constant(&self) -> Option<DVector<f64>> {
        let constant = self.recipe.constant.as_ref()?;
        Some(DVector::from_iterator(self.p(), self.coefficients.iter().map(|&i| constant[i])))
    }

    /// Per level, the map B with b = B b̃ from effects of the shifted z columns to those of the user's.
    ///
    /// Only a term with its own intercept has shifted columns: `b_0 = b̃_0 - Σ_j shift_j b̃_j`.
    pub fn effect_maps(&self) -> Vec<DMatrix<f64>> {
        let columns = &self.recipe.columns;
        let of_level = |level: &Level| {
            let mut map = DMatrix::identity(level.r(), level.r());
            for (t, &(_, start)) in level.terms.iter().enumerate() {
                let end = level.terms.get(t + 1).map_or(level.r(), |next| next.1);
                let intercept = (start..end).find(|&i| columns[level.z[i]].atoms.is_empty());
                if let Some(intercept) = intercept {
                    for i in (start..end).filter(|&i| i != intercept) {
                        map[(intercept, i)] = -columns[level.z[i]].shift;
                    }
                }
            }
            map
        };
        self.levels().iter().map(of_level).collect()
    }
}

/// Whether the response has the same value on all rows, judged on the scale of the unshifted response.
fn is_constant(recipe: &Recipe, totals: &RowTotals<'_>) -> bool {
    let y = totals.y();
    let total = totals.get(y, y);
    if total == 0.0 {
        return true;
    }
    let Some(constant) = recipe.columns.iter().position(|c| c.atoms.is_empty()) else { return false };
    let (weight, sum) = (totals.get(constant, constant), totals.get(constant, y));
    let around_mean = total - sum * sum / weight;
    let level = (sum / weight + recipe.response_shift).powi(2) * weight;
    around_mean <= 1e-14 * total || around_mean <= 1e-28 * level
}

/// Eliminates the columns in order. Returns the positions of those independent of the ones before
/// them, the nearly dependent ones with their share of the sum of squares, and y's residual sum of squares.
fn independent(totals: &RowTotals<'_>, columns: &[usize]) -> (Vec<usize>, Vec<(usize, f64)>, f64) {
    let mut s = DMatrix::from_fn(columns.len() + 1, columns.len() + 1, |i, j| {
        let at = |i: usize| columns.get(i).copied().unwrap_or(totals.y());
        totals.get(at(i), at(j))
    });
    let (mut kept, mut nearly) = (Vec::new(), Vec::new());
    let diagonal: Vec<f64> = s.diagonal().iter().copied().collect();
    for j in 0..columns.len() {
        let pivot = s[(j, j)];
        if pivot.is_nan() || pivot <= RANK_TOLERANCE * diagonal[j] {
            if pivot > MORE_THAN_ROUNDING * diagonal[j] {
                nearly.push((j, pivot / diagonal[j]));
            }
            continue;
        }
        kept.push(j);
        let column = s.column(j).clone_owned();
        for i in j + 1..s.nrows() {
            let factor = column[i] / pivot;
            for l in j + 1..s.ncols() {
                s[(i, l)] -= factor * column[l];
            }
        }
    }
    (kept, nearly, s[(columns.len(), columns.len())])
}
