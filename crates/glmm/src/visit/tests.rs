//! Gradient and Hessian against differences, on random nests of one to three levels.

use super::*;
use crate::family::{Family, Link};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

struct Case {
    shape: Shape,
    ends: Vec<Vec<u32>>,
    rows: VisitRows,
    at: Point,
}

/// A random nest with a random intercept and, at some levels, a slope.
fn case(seed: u64, family: Family, link: Link) -> Case {
    let mut rng = StdRng::seed_from_u64(seed);
    let levels = 1 + (seed % 3) as usize;
    let slopes: Vec<bool> = (0..levels).map(|_| rng.random_bool(0.4)).collect();
    let columns: Vec<Vec<usize>> = slopes.iter().map(|&s| if s { vec![0, 1] } else { vec![0] }).collect();
    let path = PathShape::new(&columns);
    let (p, d) = (3 + (seed % 4) as usize, path.distinct());
    let mut counts = vec![2 + (seed % 2) as u32];
    let mut ends = Vec::new();
    for _ in 1..levels {
        let above = counts[counts.len() - 1];
        let mut end = 0;
        let level: Vec<u32> = (0..above)
            .map(|_| {
                end += rng.random_range(1..4);
                end
            })
            .collect();
        counts.push(end);
        ends.insert(0, level);
    }
    let finest = counts[counts.len() - 1];
    let mut rows = VisitRows::default();
    for _ in 0..finest {
        for _ in 0..rng.random_range(1..6) {
            let (a, b): (f64, f64) = (rng.random_range(-1.0..1.0), rng.random_range(-1.0..1.0));
            rows.x.extend([1.0, a, b]);
            rows.x.extend((3..p).map(|_| rng.random_range(-1.0..1.0)));
            rows.z.extend(&[1.0, a][..d]);
            let m = if family == Family::Poisson { 1.0 } else { f64::from(rng.random_range(1..4)) };
            let most = if family == Family::Poisson { 5 } else { m as i32 };
            rows.k.push(f64::from(rng.random_range(0..=most)));
            rows.m.push(m);
            rows.offset.push(rng.random_range(-0.3..0.3));
        }
        rows.ends.push(rows.k.len());
    }
    let entries: Vec<(usize, usize, usize)> = columns
        .iter()
        .enumerate()
        .flat_map(|(k, c)| (0..c.len()).flat_map(move |j| (j..c.len()).map(move |i| (k, i, j))))
        .collect();
    let mut lambda: Vec<Vec<f64>> = columns.iter().map(|c| vec![0.0; c.len() * c.len()]).collect();
    for &(k, i, j) in &entries {
        lambda[k][i * columns[k].len() + j] = rng.random_range(0.2..1.1) * if i == j { 1.0 } else { -0.7 };
    }
    let beta = [0.2, -0.5, 0.4, 0.3, -0.2, 0.1][..p].to_vec();
    let at = Point { beta, lambda };
    let distribution = Distribution::new(family, Some(link)).unwrap();
    Case { shape: Shape { distribution, p, path, entries }, ends, rows, at }
}

impl Case {
    fn evaluate(&self, at: &Point, want: Want) -> Sums {
        let tops = self.ends.last().map_or(self.rows.ends.len(), Vec::len);
        let groups = Groups::within(&self.ends, 0..tops);
        let mut visit = Visit { rows: self.rows.clone(), ..Visit::default() };
        let levels = self.shape.path.levels();
        visit.u = (0..levels).map(|k| vec![0.0; groups.count(k) * self.shape.path.r(k)]).collect();
        let mut sums = Sums::new(&self.shape, want);
        visit.run(&self.shape, &groups, at, want, &mut sums);
        assert!(sums.solved, "modes found");
        sums
    }

    fn gradient(&self, sums: &Sums, at: &Point) -> Vec<f64> {
        let entry = |&(k, i, j): &(usize, usize, usize)| {
            let r = self.shape.path.r(k);
            2.0 * (0..r).map(|s| sums.gamma[k][i * r + s] * at.lambda[k][s * r + j]).sum::<f64>()
        };
        sums.beta.iter().copied().chain(self.shape.entries.iter().map(entry)).collect()
    }

    fn moved(&self, direction: usize, by: f64) -> Point {
        let mut at = self.at.clone();
        match direction.checked_sub(self.shape.p) {
            None => at.beta[direction] += by,
            Some(entry) => {
                let (k, i, j) = self.shape.entries[entry];
                at.lambda[k][i * self.shape.path.r(k) + j] += by;
            }
        }
        at
    }
}

#[test]
fn derivatives_agree_with_differences() {
    let pairs = [
        (Family::Binomial, Link::Logit),
        (Family::Binomial, Link::Probit),
        (Family::Binomial, Link::Cloglog),
        (Family::Poisson, Link::Log),
    ];
    for seed in 0..24 {
        for (family, link) in pairs {
            let case = case(seed, family, link);
            let sums = case.evaluate(&case.at, Want::Hessian);
            let gradient = case.gradient(&sums, &case.at);
            let (p, h) = (case.shape.p, 1e-3);
            for direction in 0..gradient.len() {
                let at = |by: f64| {
                    let point = case.moved(direction, by * h);
                    let sums = case.evaluate(&point, Want::Gradient);
                    (sums.value, case.gradient(&sums, &point))
                };
                let (a, b, c, d) = (at(-2.0), at(-1.0), at(1.0), at(2.0));
                let five = |a: f64, b: f64, c: f64, d: f64| (a - 8.0 * b + 8.0 * c - d) / (12.0 * h);
                let slope = five(a.0, b.0, c.0, d.0);
                let close = (slope - gradient[direction]).abs() < 1e-7 * (1.0 + slope.abs());
                assert!(close, "{seed} {link} gradient {direction}: {slope} {}", gradient[direction]);
                for other in 0..gradient.len() {
                    let want = five(a.1[other], b.1[other], c.1[other], d.1[other]);
                    let got = match other.checked_sub(p) {
                        None => sums.beta_dot[direction * p + other],
                        Some(entry) => {
                            let (k, i, j) = case.shape.entries[entry];
                            let r = case.shape.path.r(k);
                            let moving: f64 = (0..r)
                                .map(|s| sums.gamma_dot[direction][k][i * r + s] * case.at.lambda[k][s * r + j])
                                .sum();
                            let same = direction.checked_sub(p).map(|e| case.shape.entries[e]);
                            let own = match same {
                                Some((level, row, column)) if level == k && column == j => sums.gamma[k][i * r + row],
                                _ => 0.0,
                            };
                            2.0 * (moving + own)
                        }
                    };
                    let close = (want - got).abs() < 1e-6 * (1.0 + want.abs());
                    assert!(close, "{seed} {link} Hessian {direction} {other}: {want} {got}");
                }
            }
        }
    }
}

#[test]
fn modes_that_are_solved_are_not_moved() {
    for seed in 0..12 {
        let case = case(seed, Family::Binomial, Link::Logit);
        let groups = Groups::within(&case.ends, 0..case.ends.last().map_or(case.rows.ends.len(), Vec::len));
        let mut visit = Visit { rows: case.rows.clone(), ..Visit::default() };
        visit.u = (0..case.shape.path.levels()).map(|k| vec![0.0; groups.count(k) * case.shape.path.r(k)]).collect();
        let (mut first, mut second) = (Sums::new(&case.shape, Want::Gradient), Sums::new(&case.shape, Want::Gradient));
        visit.run(&case.shape, &groups, &case.at, Want::Gradient, &mut first);
        let modes = visit.u.clone();
        visit.run(&case.shape, &groups, &case.at, Want::Gradient, &mut second);
        assert!(first.solved && visit.u == modes, "{seed}");
        assert_eq!(first, second);
    }
}
