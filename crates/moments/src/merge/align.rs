//! The columns of all parts together as combinations of those of one part.
//!
//! On the rows of a part each column of the merged C is a combination of the part's own columns,
//! `C = C_p T`. Then `C'WC = T'(C_p'WC_p)T`, and with `z = z_p T_z` the cells' sums are
//! `z'WC = T_z'(z_p'WC_p)T`. T undoes the difference of shifts and of the factors' levels:
//!
//! - `c - s = (c - s_p) + (s_p - s) 1`, with 1 a combination of unshifted columns;
//! - the indicator of a level that the part does not have is 0 on its rows;
//! - that of the part's reference level, for which it has no column, is 1 less the others'; in an
//!   interaction the same holds times the other variables.

use crate::merge::PartError;
use std::collections::BTreeMap;
use tiers_design::{Atom, Recipe};

/// A linear combination: indices and coefficients.
type Combination = Vec<(usize, f64)>;

/// The map from a part's sums to those over the merged columns.
#[derive(Clone, Debug, PartialEq)]
pub struct Alignment {
    m_part: usize,
    m: usize,
    r_part: usize,
    /// Per merged column of C its combination of the part's columns of C.
    columns: Vec<Combination>,
    /// Per merged z column its combination of the part's z columns (positions among them).
    z: Vec<Combination>,
    identity: bool,
}

impl Alignment {
    /// Finds the map; both recipes must be of one formula (see [`crate::merged_definition`]).
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

    /// `T'MT` for the part's `C'WC`, row-major and symmetric.
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

    /// `T_z'(z_p'WC_p)T` for the sums of any number of cells, one after the other.
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

    /// Numbers per cell of the part, r_p·m_p.
    pub fn per_cell(&self) -> usize {
        self.r_part * self.m_part
    }

    /// A row over the part's columns becomes one over the merged columns.
    fn row<'a>(&'a self, row: &'a [f64]) -> impl Iterator<Item = f64> + 'a {
        self.columns.iter().map(|combination| combination.iter().map(|&(k, weight)| weight * row[k]).sum())
    }
}

/// A product of numbers and indicators, without its shift. Levels are told by their text, since two
/// recipes number them differently.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Product {
    numbers: Vec<String>,
    dummies: Vec<(usize, String)>,
}

impl Product {
    fn of(recipe: &Recipe, atoms: &[Atom]) -> Product {
        let mut product = Product { numbers: Vec::new(), dummies: Vec::new() };
        for atom in atoms {
            match atom {
                Atom::Number(expr) => product.numbers.push(expr.to_string()),
                Atom::Indicator { factor, level } => {
                    product.dummies.push((*factor, recipe.factors[*factor].levels[*level].clone()));
                }
            }
        }
        product.numbers.sort_unstable();
        product.dummies.sort_unstable();
        product.dummies.dedup();
        product
    }

    fn without(&self, at: usize) -> Product {
        let mut product = self.clone();
        product.dummies.remove(at);
        product
    }

    fn times(&self, factor: usize, level: &str) -> Product {
        let mut product = self.clone();
        product.dummies.push((factor, level.to_owned()));
        product.dummies.sort_unstable();
        product
    }
}

/// Columns of a part, from which others are to be combined.
struct Basis<'a> {
    part: &'a Recipe,
    /// Per product the positions among the columns, and their shifts.
    known: BTreeMap<Product, Vec<(usize, f64)>>,
}

impl<'a> Basis<'a> {
    fn new(part: &'a Recipe, columns: &[usize]) -> Self {
        let mut known: BTreeMap<Product, Vec<(usize, f64)>> = BTreeMap::new();
        for (position, &column) in columns.iter().enumerate() {
            let spec = &part.columns[column];
            known.entry(Product::of(part, &spec.atoms)).or_default().push((position, spec.shift));
        }
        Basis { part, known }
    }

    /// Column `j` of the merged recipe.
    fn column(&self, merged: &Recipe, j: usize) -> Option<Combination> {
        let spec = &merged.columns[j];
        let products = self.express(&Product::of(merged, &spec.atoms))?;
        self.shifted(products, spec.shift, j)
    }

    /// The response: y less its shift is the part's y and a constant.
    fn response(&self, part: &Recipe, merged: &Recipe) -> Option<Combination> {
        let constant = part.response_shift - merged.response_shift;
        let mut combination = if constant == 0.0 { Vec::new() } else { self.constant(constant)? };
        combination.push((part.columns.len(), 1.0));
        Some(combination)
    }

    /// Products less a shift, from columns that are shifted in their own way.
    fn shifted(&self, products: BTreeMap<Product, f64>, shift: f64, near: usize) -> Option<Combination> {
        let mut constant = -shift;
        let mut combination = Vec::new();
        for (product, weight) in products {
            // Of two columns of one product, one shifted and one not, the one that needs less of the
            // constant; of two alike the one in the same place.
            let difference = |own: &f64| (own - shift).abs();
            let columns = &self.known[&product];
            let better = |a: &&(usize, f64), b: &&(usize, f64)| {
                difference(&a.1).total_cmp(&difference(&b.1)).then((a.0 != near).cmp(&(b.0 != near)))
            };
            let &(position, own) = columns.iter().min_by(better).expect("a known product has a column");
            combination.push((position, weight));
            constant += weight * own;
        }
        if constant != 0.0 {
            combination.extend(self.constant(constant)?);
        }
        Some(combination)
    }

    /// A constant; the columns that make it up are never shifted.
    fn constant(&self, value: f64) -> Option<Combination> {
        let ones = self.express(&Product { numbers: Vec::new(), dummies: Vec::new() })?;
        Some(ones.into_iter().map(|(product, weight)| (self.known[&product][0].0, weight * value)).collect())
    }

    /// A product as a combination of known ones, on the rows of the part.
    fn express(&self, product: &Product) -> Option<BTreeMap<Product, f64>> {
        if product.dummies.iter().any(|(factor, level)| !self.part.factors[*factor].levels.contains(level)) {
            return Some(BTreeMap::new());
        }
        self.summed(product, 0).or_else(|| self.complement(product))
    }

    /// A known product, or the sum over all levels of factors that it does not have.
    fn summed(&self, product: &Product, first: usize) -> Option<BTreeMap<Product, f64>> {
        if self.known.contains_key(product) {
            return Some(BTreeMap::from([(product.clone(), 1.0)]));
        }
        (first..self.part.factors.len()).filter(|f| product.dummies.iter().all(|(own, _)| own != f)).find_map(
            |factor| {
                let mut sum = BTreeMap::new();
                for level in &self.part.factors[factor].levels {
                    add(&mut sum, &self.summed(&product.times(factor, level), factor + 1)?, 1.0);
                }
                Some(sum)
            },
        )
    }

    /// The indicator of a reference level is 1 less those of the others.
    fn complement(&self, product: &Product) -> Option<BTreeMap<Product, f64>> {
        let levels = |factor: usize| &self.part.factors[factor].levels;
        let is_reference = |(_, (factor, level)): &(usize, &(usize, String))| levels(*factor).first() == Some(level);
        product.dummies.iter().enumerate().filter(is_reference).find_map(|(at, (factor, _))| {
            let rest = product.without(at);
            let mut sum = self.express(&rest)?;
            for level in &levels(*factor)[1..] {
                add(&mut sum, &self.express(&rest.times(*factor, level))?, -1.0);
            }
            sum.retain(|_, weight| *weight != 0.0);
            Some(sum)
        })
    }
}

fn add(sum: &mut BTreeMap<Product, f64>, other: &BTreeMap<Product, f64>, weight: f64) {
    other.iter().for_each(|(product, own)| *sum.entry(product.clone()).or_insert(0.0) += weight * own);
}
