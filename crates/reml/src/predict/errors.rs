//! Standard errors of predictions: the errors of β̂ and b̂ together.
//!
//! The prediction error variance of `t = x'β + Σ z'b` at given variance parameters (Henderson 1975;
//! theory.md, "Prediction") is
//!
//! ```text
//! Var(t̂ - t) = σ² [ Σ_g v_g'K_g v_g + x̃'S_xx⁻¹x̃ + Σ_new z'G z ]
//! ```
//!
//! with v and x̃ left by eliminating the row along its known groups ([`KnownPath`]), and the last sum over
//! the levels at which the group is new. A new response adds `1/w`, and `z'G z` of the levels left out.

use crate::estimate::Optimum;
use crate::objective::Objective;
use nalgebra::{Cholesky, DMatrix};
use tiers_design::{MISSING, RowBlock};
use tiers_equations::{EliminatedEquations, KnownPath};
use tiers_moments::{GroupPlace, Level};

/// The errors of β̂ and b̂ at an optimum, from which those of any row's prediction are computed.
#[derive(Debug)]
pub struct PredictionErrors<'a> {
    /// `None` for predictions without groups, which do not need it.
    eliminated: Option<EliminatedEquations<'a>>,
    /// Relative covariances per level, row-major.
    g: Vec<Vec<f64>>,
    /// R with `S_xx⁻¹ = R'R`.
    root: DMatrix<f64>,
    sigma: f64,
    /// Columns of C that hold X.
    x: Vec<usize>,
    chosen: Chosen,
}

/// The requested predictions, with their columns numbered as in the encoder.
#[derive(Debug, Default)]
struct Chosen {
    x: Vec<usize>,
    /// Per level of the model, the columns of its z; empty where they are not needed.
    z: Vec<Vec<usize>>,
    /// The requested levels of the model, finest first, each with its groups in the order of their
    /// labels.
    levels: Vec<(usize, Vec<GroupPlace>)>,
}

impl<'a> PredictionErrors<'a> {
    /// Repeats the elimination at the optimum, and keeps what new rows need. It takes as much memory as an
    /// evaluation.
    ///
    /// # Panics
    /// If the optimum is not one of the objective.
    pub fn new(objective: &Objective<'a>, optimum: &Optimum) -> Self {
        let (model, at) = (objective.model(), &optimum.at);
        PredictionErrors {
            eliminated: Some(model.equations.eliminate(&at.covariances).expect("factored there by the search")),
            g: at.covariances.by_level().to_vec(),
            ..PredictionErrors::of_fixed(model.x(), &at.fixed.xx_inverse, (at.fixed.pwrss / objective.nu()).sqrt())
        }
    }

    /// The errors of β̂ only, for the columns `x` of C, which suffice for predictions without groups.
    pub(super) fn of_fixed(x: Vec<usize>, xx_inverse: &DMatrix<f64>, sigma: f64) -> Self {
        let p = x.len();
        let root = match p {
            0 => DMatrix::zeros(0, 0),
            _ => Cholesky::new(xx_inverse.clone())
                .map_or_else(|| DMatrix::from_element(p, p, f64::NAN), |cholesky| cholesky.l().transpose()),
        };
        PredictionErrors { eliminated: None, g: Vec::new(), root, sigma, x, chosen: Chosen::default() }
    }

    /// The levels of the model; none for predictions without groups.
    fn levels(&self) -> &'a [Level] {
        self.eliminated.as_ref().map_or(&[], |eliminated| eliminated.equations().levels())
    }

    /// Sets what is predicted: the levels (names and numbers of groups, finest first), and whether new
    /// responses are. `at` maps a column of C to its number in the encoder.
    pub(super) fn choose<'n>(
        &mut self,
        wanted: impl Iterator<Item = (&'n str, usize)>,
        new_response: bool,
        at: &impl Fn(usize) -> usize,
    ) {
        let levels = self.levels();
        let level = |(name, groups): (&str, usize)| {
            let eliminated = self.eliminated.as_ref().expect("groups are predicted for");
            let k = levels.iter().position(|level| level.name == name).expect("effects of a level of the model");
            assert_eq!(levels[k].groups, groups, "the effects are those of the model");
            (k, eliminated.equations().structure().sorted_groups(k))
        };
        let chosen: Vec<(usize, Vec<GroupPlace>)> = wanted.map(level).collect();
        let is_needed = |k: usize| new_response || chosen.iter().any(|(level, _)| *level == k);
        let z = (0..levels.len()).map(|k| match is_needed(k) {
            true => levels[k].z.iter().map(|&column| at(column)).collect(),
            false => Vec::new(),
        });
        let x = self.x.iter().map(|&column| at(column)).collect();
        self.chosen = Chosen { x, z: z.collect(), levels: chosen };
    }

    /// Computes standard errors of the mean and, if requested, of a new response, for encoded rows whose
    /// groups are given per chosen level and row of the block.
    pub(super) fn of_rows(&self, rows: &RowBlock, groups: &[Vec<u32>], new_response: bool) -> (Vec<f64>, Vec<f64>) {
        let levels = self.levels();
        let is_chosen = |k: usize| self.chosen.levels.iter().any(|(level, _)| *level == k);
        let left_out: Vec<usize> = (0..levels.len()).filter(|&k| new_response && !is_chosen(k)).collect();
        let (mut of_mean, mut of_response) = (Vec::with_capacity(rows.rows), Vec::new());
        let (mut path, mut x) = (KnownPath::default(), vec![0.0; self.x.len()]);
        for i in 0..rows.rows {
            let at = |i: usize| rows.kept.as_ref().map_or(i, |kept| kept[i] as usize);
            let of_level = |c: usize| groups[c][at(i)];
            if i == 0 || groups.iter().any(|groups| groups[at(i)] != groups[at(i - 1)]) {
                let known = self.chosen.levels.iter().enumerate().filter(|(c, _)| of_level(*c) != MISSING);
                let known = known.map(|(c, (k, places))| (*k, places[of_level(c) as usize]));
                if let Some(eliminated) = &self.eliminated {
                    path.set(known, eliminated);
                }
            }
            let z = |k: usize, t: usize| rows.column(self.chosen.z[k][t])[i];
            x.iter_mut().zip(&self.chosen.x).for_each(|(x, &column)| *x = rows.column(column)[i]);
            let mut variance = self.eliminated.as_ref().map_or(0.0, |at| path.eliminate_row(at, &self.x, &mut x, z));
            variance += self.of_beta(&x);
            let new = self.chosen.levels.iter().enumerate().filter(|(c, _)| of_level(*c) == MISSING);
            variance += new.map(|(_, (k, _))| self.of_new_group(levels, *k, z)).sum::<f64>();
            of_mean.push(self.sigma * variance.max(0.0).sqrt());
            if new_response {
                variance += left_out.iter().map(|&k| self.of_new_group(levels, k, z)).sum::<f64>();
                variance += rows.weights.as_ref().map_or(1.0, |weights| 1.0 / weights[i]);
                of_response.push(self.sigma * variance.max(0.0).sqrt());
            }
        }
        (of_mean, of_response)
    }

    /// `x'S_xx⁻¹x`, as a sum of squares.
    fn of_beta(&self, x: &[f64]) -> f64 {
        let of_row = |i: usize| (i..x.len()).map(|j| self.root[(i, j)] * x[j]).sum::<f64>();
        (0..x.len()).map(|i| of_row(i).powi(2)).sum()
    }

    /// `z'G_k z`.
    fn of_new_group(&self, levels: &[Level], k: usize, z: impl Fn(usize, usize) -> f64) -> f64 {
        let r = levels[k].r();
        let of_row = |s: usize| (0..r).map(|t| self.g[k][s * r + t] * z(k, t)).sum::<f64>();
        (0..r).map(|s| z(k, s) * of_row(s)).sum()
    }
}
