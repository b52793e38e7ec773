//! Whether the data determine the variances: the expected information, and rays along which the
//! criterion has no minimum.

use super::problem::Problem;
use crate::model::ModelError;
use crate::objective::{Evaluation, Method, Objective, SecondDerivatives};
use nalgebra::{DMatrix, DVector, SymmetricEigen};
use tiers_equations::Direction;
use tiers_moments::Level;

/// Least eigenvalue of the scaled information below which a combination of the variances has none:
/// what exact dependence leaves is rounding, some 1e-13.
const NO_INFORMATION: f64 = 1e-10;

/// Refuses a model whose criterion falls without end as all variances grow.
///
/// That takes fixed and random effects that fit every row between them. Then pwrss falls as the
/// covariances `tG` grow, and `log|V|` (for REML with `log|X'V⁻¹X|`) rises by `r log t`: with r = n - p
/// for REML, where the criterion has a limit and may have a minimum before it, but only with the rank
/// of Z for ML.
pub(super) fn check_bounded(objective: &Objective<'_>) -> Result<(), ModelError> {
    if !is_crowded(objective) {
        return Ok(());
    }
    // That many effects may still be fewer than it seems (groups of one row), so look at the criterion.
    let mut scratch = objective.scratch();
    let mut at = |size: f64| objective.evaluate(&diagonal(objective, size), false, &mut scratch);
    let along: Vec<Evaluation> = [1e2, 1e3, 1e4].into_iter().map(&mut at).collect();
    let falls =
        |near: &Evaluation, far: &Evaluation| far.pwrss < 0.05 * near.pwrss && far.criterion < near.criterion - 1.0;
    match along.windows(2).any(|pair| falls(&pair[0], &pair[1])) {
        true => {
            let (model, effects) = (objective.model(), distinct_effects(&objective.model().forest.levels));
            Err(ModelError::Saturated { effects, p: model.p(), n: model.forest.rows })
        }
        false => Ok(()),
    }
}

/// Whether a model has no fewer random effects and coefficients than rows.
pub(super) fn is_crowded(objective: &Objective<'_>) -> bool {
    let model = objective.model();
    distinct_effects(&model.forest.levels) as u64 + model.p() as u64 >= model.forest.rows
}

/// Factors that are the same multiple of the identity in scaled units.
fn diagonal(objective: &Objective<'_>, size: f64) -> Vec<f64> {
    let entries = objective.parameters.entries.iter();
    entries.map(|e| if e.row == e.column { size } else { 0.0 }).collect()
}

/// Random effects that can be told apart: a column that several levels have counts at the finest.
fn distinct_effects(levels: &[Level]) -> usize {
    let mut seen = Vec::new();
    let mut sum = 0;
    for level in levels {
        for column in &level.z {
            if !seen.contains(column) {
                seen.push(*column);
                sum += level.groups;
            }
        }
    }
    sum
}

/// A combination of the variances that the data say nothing of.
pub(super) struct Undetermined {
    /// Its shares: the entries of G (scaled), and last the residual variance.
    direction: DVector<f64>,
    /// Whether V stays the same along it, so that all but these variances is determined.
    keeps_v: bool,
}

/// Squared share of a parameter in an undetermined combination from which on it takes part.
const SHARE: f64 = 1e-3;

impl Undetermined {
    /// Whether the k-th entry of G takes part.
    fn involves(&self, k: usize) -> bool {
        self.direction[k].powi(2) > SHARE
    }

    /// Marks the terms whose variances take part.
    pub(super) fn terms(&self, objective: &Objective<'_>, terms: usize) -> Vec<bool> {
        let mut out = vec![false; terms];
        let parameters = &objective.parameters;
        let involved = parameters.directions.iter().enumerate().filter(|(k, _)| self.involves(*k));
        for (_, d) in involved {
            let entry = parameters.entries.iter().find(|e| e.level == d.level && e.row == d.a);
            out[entry.expect("an entry of each row").term] = true;
        }
        out
    }

    /// The variances that take part, in words: those of each level together.
    pub(super) fn names(&self, objective: &Objective<'_>) -> Vec<String> {
        let (model, directions) = (objective.model(), &objective.parameters.directions);
        let of_level = |k: usize| {
            let level = &model.forest.levels[k];
            let has = |row: usize| {
                let at = |(_, d): &(usize, &Direction)| d.level == k && (d.a == row || d.b == row);
                directions.iter().enumerate().filter(at).any(|(i, _)| self.involves(i))
            };
            let name = |row: usize| {
                let &(term, start) = level.terms.iter().rev().find(|t| t.1 <= row).expect("a term");
                model.recipe.random[term].names[row - start].clone()
            };
            let effects: Vec<String> = (0..level.r()).filter(|&row| has(row)).map(name).collect();
            let variances = if effects.len() == 1 { "variance" } else { "variances" };
            (!effects.is_empty())
                .then(|| format!("the {variances} of {} between groups of {}", effects.join(", "), level.name))
        };
        let mut out: Vec<String> = (0..model.forest.levels.len()).filter_map(of_level).collect();
        out.extend(self.involves(directions.len()).then(|| "the residual variance".to_owned()));
        out
    }

    /// Whether only the split between the variances of random effects is open.
    pub(super) fn is_harmless(&self) -> bool {
        self.keeps_v && !self.involves(self.direction.len() - 1)
    }

    /// The error for a combination that estimates depend on.
    pub(super) fn error(&self, objective: &Objective<'_>) -> ModelError {
        let model = objective.model();
        let (n, d) = (model.forest.rows, self.direction.len() - 1);
        let of_level = |k: usize| objective.parameters.directions[k].level;
        let mut levels: Vec<usize> = (0..d).filter(|&k| self.involves(k)).map(of_level).collect();
        levels.dedup();
        if let (true, [k]) = (self.involves(d), &levels[..]) {
            let level = &model.forest.levels[*k];
            let (groups, r) = (level.groups, level.r());
            if (groups * r) as u64 >= n {
                return ModelError::NotIdentified { level: level.name.clone(), groups, r, effects: groups * r, n };
            }
        }
        ModelError::Undetermined { parameters: self.names(objective) }
    }
}

/// The combination of variances that the data do not determine, where there is one.
///
/// The Gram matrix `tr(P V_i P V_j)` of the derivatives of V (for ML with `V⁻¹` in the place of P) has
/// the same rank at every interior theta. Where it lacks one, the criterion is flat along a curve
/// through every point: `(1 | g)` with one row per group, or two levels that have the same groups.
///
/// `by_ml` are the second derivatives at an evaluation without those of `log|X'V⁻¹X|`.
pub(super) fn undetermined(
    problem: &mut Problem<'_, '_>,
    at: &Evaluation,
    by_ml: &SecondDerivatives,
) -> Option<Undetermined> {
    let objective = problem.objective;
    let scale = information(objective, at, by_ml, Method::Ml);
    if let Some(direction) = null_direction(&scale, &scale) {
        return Some(Undetermined { direction, keeps_v: true });
    }
    // The fixed effects can take the place of a level's effects only if they are as many.
    let model = objective.model();
    let fewest = model.forest.levels.iter().map(|level| level.groups).min().unwrap_or(0);
    if objective.method == Method::Ml || (model.p() < fewest && !is_crowded(objective)) {
        return None;
    }
    let exact = problem.second_derivatives(at, true);
    let direction = null_direction(&information(objective, at, &exact, Method::Reml), &scale)?;
    Some(Undetermined { direction, keeps_v: false })
}

/// Twice the expected information about the entries of G and the residual variance at theta:
/// `tr(P V_i P V_j)` for REML, `tr(V⁻¹ V_i V⁻¹ V_j)` for ML. The residual variance's `V_0 = V - Σ g_i V_i`.
fn information(objective: &Objective<'_>, at: &Evaluation, second: &SecondDerivatives, method: Method) -> DMatrix<f64> {
    let d = objective.parameters.directions.len();
    let (mut first, mut traces) = (at.d_log_det.clone(), -&second.log_det);
    let mut nu = objective.model().forest.rows as f64;
    if method == Method::Reml {
        let p = at.beta.len();
        traces -= &second.log_det_xx;
        first.iter_mut().zip(&at.d_s).for_each(|(f, d_s)| *f += at.xx_inverse.dot(&d_s.view((0, 0), (p, p))));
        nu -= p as f64;
    }
    let g = objective.parameters.entries_of_covariances(&at.theta);
    let with_residual = &first - &traces * &g;
    let mut out = DMatrix::zeros(d + 1, d + 1);
    out.view_mut((0, 0), (d, d)).copy_from(&traces);
    out.view_mut((0, d), (d, 1)).copy_from(&with_residual);
    out.view_mut((d, 0), (1, d)).copy_from(&with_residual.transpose());
    out[(d, d)] = nu - g.dot(&first) - g.dot(&with_residual);
    out
}

/// The direction in which a matrix, scaled by the roots of the diagonal of another, is zero.
fn null_direction(matrix: &DMatrix<f64>, scale: &DMatrix<f64>) -> Option<DVector<f64>> {
    let root = |i: usize| scale[(i, i)].max(f64::MIN_POSITIVE).sqrt();
    let scaled = DMatrix::from_fn(matrix.nrows(), matrix.ncols(), |i, j| matrix[(i, j)] / (root(i) * root(j)));
    if scaled.iter().any(|v| !v.is_finite()) {
        return None;
    }
    let eigen = SymmetricEigen::new(scaled);
    let least = eigen.eigenvalues.imin();
    (eigen.eigenvalues[least] < NO_INFORMATION).then(|| eigen.eigenvectors.column(least).clone_owned())
}
