//! The selected inverse: the entries of A⁻¹ on the pattern of L.
//!
//! They follow from `A⁻¹ = D⁻¹L⁻¹ + (I - L')A⁻¹` (Takahashi, Fagan and Chen 1973), last column first. With
//! `c_1 < c_2 < …` the rows of column j of L,
//!
//! ```text
//! (A⁻¹)[c_a, j] = -Σ_b L[c_b, j] (A⁻¹)[c_b, c_a]
//! (A⁻¹)[j, j]   = 1/d_j - Σ_a L[c_a, j] (A⁻¹)[c_a, j]
//! ```
//!
//! The right-hand sides need only entries between two rows of one column of L. In a nest these rows
//! form a chain: the later effects of j's own group, then the effects of its ancestors, one after the
//! other; and the rows of column `c_a` are `c_{a+1}, c_{a+2}, …`. So entry `(c_b, c_a)`, b > a,
//! is number `b - a - 1` of column `c_a`. No search is needed; work and memory are O(q).

use sprs::CsMatViewI;

/// Entries of A⁻¹ on the pattern of L.
#[derive(Clone, Debug)]
pub(super) struct SelectedInverse {
    /// Start of each column of L in `below`.
    starts: Vec<u32>,
    diagonal: Vec<f64>,
    /// Entries below the diagonal, in the order of L's entries.
    below: Vec<f64>,
}

impl SelectedInverse {
    /// Computes the entries from the factors of A.
    pub(super) fn new(l: &CsMatViewI<'_, f64, u32>, d: &[f64]) -> Self {
        let starts = l.proper_indptr().into_owned();
        let mut out = SelectedInverse { starts, diagonal: vec![0.0; d.len()], below: vec![0.0; l.nnz()] };
        let mut column = Vec::new();
        for (j, l) in l.outer_iterator().enumerate().rev() {
            let (chain, values) = (l.indices(), l.data());
            column.clear();
            for a in 0..chain.len() {
                let sum: f64 = values.iter().enumerate().map(|(b, l)| l * out.in_chain(chain, a, b)).sum();
                column.push(-sum);
            }
            let inner: f64 = values.iter().zip(&column).map(|(l, c)| l * c).sum();
            out.diagonal[j] = 1.0 / d[j] - inner;
            let start = out.starts[j] as usize;
            out.below[start..start + column.len()].copy_from_slice(&column);
        }
        out
    }

    /// Returns the entry of the a-th and the b-th unknown of a chain.
    #[inline(always)]
    fn in_chain(&self, chain: &[u32], a: usize, b: usize) -> f64 {
        let (low, high) = (a.min(b), a.max(b));
        match high - low {
            0 => self.diagonal[chain[low] as usize],
            apart => self.below[self.starts[chain[low] as usize] as usize + apart - 1],
        }
    }

    /// Writes the r×r block of a group whose first unknown is given, row-major.
    pub(super) fn block(&self, unknown: usize, r: usize, out: &mut [f64]) {
        for s in 0..r {
            out[s * r + s] = self.diagonal[unknown + s];
            for t in s + 1..r {
                let value = self.below[self.starts[unknown + s] as usize + t - s - 1];
                out[s * r + t] = value;
                out[t * r + s] = value;
            }
        }
    }
}
