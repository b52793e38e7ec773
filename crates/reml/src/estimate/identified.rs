//! Checks whether the data determine the variances: by the expected information, and by rays along which
//! the criterion has no minimum.

use super::problem::Problem;
use crate::model::{Model, ModelError};
use crate::objective::{Evaluation, Method, Objective, SecondDerivatives};
use nalgebra::{DMatrix, DVector, SymmetricEigen};
use tiers_equations::{Covariances, Direction, Want};

/// A combination of the variances has no information if its eigenvalue of the scaled information is below
/// this. Exact dependence leaves rounding error of about 1e-13.
const NO_INFORMATION: f64 = 1e-10;

/// Refuses a model whose criterion decreases without bound as all variances grow.
///
/// This requires that fixed and random effects together fit every row. Then pwrss falls as the
/// covariances `tG` grow, and `log|V|` (for REML with `log|X'V⁻¹X|`) rises by `r log t`. For REML
/// r = n - p, so that the criterion has a limit and may have a minimum before it; for ML r is only the
/// rank of Z.
pub(super) fn check_bounded(objective: &Objective<'_>) -> Result<(), ModelError> {
    if !is_crowded(objective) {
        return Ok(());
    }
    // The effective number of effects may be smaller (groups of one row), so look at the criterion.
    let mut scratch = objective.scratch();
    let mut at = |size: f64| objective.evaluate(&diagonal(objective, size), Want::Value, &mut scratch);
    let along: Vec<Evaluation> = [1e2, 1e3, 1e4].into_iter().map(&mut at).collect();
    let falls = |near: &Evaluation, far: &Evaluation| {
        far.fixed.pwrss < 0.05 * near.fixed.pwrss && far.criterion < near.criterion - 1.0
    };
    match along.windows(2).any(|pair| falls(&pair[0], &pair[1])) {
        true => {
            let (model, effects) = (objective.model(), distinct_effects(objective.model()));
            Err(ModelError::Saturated { effects, p: model.p(), n: model.totals().rows })
        }
        false => Ok(()),
    }
}

/// Whether a model has at least as many random effects and coefficients as rows.
pub(super) fn is_crowded(objective: &Objective<'_>) -> bool {
    let model = objective.model();
    distinct_effects(model) as u64 + model.p() as u64 >= model.totals().rows
}

/// Covariances whose factors are `size` times the identity in scaled units.
fn diagonal(objective: &Objective<'_>, size: f64) -> Covariances {
    let entries = objective.parameters.entries.iter();
    let scaled: Vec<f64> = entries.map(|e| if e.row == e.column { size } else { 0.0 }).collect();
    objective.parameters.covariances(&scaled)
}

/// Number of distinct random effects: a z column does not count at a level if a level within it has it, too.
fn distinct_effects(model: &Model) -> usize {
    let levels = model.levels();
    let has_finer = |k: usize, column: &usize| {
        (0..levels.len()).any(|j| levels[j].z.contains(column) && model.structure().is_within(j, k))
    };
    let of_level = |k: usize| levels[k].groups * levels[k].z.iter().filter(|column| !has_finer(k, column)).count();
    (0..levels.len()).map(of_level).sum()
}

/// A combination of the variances that the data do not determine.
pub(super) struct Undetermined {
    /// Coefficients of the entries of G (scaled), and last of the residual variance.
    direction: DVector<f64>,
    /// Whether V is constant along it, so that everything but these variances is determined.
    keeps_v: bool,
}

/// A parameter takes part in an undetermined combination if its squared coefficient exceeds this.
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

    /// Names of the variances that take part, those of each level together.
    pub(super) fn names(&self, objective: &Objective<'_>) -> Vec<String> {
        let (model, directions) = (objective.model(), &objective.parameters.directions);
        let of_level = |k: usize| {
            let level = &model.levels()[k];
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
        let mut out: Vec<String> = (0..model.levels().len()).filter_map(of_level).collect();
        out.extend(self.involves(directions.len()).then(|| "the residual variance".to_owned()));
        out
    }

    /// Whether only the split between variances of random effects is undetermined.
    pub(super) fn is_harmless(&self) -> bool {
        self.keeps_v && !self.involves(self.direction.len() - 1)
    }

    /// The error for a combination on which the estimates depend.
    pub(super) fn error(&self, objective: &Objective<'_>) -> ModelError {
        let model = objective.model();
        let (n, d) = (model.totals().rows, self.direction.len() - 1);
        let of_level = |k: usize| objective.parameters.directions[k].level;
        let mut levels: Vec<usize> = (0..d).filter(|&k| self.involves(k)).map(of_level).collect();
        levels.dedup();
        if let (true, [k]) = (self.involves(d), &levels[..]) {
            let level = &model.levels()[*k];
            let (groups, r) = (level.groups, level.r());
            if (groups * r) as u64 >= n {
                return ModelError::NotIdentified { level: level.name.clone(), groups, r, effects: groups * r, n };
            }
        }
        ModelError::Undetermined { parameters: self.names(objective) }
    }
}

/// Finds a combination of variances that the data do not determine, if there is one.
///
/// The Gram matrix `tr(P V_i P V_j)` of the derivatives of V (for ML with `V⁻¹` in place of P) has the
/// same rank at every interior point. If it is rank-deficient, the criterion is flat along a curve
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
    // The fixed effects can replace a level's effects only if there are at least as many of them.
    let model = objective.model();
    let fewest = model.levels().iter().map(|level| level.groups).min().unwrap_or(0);
    if objective.method == Method::Ml || (model.p() < fewest && !is_crowded(objective)) {
        return None;
    }
    let exact = problem.second_derivatives(at, true);
    let direction = null_direction(&information(objective, at, &exact, Method::Reml), &scale)?;
    Some(Undetermined { direction, keeps_v: false })
}

/// Twice the expected information about the entries of G and the residual variance at an evaluation:
/// `tr(P V_i P V_j)` for REML, `tr(V⁻¹ V_i V⁻¹ V_j)` for ML. The residual variance's `V_0 = V - Σ g_i V_i`.
fn information(objective: &Objective<'_>, at: &Evaluation, second: &SecondDerivatives, method: Method) -> DMatrix<f64> {
    let d = objective.parameters.directions.len();
    let (mut first, mut traces) = (at.d_log_det.clone(), -&second.log_det);
    let mut nu = objective.model().totals().rows as f64;
    if method == Method::Reml {
        let p = at.fixed.beta.len();
        traces -= &second.log_det_xx;
        first.iter_mut().zip(&at.d_s).for_each(|(f, d_s)| *f += at.fixed.xx_inverse.dot(&d_s.view((0, 0), (p, p))));
        nu -= p as f64;
    }
    let g = at.covariances.entries(&objective.parameters.directions);
    let with_residual = &first - &traces * &g;
    let mut out = DMatrix::zeros(d + 1, d + 1);
    out.view_mut((0, 0), (d, d)).copy_from(&traces);
    out.view_mut((0, d), (d, 1)).copy_from(&with_residual);
    out.view_mut((d, 0), (1, d)).copy_from(&with_residual.transpose());
    out[(d, d)] = nu - g.dot(&first) - g.dot(&with_residual);
    out
}

/// Returns a null direction of a matrix that is scaled by the roots of the diagonal of another.
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
