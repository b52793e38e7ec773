//! Quadrature on the rows of some top-level groups.

use super::branch::Depth;
use super::leaf::Leaf;
use super::nest::Nest;
use super::plane::{Plane, PlaneState};
use super::rule::Rule;
use crate::visit::{Modes, Point, Shape, VisitRows};
use nalgebra::Matrix2;
use std::ops::Range;
use tiers_equations::reweighted::Groups;

/// Sums of log-likelihoods, constants apart, and their derivatives.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct QuadratureSums {
    pub(super) value: f64,
    pub(super) beta: Vec<f64>,
    /// By the factors Λ of each level, r×r row-major.
    pub(super) lambda: Vec<Vec<f64>>,
}

impl QuadratureSums {
    pub(super) fn new(shape: &Shape) -> QuadratureSums {
        let lambda = (0..shape.path.levels()).map(|k| vec![0.0; shape.path.r(k).pow(2)]).collect();
        QuadratureSums { value: 0.0, beta: vec![0.0; shape.p], lambda }
    }

    /// Adds the sums of other groups.
    pub(super) fn merge(&mut self, other: &QuadratureSums) {
        let add = |a: &mut [f64], b: &[f64]| a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
        self.value += other.value;
        add(&mut self.beta, &other.beta);
        self.lambda.iter_mut().zip(&other.lambda).for_each(|(a, b)| add(a, b));
    }
}

/// Memory of visits, reused from group to group.
#[derive(Debug, Default)]
pub(super) struct QuadratureVisit {
    pub(super) rows: VisitRows,
    xb: Vec<f64>,
    leaf: Leaf,
    depths: Vec<Depth>,
    plane: PlaneState,
}

impl QuadratureVisit {
    /// Adds the log-likelihood of the groups whose rows are in `self.rows`. The search for their modes begins at
    /// those in `modes`, which it replaces; `place` are the groups and the range of each level in `modes`.
    pub(super) fn run(
        &mut self,
        shape: &Shape,
        (rule, sides): (&Rule, &[Vec<usize>; 2]),
        (groups, ranges): (&Groups<'_>, &[Range<usize>]),
        at: &Point,
        modes: &mut Modes,
        sums: &mut QuadratureSums,
    ) {
        self.predict_fixed(&at.beta);
        let e = match shape.path.r(0) {
            2 => {
                let lambda = Matrix2::from_row_slice(&at.lambda[0]);
                let plane = Plane { distribution: shape.distribution, rows: &self.rows, xb: &self.xb, lambda, rule };
                let modes = &mut modes[0][2 * ranges[0].start..2 * ranges[0].end];
                plane.run(&mut self.plane, modes, sums);
                &self.plane.e
            }
            _ => {
                let lambda: Vec<f64> = at.lambda.iter().map(|lambda| lambda[0]).collect();
                let (rows, xb) = (&self.rows, &self.xb[..]);
                let nest = Nest { distribution: shape.distribution, groups, rows, xb, lambda: &lambda, rule, sides };
                let (leaf, depths) = (&mut self.leaf, &mut self.depths);
                nest.run(leaf, depths, ranges, modes, sums);
                depths.last().map_or(&leaf.e, |depth| &depth.e)
            }
        };
        for (e, x) in e.iter().zip(self.rows.x.chunks_exact(shape.p.max(1))) {
            sums.beta.iter_mut().zip(x).for_each(|(sum, x)| *sum += x * e);
        }
    }

    fn predict_fixed(&mut self, beta: &[f64]) {
        self.xb.clone_from(&self.rows.offset);
        for (xb, x) in self.xb.iter_mut().zip(self.rows.x.chunks_exact(beta.len().max(1))) {
            *xb = x.iter().zip(beta).fold(*xb, |sum, (x, b)| sum + x * b);
        }
    }
}

impl Nest<'_> {
    /// Integrates the top-level groups, and adds their log-likelihoods and derivatives by λ.
    fn run(
        &self,
        leaf: &mut Leaf,
        depths: &mut Vec<Depth>,
        ranges: &[Range<usize>],
        modes: &mut Modes,
        sums: &mut QuadratureSums,
    ) {
        let (levels, rows) = (self.lambda.len(), self.xb.len());
        let counts: Vec<usize> = ranges.iter().map(Range::len).collect();
        leaf.resize(counts[0], rows);
        depths.resize_with(levels - 1, Depth::default);
        depths.iter_mut().enumerate().for_each(|(k, depth)| depth.resize(&counts[..k + 2], rows));
        // The joint modes of all levels are those of the top.
        let each =
            |leaf: &mut Leaf, depths: &mut [Depth], copy: &mut dyn FnMut(usize, &mut [f64])| match depths.last_mut() {
                None => copy(0, &mut leaf.u),
                Some(top) => top.u.iter_mut().enumerate().for_each(|(k, u)| copy(k, u)),
            };
        each(leaf, depths, &mut |k, u| u.copy_from_slice(&modes[k][ranges[k].clone()]));
        let mut lambda = vec![0.0; levels];
        sums.value += self.integrate(leaf, depths, 0..counts[levels - 1], 0.0, &mut lambda).value;
        each(leaf, depths, &mut |k, u| modes[k][ranges[k].clone()].copy_from_slice(u));
        sums.lambda.iter_mut().zip(lambda).for_each(|(sum, v)| sum[0] += v);
    }
}

impl Plane<'_> {
    /// Integrates all groups, and adds their log-likelihoods and derivatives by Λ.
    fn run(&self, state: &mut PlaneState, modes: &mut [f64], sums: &mut QuadratureSums) {
        state.resize(self.xb.len());
        let mut start = 0;
        for (&end, u) in self.rows.ends.iter().zip(modes.chunks_exact_mut(2)) {
            state.u.copy_from_slice(u);
            sums.value += self.integrate(state, start..end);
            u.copy_from_slice(&state.u);
            let own = &state.lambda;
            let entries = [own.m11, own.m12, own.m21, own.m22];
            entries.iter().zip(&mut sums.lambda[0]).for_each(|(v, sum)| *sum += v);
            start = end;
        }
    }
}
