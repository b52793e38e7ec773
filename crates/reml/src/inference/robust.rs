//! Cluster-robust (sandwich) covariance of β, the clusters being the top-level groups.
//!
//! ```text
//! M (Σ_c s_c s_c') M,   M = (X'V⁻¹X)⁻¹,   s_c = X_c'V_c⁻¹A_c e_c
//! ```
//!
//! with A the identity (CR0), a multiple of it (CR1 and its kin) or the matrix that makes the estimate
//! unbiased where the model holds (CR2, in [`super::adjust`]). Degrees of freedom are those of Bell and
//! McCaffrey (2002) with V as working covariance: for `l'β`, with `a_c = A_cV_c⁻¹X_cMl` and
//! `P_cd = δ_cd a_c'V_ca_c - a_c'X_cMX_d'a_d`, `(tr P)²/tr(P²)`, in p×p sums over the clusters.

use super::adjust::{Contribution, adjusted};
use super::t_test;
use crate::clusters::ClusterMoments;
use crate::estimate::Optimum;
use crate::fit::FixedEffect;
use crate::in_order;
use crate::objective::Objective;
use nalgebra::{Cholesky, DMatrix, DVector};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use tiers_design::{TopGroups, Tree};
use tiers_equations::{Cluster, TreePlan, TreeScratch};

/// Which sandwich; the names are those of R's clubSandwich.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sandwich {
    /// No adjustment (Liang and Zeger 1986).
    #[serde(rename = "CR0")]
    Cr0,
    /// Times m/(m - 1), m clusters.
    #[serde(rename = "CR1")]
    Cr1,
    /// Times m/(m - p), p coefficients.
    #[serde(rename = "CR1p")]
    Cr1p,
    /// Times m(n - 1)/((m - 1)(n - p)), as Stata.
    #[serde(rename = "CR1S")]
    Cr1s,
    /// Residuals adjusted to be unbiased under the model (Bell and McCaffrey 2002; Pustejovsky and
    /// Tipton 2018).
    #[serde(rename = "CR2")]
    Cr2,
}

impl std::fmt::Display for Sandwich {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Sandwich::Cr0 => "CR0",
            Sandwich::Cr1 => "CR1",
            Sandwich::Cr1p => "CR1p",
            Sandwich::Cr1s => "CR1S",
            Sandwich::Cr2 => "CR2",
        })
    }
}

/// Why there is no sandwich.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RobustError {
    /// A cluster has too many random effects that all differ.
    #[error(
        "CR2 needs the root of a matrix for each cluster, and one cluster has {effects} random effects whose groups are \
         too unlike each other to be reduced to a smaller one. Ask for CR1, which adjusts by the number of clusters"
    )]
    LargeCluster {
        /// Random effects in the cluster.
        effects: usize,
    },
    /// There are no more clusters than coefficients.
    #[error(
        "CR1p divides by clusters less coefficients, and there are {clusters} clusters for {p} coefficients: ask for CR1 or CR2"
    )]
    FewClusters {
        /// Clusters.
        clusters: usize,
        /// Coefficients.
        p: usize,
    },
    /// There is no coefficient.
    #[error("the model has no fixed effects, so there are no standard errors of any")]
    NoCoefficients,
}

/// Cluster-robust inference on β, in the user's columns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Robust {
    /// Which sandwich.
    #[serde(rename = "type")]
    pub kind: Sandwich,
    /// Name of the level whose groups are the clusters.
    pub cluster: String,
    /// Their number.
    pub clusters: usize,
    /// The robust covariance of the fixed effects.
    pub vcov: Vec<Vec<f64>>,
    /// Tests and intervals by it: degrees of freedom are Satterthwaite's for CR2, else clusters - 1.
    pub coefficients: Vec<FixedEffect>,
    /// Satterthwaite's degrees of freedom of each coefficient, whichever sandwich.
    pub satterthwaite_df: Vec<f64>,
}

impl Robust {
    /// Computes a sandwich at an optimum. `confidence` is the level of the intervals.
    pub fn new(
        objective: &Objective<'_>,
        optimum: &Optimum,
        moments: &ClusterMoments,
        kind: Sandwich,
        confidence: f64,
    ) -> Result<Self, RobustError> {
        let model = objective.model();
        let (forest, p, n) = (&model.forest, model.p(), model.forest.rows as f64);
        let top = forest.levels.last().expect("a level");
        let (clusters, m) = (top.groups, top.groups as f64);
        if p == 0 {
            return Err(RobustError::NoCoefficients);
        }
        let factor = match kind {
            Sandwich::Cr0 | Sandwich::Cr2 => 1.0,
            Sandwich::Cr1 => m / (m - 1.0),
            Sandwich::Cr1p if clusters <= p => return Err(RobustError::FewClusters { clusters, p }),
            Sandwich::Cr1p => m / (m - p as f64),
            Sandwich::Cr1s => m * (n - 1.0) / ((m - 1.0) * (n - p as f64)),
        };
        let sums = Sums::over_clusters(objective, optimum, moments, kind)?;
        let half = &optimum.at.xx_inverse;
        let covariance = half * &sums.meat * half * factor;
        let (beta, covariance) = model.unshift(&optimum.at.beta, &covariance);
        let covariance = 0.5 * (&covariance + covariance.transpose());
        let satterthwaite_df: Vec<f64> = sums.contrasts.iter().map(|sum| sum.df(half)).collect();
        let coefficients = (0..p).map(|i| {
            let df = if kind == Sandwich::Cr2 { satterthwaite_df[i] } else { m - 1.0 };
            let test = t_test(beta[i], 0.0, covariance[(i, i)].sqrt(), Some(df), confidence);
            FixedEffect::new(&model.recipe.x[model.coefficients[i]].name, &test)
        });
        Ok(Robust {
            kind,
            cluster: top.name.clone(),
            clusters,
            coefficients: coefficients.collect(),
            vcov: covariance.row_iter().map(|row| row.iter().copied().collect()).collect(),
            satterthwaite_df,
        })
    }
}

/// Sums over clusters.
struct Sums {
    /// `Σ s_c s_c'`.
    meat: DMatrix<f64>,
    contrasts: Vec<ContrastSums>,
}

/// What the degrees of freedom of one coefficient need: with `ν_c = a_c'V_ca_c` and `b_c = X_c'a_c`
/// sums of `ν_c`, `ν_c²`, `ν_c b_c'Mb_c` and `b_cb_c'`.
#[derive(Clone)]
struct ContrastSums {
    first: f64,
    second: f64,
    mixed: f64,
    outer: DMatrix<f64>,
}

impl Sums {
    fn none(p: usize) -> Self {
        let contrast = ContrastSums { first: 0.0, second: 0.0, mixed: 0.0, outer: DMatrix::zeros(p, p) };
        Sums { meat: DMatrix::zeros(p, p), contrasts: vec![contrast; p] }
    }

    fn over_clusters(
        objective: &Objective<'_>,
        optimum: &Optimum,
        moments: &ClusterMoments,
        kind: Sandwich,
    ) -> Result<Self, RobustError> {
        let forest = &objective.model().forest;
        let walk = Walk::new(objective, optimum, kind);
        let p = walk.x.len();
        let of_shard = |(shard, tree): (usize, &Tree)| {
            let tops = TopGroups::new(tree);
            let mut sums = Sums::none(p);
            for top in 0..tops.len() {
                sums.add(&walk.contribution(&tops.tree(top), moments.of(shard, top))?, &walk);
            }
            Ok::<Sums, RobustError>(sums)
        };
        let at_once = in_order::at_once(8 * p * p * (p + 1), forest.trees.len());
        let shards = forest.trees.chunks(at_once).enumerate().map(|(part, trees)| {
            let number = move |(i, tree)| (part * at_once + i, tree);
            trees.par_iter().enumerate().map(number)
        });
        let mut total = Sums::none(p);
        if let Some(sums) = in_order::merged(shards, of_shard, Sums::merge)? {
            total.merge(&sums);
        }
        Ok(total)
    }

    fn add(&mut self, cluster: &Contribution, walk: &Walk<'_>) {
        self.meat.ger(1.0, &cluster.score, &cluster.score, 1.0);
        for (sum, l) in self.contrasts.iter_mut().zip(walk.contrasts.column_iter()) {
            let variance = l.dot(&(&cluster.variance * l));
            // spread' = X'A V⁻¹X, as A is symmetric only together with V: X_c'a_c = spread l.
            let b = &cluster.spread * l;
            sum.first += variance;
            sum.second += variance * variance;
            sum.mixed += variance * b.dot(&(walk.m * &b));
            sum.outer.ger(1.0, &b, &b, 1.0);
        }
    }

    fn merge(&mut self, other: &Sums) {
        self.meat += &other.meat;
        for (sum, other) in self.contrasts.iter_mut().zip(&other.contrasts) {
            sum.first += other.first;
            sum.second += other.second;
            sum.mixed += other.mixed;
            sum.outer += &other.outer;
        }
    }
}

impl ContrastSums {
    /// `(tr P)² / tr(P²)`.
    fn df(&self, m: &DMatrix<f64>) -> f64 {
        let spread = m * &self.outer;
        let trace = self.first - spread.trace();
        let squares = self.second - 2.0 * self.mixed + spread.dot(&spread.transpose());
        trace * trace / squares
    }
}

/// What every cluster is met with.
struct Walk<'a> {
    objective: &'a Objective<'a>,
    kind: Sandwich,
    plan: TreePlan,
    g: Vec<Vec<f64>>,
    factors: Vec<DMatrix<f64>>,
    x: Vec<usize>,
    /// The combination of the columns of C that is the residual.
    gamma: DVector<f64>,
    m: &'a DMatrix<f64>,
    /// M = root root'.
    root: DMatrix<f64>,
    /// M times the map to the user's columns: a column per coefficient.
    contrasts: DMatrix<f64>,
}

impl<'a> Walk<'a> {
    fn new(objective: &'a Objective<'_>, optimum: &'a Optimum, kind: Sandwich) -> Self {
        let (model, at) = (objective.model(), &optimum.at);
        let x = model.x();
        let mut gamma = DVector::zeros(model.forest.m);
        gamma[model.forest.m - 1] = 1.0;
        x.iter().zip(at.beta.iter()).for_each(|(&c, beta)| gamma[c] = -beta);
        let p = x.len();
        let root = Cholesky::new(at.xx_inverse.clone()).map_or_else(|| DMatrix::zeros(p, p), |factor| factor.l());
        Walk {
            objective,
            kind,
            plan: TreePlan::new(&model.forest),
            g: objective.parameters.covariances(&at.theta),
            factors: objective.parameters.factors(&at.theta),
            x,
            gamma,
            m: &at.xx_inverse,
            root,
            contrasts: &at.xx_inverse * model.unshift_map().transpose(),
        }
    }

    fn contribution(&self, tree: &Tree, cross: &[f64]) -> Result<Contribution, RobustError> {
        let forest = &self.objective.model().forest;
        if self.kind == Sandwich::Cr2 {
            let gamma = self.gamma.as_slice();
            let cluster = Cluster::new(&forest.levels, tree, cross, &self.factors, &self.x, gamma);
            return adjusted(&cluster, &self.root);
        }
        // X_c'V_c⁻¹C falls out of the elimination of the cluster's own tree.
        let mut scratch = TreeScratch::new(&self.plan, tree);
        let taken = self.plan.evaluate(tree, &self.g, false, &mut scratch).downdate;
        let (m, p) = (forest.m, self.x.len());
        let s = |i: usize, j: usize| cross[i * m + j] - taken.get(i, j);
        let score = |i: usize| (0..m).map(|j| s(self.x[i], j) * self.gamma[j]).sum::<f64>();
        let xx = DMatrix::from_fn(p, p, |i, j| s(self.x[i], self.x[j]));
        Ok(Contribution { score: DVector::from_fn(p, |i, _| score(i)), spread: xx.clone(), variance: xx })
    }
}
