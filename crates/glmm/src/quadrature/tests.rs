//! Quadrature against brute-force integration, its gradient against differences, and one node against Laplace's
//! criterion, on random tiny nests.

use super::*;
use crate::family::{Distribution, Family, Link};
use crate::visit::{Point, Shape, Sums, Visit, VisitRows, Want};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::ops::Range;
use tiers_equations::reweighted::{Groups, PathShape};

struct Case {
    shape: Shape,
    ends: Vec<Vec<u32>>,
    ranges: Vec<Range<usize>>,
    rows: VisitRows,
    at: Point,
}

const PAIRS: [(Family, Link); 4] = [
    (Family::Binomial, Link::Logit),
    (Family::Binomial, Link::Probit),
    (Family::Binomial, Link::Cloglog),
    (Family::Poisson, Link::Log),
];

/// One top-level group of a random nest: scalar effects on one column at each of the levels, or `plane`: two effects
/// of a single level.
fn case(seed: u64, levels: usize, plane: bool, (family, link): (Family, Link)) -> Case {
    let mut rng = StdRng::seed_from_u64(seed);
    let columns: Vec<Vec<usize>> = (0..levels).map(|_| if plane { vec![0, 1] } else { vec![0] }).collect();
    let path = PathShape::new(&columns);
    let mut ends: Vec<Vec<u32>> = Vec::new();
    let mut ranges: Vec<Range<usize>> = std::iter::once(0..1).collect();
    for _ in 1..levels {
        let mut end = 0;
        let mut grow = || {
            end += rng.random_range(1..4);
            end
        };
        let level: Vec<u32> = ranges[0].clone().map(|_| grow()).collect();
        ranges.insert(0, 0..end as usize);
        ends.insert(0, level);
    }
    let mut rows = VisitRows::default();
    for _ in ranges[0].clone() {
        for _ in 0..rng.random_range(1..5) {
            let (a, b): (f64, f64) = (rng.random_range(-1.0..1.0), rng.random_range(-1.0..1.0));
            rows.x.extend([1.0, a, b]);
            let slope = seed % 3 == 2;
            rows.z.extend(if plane {
                vec![1.0, a]
            } else if slope {
                vec![1.0 + 0.5 * a]
            } else {
                vec![1.0]
            });
            let m = if family == Family::Poisson { 1.0 } else { f64::from(rng.random_range(1..3)) };
            let most = if family == Family::Poisson { 5 } else { m as i32 };
            rows.k.push(f64::from(rng.random_range(0..=most)));
            rows.m.push(m);
            rows.offset.push(rng.random_range(-0.3..0.3));
        }
        rows.ends.push(rows.k.len());
    }
    let entries = if plane { vec![(0, 0, 0), (0, 1, 0), (0, 1, 1)] } else { (0..levels).map(|k| (k, 0, 0)).collect() };
    let mut size = || rng.random_range(0.4..1.4);
    let lambda = match plane {
        true => vec![vec![size(), 0.0, -0.7 * size(), size()]],
        false => (0..levels).map(|_| vec![size()]).collect(),
    };
    let distribution = Distribution::new(family, Some(link)).expect("a link of the family");
    let at = Point { beta: vec![0.2, -0.4, 0.3], lambda };
    Case { shape: Shape { distribution, p: 3, path, entries }, ends, ranges, rows, at }
}

impl Case {
    fn by_quadrature(&self, at: &Point, nodes: usize) -> QuadratureSums {
        let rule = Rule::new(nodes);
        let mut visit = QuadratureVisit::default();
        visit.rows = self.rows.clone();
        let mut sums = QuadratureSums::new(&self.shape);
        let levels = self.ranges.iter().enumerate();
        let mut modes: Modes = levels.map(|(k, range)| vec![0.0; range.len() * self.shape.path.r(k)]).collect();
        let place = (&Groups::within(&self.ends, 0..1), &self.ranges[..]);
        visit.run(&self.shape, (&rule, &rule.sides()), place, at, &mut modes, &mut sums);
        sums
    }

    fn row(&self, i: usize, b: impl Fn(&[f64]) -> f64) -> f64 {
        let d = self.shape.path.distinct();
        let x = &self.rows.x[3 * i..3 * i + 3];
        let fixed: f64 = x.iter().zip(&self.at.beta).map(|(x, b)| x * b).sum();
        let eta = self.rows.offset[i] + fixed + b(&self.rows.z[d * i..d * i + d]);
        self.shape.distribution.row(self.rows.k[i], self.rows.m[i], eta)[0]
    }

    fn rows_of(&self, leaf: usize) -> Range<usize> {
        if leaf == 0 { 0..self.rows.ends[0] } else { self.rows.ends[leaf - 1]..self.rows.ends[leaf] }
    }

    /// A step that resolves the posterior distributions; those of counts are narrow.
    fn step(&self) -> f64 {
        if self.shape.distribution.family() == Family::Poisson { 0.1 } else { 0.25 }
    }

    /// `log L` of group g of level k given the sum c of effects above, by the trapezoidal rule.
    fn by_grid(&self, k: usize, g: usize, c: f64) -> f64 {
        let lambda = self.at.lambda[k][0];
        let given = |u: f64| -> f64 {
            let c = c + lambda * u;
            match k {
                0 => self.rows_of(g).map(|i| self.row(i, |z| z[0] * c)).sum(),
                _ => {
                    let groups = Groups::within(&self.ends, 0..1);
                    groups.children(k - 1, g).map(|child| self.by_grid(k - 1, child, c)).sum()
                }
            }
        };
        log_of_normal_mean(self.step(), given)
    }

    /// The same for the two effects of a single group.
    fn by_grid_of_plane(&self) -> f64 {
        let l = &self.at.lambda[0];
        log_of_normal_mean(self.step(), |u| {
            log_of_normal_mean(self.step(), |v| {
                let b = [l[0] * u + l[1] * v, l[2] * u + l[3] * v];
                (0..self.rows.k.len()).map(|i| self.row(i, |z| z[0] * b[0] + z[1] * b[1])).sum()
            })
        })
    }

    /// Derivatives by β and by the entries of Λ.
    fn gradient(&self, sums: &QuadratureSums) -> Vec<f64> {
        let entry = |&(k, i, j): &(usize, usize, usize)| sums.lambda[k][i * self.shape.path.r(k) + j];
        sums.beta.iter().copied().chain(self.shape.entries.iter().map(entry)).collect()
    }

    fn moved(&self, direction: usize, by: f64) -> Point {
        let mut at = self.at.clone();
        match direction.checked_sub(3) {
            None => at.beta[direction] += by,
            Some(entry) => {
                let (k, i, j) = self.shape.entries[entry];
                at.lambda[k][i * self.shape.path.r(k) + j] += by;
            }
        }
        at
    }
}

/// `log ∫ φ(u) exp(f(u)) du` by the trapezoidal rule, whose error vanishes exponentially in the inverse step.
fn log_of_normal_mean(step: f64, f: impl Fn(f64) -> f64) -> f64 {
    let count = (7.0 / step) as i32;
    let terms: Vec<f64> = (-count..=count).map(|i| f64::from(i) * step).map(|u| f(u) - 0.5 * u * u).collect();
    let largest = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = terms.iter().map(|t| (t - largest).exp()).sum();
    largest + (sum * step / (2.0 * std::f64::consts::PI).sqrt()).ln()
}

#[test]
fn quadrature_tends_to_the_integral() {
    for pair in PAIRS {
        for seed in 0..6 {
            for levels in 1..=if seed < 2 && pair.0 == Family::Binomial { 3 } else { 2 } {
                let case = case(seed, levels, false, pair);
                let want = case.by_grid(levels - 1, 0, 0.0);
                let error = |nodes| (case.by_quadrature(&case.at, nodes).value - want).abs() / want.abs().max(1.0);
                let (few, many) = (error(7), error(if levels == 3 { 31 } else { 63 }));
                assert!(few < 2e-3 && many < 1e-8, "{pair:?} {seed} {levels} levels: {few:e} {many:e}");
            }
            let case = case(seed, 1, true, pair);
            let want = case.by_grid_of_plane();
            let error = |nodes| (case.by_quadrature(&case.at, nodes).value - want).abs() / want.abs().max(1.0);
            let (few, many) = (error(7), error(63));
            assert!(few < 2e-3 && many < 1e-8, "{pair:?} {seed} plane: {few:e} {many:e}");
        }
    }
}

#[test]
fn the_gradient_follows_the_moving_nodes() {
    for pair in PAIRS {
        for seed in 0..9 {
            for (levels, plane) in [(1, false), (2, false), (3, false), (1, true)] {
                let case = case(seed, levels, plane, pair);
                for nodes in [1, 2, 3, 7] {
                    let gradient = case.gradient(&case.by_quadrature(&case.at, nodes));
                    for (direction, got) in gradient.iter().enumerate() {
                        let value = |by: f64| case.by_quadrature(&case.moved(direction, by * 1e-3), nodes).value;
                        let want = (value(-2.0) - 8.0 * value(-1.0) + 8.0 * value(1.0) - value(2.0)) / 12e-3;
                        let close = (want - got).abs() < 1e-7 * (1.0 + want.abs());
                        let what = format!("{pair:?} {seed} {levels} {plane} {nodes} nodes, {direction}");
                        assert!(close, "{what}: {got} for {want}");
                    }
                }
            }
        }
    }
}

#[test]
fn one_node_is_the_approximation_of_laplace() {
    for pair in PAIRS {
        for (levels, plane) in [(1, false), (2, false), (3, false), (1, true)] {
            let case = case(5, levels, plane, pair);
            let got = case.by_quadrature(&case.at, 1);
            let mut visit = Visit::default();
            visit.rows = case.rows.clone();
            let each = case.ranges.iter().enumerate();
            visit.u = each.map(|(k, range)| vec![0.0; range.len() * case.shape.path.r(k)]).collect();
            let mut sums = Sums::new(&case.shape, Want::Gradient);
            visit.run(&case.shape, &Groups::within(&case.ends, 0..1), &case.at, Want::Gradient, &mut sums);
            assert!((-2.0 * got.value - sums.value).abs() < 1e-11 * (1.0 + sums.value.abs()));
            for (got, want) in got.beta.iter().zip(&sums.beta) {
                assert!((-2.0 * got - want).abs() < 1e-10 * (1.0 + want.abs()), "{pair:?} {levels}: {got} {want}");
            }
        }
    }
}
