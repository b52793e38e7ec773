//! Matrices of a sparse core, by the columns of a group at a time: each is spread over a vector per column, changed
//! there, and gathered again.

use super::basis::{Basis, transform};
use super::leaf::LeafShardState;
use super::plan::CrossedPlan;
use super::structure::Structure;
use rayon::prelude::*;
use tiers_moments::Crossed;

/// The columns of a group of the core, c numbers each, zero outside the pattern.
pub(super) type Columns = Vec<f64>;

impl CrossedPlan {
    /// Calls `with` for every group of the core (factor, group) with its entries on the pattern and room for its
    /// columns, which `with` leaves zero. Groups are taken by any thread.
    pub(super) fn each_group(
        &self,
        structure: &Structure,
        values: &mut [f64],
        with: impl Fn((usize, usize), &mut [f64], &mut Columns) + Sync,
    ) {
        let mut segments = Vec::new();
        let mut rest = values;
        for (k, factor) in self.factors.iter().enumerate() {
            for group in 0..factor.groups {
                let effects = factor.effects(group);
                let length = structure.pattern.starts[effects.end] - structure.pattern.starts[effects.start];
                let (own, next) = rest.split_at_mut(length);
                rest = next;
                segments.push(((k, group), own));
            }
        }
        let r = self.factors.iter().map(|f| f.r).max().unwrap_or(0);
        segments
            .into_par_iter()
            .for_each_init(|| vec![0.0; r * self.effects], |columns, (place, segment)| with(place, segment, columns));
    }

    /// Copies the entries of a group to its columns.
    pub(super) fn scatter(&self, structure: &Structure, (k, group): (usize, usize), from: &[f64], to: &mut Columns) {
        let effects = self.factors[k].effects(group);
        let start = structure.pattern.starts[effects.start];
        for (i, j) in effects.enumerate() {
            for at in structure.pattern.column(j) {
                to[i * self.effects + structure.pattern.rows[at]] = from[at - start];
            }
        }
    }

    /// Copies the columns of a group to its entries.
    pub(super) fn gather(&self, structure: &Structure, (k, group): (usize, usize), from: &Columns, to: &mut [f64]) {
        let effects = self.factors[k].effects(group);
        let start = structure.pattern.starts[effects.start];
        for (i, j) in effects.enumerate() {
            for at in structure.pattern.column(j) {
                to[at - start] = from[i * self.effects + structure.pattern.rows[at]];
            }
        }
    }

    /// Makes the columns of a group zero again.
    pub(super) fn clear(&self, structure: &Structure, (k, group): (usize, usize), columns: &mut Columns) {
        let effects = self.factors[k].effects(group);
        for i in 0..effects.len() {
            // The first column has all rows of the others.
            for at in structure.pattern.column(effects.start) {
                columns[i * self.effects + structure.pattern.rows[at]] = 0.0;
            }
        }
    }

    /// [`CrossedPlan::transform_columns`] on the pattern.
    pub(super) fn transform_on_pattern<'a>(
        &self,
        structure: &Structure,
        bases: &'a [Basis],
        of: &(impl Fn(&'a Basis) -> &'a [f64] + Sync),
        transposed: bool,
        (k, group): (usize, usize),
        columns: &mut Columns,
    ) {
        let (c, r, first) = (self.effects, self.factors[k].r, self.factors[k].effects(group).start);
        for i in 0..r {
            for j in 0..i {
                columns[i * c + first + j] = columns[j * c + first + i];
            }
        }
        let (mut block, mut work) = (Vec::new(), Vec::new());
        let mut rows = structure.pattern.rows[structure.pattern.column(first)].iter();
        while let Some(&row) = rows.next() {
            let other = self.place(row).0;
            let size = self.factors[other].r;
            (1..size).for_each(|_| {
                rows.next();
            });
            // The block transposed: r rows, one for each column of the group.
            block.clear();
            (0..r).for_each(|i| block.extend_from_slice(&columns[i * c + row..i * c + row + size]));
            transform(of(&bases[k]), transposed, &mut block, size, &mut work);
            for (i, column) in block.chunks_exact_mut(size).enumerate() {
                transform(of(&bases[other]), transposed, column, 1, &mut work);
                columns[i * c + row..i * c + row + size].copy_from_slice(column);
            }
        }
    }

    /// [`CrossedPlan::form`] on the pattern.
    pub(super) fn form_on_pattern(
        &self,
        structure: &Structure,
        design: &Crossed,
        leaf: &[LeafShardState],
        bases: &[Basis],
        out: &mut [f64],
    ) {
        self.each_group(structure, out, |place, entries, columns| {
            self.add_pairs(design, place.0, place.1, columns);
            self.add_meetings(design, leaf, place.0, place.1, columns);
            self.transform_on_pattern(structure, bases, &|basis| &basis.m[..], true, place, columns);
            self.gather(structure, place, columns, entries);
            self.clear(structure, place, columns);
        });
    }

    /// Replaces S⁻¹ on the pattern by D.
    pub(super) fn covariances_on_pattern(&self, structure: &Structure, bases: &[Basis], s: &[f64], values: &mut [f64]) {
        self.each_group(structure, values, |(k, group), entries, columns| {
            let effects = self.factors[k].effects(group);
            let start = structure.pattern.starts[effects.start];
            for j in effects {
                for at in structure.pattern.column(j) {
                    entries[at - start] *= s[j] * s[structure.pattern.rows[at]];
                }
            }
            self.scatter(structure, (k, group), entries, columns);
            self.transform_on_pattern(structure, bases, &|basis| &basis.m[..], false, (k, group), columns);
            self.gather(structure, (k, group), columns, entries);
            self.clear(structure, (k, group), columns);
        });
    }
}
