//! Cluster-robust (sandwich) covariance of β, the clusters being the top-level groups.
//!
//! ```text
//! M (Σ_c s_c s_c') M,   M = (X'V⁻¹X)⁻¹,   s_c = X_c'V_c⁻¹A_c e_c
//! ```
//!
//! with A the identity (CR0), a multiple of it (CR1 and its variants) or the matrix that makes the estimate
//! unbiased if the model holds (CR2, in [`super::adjust`]). Degrees of freedom are those of Bell and
//! McCaffrey (2002) with V as working covariance: for `l'β`, with `a_c = A_cV_c⁻¹X_cMl` and
//! `P_cd = δ_cd a_c'V_ca_c - a_c'X_cMX_d'a_d`, `(tr P)²/tr(P²)`, in p×p sums over the clusters.

use super::adjust::{Contribution, adjusted};
use super::t_test;
use crate::estimate::Optimum;
use crate::fit::FixedEffect;
use crate::objective::{Evaluation, Objective};
use nalgebra::{Cholesky, DMatrix, DVector, SymmetricEigen};
use serde::{Deserialize, Deserializer, Serialize};
use tiers_equations::{Part, Want};
use tiers_moments::{ClusterMoments, GroupPlace};

/// Type of sandwich; the names are those of R's clubSandwich.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sandwich {
    /// No adjustment (Liang and Zeger 1986).
    #[serde(rename = "CR0")]
    Cr0,
    /// CR0 times m/(m - 1), m clusters.
    #[serde(rename = "CR1")]
    Cr1,
    /// CR0 times m/(m - p), p coefficients.
    #[serde(rename = "CR1p")]
    Cr1p,
    /// CR0 times m(n - 1)/((m - 1)(n - p)), as in Stata.
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

/// Why a sandwich cannot be computed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RobustError {
    /// A cluster has too many random effects whose groups all differ.
    #[error(
        "CR2 needs the root of a matrix for each cluster, and one cluster has {effects} random effects whose groups are \
         too unlike each other to be reduced to a smaller one. Ask for CR1, which adjusts by the number of clusters"
    )]
    LargeCluster {
        /// Random effects in the cluster.
        effects: usize,
    },
    /// There are at most as many clusters as coefficients.
    #[error(
        "CR1p divides by clusters less coefficients, and there are {clusters} clusters for {p} coefficients: ask for CR1 or CR2"
    )]
    FewClusters {
        /// Clusters.
        clusters: usize,
        /// Coefficients.
        p: usize,
    },
    /// The model has no coefficients.
    #[error("the model has no fixed effects, so there are no standard errors of any")]
    NoCoefficients,
}

/// Cluster-robust inference on β, in the user's columns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Robust {
    /// Type of sandwich.
    #[serde(rename = "type")]
    pub kind: Sandwich,
    /// Name of the level whose groups are the clusters.
    pub cluster: String,
    /// Number of clusters.
    pub clusters: usize,
    /// The robust covariance of the fixed effects.
    #[serde(deserialize_with = "matrix_nulls_are_nan")]
    pub vcov: Vec<Vec<f64>>,
    /// Robust tests and intervals: degrees of freedom are Satterthwaite's for CR2, else clusters - 1.
    pub coefficients: Vec<FixedEffect>,
    /// Satterthwaite's degrees of freedom of each coefficient, for any type of sandwich.
    #[serde(deserialize_with = "nulls_are_nan")]
    pub satterthwaite_df: Vec<f64>,
    /// Coefficients that one cluster alone determines: they have no robust standard error, and all that
    /// depends on it is NaN.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub one_cluster: Vec<OneCluster>,
}

/// Coefficients that could not be estimated without one of the clusters.
///
/// The fit makes the residuals of that cluster zero in the directions of these coefficients, so that
/// the sandwich, which estimates variances from residuals, misses the cluster's variation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OneCluster {
    /// Label of the cluster.
    pub cluster: String,
    /// Names of the coefficients.
    pub coefficients: Vec<String>,
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
        let (p, n) = (model.p(), model.totals().rows as f64);
        let level = model.equations.independent_parts().level();
        let top = &model.levels()[level];
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
        let half = &optimum.at.fixed.xx_inverse;
        let covariance = half * &sums.meat * half * factor;
        let (beta, covariance) = model.unshift(&optimum.at.fixed.beta, &covariance);
        let mut covariance = 0.5 * (&covariance + covariance.transpose());
        let mut satterthwaite_df: Vec<f64> = sums.contrasts.iter().map(|sum| sum.df(half)).collect();
        for &i in sums.alone.iter().flat_map(|alone| &alone.coefficients) {
            covariance.row_mut(i).fill(f64::NAN);
            covariance.column_mut(i).fill(f64::NAN);
            satterthwaite_df[i] = f64::NAN;
        }
        let name = |i: usize| &model.recipe.x[model.coefficients[i]].name;
        let coefficients = (0..p).map(|i| {
            let std_error = covariance[(i, i)].sqrt();
            let df = match kind {
                Sandwich::Cr2 => satterthwaite_df[i],
                _ if std_error.is_nan() => f64::NAN,
                _ => m - 1.0,
            };
            FixedEffect::new(name(i), &t_test(beta[i], 0.0, std_error, Some(df), confidence))
        });
        let one_cluster = sums.alone.iter().map(|alone| OneCluster {
            cluster: model.structure().group_name(level, alone.cluster),
            coefficients: alone.coefficients.iter().map(|&i| name(i).clone()).collect(),
        });
        Ok(Robust {
            kind,
            cluster: top.name.clone(),
            clusters,
            coefficients: coefficients.collect(),
            one_cluster: one_cluster.collect(),
            vcov: covariance.row_iter().map(|row| row.iter().copied().collect()).collect(),
            satterthwaite_df,
        })
    }
}

/// Reads null in JSON as NaN.
fn nulls_are_nan<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<f64>, D::Error> {
    let values = Vec::<Option<f64>>::deserialize(from)?;
    Ok(values.into_iter().map(|value| value.unwrap_or(f64::NAN)).collect())
}

fn matrix_nulls_are_nan<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Vec<f64>>, D::Error> {
    let rows = Vec::<Vec<Option<f64>>>::deserialize(from)?;
    let row = |row: Vec<Option<f64>>| row.into_iter().map(|value| value.unwrap_or(f64::NAN)).collect();
    Ok(rows.into_iter().map(row).collect())
}

/// Sums over clusters.
struct Sums {
    /// `Σ s_c s_c'`.
    meat: DMatrix<f64>,
    contrasts: Vec<ContrastSums>,
    /// Clusters that alone determine some coefficients.
    alone: Vec<Alone>,
}

/// A cluster without which some coefficients could not be estimated.
#[derive(Clone, Debug)]
struct Alone {
    cluster: GroupPlace,
    coefficients: Vec<usize>,
}

/// A cluster that has all but this share of the information on a direction determines it alone.
const ALL_INFORMATION: f64 = 1e-7;
/// A coefficient depends on such a direction if more than this share of its variance is along it.
const DEPENDS: f64 = 1e-8;

/// Sums for the degrees of freedom of one coefficient: with `ν_c = a_c'V_ca_c` and `b_c = X_c'a_c`,
/// the sums of `ν_c`, `ν_c²`, `ν_c b_c'Mb_c` and `b_cb_c'`.
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
        Sums { meat: DMatrix::zeros(p, p), contrasts: vec![contrast; p], alone: Vec::new() }
    }

    fn over_clusters(
        objective: &Objective<'_>,
        optimum: &Optimum,
        moments: &ClusterMoments,
        kind: Sandwich,
    ) -> Result<Self, RobustError> {
        let walk = Walk::new(objective, optimum, kind);
        let p = walk.x.len();
        let add = |sums: &mut Sums, part: &Part<'_>| {
            let cluster = walk.contribution(part, moments.of(part.place()))?;
            sums.add(&cluster, &walk);
            let coefficients = walk.alone(&cluster.information);
            if !coefficients.is_empty() {
                sums.alone.push(Alone { cluster: part.place(), coefficients });
            }
            Ok(())
        };
        let parts = objective.model().equations.independent_parts();
        parts.fold(8 * p * p * (p + 1), || Sums::none(p), add, Sums::merge)
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
        self.alone.extend_from_slice(&other.alone);
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

/// Quantities shared by all clusters.
struct Walk<'a> {
    at: &'a Evaluation,
    kind: Sandwich,
    x: Vec<usize>,
    /// The combination of the columns of C that is the residual.
    gamma: DVector<f64>,
    m: &'a DMatrix<f64>,
    /// M = root root'.
    root: DMatrix<f64>,
    /// The map to the user's columns: a row per coefficient.
    unshift: DMatrix<f64>,
    /// M times the transpose of `unshift`: a column per coefficient.
    contrasts: DMatrix<f64>,
}

impl<'a> Walk<'a> {
    fn new(objective: &'a Objective<'_>, optimum: &'a Optimum, kind: Sandwich) -> Self {
        let (model, at) = (objective.model(), &optimum.at);
        let x = model.x();
        let gamma = DVector::from_vec(at.fixed.residual(model.totals().m));
        let p = x.len();
        let unshift = model.unshift_map();
        let root = Cholesky::new(at.fixed.xx_inverse.clone()).map_or_else(|| DMatrix::zeros(p, p), |factor| factor.l());
        Walk {
            at,
            kind,
            x,
            gamma,
            m: &at.fixed.xx_inverse,
            root,
            contrasts: &at.fixed.xx_inverse * unshift.transpose(),
            unshift,
        }
    }

    fn contribution(&self, part: &Part<'_>, cross: &[f64]) -> Result<Contribution, RobustError> {
        if self.kind == Sandwich::Cr2 {
            return adjusted(&part.cluster(cross, &self.at.covariances, &self.at.fixed), &self.root);
        }
        // The elimination of the cluster's own random effects gives X_c'V_c⁻¹C.
        let taken = part.evaluate(&self.at.covariances, Want::Value).downdate;
        let (m, p) = (self.gamma.len(), self.x.len());
        let s = |i: usize, j: usize| cross[i * m + j] - taken.get(i, j);
        let score = |i: usize| (0..m).map(|j| s(self.x[i], j) * self.gamma[j]).sum::<f64>();
        let xx = DMatrix::from_fn(p, p, |i, j| s(self.x[i], self.x[j]));
        let score = DVector::from_fn(p, |i, _| score(i));
        Ok(Contribution { score, spread: xx.clone(), variance: xx.clone(), information: xx })
    }

    /// Returns the coefficients that could not be estimated without a cluster with the information
    /// `I_c = X_c'V_c⁻¹X_c`.
    ///
    /// With `M = RR'`, the other clusters have no information on an eigenvector u of `R'I_cR` with
    /// eigenvalue 1: `(M⁻¹ - I_c) Ru = 0`. A coefficient `l'β` depends on it if `l'Ru` is not zero.
    fn alone(&self, information: &DMatrix<f64>) -> Vec<usize> {
        // The traces add up to at most p over all clusters, so this rules out nearly all of them.
        if self.m.dot(information) < 1.0 - ALL_INFORMATION {
            return Vec::new();
        }
        let leverage = SymmetricEigen::new(self.root.tr_mul(&(information * &self.root)));
        let is_alone = |&u: &usize| leverage.eigenvalues[u] > 1.0 - ALL_INFORMATION;
        let alone: Vec<usize> = (0..leverage.eigenvalues.len()).filter(is_alone).collect();
        let directions = leverage.eigenvectors.select_columns(&alone);
        let depends = |&i: &usize| {
            // R'l; its squared entries add up to the variance l'Ml.
            let shares = self.root.tr_mul(&self.unshift.row(i).transpose());
            directions.tr_mul(&shares).norm_squared() > DEPENDS * shares.norm_squared()
        };
        (0..self.x.len()).filter(depends).collect()
    }
}
