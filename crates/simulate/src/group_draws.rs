//! Draws the values per group: random effects, covariates that are constant within groups, and the
//! group-level part of the other covariates.

use crate::model::{Covariate, Kind, Level, Simulation, Term};
use crate::streams::Stream;
use crate::structure::Structure;
use rand::RngExt;
use rand_distr::{Gamma, StandardNormal};

/// The values that the groups of a block contribute to their rows, by group of the finest level.
#[derive(Clone, Debug)]
pub(crate) struct GroupDraws {
    /// The part of the response that is constant within each of these groups.
    pub intercept: Vec<f64>,
    /// For every covariate, the part that is drawn per group.
    pub covariates: Vec<ByGroup>,
    /// For every numeric covariate that varies by row, the sum of the fixed effect and the random slopes;
    /// empty if there are no random slopes.
    pub slopes: Vec<Vec<f64>>,
}

/// The part of a covariate that is drawn per group.
#[derive(Clone, Debug)]
pub(crate) enum ByGroup {
    /// Its value (for a factor, the number of the label), which is constant within a group.
    Constant(Vec<f64>),
    /// The constant part of the mean of the values in every group.
    Centre(Vec<f64>),
    /// Cumulative probabilities of all labels but the last, in the groups of a level.
    Mix { level: usize, cumulated: Vec<f64> },
    /// Nothing: all rows have the same distribution.
    Nothing,
}

impl GroupDraws {
    pub(crate) fn draw(simulation: &Simulation, structure: &Structure, stream: &mut Stream) -> GroupDraws {
        let finest = simulation.finest();
        let mut draws = GroupDraws {
            intercept: vec![simulation.intercept; structure.groups(finest)],
            covariates: Vec::new(),
            slopes: vec![Vec::new(); simulation.covariates.len()],
        };
        for (number, level) in simulation.levels.iter().enumerate() {
            let effects = random_effects(level, structure.groups(number), stream);
            for (&term, effects) in level.random.terms.iter().zip(effects) {
                draws.add_effects(simulation, term, &structure.hand_down(effects, number, finest));
            }
        }
        for covariate in &simulation.covariates {
            let by_group = Draw { structure, covariate, before: &draws.covariates, finest, stream }.by_group();
            draws.covariates.push(by_group);
        }
        draws.fold_constants(simulation);
        draws
    }

    fn add_effects(&mut self, simulation: &Simulation, term: Term, effects: &[f64]) {
        let sums = match term {
            Term::Intercept => &mut self.intercept,
            Term::Slope(covariate) => {
                let slopes = &mut self.slopes[covariate];
                slopes.resize(effects.len(), simulation.covariates[covariate].coefficient);
                slopes
            }
        };
        for (sum, effect) in sums.iter_mut().zip(effects) {
            *sum += effect;
        }
    }

    /// Adds the effects of covariates that are constant within groups to the intercepts of the groups.
    fn fold_constants(&mut self, simulation: &Simulation) {
        for (number, covariate) in simulation.covariates.iter().enumerate() {
            let ByGroup::Constant(values) = &self.covariates[number] else { continue };
            let slopes = std::mem::take(&mut self.slopes[number]);
            for (group, (sum, &value)) in self.intercept.iter_mut().zip(values).enumerate() {
                *sum += match &covariate.kind {
                    Kind::Categorical { effects, .. } => effects[value as usize],
                    _ => slopes.get(group).unwrap_or(&covariate.coefficient) * value,
                };
            }
        }
    }
}

/// Draws the random effects of the groups of a level, by term.
fn random_effects(level: &Level, groups: usize, stream: &mut Stream) -> Vec<Vec<f64>> {
    let r = level.random.terms.len();
    let mut effects = vec![Vec::with_capacity(groups); r];
    let mut spherical = vec![0.0; r];
    for _ in 0..groups {
        spherical.fill_with(|| stream.sample(StandardNormal));
        for (effects, row) in effects.iter_mut().zip(&level.random.factor) {
            effects.push(row.iter().zip(&spherical).map(|(l, u)| l * u).sum());
        }
    }
    effects
}

/// Draws one covariate.
struct Draw<'a> {
    structure: &'a Structure,
    covariate: &'a Covariate,
    /// The preceding covariates.
    before: &'a [ByGroup],
    finest: usize,
    stream: &'a mut Stream,
}

impl Draw<'_> {
    fn by_group(mut self) -> ByGroup {
        let covariate = self.covariate;
        let constant = match (&covariate.kind, covariate.level) {
            (Kind::GroupSize, level) => {
                let level = level.unwrap_or(self.finest);
                (level, self.structure.rows_by_group(level))
            }
            (Kind::Normal { .. }, None) => return ByGroup::Centre(self.centre(self.finest)),
            (Kind::Normal { sd, .. }, Some(level)) => (level, self.normal(level, *sd)),
            (Kind::Binary { .. }, None) => return ByGroup::Nothing,
            (Kind::Binary { probability }, Some(level)) => (level, self.binary(level, *probability)),
            (Kind::Categorical { probabilities, varies_by, .. }, level) => {
                let mix = varies_by.map(|(by, concentration)| (by, self.mix(by, probabilities, concentration)));
                match (level, mix) {
                    (Some(level), mix) => (level, self.categorical(level, probabilities, mix.as_ref())),
                    (None, Some((level, cumulated))) => return ByGroup::Mix { level, cumulated },
                    (None, None) => return ByGroup::Nothing,
                }
            }
        };
        let (level, values) = constant;
        ByGroup::Constant(self.structure.hand_down(values, level, self.finest))
    }

    /// Draws the part of the mean that is constant within the groups of `level`: the mean, the differences
    /// between groups, and the contributions of preceding covariates.
    fn centre(&mut self, level: usize) -> Vec<f64> {
        let groups = self.structure.groups(level);
        let Kind::Normal { mean, between, depends_on, .. } = &self.covariate.kind else { return vec![0.0; groups] };
        let mut centre = vec![*mean; groups];
        for &(by, sd) in between {
            let differences = (0..self.structure.groups(by)).map(|_| sd * self.normal_number()).collect();
            add(&mut centre, 1.0, &self.structure.hand_down(differences, by, level));
        }
        for &(on, coefficient) in depends_on {
            let ByGroup::Constant(values) = &self.before[on] else { continue };
            if level == self.finest {
                add(&mut centre, coefficient, values);
            } else {
                add(&mut centre, coefficient, &self.hand_up(values, level));
            }
        }
        centre
    }

    /// Maps values by group of the finest level, constant within the groups of a coarser one, to the latter.
    fn hand_up(&self, values: &[f64], level: usize) -> Vec<f64> {
        let mut above = vec![0.0; self.structure.groups(level)];
        for (&group, &value) in self.structure.levels[level].of_finest.iter().zip(values) {
            above[group as usize] = value;
        }
        above
    }

    fn normal(&mut self, level: usize, sd: f64) -> Vec<f64> {
        let mut values = self.centre(level);
        values.iter_mut().for_each(|value| *value += sd * self.normal_number());
        values
    }

    fn normal_number(&mut self) -> f64 {
        self.stream.sample(StandardNormal)
    }

    fn binary(&mut self, level: usize, probability: f64) -> Vec<f64> {
        let groups = self.structure.groups(level);
        (0..groups).map(|_| f64::from(u8::from(self.stream.random::<f64>() < probability))).collect()
    }

    fn categorical(&mut self, level: usize, probabilities: &[f64], mix: Option<&(usize, Vec<f64>)>) -> Vec<f64> {
        let width = probabilities.len() - 1;
        let all_alike = cumulated(probabilities);
        // Number of each group's ancestor at the level whose groups differ in the probabilities.
        let ancestors = mix.map(|(by, _)| {
            let numbers = (0..self.structure.groups(*by)).map(|group| group as f64).collect();
            self.structure.hand_down(numbers, *by, level)
        });
        let draw = |group: usize| {
            let cumulated = match (mix, &ancestors) {
                (Some((_, cumulated)), Some(ancestors)) => &cumulated[ancestors[group] as usize * width..][..width],
                _ => &all_alike,
            };
            f64::from(label(cumulated, self.stream.random()))
        };
        (0..self.structure.groups(level)).map(draw).collect()
    }

    /// Draws cumulative probabilities for every group of a level from a Dirichlet distribution.
    fn mix(&mut self, level: usize, probabilities: &[f64], concentration: f64) -> Vec<f64> {
        let gammas: Vec<Gamma<f64>> = probabilities
            .iter()
            .map(|p| Gamma::new(p * concentration, 1.0).expect("probabilities and concentration are above 0"))
            .collect();
        let mut all = Vec::with_capacity(self.structure.groups(level) * (probabilities.len() - 1));
        let mut parts = vec![0.0; probabilities.len()];
        for _ in 0..self.structure.groups(level) {
            for (part, gamma) in parts.iter_mut().zip(&gammas) {
                *part = self.stream.sample(gamma);
            }
            let sum: f64 = parts.iter().sum();
            // With a tiny concentration all parts may underflow; the last label then gets probability 1.
            parts.iter_mut().for_each(|part| *part /= sum.max(f64::MIN_POSITIVE));
            all.extend(cumulated(&parts));
        }
        all
    }
}

fn add(sums: &mut [f64], factor: f64, values: &[f64]) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += factor * value;
    }
}

/// Returns the cumulative probabilities of all labels but the last.
pub(crate) fn cumulated(probabilities: &[f64]) -> Vec<f64> {
    let mut sum = 0.0;
    let all = probabilities[..probabilities.len() - 1].iter();
    all.map(|p| {
        sum += p;
        sum
    })
    .collect()
}

/// Returns the label for a uniform number between 0 and 1.
pub(crate) fn label(cumulated: &[f64], uniform: f64) -> u32 {
    cumulated.iter().map(|&end| u32::from(uniform >= end)).sum()
}
