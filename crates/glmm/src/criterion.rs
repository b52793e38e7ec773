//! Laplace's criterion of all rows: visits of the top-level groups, in parallel over shards.

use crate::family::Distribution;
use crate::rows::{Rows, ShardOrder};
use crate::visit::{Modes, Point, Shape, Sums, Visit, VisitRows, Want};
use nalgebra::{DMatrix, DVector};
use rayon::prelude::*;
use tiers_equations::reweighted::{Groups, PathShape};
use tiers_reml::{Model, Parameters};

/// The criterion `f(β, θ) = -2 log L` by Laplace's approximation.
///
/// Coordinates are β for columns that are scaled to a root mean square of 1, and the scaled entries of the
/// factors ([`Parameters`]).
#[derive(Debug)]
pub(crate) struct Criterion<'a> {
    pub(crate) model: &'a Model,
    pub(crate) rows: &'a Rows,
    pub(crate) shape: Shape,
    pub(crate) parameters: Parameters,
    /// β is its coordinate times this.
    pub(crate) beta_scale: Vec<f64>,
}

/// Called after each visit with the number of its shard and its groups.
pub(crate) type EachVisit<'f> = &'f (dyn Fn(usize, &Groups<'_>, &mut Visit) + Sync);

/// The conditional modes of all groups, by shard.
pub(crate) type AllModes = Vec<Modes>;

/// One evaluation.
#[derive(Clone, Debug)]
pub(crate) struct Evaluation {
    pub(crate) coordinates: Vec<f64>,
    /// f with all constants; infinite where the modes could not be found.
    pub(crate) value: f64,
    /// By the coordinates.
    pub(crate) gradient: DVector<f64>,
    pub(crate) modes: AllModes,
}

impl<'a> Criterion<'a> {
    pub(crate) fn new(model: &'a Model, rows: &'a Rows, distribution: Distribution) -> Criterion<'a> {
        let parameters = Parameters::new(model.levels(), &model.totals());
        let mut z: Vec<usize> = Vec::new();
        let mut columns: Vec<Vec<usize>> = Vec::new();
        for level in model.levels() {
            let position = |&column: &usize| {
                z.iter().position(|&known| known == column).unwrap_or_else(|| {
                    z.push(column);
                    z.len() - 1
                })
            };
            columns.push(level.z.iter().map(position).collect());
        }
        let entries = parameters.entries.iter().map(|e| (e.level, e.row, e.column)).collect();
        let shape = Shape { distribution, p: model.p(), path: PathShape::new(&columns), entries };
        let totals = model.totals();
        let rms = |c: usize| (totals.get(c, c) / totals.rows as f64).sqrt();
        let scale = |c: usize| if rms(c) > 0.0 { 1.0 / rms(c) } else { 1.0 };
        let beta_scale = model.x().into_iter().map(scale).collect();
        Criterion { model, rows, shape, parameters, beta_scale }
    }

    /// Number of coordinates.
    pub(crate) fn len(&self) -> usize {
        self.shape.p + self.parameters.len()
    }

    /// All modes at zero.
    pub(crate) fn no_modes(&self) -> AllModes {
        let of_shard = |shard: &ShardOrder| {
            (0..self.shape.path.levels()).map(|k| vec![0.0; shard.groups[k].len() * self.shape.path.r(k)]).collect()
        };
        self.rows.shards.iter().map(of_shard).collect()
    }

    /// β and Λ at coordinates.
    pub(crate) fn point(&self, coordinates: &[f64]) -> Point {
        let (beta, theta) = coordinates.split_at(self.shape.p);
        let row_major = |l: &DMatrix<f64>| l.transpose().as_slice().to_vec();
        Point {
            beta: beta.iter().zip(&self.beta_scale).map(|(b, s)| b * s).collect(),
            lambda: self.parameters.factors(theta).iter().map(row_major).collect(),
        }
    }

    /// Visits all top-level groups from the given modes, which it replaces. `each` is called after each visit, with
    /// the number of the shard and the groups of the visit.
    pub(crate) fn visit(&self, at: &Point, want: Want, modes: &mut AllModes, each: EachVisit<'_>) -> Sums {
        let of_shard = |(s, (shard, modes)): (usize, (&ShardOrder, &mut Modes))| {
            let mut visit = Visit::default();
            let mut sums = Sums::new(&self.shape, want);
            for tops in &shard.visits {
                let (ranges, groups) = (shard.ranges(tops.clone()), shard.within(tops.clone()));
                self.rows.load(&self.shape, shard, tops.clone(), &mut visit.rows);
                visit.u.resize_with(ranges.len(), Vec::new);
                for (k, range) in ranges.iter().enumerate() {
                    let r = self.shape.path.r(k);
                    visit.u[k].clear();
                    visit.u[k].extend_from_slice(&modes[k][range.start * r..range.end * r]);
                }
                visit.run(&self.shape, &groups, at, want, &mut sums);
                for (k, range) in ranges.iter().enumerate() {
                    let r = self.shape.path.r(k);
                    modes[k][range.start * r..range.end * r].copy_from_slice(&visit.u[k]);
                }
                each(s, &groups, &mut visit);
            }
            sums
        };
        let shards = self.rows.shards.par_iter().zip(modes.par_iter_mut()).enumerate().with_max_len(1);
        let sums: Vec<Sums> = shards.map(of_shard).collect();
        let mut total = Sums::new(&self.shape, want);
        sums.iter().for_each(|sums| total.merge(sums));
        total
    }

    /// Evaluates the criterion and its gradient at coordinates, from given modes.
    pub(crate) fn evaluate(&self, coordinates: &[f64], mut modes: AllModes) -> Evaluation {
        let at = self.point(coordinates);
        let sums = self.visit(&at, Want::Gradient, &mut modes, &|_, _, _| {});
        let value = sums.value - 2.0 * self.rows.constant;
        let finite = value.is_finite() && sums.solved;
        let value = if finite { value } else { f64::INFINITY };
        if !finite {
            modes = self.no_modes();
        }
        let gradient = self.gradient(&sums, &at);
        Evaluation { coordinates: coordinates.to_vec(), value, gradient, modes }
    }

    fn gradient(&self, sums: &Sums, at: &Point) -> DVector<f64> {
        let beta = sums.beta.iter().zip(&self.beta_scale).map(|(g, s)| g * s);
        let entry = |&(k, i, j): &(usize, usize, usize)| {
            let r = self.shape.path.r(k);
            let sum: f64 = (0..r).map(|s| sums.gamma[k][i * r + s] * at.lambda[k][s * r + j]).sum();
            2.0 * sum * self.parameters.scale[k][i]
        };
        DVector::from_iterator(self.len(), beta.chain(self.shape.entries.iter().map(entry)))
    }

    /// The Hessian by the coordinates.
    pub(crate) fn hessian(&self, evaluation: &Evaluation) -> DMatrix<f64> {
        let at = self.point(&evaluation.coordinates);
        let mut modes = evaluation.modes.clone();
        let sums = self.visit(&at, Want::Hessian, &mut modes, &|_, _, _| {});
        let (p, n) = (self.shape.p, self.len());
        let scale = |i: usize| match i.checked_sub(p) {
            None => self.beta_scale[i],
            Some(e) => {
                let (k, row, _) = self.shape.entries[e];
                self.parameters.scale[k][row]
            }
        };
        let mut hessian = DMatrix::zeros(n, n);
        for i in 0..n {
            for j in 0..n {
                let value = match j.checked_sub(p) {
                    None => sums.beta_dot[i * p + j],
                    Some(e) => {
                        let (k, row, column) = self.shape.entries[e];
                        let r = self.shape.path.r(k);
                        let mut sum: f64 =
                            (0..r).map(|s| sums.gamma_dot[i][k][row * r + s] * at.lambda[k][s * r + column]).sum();
                        if let Some(&(level, a, b)) = i.checked_sub(p).map(|e| &self.shape.entries[e])
                            && (level, b) == (k, column)
                        {
                            sum += sums.gamma[k][row * r + a];
                        }
                        2.0 * sum
                    }
                };
                hessian[(i, j)] = value * scale(i) * scale(j);
            }
        }
        (&hessian + hessian.transpose()) * 0.5
    }

    /// Calls a function on every row: its columns of X, scaled like the coordinates of β, its successes (or weighted
    /// count), and its trials (or weight).
    pub(crate) fn each_row(&self, f: &mut dyn FnMut(&DVector<f64>, f64, f64)) {
        let p = self.shape.p;
        let (mut rows, mut scaled) = (VisitRows::default(), DVector::zeros(p));
        for shard in &self.rows.shards {
            for tops in &shard.visits {
                self.rows.load(&self.shape, shard, tops.clone(), &mut rows);
                for (i, x) in rows.x.chunks_exact(p.max(1)).enumerate() {
                    (0..p).for_each(|j| scaled[j] = x[j] * self.beta_scale[j]);
                    f(&scaled, rows.k[i], rows.m[i]);
                }
            }
        }
    }

    /// Coefficients of the model without random effects, by Newton's method with step halving.
    pub(crate) fn without_effects(&self) -> Vec<f64> {
        let p = self.shape.p;
        let mut beta = DVector::zeros(p);
        let (mut value, mut score, mut information) = self.fixed_pass(beta.as_slice());
        for _ in 0..30 {
            let Some(cholesky) = information.clone().cholesky() else { break };
            let step = cholesky.solve(&score);
            let decrement = step.dot(&score);
            let mut size = 1.0;
            loop {
                let trial = &beta + &step * size;
                let next = self.fixed_pass(trial.as_slice());
                if next.0 >= value - 1e-9 * value.abs() || size < 1e-4 {
                    beta = trial;
                    (value, score, information) = next;
                    break;
                }
                size *= 0.5;
            }
            if decrement < 1e-4 {
                break;
            }
        }
        beta.as_slice().to_vec()
    }

    /// Log-likelihood, score and observed information of the model without random effects, by the scaled
    /// coordinates of β.
    fn fixed_pass(&self, coordinates: &[f64]) -> (f64, DVector<f64>, DMatrix<f64>) {
        let p = self.shape.p;
        let beta: Vec<f64> = coordinates.iter().zip(&self.beta_scale).map(|(b, s)| b * s).collect();
        let of_shard = |shard: &ShardOrder| {
            let mut visit = Visit::default();
            let mut sums = (0.0, vec![0.0; p], vec![0.0; p * p]);
            for tops in &shard.visits {
                self.rows.load(&self.shape, shard, tops.clone(), &mut visit.rows);
                visit.add_fixed(&self.shape, &beta, &mut sums);
            }
            sums
        };
        let all: Vec<_> = self.rows.shards.par_iter().with_max_len(1).map(of_shard).collect();
        let mut total = (0.0, DVector::zeros(p), DMatrix::zeros(p, p));
        for (value, score, information) in all {
            total.0 += value;
            for i in 0..p {
                total.1[i] += score[i] * self.beta_scale[i];
                for j in 0..p {
                    let lower = information[i.max(j) * p + i.min(j)];
                    total.2[(i, j)] += lower * self.beta_scale[i] * self.beta_scale[j];
                }
            }
        }
        total
    }
}
