//! Expresses the merged columns of all parts as linear combinations of the columns of one part.
//!
//! On the rows of a part, each column of the merged C is a linear combination of the part's own columns,
//! `C = C_p T`. Then `C'WC = T'(C_p'WC_p)T`, and with `z = z_p T_z` the cells' sums are
//! `z'WC = T_z'(z_p'WC_p)T`. T accounts for the differences in shifts and in the factors' levels:
//!
//! - `c - s = (c - s_p) + (s_p - s) 1`, with 1 a combination of unshifted columns;
//! - the indicator of a level that the part does not have is 0 on its rows;
//! - the indicator of the part's reference level, for which it has no column, is 1 minus the indicators
//!   of the other levels; in an interaction this is multiplied by the other variables.

use crate::merge::PartError;
use tiers_design::{Combination, Factor, Product, Recipe, Span};

/// The map from a part's sums to those over the merged columns.
#[derive(Clone, Debug, PartialEq)]
pub struct Alignment {
    m_part: usize,
    m: usize,
    r_part: usize,
    /// For each merged column of C, its combination of the part's columns of C.
    columns: Vec<Combination>,
    /// For each merged z column, its combination of the part's z columns (positions among them).
    z: Vec<Combination>,
    identity: bool,
}

impl Alignment {
    /// Finds the map; both recipes must have the same formula (see [`crate::merge::merged_definition`]).
    pub fn new(part: &Recipe, merged: &Recipe) -> Result<Alignment, PartError> {
        let z_of = |recipe: &Recipe| crate::Summands::new(recipe, Vec::new()).z;
        let (z_part, z_merged) = (z_of(part), z_of(merged));
        let (m_part, m) = (part.columns.len() + 1, merged.columns.len() + 1);
        let all: Vec<usize> = (0..part.columns.len()).collect();
        let of_c = Basis::new(part, &all);
        let of_z = Basis::new(part, &z_part);
        let not_there = |j: usize, random| {
            let column = merged.columns[j].name.clone();
            PartError::NotRepresentable { column, random }
        };
        let mut columns = Vec::with_capacity(m);
        for j in 0..merged.columns.len() {
            columns.push(of_c.column(merged, j).ok_or_else(|| not_there(j, false))?);
        }
        columns.push(
            of_c.response(part, merged)
                .ok_or_else(|| PartError::NotRepresentable { column: merged.response_name.clone(), random: false })?,
        );
        let mut z = Vec::with_capacity(z_merged.len());
        for &j in &z_merged {
            z.push(of_z.column(merged, j).ok_or_else(|| not_there(j, true))?);
        }
        let same = |combinations: &[Combination]| {
            combinations.iter().enumerate().all(|(j, combination)| *combination == [(j, 1.0)])
        };
        let identity = m == m_part && z.len() == z_part.len() && same(&columns) && same(&z);
        Ok(Alignment { m_part, m, r_part: z_part.len(), columns, z, identity })
    }

    /// Returns `T'MT` for the part's M = `C'WC`, row-major and symmetric.
    pub fn cross(&self, part: &[f64]) -> Vec<f64> {
        let half: Vec<f64> = part.chunks_exact(self.m_part).flat_map(|row| self.row(row)).collect();
        let mut out = vec![0.0; self.m * self.m];
        for (out, combination) in out.chunks_exact_mut(self.m).zip(&self.columns) {
            for &(i, weight) in combination {
                out.iter_mut().zip(&half[i * self.m..]).for_each(|(o, v)| *o += weight * v);
            }
        }
        out
    }

    /// Returns `T_z'(z_p'WC_p)T` for the sums of any number of cells, stored one after the other.
    pub fn sums(&self, part: Vec<f64>) -> Vec<f64> {
        if self.identity {
            return part;
        }
        let per_cell = self.r_part * self.m_part;
        let mut out = vec![0.0; part.len() / per_cell.max(1) * self.z.len() * self.m];
        for (out, cell) in out.chunks_exact_mut(self.z.len() * self.m).zip(part.chunks_exact(per_cell)) {
            let half: Vec<f64> = cell.chunks_exact(self.m_part).flat_map(|row| self.row(row)).collect();
            for (out, combination) in out.chunks_exact_mut(self.m).zip(&self.z) {
                for &(t, weight) in combination {
                    out.iter_mut().zip(&half[t * self.m..]).for_each(|(o, v)| *o += weight * v);
                }
            }
        }
        out
    }

    /// Returns the number of sums per cell of the part, r_p·m_p.
    pub fn per_cell(&self) -> usize {
        self.r_part * self.m_part
    }

    /// Maps a row over the part's columns to a row over the merged columns.
    fn row<'a>(&'a self, row: &'a [f64]) -> impl Iterator<Item = f64> + 'a {
        self.columns.iter().map(|combination| combination.iter().map(|&(k, weight)| weight * row[k]).sum())
    }
}

/// Columns of a part, of which others are expressed as combinations.
struct Basis<'a> {
    part: &'a Recipe,
    span: Span<'a>,
    /// Shifts of the columns, by position.
    shifts: Vec<f64>,
}

impl<'a> Basis<'a> {
    fn new(part: &'a Recipe, columns: &[usize]) -> Self {
        let shifts = columns.iter().map(|&column| part.columns[column].shift).collect();
        Basis { part, span: Span::new(part, columns.iter().copied()), shifts }
    }

    /// Expresses column `j` of the merged recipe.
    fn column(&self, merged: &Recipe, j: usize) -> Option<Combination> {
        let product = merged.product(j);
        let products = if self.is_zero(&product) { Vec::new() } else { self.span.express(&product)? };
        self.shifted(&products, merged.columns[j].shift, j)
    }

    /// Whether a product is 0 on the rows of the part, because it has the indicator of a level that does not
    /// occur there.
    fn is_zero(&self, product: &Product) -> bool {
        let is_absent = |factor: &Factor, level| !factor.levels.iter().any(|own| own == level);
        product.indicators().any(|(column, level)| {
            self.part.factors.iter().any(|factor| factor.column == column && is_absent(factor, level))
        })
    }

    /// Expresses the response: the merged y is the part's y plus a constant.
    fn response(&self, part: &Recipe, merged: &Recipe) -> Option<Combination> {
        let constant = part.response_shift - merged.response_shift;
        let mut combination = if constant == 0.0 { Vec::new() } else { self.constant(constant)? };
        combination.push((part.columns.len(), 1.0));
        Some(combination)
    }

    /// Expresses a sum of products minus a shift by columns that have shifts of their own.
    fn shifted(&self, products: &[(usize, f64)], shift: f64, near: usize) -> Option<Combination> {
        let mut constant = -shift;
        let mut combination = Vec::new();
        for &(first, weight) in products {
            // A product may have a shifted and an unshifted column: take the one that needs less of the
            // constant; of two equally shifted columns take the one in the same place.
            let difference = |position: usize| (self.shifts[position] - shift).abs();
            let better =
                |a: &usize, b: &usize| difference(*a).total_cmp(&difference(*b)).then((*a != near).cmp(&(*b != near)));
            let position = self.span.same(first).iter().copied().min_by(better).expect("a product has a column");
            combination.push((position, weight));
            constant += weight * self.shifts[position];
        }
        if constant != 0.0 {
            combination.extend(self.constant(constant)?);
        }
        Some(combination)
    }

    /// Expresses a constant; the columns that it consists of are never shifted.
    fn constant(&self, value: f64) -> Option<Combination> {
        let ones = self.span.express(&Product::default())?;
        Some(ones.into_iter().map(|(position, weight)| (position, weight * value)).collect())
    }
}
