//! Draws rows: the values that vary within the groups of the finest level, and the response.
//!
//! Works column by column over a chunk of rows, with an inner loop over the rows of one group, where
//! everything drawn per group is constant.

use crate::block::Block;
use crate::columns::{Column, Values};
use crate::group_draws::{ByGroup, cumulated, label};
use crate::model::{Covariate, Distribution, Kind, Simulation};
use crate::place::Place;
use crate::spec::LinkSpec;
use crate::streams::Stream;
use rand::RngExt;
use rand_distr::{Poisson, StandardNormal};
use std::ops::Range;

/// Number of rows in a chunk; these share a stream of random numbers and are drawn together.
pub const CHUNK_ROWS: u64 = 1 << 15;

/// Consecutive rows of one group of the finest level.
struct Run {
    group: usize,
    rows: Range<usize>,
}

/// Draws the rows of a block from `rows.start` to `rows.end`.
pub(crate) fn draw(
    simulation: &Simulation,
    block: &Block,
    place: &Place,
    rows: Range<u64>,
    stream: Stream,
) -> Vec<Column> {
    let runs = runs(block, &rows);
    let n = (rows.end - rows.start) as usize;
    let mut chunk = Chunk { block, runs, stream, numbers: Vec::new(), response: Vec::with_capacity(n) };
    chunk.start_response();
    let mut values: Vec<Values> = (0..simulation.levels.len()).map(|k| chunk.ids(simulation, place, k)).collect();
    for covariate in &simulation.covariates {
        let column = chunk.covariate(covariate, n);
        values.push(column);
    }
    values.push(chunk.finish_response(simulation));
    let shares = simulation.covariates.iter().map(|covariate| covariate.missing).chain([simulation.response.missing]);
    let shares = simulation.levels.iter().map(|_| 0.0).chain(shares);
    // Draw missing values last, so that requesting them does not change the other values.
    values.into_iter().zip(shares).map(|(values, share)| Column { values, missing: chunk.missing(share, n) }).collect()
}

fn runs(block: &Block, rows: &Range<u64>) -> Vec<Run> {
    let starts = &block.structure.row_starts;
    let mut runs = Vec::new();
    let mut row = rows.start;
    let mut group = block.structure.finest_of_row(row);
    while row < rows.end {
        let end = starts[group + 1].min(rows.end);
        runs.push(Run { group, rows: (row - rows.start) as usize..(end - rows.start) as usize });
        row = end;
        group += 1;
    }
    runs
}

/// A chunk being drawn.
struct Chunk<'a> {
    block: &'a Block,
    runs: Vec<Run>,
    stream: Stream,
    /// Values of the covariates so far, for those that depend on them; empty for categorical ones.
    numbers: Vec<Vec<f64>>,
    response: Vec<f64>,
}

impl Chunk<'_> {
    fn start_response(&mut self) {
        for run in &self.runs {
            self.response.resize(run.rows.end, self.block.draws.intercept[run.group]);
        }
    }

    fn ids(&self, simulation: &Simulation, place: &Place, level: usize) -> Values {
        let groups = &self.block.structure.levels[level];
        let mut ids = Vec::with_capacity(self.response.len());
        for run in &self.runs {
            let group = groups.of_finest[run.group];
            let number = if simulation.levels[level].reuse_ids {
                u64::from(groups.sibling[group as usize])
            } else {
                place.groups[level] + u64::from(group)
            };
            ids.resize(run.rows.end, number + 1);
        }
        Values::Whole(ids)
    }

    /// Draws a covariate and adds its fixed effect and random slopes to the response.
    fn covariate(&mut self, covariate: &Covariate, n: usize) -> Values {
        if let Kind::Categorical { probabilities, effects, .. } = &covariate.kind {
            return self.categorical(probabilities, effects, n);
        }
        let number = self.numbers.len();
        let mut values = Vec::with_capacity(n);
        let block = self.block;
        let by_group = &block.draws.covariates[number];
        match (by_group, &covariate.kind) {
            (ByGroup::Constant(constants), _) => {
                self.runs.iter().for_each(|run| values.resize(run.rows.end, constants[run.group]));
            }
            (ByGroup::Centre(centre), Kind::Normal { sd, depends_on, .. }) => {
                for run in &self.runs {
                    let centre = centre[run.group];
                    values.extend(run.rows.clone().map(|_| centre + sd * self.stream.sample::<f64, _>(StandardNormal)));
                }
                for &(on, coefficient) in depends_on {
                    // Covariates that are constant within groups are already part of the centre.
                    if !matches!(block.draws.covariates[on], ByGroup::Constant(_)) {
                        add(&mut values, coefficient, &self.numbers[on]);
                    }
                }
            }
            (_, Kind::Binary { probability }) => {
                values.extend((0..n).map(|_| f64::from(u8::from(self.stream.random::<f64>() < *probability))));
            }
            _ => unreachable!("group sizes are constant within groups, and normal covariates have a centre"),
        }
        if !matches!(by_group, ByGroup::Constant(_)) {
            self.add_effect(&values, covariate.coefficient, &block.draws.slopes[number]);
        }
        let column = match &covariate.kind {
            Kind::Normal { .. } => Values::Real(values.clone()),
            _ => Values::Whole(values.iter().map(|&value| value as u64).collect()),
        };
        self.numbers.push(values);
        column
    }

    fn add_effect(&mut self, values: &[f64], coefficient: f64, slopes: &[f64]) {
        if slopes.is_empty() {
            return add(&mut self.response, coefficient, values);
        }
        for run in &self.runs {
            add(&mut self.response[run.rows.clone()], slopes[run.group], &values[run.rows.clone()]);
        }
    }

    fn categorical(&mut self, probabilities: &[f64], effects: &[f64], n: usize) -> Values {
        let by_group = &self.block.draws.covariates[self.numbers.len()];
        self.numbers.push(Vec::new());
        let width = probabilities.len() - 1;
        let all_alike = cumulated(probabilities);
        let mut codes: Vec<u32> = Vec::with_capacity(n);
        for run in &self.runs {
            let cumulated = match by_group {
                ByGroup::Constant(labels) => {
                    codes.resize(run.rows.end, labels[run.group] as u32);
                    continue;
                }
                ByGroup::Mix { level, cumulated } => {
                    let group = self.block.structure.levels[*level].of_finest[run.group] as usize;
                    &cumulated[group * width..][..width]
                }
                _ => &all_alike[..],
            };
            codes.extend(run.rows.clone().map(|_| label(cumulated, self.stream.random())));
        }
        if !matches!(by_group, ByGroup::Constant(_)) {
            for (sum, &code) in self.response.iter_mut().zip(&codes) {
                *sum += effects[code as usize];
            }
        }
        Values::Code(codes)
    }

    /// Adds the interactions to the linear predictor, and draws the response.
    fn finish_response(&mut self, simulation: &Simulation) -> Values {
        for interaction in &simulation.interactions {
            let [a, b] = interaction.covariates.map(|covariate| &self.numbers[covariate]);
            for (sum, (a, b)) in self.response.iter_mut().zip(a.iter().zip(b)) {
                *sum += interaction.coefficient * a * b;
            }
        }
        let mut response = std::mem::take(&mut self.response);
        match simulation.response.distribution {
            Distribution::Gaussian(sd) => {
                response.iter_mut().for_each(|sum| *sum += sd * self.stream.sample::<f64, _>(StandardNormal));
                Values::Real(response)
            }
            Distribution::Binomial(link) => {
                let success = |&eta: &f64| u64::from(self.stream.random::<f64>() < probability(link, eta));
                Values::Whole(response.iter().map(success).collect())
            }
            Distribution::Poisson => Values::Whole(response.iter().map(|&eta| self.count(eta.exp())).collect()),
        }
    }

    /// Draws a count with this mean, which is cut off where counts are no longer exact as numbers.
    fn count(&mut self, mean: f64) -> u64 {
        match Poisson::new(mean.min(1e15)) {
            Ok(poisson) => self.stream.sample::<f64, _>(poisson) as u64,
            // A mean of zero: exp(η) underflows.
            Err(_) => 0,
        }
    }

    fn missing(&mut self, share: f64, n: usize) -> Option<Vec<bool>> {
        (share > 0.0).then(|| (0..n).map(|_| self.stream.random::<f64>() < share).collect())
    }
}

/// The probability of success at a linear predictor.
fn probability(link: LinkSpec, eta: f64) -> f64 {
    match link {
        LinkSpec::Logit => 1.0 / (1.0 + (-eta).exp()),
        LinkSpec::Probit => 0.5 * libm::erfc(-eta * std::f64::consts::FRAC_1_SQRT_2),
        LinkSpec::Cloglog => -(-eta.exp()).exp_m1(),
    }
}

fn add(sums: &mut [f64], factor: f64, values: &[f64]) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += factor * value;
    }
}
