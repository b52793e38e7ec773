//! Henderson's mixed-model equations as the textbooks have them, with `G⁻¹`.
//!
//! ```text
//! [ Z'WZ + G⁻¹   Z'WX ] [ b ]   [ Z'Wy ]
//! [ X'WZ         X'WX ] [ β ] = [ X'Wy ]
//! ```
//!
//! with `G = I ⊗ G_k` per level, over σ² (Henderson 1975). It is the system of [`crate::sparse`] with
//! `b = Λu` put in and the first rows multiplied by Λ', and it exists only where every `G_k` has an
//! inverse: not at a variance of zero or a correlation of one, where fits like to end. It stands here
//! as the road that the books take, and as a check: one sparse matrix for the whole forest, b before
//! β so that only the last p rows fill in, solved by `sprs-ldl`. For small problems.
//!
//! The inverse of the coefficient matrix has `Cov(b̂ - b)` and `Cov(β̂)`, over σ², on its diagonal.

use crate::error::EquationsError;
use crate::sparse::SparseEquations;
use nalgebra::{DMatrix, DVector};
use sprs::{CsMat, CsMatView, PermOwned, SymmetryCheck, TriMat};
use sprs_ldl::LdlNumeric;
use tiers_moments::Forest;

/// Below this share of an effect's standard deviation, what the effects before it leave of it counts
/// as nothing: its covariance is singular to half of all digits.
const SINGULAR: f64 = 1e-7;

/// The coefficient matrix and right-hand side of a forest, factored.
#[derive(Debug)]
pub struct Henderson<'a> {
    equations: SparseEquations<'a>,
    /// First unknown of each shard, and last q.
    starts: Vec<usize>,
    /// Number of fixed effects.
    p: usize,
    matrix: CsMat<f64>,
    rhs: Vec<f64>,
    ldl: LdlNumeric<f64, usize>,
}

/// What the equations say.
#[derive(Clone, Debug, PartialEq)]
pub struct HendersonSolution {
    /// β, in the order of the given columns.
    pub beta: DVector<f64>,
    /// Per shard and level b, groups×r.
    pub b: Vec<Vec<Vec<f64>>>,
}

impl<'a> Henderson<'a> {
    /// Assembles and factors the equations at covariance factors Λ_k, X being the given columns of C.
    pub fn new(forest: &'a Forest, factors: &[DMatrix<f64>], x: &[usize]) -> Result<Self, EquationsError> {
        let level_name = |k: usize| forest.levels[k].name.clone();
        let inverse = |(k, factor): (usize, &DMatrix<f64>)| {
            inverse_covariance(factor)
                .map_err(|effect| EquationsError::SingularCovariance { level: level_name(k), effect })
        };
        let g_inverse: Vec<DMatrix<f64>> = factors.iter().enumerate().map(inverse).collect::<Result<_, _>>()?;
        let equations = SparseEquations::new(forest)?;
        let mut starts = vec![0];
        equations.shards.iter().enumerate().for_each(|(i, shard)| starts.push(starts[i] + shard.unknowns()));
        let (matrix, rhs) = assemble(forest, &equations, &starts, &g_inverse, x);
        let order = PermOwned::identity(rhs.len());
        let done = LdlNumeric::new_perm(matrix.view(), order, SymmetryCheck::DontCheckSymmetry);
        let failed = |unknown: usize, value: f64| pivot_error(&equations, &starts, unknown, value);
        let ldl = match done {
            Ok(ldl) => ldl,
            Err(sprs::errors::LinalgError::SingularMatrix(info)) => return Err(failed(info.index, 0.0)),
            Err(error) => unreachable!("square by construction: {error}"),
        };
        match ldl.d().iter().position(|&d| !(d.is_finite() && d > 0.0)) {
            Some(unknown) => Err(failed(unknown, ldl.d()[unknown])),
            None => Ok(Henderson { equations, starts, p: x.len(), matrix, rhs, ldl }),
        }
    }

    /// β and b.
    pub fn solve(&self) -> HendersonSolution {
        let solution: Vec<f64> = self.ldl.solve(&self.rhs);
        let (b, beta) = solution.split_at(self.q());
        let mut rest = b;
        let mut take = |count: usize| {
            let (taken, left) = rest.split_at(count);
            rest = left;
            taken.to_vec()
        };
        let b = self.equations.shards.iter().map(|shard| shard.level_sizes().map(&mut take).collect()).collect();
        HendersonSolution { beta: DVector::from_column_slice(beta), b }
    }

    /// The inverse of the coefficient matrix, (q+p)×(q+p): the covariance over σ² of `(b̂ - b, β̂)`.
    pub fn inverse(&self) -> DMatrix<f64> {
        let size = self.rhs.len();
        let mut out = DMatrix::zeros(size, size);
        let mut unit = vec![0.0; size];
        for (j, mut column) in out.column_iter_mut().enumerate() {
            unit[j] = 1.0;
            let solved: Vec<f64> = self.ldl.solve(&unit);
            column.copy_from_slice(&solved);
            unit[j] = 0.0;
        }
        out
    }

    /// The upper triangle of the coefficient matrix, by columns.
    pub fn matrix(&self) -> CsMatView<'_, f64> {
        self.matrix.view()
    }

    /// Number of random effects.
    pub fn q(&self) -> usize {
        self.rhs.len() - self.p
    }

    /// The unknown that is an effect of a group of a shard; those of β are q, q + 1, ….
    pub fn unknown(&self, shard: usize, level: usize, group: usize, effect: usize) -> usize {
        self.starts[shard] + self.equations.shards[shard].unknown(level, group) + effect
    }
}

/// The coefficient matrix (upper triangle) and the right-hand side.
fn assemble(
    forest: &Forest,
    equations: &SparseEquations<'_>,
    starts: &[usize],
    g_inverse: &[DMatrix<f64>],
    x: &[usize],
) -> (CsMat<f64>, Vec<f64>) {
    let (m, q, y) = (forest.m, starts[equations.shards.len()], forest.m - 1);
    let mut matrix = TriMat::new((q + x.len(), q + x.len()));
    let mut rhs = vec![0.0; q + x.len()];
    for ((shard, tree), start) in equations.shards.iter().zip(&forest.trees).zip(starts) {
        for (k, level) in forest.levels.iter().enumerate() {
            let r = level.r();
            for (group, moments) in shard.moments(k).chunks_exact(r * m).enumerate() {
                let mut at = group;
                for (above, ancestor) in forest.levels.iter().enumerate().skip(k) {
                    let column = start + shard.unknown(above, at);
                    for (s, row) in moments.chunks_exact(m).enumerate() {
                        let unknown = start + shard.unknown(k, group) + s;
                        // Of the group's own block the upper triangle only.
                        for (t, &z) in ancestor.z.iter().enumerate().filter(|&(t, _)| above > k || t >= s) {
                            let prior = if above == k { g_inverse[k][(s, t)] } else { 0.0 };
                            matrix.add_triplet(unknown, column + t, row[z] + prior);
                        }
                    }
                    at = tree.levels[above].parent.get(at).map_or(0, |&parent| parent as usize);
                }
                for (s, row) in moments.chunks_exact(m).enumerate() {
                    let unknown = start + shard.unknown(k, group) + s;
                    x.iter().enumerate().for_each(|(i, &c)| matrix.add_triplet(unknown, q + i, row[c]));
                    rhs[unknown] = row[y];
                }
            }
        }
    }
    for (i, &c) in x.iter().enumerate() {
        (0..=i).for_each(|j| matrix.add_triplet(q + j, q + i, forest.cross[c * m + x[j]]));
        rhs[q + i] = forest.cross[c * m + y];
    }
    (matrix.to_csc(), rhs)
}

/// `G⁻¹ = Λ'⁻¹Λ⁻¹`; the effect that others determine where there is none.
fn inverse_covariance(factor: &DMatrix<f64>) -> Result<DMatrix<f64>, usize> {
    // Any factor will do: that of `Λ' = QR` is triangular and shows which effect has nothing left.
    let lower = factor.transpose().qr().r().transpose();
    for j in 0..lower.nrows() {
        let (own, all) = (lower[(j, j)].abs(), lower.row(j).norm());
        if !(own > SINGULAR * all && all.is_finite()) {
            return Err(j);
        }
    }
    let identity = DMatrix::identity(lower.nrows(), lower.ncols());
    let inverse = lower.solve_lower_triangular(&identity).expect("no diagonal is zero");
    Ok(inverse.transpose() * inverse)
}

/// The error for a pivot that is not positive, in terms of effects.
fn pivot_error(equations: &SparseEquations<'_>, starts: &[usize], unknown: usize, value: f64) -> EquationsError {
    let shard = starts.partition_point(|&start| start <= unknown) - 1;
    match equations.shards.get(shard) {
        Some(of) => EquationsError::Pivot { place: of.place(unknown - starts[shard]), value },
        None => EquationsError::SingularFixedEffects,
    }
}
