//! The sums of an evaluation by a general sparse method, as an independent check.
//!
//! The whole of `A = Λ'Z'WZΛ + I` is factored by `sprs-ldl`, leaf first. The core fills: the work grows with the
//! cube of its size, at about one operation in a nanosecond.

use super::plan::CrossedPlan;
use crate::covariances::Covariances;
use crate::error::EquationsError;
use crate::tree::Sums;
use nalgebra::DMatrix;
use sprs::{CsMatI, PermOwnedI, SymmetryCheck};
use sprs_ldl::LdlSymbolic;
use tiers_moments::{CHUNK, Cross, Crossed, padded};

/// Entries of the upper triangle of A by columns, as they are added.
struct Columns {
    entries: Vec<Vec<(u32, f64)>>,
}

impl Columns {
    /// Adds `Λ_k' M Λ_l` for a block M (r_k×r_l, row-major) at (row, column), row ≤ column.
    fn add(
        &mut self,
        (row, column): (usize, usize),
        block: &DMatrix<f64>,
        (left, right): (&DMatrix<f64>, &DMatrix<f64>),
    ) {
        let product = left.transpose() * block * right;
        for j in 0..product.ncols() {
            for i in 0..product.nrows() {
                if row + i <= column + j {
                    let one = f64::from(u8::from(row + i == column + j));
                    self.entries[column + j].push(((row + i) as u32, product[(i, j)] + one));
                }
            }
        }
    }
}

impl CrossedPlan {
    /// Returns the number of operations of [`CrossedPlan::sums_by_sparse_route`], at most.
    pub fn operations_of_check(&self, design: &Crossed) -> f64 {
        let c = self.effects as f64;
        let of_group = |met: usize| self.r as f64 * (met + self.r) as f64 * (met + self.r) as f64;
        let of_leaf = design.leaf.iter().flat_map(|shard| {
            shard.starts.windows(2).map(|w| of_group((shard.block_starts[w[1]] - shard.block_starts[w[0]]) / self.r))
        });
        of_leaf.sum::<f64>() + c * c * c / 3.0
    }

    /// Computes log|A| and `B'A⁻¹B` with `B = Λ'Z'WC` by `sprs-ldl`, without derivatives.
    ///
    /// # Errors
    /// If a pivot is not positive, or A has too many entries.
    pub fn sums_by_sparse_route(&self, design: &Crossed, at: &Covariances) -> Result<Sums, EquationsError> {
        let (a, rows) = self.whole_equations(design, at)?;
        let (q, m) = (a.cols(), self.m);
        let (log_det, rows, d) = match q {
            0 => (0.0, rows, Vec::new()),
            1 => (a.data()[0].ln(), rows, a.data().to_vec()),
            _ => {
                let order = PermOwnedI::identity(q);
                let symbolic = LdlSymbolic::new_perm(a.view(), order, SymmetryCheck::DontCheckSymmetry);
                let ldl = symbolic.factor(a.view()).map_err(|_| EquationsError::Core)?;
                let d = ldl.d().to_vec();
                if !d.iter().all(|d| d.is_finite() && *d > 0.0) {
                    return Err(EquationsError::Core);
                }
                let mut rows = rows;
                for (j, column) in ldl.l().outer_iterator().enumerate() {
                    let (done, rest) = rows.split_at_mut((j + 1) * m);
                    let own = &done[j * m..];
                    for (i, &l) in column.iter() {
                        let row = &mut rest[(i - j - 1) * m..(i - j) * m];
                        row.iter_mut().zip(own).for_each(|(x, own)| *x -= l * own);
                    }
                }
                (d.chunks(CHUNK).map(|d| d.iter().map(|d| d.ln()).sum::<f64>()).sum(), rows, d)
            }
        };
        let width = padded(m);
        let mut downdate = Cross::new(m);
        let (mut left, mut right) = (vec![0.0; width], vec![0.0; width]);
        for (row, d) in rows.chunks_exact(m).zip(&d) {
            left[..m].copy_from_slice(row);
            right.iter_mut().zip(&left).for_each(|(r, l)| *r = l / d);
            downdate.add(&right, &left);
        }
        Ok(Sums { log_det, downdate, derivatives: Vec::new() })
    }

    /// Sets up A (upper triangle by columns, leaf first) and B.
    fn whole_equations(
        &self,
        design: &Crossed,
        at: &Covariances,
    ) -> Result<(CsMatI<f64, u32>, Vec<f64>), EquationsError> {
        let (m, r) = (self.m, self.r);
        let leaf_groups: usize = design.leaf.iter().map(|shard| shard.groups).sum();
        let q = leaf_groups * r + self.effects;
        let mut columns = Columns { entries: vec![Vec::new(); q] };
        let mut rows = Vec::with_capacity(q * m);
        let mut right_hand_side = |n: &DMatrix<f64>, lambda: &DMatrix<f64>| {
            rows.extend_from_slice((lambda.transpose() * n).transpose().as_slice());
        };
        let factors = at.factors();
        let mut unknown = 0;
        for shard in &design.leaf {
            for (group, n) in shard.moments.chunks_exact(r * m).enumerate() {
                let n = DMatrix::from_row_slice(r, m, n);
                columns.add((unknown, unknown), &n.select_columns(&self.z), (&factors[0], &factors[0]));
                for entry in shard.starts[group]..shard.starts[group + 1] {
                    let (first, block) = super::leaf::neighbour(shard, entry);
                    let block = DMatrix::from_row_slice(r, block.len() / r, block);
                    let right = &factors[1 + self.place(first).0];
                    columns.add((unknown, leaf_groups * r + first), &block, (&factors[0], right));
                }
                right_hand_side(&n, &factors[0]);
                unknown += r;
            }
        }
        for (k, factor) in self.factors.iter().enumerate() {
            let lambda = &factors[k + 1];
            for (group, n) in design.core[k].moments.chunks_exact(factor.r * m).enumerate() {
                let n = DMatrix::from_row_slice(factor.r, m, n);
                columns.add((unknown, unknown), &n.select_columns(&factor.z), (lambda, lambda));
                let (number, pairs) = (factor.first_group + group, &design.pairs);
                for pair in pairs.starts[number]..pairs.starts[number + 1] {
                    let block = &pairs.blocks[pairs.block_starts[pair]..pairs.block_starts[pair + 1]];
                    let block = DMatrix::from_row_slice(factor.r, block.len() / factor.r, block);
                    let first = pairs.partners[pair] as usize;
                    let right = &factors[1 + self.place(first).0];
                    columns.add((unknown, leaf_groups * r + first), &block, (lambda, right));
                }
                right_hand_side(&n, lambda);
                unknown += factor.r;
            }
        }
        Ok((columns.compressed()?, rows))
    }
}

impl Columns {
    fn compressed(mut self) -> Result<CsMatI<f64, u32>, EquationsError> {
        let entries: usize = self.entries.iter().map(Vec::len).sum();
        if u32::try_from(entries).is_err() {
            return Err(EquationsError::TooLarge { entries });
        }
        let (q, mut starts) = (self.entries.len(), vec![0_u32]);
        let (mut rows, mut values) = (Vec::with_capacity(entries), Vec::with_capacity(entries));
        for column in &mut self.entries {
            column.sort_unstable_by_key(|&(row, _)| row);
            rows.extend(column.iter().map(|&(row, _)| row));
            values.extend(column.iter().map(|&(_, value)| value));
            starts.push(rows.len() as u32);
        }
        Ok(CsMatI::new_csc((q, q), starts, rows, values))
    }
}
