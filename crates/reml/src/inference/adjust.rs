//! CR2's adjustment of a cluster's residuals (Pustejovsky and Tipton 2018), in a small basis.
//!
//! With `M = (X'V⁻¹X)⁻¹`, D any root `V_c = D'D` and `^{+½}` the root of the pseudo-inverse,
//!
//! ```text
//! A_c = D' (D (V_c - X_c M X_c') D')^{+½} D
//! ```
//!
//! is the same for every D, and `A_c Cov(ê_c) A_c = V_c` under the model. With `D = V^½`, `K = V^-½ X_c
//! M^½` and `N = I - KK'` the inner matrix is `V N V`, which is the square of V outside the span of
//! `[Z_c Λ, X_c]`. All computations are therefore in an orthonormal basis of that span, in which V is
//! diagonal ([`ClusterSpan`]).

use super::robust::RobustError;
use nalgebra::{DMatrix, DVector, SymmetricEigen};
use tiers_equations::{Cluster, ClusterSpan};

/// Clusters with at most this number of random effects keep all of them.
const CARRIED: usize = 120;
/// Number of directions beyond which a cluster is too large.
const MOST: usize = 1500;
/// Smaller eigenvalues of N count as zero. A cluster that alone determines a coefficient has one.
const SINGULAR: f64 = 1e-9;
/// If more directions change the result by less than this (relative), there are enough of them.
const ENOUGH: f64 = 1e-10;

/// The contribution of a cluster to a sandwich and its degrees of freedom.
#[derive(Clone, Debug)]
pub(super) struct Contribution {
    /// `X_c'V_c⁻¹A_c e_c`, p.
    pub score: DVector<f64>,
    /// `X_c'A_c V_c⁻¹X_c`, p×p.
    pub spread: DMatrix<f64>,
    /// `X_c'V_c⁻¹A_c V_c A_c V_c⁻¹X_c`, p×p.
    pub variance: DMatrix<f64>,
    /// `X_c'V_c⁻¹X_c`, p×p: the cluster's information on β.
    pub information: DMatrix<f64>,
}

/// Computes the contribution of a cluster under CR2; `root` is a root of M, `M = root root'`.
pub(super) fn adjusted(cluster: &Cluster, root: &DMatrix<f64>) -> Result<Contribution, RobustError> {
    if cluster.effects() <= CARRIED {
        return Ok(in_span(&cluster.span(), root));
    }
    let mut size = 64 + 4 * root.nrows();
    let (span, mut complete) = cluster.krylov_span(size);
    let mut found = in_span(&span, root);
    while !complete {
        size += size / 2;
        if size > MOST {
            return Err(RobustError::LargeCluster { effects: cluster.effects() });
        }
        let (span, all) = cluster.krylov_span(size);
        let better = in_span(&span, root);
        complete = all || better.is_near(&found);
        found = better;
    }
    Ok(found)
}

impl Contribution {
    fn is_near(&self, other: &Contribution) -> bool {
        let unit = self.variance.diagonal().map(f64::sqrt).amax();
        (&self.spread - &other.spread).amax() <= ENOUGH * self.spread.amax()
            && (&self.variance - &other.variance).amax() <= ENOUGH * self.variance.amax()
            && (&self.score - &other.score).amax() <= ENOUGH * self.score.amax().max(unit)
    }
}

/// Evaluates the formulas in a basis in which V is diagonal.
fn in_span(span: &ClusterSpan, root: &DMatrix<f64>) -> Contribution {
    let ClusterSpan { v, x, e } = span;
    let scaled = |power: f64| {
        let mut out = x.clone();
        out.row_iter_mut().zip(v.iter()).for_each(|(mut row, v)| row *= v.powf(power));
        out
    };
    let z = scaled(-0.5);
    let k = &z * root;
    let leverage = SymmetricEigen::new(k.tr_mul(&k));
    let singular = leverage.eigenvalues.iter().filter(|h| 1.0 - **h < SINGULAR).count();
    let mut weights = match (singular == 0).then(|| by_polar_factor(v, &z, &k, &leverage)).flatten() {
        Some(inside) => inside,
        None => by_eigenvectors(v, &z, &k, singular),
    };
    weights.row_iter_mut().zip(v.iter()).for_each(|(mut row, v)| row *= v.sqrt());
    let mut with_v = weights.clone();
    with_v.row_iter_mut().zip(v.iter()).for_each(|(mut row, v)| row *= *v);
    Contribution {
        score: weights.tr_mul(e),
        spread: x.tr_mul(&weights),
        variance: weights.tr_mul(&with_v),
        information: z.tr_mul(&z),
    }
}

/// `(VNV)^{-½} z`, N of full rank: with U the orthogonal polar factor of `N^½ V` it is `V⁻¹N^-½ U z`.
///
/// In a large cluster V has entries from one to many thousands. Squaring V would double the loss of digits
/// of the small ones; the polar factor is computed from V itself. N is the identity except for p
/// directions, so that its roots have closed forms. `None` where the iteration fails.
fn by_polar_factor(
    v: &DVector<f64>,
    z: &DMatrix<f64>,
    k: &DMatrix<f64>,
    leverage: &SymmetricEigen<f64, nalgebra::Dyn>,
) -> Option<DMatrix<f64>> {
    let (directions, rest) = (k * &leverage.eigenvectors, leverage.eigenvalues.map(|h| (1.0 - h).sqrt()));
    // N^½ = I - D diag(1/(1 + r)) D' and N^-½ = I + D diag(1/(r (1 + r))) D', r = √(1 - h).
    let times = |of: &DMatrix<f64>, weight: &dyn Fn(f64) -> f64| {
        let mut inner = directions.tr_mul(of);
        inner.row_iter_mut().zip(rest.iter()).for_each(|(mut row, r)| row *= weight(*r));
        of + &directions * inner
    };
    let start = times(&DMatrix::from_diagonal(v), &|r| -1.0 / (1.0 + r));
    let mut out = times(&(polar_factor(start)? * z), &|r| 1.0 / (r * (1.0 + r)));
    out.row_iter_mut().zip(v.iter()).for_each(|(mut row, v)| row /= *v);
    Some(out)
}

/// The orthogonal polar factor of a matrix of full rank, by scaled Newton iteration (Higham 1986).
fn polar_factor(mut u: DMatrix<f64>) -> Option<DMatrix<f64>> {
    const STEPS: usize = 40;
    let size = (u.nrows() as f64).sqrt();
    for _ in 0..STEPS {
        let inverse = u.clone().try_inverse()?.transpose();
        let scale = (inverse.norm() / u.norm()).sqrt();
        let next = (&u * scale + inverse / scale) * 0.5;
        let step = (&next - &u).norm();
        u = next;
        if step <= 1e-13 * size {
            return Some(u);
        }
    }
    None
}

/// `(VNV)^{+½} z` by the eigenvectors of `VNV`, the `singular` smallest left out.
fn by_eigenvectors(v: &DVector<f64>, z: &DMatrix<f64>, k: &DMatrix<f64>, singular: usize) -> DMatrix<f64> {
    let (size, kk) = (v.len(), k * k.transpose());
    let inner = DMatrix::from_fn(size, size, |i, j| v[i] * v[j] * (f64::from(u8::from(i == j)) - kk[(i, j)]));
    let eigen = SymmetricEigen::new(inner);
    let mut order: Vec<usize> = (0..size).collect();
    order.sort_by(|&i, &j| eigen.eigenvalues[i].total_cmp(&eigen.eigenvalues[j]));
    let kept = &order[singular.min(size)..];
    let vectors = eigen.eigenvectors.select_columns(kept);
    let mut inside = vectors.tr_mul(z);
    inside.row_iter_mut().zip(kept).for_each(|(mut row, &i)| row /= eigen.eigenvalues[i].sqrt());
    vectors * inside
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(v: &[f64]) -> ClusterSpan {
        let size = v.len();
        let x = DMatrix::from_fn(size, 2, |i, j| ((3 * i + 5 * j) as f64).sin() * v[i].sqrt());
        ClusterSpan { v: DVector::from_column_slice(v), x, e: DVector::from_fn(size, |i, _| (i as f64).cos()) }
    }

    /// `A (V - XMX') A = V`, projected on X: `X'V⁻¹A V A V⁻¹X - X'V⁻¹A X M X'A V⁻¹X = X'V⁻¹X`.
    #[test]
    fn residuals_are_unbiased_however_large_the_cluster() {
        for v in [vec![4.0, 2.0, 1.0], vec![1e6, 3e3, 7.0, 2.0, 1.0, 1.0]] {
            let span = span(&v);
            let mut weighted = span.x.clone();
            weighted.row_iter_mut().zip(v.iter()).for_each(|(mut row, v)| row /= *v);
            let own = span.x.tr_mul(&weighted);
            let m = (&own * 3.0 + DMatrix::identity(2, 2)).try_inverse().expect("positive definite");
            let root = m.clone().cholesky().expect("positive definite").l();
            let got = in_span(&span, &root);
            let back = &got.variance - got.spread.tr_mul(&(&m * &got.spread));
            assert!((&back - &own).amax() < 1e-11 * own.amax(), "{back} is not {own}");
        }
    }

    #[test]
    fn both_ways_to_compute_the_root_agree() {
        let span = span(&[9.0, 4.0, 2.0, 1.0]);
        let z = DMatrix::from_fn(4, 2, |i, j| span.x[(i, j)] / span.v[i].sqrt());
        let k = &z * 0.3;
        let leverage = SymmetricEigen::new(k.tr_mul(&k));
        let one = by_polar_factor(&span.v, &z, &k, &leverage).expect("full rank");
        assert!((one - by_eigenvectors(&span.v, &z, &k, 0)).amax() < 1e-13);
    }
}
