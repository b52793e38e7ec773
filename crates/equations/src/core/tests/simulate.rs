//! The joint distribution of the sums of drawn responses.

use super::sample::{M, Sample, close};
use crate::core::CrossedSimulator;
use crate::simulate::Draws;
use nalgebra::DVector;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Draws zeros, except at one place.
struct Unit {
    at: Option<usize>,
    drawn: Arc<AtomicUsize>,
    chi_squared: bool,
}

impl Draws for Unit {
    fn normal(&mut self) -> f64 {
        let number = self.drawn.fetch_add(1, Relaxed);
        f64::from(u8::from(self.at == Some(number)))
    }
    fn chi_squared(&mut self, degrees: f64) -> f64 {
        if self.chi_squared { degrees } else { 0.0 }
    }
}

/// The drawn sums `[Z C]'Wy` and `y'Wy` with the number of normal numbers of each shard.
fn draw(
    sample: &Sample,
    simulator: &CrossedSimulator,
    at: Option<(usize, usize)>,
    chi_squared: bool,
) -> (DVector<f64>, f64, Vec<usize>) {
    let mut design = sample.crossed(2);
    let drawn: Vec<Arc<AtomicUsize>> = (0..3).map(|_| Arc::default()).collect();
    simulator.draw(&mut design, &|shard| {
        let at = at.filter(|(s, _)| *s == shard).map(|(_, number)| number);
        Box::new(Unit { at, drawn: drawn[shard].clone(), chi_squared })
    });
    let (m, y) = (design.m, design.m - 1);
    let mut sums = vec![0.0; sample.factors[0].groups() * sample.r(0)];
    let mut seen = [0, 0];
    for group in 0..sample.factors[0].groups() {
        let shard = group * 5 % 2;
        for t in 0..sample.r(0) {
            sums[group * sample.r(0) + t] = design.leaf[shard].moments[(seen[shard] * sample.r(0) + t) * m + y];
        }
        seen[shard] += 1;
    }
    for factor in &design.core {
        sums.extend(factor.moments.chunks_exact(m).map(|row| row[y]));
    }
    sums.extend((0..y).map(|c| design.cross[c * m + y]));
    (DVector::from_vec(sums), design.cross[y * m + y], drawn.iter().map(|d| d.load(Relaxed)).collect())
}

#[test]
fn the_covariance_of_the_sums_is_that_of_the_model() {
    for seed in 0..8 {
        let sample = Sample::random(seed);
        let (at, sigma) = (sample.covariances(seed, 1.0), 0.7);
        let factors: Vec<M> = at.factors().iter().map(|lambda| lambda * sigma).collect();
        let simulator = CrossedSimulator::new(&sample.crossed(2), &factors, sigma);
        let (_, of_chi_squared, numbers) = draw(&sample, &simulator, None, true);
        let mut columns: Vec<M> = (0..sample.factors.len()).map(|k| sample.z(k)).collect();
        columns.push(sample.c.columns(0, sample.m() - 1).into_owned());
        let width = columns.iter().map(M::ncols).sum();
        let mut b = M::zeros(sample.n(), width);
        let mut first = 0;
        for block in &columns {
            b.columns_mut(first, block.ncols()).copy_from(block);
            first += block.ncols();
        }
        let w = M::from_diagonal(&sample.w);
        let v = sample.v(&at) * (sigma * sigma);
        let want = b.transpose() * &w * &v * &w * &b;
        let (mut covariance, mut square) = (M::zeros(width, width), of_chi_squared);
        for (shard, &count) in numbers.iter().enumerate() {
            for number in 0..count {
                let (sums, of_y, _) = draw(&sample, &simulator, Some((shard, number)), false);
                covariance += &sums * sums.transpose();
                square += of_y;
            }
        }
        close(&format!("seed {seed}: covariance"), covariance.as_slice(), want.as_slice(), 1e-9);
        close(&format!("seed {seed}: square"), &[square], &[(&w * &v).trace()], 1e-9);
    }
}
