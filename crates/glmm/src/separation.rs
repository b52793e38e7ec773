//! Separation: a combination of covariates that predicts outcomes with certainty, so that the likelihood rises
//! for ever as its coefficient grows.
//!
//! A direction γ separates if `x_i'γ = 0` on rows whose outcome could have been higher and lower, `x_i'γ ≥ 0` on
//! rows without successes, `x_i'γ ≤ 0` on rows of successes only, and some are not 0: along -γ no row's likelihood
//! falls, and some rise. With the signs `t_i` of the rows at a bound, a direction is found by iterated rectified
//! least squares (Correia, Guimarães and Zylkin 2019): regress `u` on `t_i x_i` within the directions that are 0
//! on the other rows, set `u` to the positive part of the fitted values, and repeat. Without separation u tends
//! to 0; otherwise to the fitted values of a direction that separates, which the rows themselves confirm.

use crate::criterion::Criterion;
use crate::family::Family;
use crate::fit::SeparatedTerm;
use crate::inference::Inference;
use crate::search::{GlmmStatus, Optimum};
use crate::visit::VisitRows;
use nalgebra::{Cholesky, DMatrix, DVector, SymmetricEigen};

/// Eigenvalues below this share of the largest count as zero.
const RANK: f64 = 1e-10;

/// A fitted value this far below zero, relative to the largest, counts as zero; and u this small as vanished.
const ZERO: f64 = 1e-7;

/// Fitted values above this share of the largest are rows that the direction separates.
const SEPARATED: f64 = 1e-4;

/// Largest number of passes over the rows.
const PASSES: usize = 2000;

/// What separates.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Separation {
    /// For each coefficient in use, whether it grows without end.
    pub(crate) coefficients: Vec<bool>,
    /// Number of rows whose outcome the direction predicts with certainty.
    pub(crate) rows: u64,
}

impl Separation {
    /// The coefficients that grow without end, given the names of all.
    pub(crate) fn terms<'a>(&'a self, names: &'a [String]) -> impl Iterator<Item = SeparatedTerm> + 'a {
        let separated = names.iter().zip(&self.coefficients).filter(|(_, separated)| **separated);
        separated.map(|(term, _)| SeparatedTerm { term: term.clone(), rows: self.rows })
    }
}

/// Standard error of a coefficient, for a column scaled to a root mean square of 1, that no data give: the
/// information along a direction that separates vanishes as its coefficient grows.
const NO_INFORMATION: f64 = 100.0;

/// Checks the end of a search, and changes its status where a coefficient or a variance grows without end.
pub(crate) fn check(criterion: &Criterion<'_>, inference: &Inference, optimum: &mut Optimum) -> Option<Separation> {
    let p = criterion.shape.p;
    let without_information = |covariance: &DMatrix<f64>| {
        (0..p).any(|j| covariance[(j, j)].sqrt().max(0.0) > NO_INFORMATION * criterion.beta_scale[j])
    };
    let runs_off = inference.shifted.as_ref().is_none_or(without_information);
    if runs_off || optimum.status == GlmmStatus::NotConverged {
        match find(criterion) {
            Some(found) => {
                optimum.status = GlmmStatus::Separated;
                return Some(found);
            }
            None if runs_off => optimum.status = GlmmStatus::NotConverged,
            None => {}
        }
    }
    if has_level_of_one_outcome(criterion) {
        optimum.status = GlmmStatus::NotIdentified;
    }
    None
}

/// Whether every group of a level has successes only or failures only, and some group has several trials: then
/// the likelihood rises for ever with the variance of that level.
fn has_level_of_one_outcome(criterion: &Criterion<'_>) -> bool {
    if criterion.shape.distribution.family() != Family::Binomial {
        return false;
    }
    let levels = criterion.shape.path.levels();
    let (mut single, mut several) = (vec![true; levels], vec![false; levels]);
    let mut rows = VisitRows::default();
    for shard in &criterion.rows.shards {
        for tops in &shard.visits {
            criterion.rows.load(&criterion.shape, shard, tops.clone(), &mut rows);
            let groups = shard.within(tops.clone());
            // Successes and trials of each group, level by level.
            let sum = |range: std::ops::Range<usize>, values: &[(f64, f64)]| {
                values[range].iter().fold((0.0, 0.0), |(k, m), (a, b)| (k + a, m + b))
            };
            let of_rows: Vec<(f64, f64)> = rows.k.iter().copied().zip(rows.m.iter().copied()).collect();
            let mut totals: Vec<(f64, f64)> = rows.by_group().map(|range| sum(range, &of_rows)).collect();
            for k in 0..levels {
                single[k] &= totals.iter().all(|&(successes, trials)| successes == 0.0 || successes == trials);
                several[k] |= totals.iter().any(|&(_, trials)| trials > 1.0);
                if k + 1 < levels {
                    totals = (0..groups.count(k + 1)).map(|g| sum(groups.children(k, g), &totals)).collect();
                }
            }
        }
    }
    single.iter().zip(&several).any(|(single, several)| *single && *several)
}

/// Looks for a direction that separates; `None` if there is none.
fn find(criterion: &Criterion<'_>) -> Option<Separation> {
    let p = criterion.shape.p;
    let binomial = criterion.shape.distribution.family() == Family::Binomial;
    let bound = |k: f64, m: f64| match (k == 0.0, binomial && k == m) {
        (true, _) => 1.0,
        (_, true) => -1.0,
        _ => 0.0,
    };
    let mut between = DMatrix::zeros(p, p);
    let mut at_bound = DMatrix::zeros(p, p);
    criterion.each_row(&mut |x, k, m| {
        let sums = if bound(k, m) == 0.0 { &mut between } else { &mut at_bound };
        sums.ger(1.0, x, x, 1.0);
    });
    // The directions that are zero on all rows between the bounds.
    let free = null_space(&between, &(&between + &at_bound))?;
    let cholesky = Cholesky::new(free.transpose() * &at_bound * &free)?;
    // The first regression is of u = 1.
    let mut direction: Option<DVector<f64>> = None;
    for _ in 0..PASSES {
        let mut moments = DVector::zeros(p);
        let (mut lowest, mut highest) = (0.0_f64, 0.0_f64);
        criterion.each_row(&mut |x, k, m| {
            let sign = bound(k, m);
            let fitted = direction.as_ref().map_or(1.0, |direction| sign * x.dot(direction));
            if sign != 0.0 {
                (lowest, highest) = (lowest.min(fitted), highest.max(fitted));
                moments.axpy(sign * fitted.max(0.0), x, 1.0);
            }
        });
        if let Some(direction) = &direction {
            if highest <= ZERO {
                return None;
            }
            if lowest >= -ZERO * highest {
                return Some(describe(criterion, direction, highest, &bound));
            }
        }
        direction = Some(&free * cholesky.solve(&(free.transpose() * moments)));
    }
    None
}

/// Names the rows that a direction separates, and the coefficients that the other rows do not determine.
fn describe(
    criterion: &Criterion<'_>,
    direction: &DVector<f64>,
    highest: f64,
    bound: &dyn Fn(f64, f64) -> f64,
) -> Separation {
    let p = criterion.shape.p;
    let (mut rest, mut all, mut rows) = (DMatrix::zeros(p, p), DMatrix::zeros(p, p), 0);
    criterion.each_row(&mut |x, k, m| {
        all.ger(1.0, x, x, 1.0);
        if bound(k, m) * x.dot(direction) > SEPARATED * highest {
            rows += 1;
        } else {
            rest.ger(1.0, x, x, 1.0);
        }
    });
    let coefficients = match null_space(&rest, &all) {
        // The directions are in shifted columns; the coefficients of the user's columns move with them.
        Some(directions) => {
            let scale = DMatrix::from_diagonal(&DVector::from_column_slice(&criterion.beta_scale));
            let moved = criterion.model.unshift_map() * scale * directions;
            let size = moved.amax();
            moved.row_iter().map(|row| row.amax() > 1e-6 * size).collect()
        }
        None => vec![false; p],
    };
    Separation { coefficients, rows }
}

/// An orthonormal basis of the directions in which a symmetric matrix is zero, relative to another; `None` if there
/// are none.
fn null_space(matrix: &DMatrix<f64>, scale: &DMatrix<f64>) -> Option<DMatrix<f64>> {
    let largest = SymmetricEigen::new(scale.clone()).eigenvalues.amax();
    let eigen = SymmetricEigen::new(matrix.clone());
    let null: Vec<usize> = (0..matrix.nrows()).filter(|&i| eigen.eigenvalues[i] <= RANK * largest).collect();
    (!null.is_empty()).then(|| eigen.eigenvectors.select_columns(&null))
}
