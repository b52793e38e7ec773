//! Influence of each top-level group on the fit: estimates without it, from sums over the group alone.
//!
//! With the variances fixed at their estimates, the fixed effects without group c are exact, since
//! they need only `S - S_c` (Cook's distance, MDFFITS, DFBETAS: Demidenko and Stukel 2005,
//! Loy and Hofmann 2014). The variances without the group are found by one step of Fisher scoring (a
//! Newton step with the expected curvature) on the likelihood of the remaining groups. Its gradient and
//! curvature at the estimates are those of all groups less those of the group, with β profiled again.
//! See `docs/theory.md`, "Influence".

use crate::effects::{KeyColumn, keys_of};
use crate::estimate::Optimum;
use crate::fit::Variances;
use crate::model::Model;
use crate::objective::{Evaluation, Method, Objective, SecondDerivatives};
use crate::order::by_groups;
use nalgebra::{DMatrix, DVector, SymmetricEigen};
use tiers_equations::{Curvature, CurvatureTerms, Part, Sums, Want};
use tiers_moments::{ClusterMoments, RowTotals};

/// The influence of every top-level group, one row per group, sorted by the labels.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Influence {
    /// Name of the top level.
    pub level: String,
    /// Key columns of the top level with the labels of every group.
    pub keys: Vec<KeyColumn>,
    /// Rows of data per group.
    pub rows: Vec<u64>,
    /// Names of the p coefficients.
    pub terms: Vec<String>,
    /// Names of the standard deviations: (level, coefficient), in the order of the fit's variance
    /// components; the residual comes last and has no coefficient.
    pub deviations: Vec<(String, Option<String>)>,
    /// Standard deviations estimated from all groups.
    pub all: Vec<f64>,
    /// The estimates without each group.
    pub groups: Vec<WithoutGroup>,
}

/// Estimates without one group. All NaN where the other groups do not determine the coefficients.
#[derive(Clone, Debug, PartialEq)]
pub struct WithoutGroup {
    /// Cook's distance: `Δ'Cov(β)⁻¹Δ / p`, Δ the change of β due to the group.
    pub cooks_distance: f64,
    /// MDFFITS: the same with the covariance of β without the group.
    pub mdffits: f64,
    /// β without the group, with the variances fixed; p.
    pub beta: Vec<f64>,
    /// Δ over the standard errors of β without the group; p.
    pub dfbetas: Vec<f64>,
    /// Standard deviations without the group, by one step of Fisher scoring.
    pub deviations: Vec<f64>,
}

impl Influence {
    /// Computes the influence of all top-level groups.
    pub fn new(objective: &Objective<'_>, optimum: &Optimum, moments: &ClusterMoments) -> Self {
        let model = objective.model();
        let whole = Whole::new(objective, optimum, moments);
        let parts = model.equations.independent_parts();
        let (level, groups) = (parts.level(), parts.groups());
        let name = |&i: &usize| model.recipe.x[i].name.clone();
        Influence {
            level: model.levels()[level].name.clone(),
            keys: keys_of(model, level, &groups),
            rows: model.structure().group_rows(level, &groups),
            terms: model.coefficients.iter().map(name).collect(),
            deviations: names_of_deviations(model),
            all: whole.deviations(&Variances::new(objective, optimum)),
            groups: parts.map(|part| whole.without(part)),
        }
    }
}

/// The fit with all groups.
struct Whole<'a> {
    objective: &'a Objective<'a>,
    at: &'a Evaluation,
    moments: &'a ClusterMoments,
    sums: Sums,
    curvature: Curvature,
    sigma2: f64,
    /// β in the user's columns.
    beta: DVector<f64>,
    /// The map of β to the user's columns.
    map: DMatrix<f64>,
    maps: Vec<DMatrix<f64>>,
    /// The levels in the order of the results.
    order: Vec<usize>,
}

impl<'a> Whole<'a> {
    fn new(objective: &'a Objective<'_>, optimum: &'a Optimum, moments: &'a ClusterMoments) -> Self {
        let (model, at) = (objective.model(), &optimum.at);
        Whole {
            objective,
            at,
            moments,
            sums: model.equations.evaluate(&at.covariances, Want::Derivatives, &mut objective.scratch()),
            curvature: model.equations.curvature(&objective.point(at, CurvatureTerms::Products)),
            sigma2: at.fixed.pwrss / objective.nu(),
            beta: model.unshift(&at.fixed.beta, &at.fixed.xx_inverse).0,
            map: model.unshift_map(),
            maps: model.effect_maps(),
            order: by_groups(model.levels()),
        }
    }

    /// Computes the estimates without a group.
    fn without(&self, part: &Part<'_>) -> WithoutGroup {
        let totals = self.objective.model().totals();
        let mut sums = self.sums.clone();
        sums.remove(&part.evaluate(&self.at.covariances, Want::Derivatives));
        let own = self.moments.of(part.place());
        let cross: Vec<f64> = totals.cross.iter().zip(own).map(|(all, own)| all - own).collect();
        let rows = totals.rows - self.moments.rows(part.place());
        // The logarithms of the weights do not depend on the variances.
        let sample = RowTotals { m: totals.m, cross: &cross, rows, sum_log_weights: 0.0 };
        let rest = self.objective.finish(&self.at.covariances, &sums, &sample);
        if !self.determines_beta(&rest) {
            return self.undetermined();
        }
        let mut out = self.fixed_effects(&rest);
        let theirs = part.curvature(&self.objective.point(self.at, CurvatureTerms::Products));
        out.deviations = self.variances(&rest, &theirs, rows);
        out
    }

    /// Whether the remaining rows determine every coefficient, so that none has lost all its information.
    fn determines_beta(&self, rest: &Evaluation) -> bool {
        let diagonal = |at: &Evaluation| at.fixed.xx_inverse.diagonal();
        rest.criterion.is_finite()
            && diagonal(rest).iter().zip(&diagonal(self.at)).all(|(rest, all)| *rest > 0.0 && *rest < 1e9 * all)
    }

    fn undetermined(&self) -> WithoutGroup {
        let none = |len: usize| vec![f64::NAN; len];
        let p = self.beta.len();
        let deviations = none(names_of_deviations(self.objective.model()).len());
        WithoutGroup { cooks_distance: f64::NAN, mdffits: f64::NAN, beta: none(p), dfbetas: none(p), deviations }
    }

    /// Computes β without the group and its distances, with the variances fixed.
    fn fixed_effects(&self, rest: &Evaluation) -> WithoutGroup {
        let model = self.objective.model();
        let p = self.beta.len() as f64;
        let difference = &self.at.fixed.beta - &rest.fixed.beta;
        let distance = |inverse: &DMatrix<f64>| match inverse.clone().cholesky() {
            Some(factor) => difference.dot(&factor.solve(&difference)) / (p * self.sigma2),
            None => f64::NAN,
        };
        let beta = model.unshift(&rest.fixed.beta, &rest.fixed.xx_inverse).0;
        let covariance = &self.map * &rest.fixed.xx_inverse * self.map.transpose() * self.sigma2;
        let variances = covariance.diagonal();
        let of_beta = self.beta.iter().zip(&beta).zip(&variances);
        WithoutGroup {
            cooks_distance: distance(&self.at.fixed.xx_inverse),
            mdffits: distance(&rest.fixed.xx_inverse),
            dfbetas: of_beta.map(|((all, rest), variance)| (all - rest) / variance.sqrt()).collect(),
            beta: beta.iter().copied().collect(),
            deviations: Vec::new(),
        }
    }

    /// Standard deviations after one step of Fisher scoring on the likelihood of the other groups.
    fn variances(&self, rest: &Evaluation, theirs: &Curvature, rows: u64) -> Vec<f64> {
        let (objective, directions) = (self.objective, &self.objective.parameters.directions);
        let sums = self.curvature_without(rest, theirs);
        let second = objective.second_of(rest, &sums, objective.method == Method::Reml, rows);
        let nu = rows as f64 - objective.model().totals().rows as f64 + objective.nu();
        let Some(variances) = scoring(objective, rest, &second, nu) else {
            return vec![f64::NAN; self.sigmas(&DVector::zeros(directions.len() + 1)).len()];
        };
        self.sigmas(&variances)
    }

    /// Subtracts a group's part from the sums of the second derivatives of log|V| and log|X'V⁻¹X|.
    fn curvature_without(&self, rest: &Evaluation, theirs: &Curvature) -> Curvature {
        let (model, d) = (self.objective.model(), self.objective.parameters.directions.len());
        let (m, x) = (model.totals().m, model.x());
        let mut out = Curvature {
            trace: self.curvature.trace.iter().zip(&theirs.trace).map(|(all, own)| all - own).collect(),
            residual: vec![0.0; d * d],
            fixed: vec![0.0; d * d],
            products: Vec::new(),
        };
        for at in 0..d * d {
            let (all, own) = (&self.curvature.products[at], &theirs.products[at]);
            for (i, &a) in x.iter().enumerate() {
                let row = |(j, &b): (usize, &usize)| rest.fixed.xx_inverse[(i, j)] * (all[a * m + b] - own[a * m + b]);
                out.fixed[at] += x.iter().enumerate().map(row).sum::<f64>();
            }
        }
        out
    }

    /// Returns standard deviations from the entries of `σ²G` by direction, and `σ²`, of the shifted
    /// columns. A covariance matrix that is not positive semidefinite is replaced by the nearest such one.
    fn sigmas(&self, variances: &DVector<f64>) -> Vec<f64> {
        let parameters = &self.objective.parameters;
        let mut blocks: Vec<DMatrix<f64>> = parameters.r.iter().map(|&r| DMatrix::zeros(r, r)).collect();
        for (direction, variance) in parameters.directions.iter().zip(variances.iter()) {
            blocks[direction.level][(direction.a, direction.b)] = *variance;
            blocks[direction.level][(direction.b, direction.a)] = *variance;
        }
        let root = |(block, map): (&DMatrix<f64>, &DMatrix<f64>)| {
            let eigen = SymmetricEigen::new(map * block * map.transpose());
            let roots = eigen.eigenvalues.map(|v| v.max(0.0).sqrt());
            eigen.eigenvectors * DMatrix::from_diagonal(&roots)
        };
        let factors: Vec<_> = blocks.iter().zip(&self.maps).map(root).collect();
        let of_rows = |k: usize| factors[k].row_iter().map(|row| row.norm()).collect::<Vec<_>>();
        let sigma2 = variances[variances.len() - 1];
        self.order.iter().flat_map(|&k| of_rows(k)).chain([sigma2.max(0.0).sqrt()]).collect()
    }

    /// Returns the standard deviations in the order of [`names_of_deviations`].
    fn deviations(&self, variances: &Variances) -> Vec<f64> {
        let Variances { factors, sigma2 } = variances;
        let of_level =
            |&k: &usize| factors[k].row_iter().map(|row| (sigma2 * row.norm_squared()).sqrt()).collect::<Vec<_>>();
        self.order.iter().flat_map(of_level).chain([sigma2.sqrt()]).collect()
    }
}

/// Names of the random coefficients level by level, by falling number of groups, then of the residual.
fn names_of_deviations(model: &Model) -> Vec<(String, Option<String>)> {
    let mut names = Vec::new();
    for level in by_groups(model.levels()).into_iter().map(|k| &model.levels()[k]) {
        for &(term, _) in &level.terms {
            names.extend(model.recipe.random[term].names.iter().map(|name| (level.name.clone(), Some(name.clone()))));
        }
    }
    names.push(("Residual".to_owned(), None));
    names
}

/// One step of Fisher scoring in the variances `ω = (σ²G, σ²)`, in which `Cov(y) = Σ ω_j V_j` is linear:
/// the solution of `y'PV_iPy = Σ_j tr(PV_iPV_j) ω_j`, P at the present θ (Anderson 1973).
///
/// For ML the traces have V⁻¹ in place of P. Those with the residual's `V_0 = V - Σ g_j V_j` follow
/// from `PVP = P`. For balanced data the equations do not depend on θ, and the step is exact.
fn scoring(objective: &Objective<'_>, at: &Evaluation, second: &SecondDerivatives, nu: f64) -> Option<DVector<f64>> {
    let d = objective.parameters.directions.len();
    let p = at.fixed.beta.len();
    let g = at.covariances.entries(&objective.parameters.directions);
    let (mut traces, mut linear) = (-&second.log_det, at.d_log_det.clone());
    if objective.method == Method::Reml {
        traces -= &second.log_det_xx;
        for (sum, d_s) in linear.iter_mut().zip(&at.d_s) {
            *sum += at.fixed.xx_inverse.dot(&d_s.view((0, 0), (p, p)));
        }
    }
    let forms = -objective.d_pwrss(at);
    let with_residual = &linear - &traces * &g;
    let mut system = DMatrix::zeros(d + 1, d + 1);
    system.view_mut((0, 0), (d, d)).copy_from(&traces);
    system.view_mut((0, d), (d, 1)).copy_from(&with_residual);
    system.view_mut((d, 0), (1, d)).copy_from(&with_residual.transpose());
    system[(d, d)] = nu - g.dot(&linear) - g.dot(&with_residual);
    let right = DVector::from_fn(d + 1, |i, _| if i < d { forms[i] } else { at.fixed.pwrss - g.dot(&forms) });
    // Scale rows and columns to a unit diagonal.
    let unit = system.diagonal().map(|v| if v > 0.0 { 1.0 / v.sqrt() } else { 0.0 });
    let scaled = DMatrix::from_fn(d + 1, d + 1, |i, j| system[(i, j)] * unit[i] * unit[j]);
    let solved = scaled.lu().solve(&right.component_mul(&unit))?;
    Some(solved.component_mul(&unit)).filter(|variances| variances.iter().all(|v| v.is_finite()))
}
