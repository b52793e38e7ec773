//! Predictions and their errors for new rows, against formulas with V written out.

use crate::common::{METHODS, Sampled, as_optimum, model, reference, report, samples};
use nalgebra::{DMatrix, DVector};
use tiers_design::{Block, Source};
use tiers_moments::{Dropped, RowPass};
use tiers_reml::{
    DfMethod, FittedRows, FittedValues, FixedInference, FixedModel, FixedPart, Inference, Interval, IntervalKind,
    LevelEffects, Method, NewtonSettings, Objective, Optimum, PredictedRows, PredictionErrors, Predictor, optimise,
    random_effects,
};
use tiers_testdata::{Memory, Random, Values};
use tiers_testkit::{Checks, NewRow, Predicted, Shape, Tolerance, simulate_nested};

const ROWS: usize = 40;

/// A standard normal deviate that is exceeded with probability 0.05.
const QUANTILE: f64 = 1.644_853_626_951_472_7;

/// Rows to predict for: in known groups, in new ones, and in groups that were never together.
struct NewRows {
    columns: Vec<Vec<f64>>,
    weights: Vec<f64>,
    /// The group of each row, per level, finest first.
    groups: Vec<Vec<Option<usize>>>,
}

impl NewRows {
    fn of(case: &Sampled, random: &mut Random) -> NewRows {
        let sample = &case.sample;
        let mut column = |c: usize| match c {
            0 => vec![1.0; ROWS],
            _ => (0..ROWS).map(|_| 0.5 + 2.0 * random.normal()).collect(),
        };
        let columns = (0..sample.columns.len()).map(&mut column).collect();
        let weights = (0..ROWS).map(|_| 0.3 + random.uniform()).collect();
        let mut groups: Vec<Vec<Option<usize>>> = vec![Vec::new(); sample.levels.len()];
        for row in 0..ROWS {
            let like = random.below(sample.n());
            for (k, level) in sample.levels.iter().enumerate() {
                let other = level.group[random.below(sample.n())];
                groups[k].push(match row % 4 {
                    // A path of the data, then parts of one, then arbitrary groups.
                    0 | 1 => Some(level.group[like]),
                    2 => (random.below(2) == 0).then_some(level.group[like]),
                    _ => (random.below(3) > 0).then_some(other),
                });
            }
        }
        NewRows { columns, weights, groups }
    }

    fn table(&self) -> Memory {
        let names: Vec<(String, Values)> = (1..self.columns.len())
            .map(|c| (format!("c{c}"), Values::Numbers(self.columns[c].clone())))
            .chain([("w".to_owned(), Values::Numbers(self.weights.clone()))])
            .chain(self.groups.iter().enumerate().map(|(k, groups)| {
                (format!("g{k}"), Values::Ids(groups.iter().map(|g| g.map_or(7, |g| 100 + g as i64)).collect()))
            }))
            .collect();
        Memory::new(names.iter().map(|(name, values)| (&name[..], values.clone())).collect())
    }

    /// The rows in the form of the oracle, with the effects of some levels requested.
    fn of_oracle(&self, case: &Sampled, wanted: &[bool]) -> Vec<NewRow> {
        let sample = &case.sample;
        let pick =
            |row: usize, columns: &[usize]| DVector::from_fn(columns.len(), |i, _| self.columns[columns[i]][row]);
        let terms = || sample.levels.iter().enumerate().flat_map(|(k, l)| l.terms.iter().map(move |term| (k, term)));
        let of_row = |row: usize| NewRow {
            x: pick(row, &sample.x),
            z: terms().map(|(_, term)| pick(row, term)).collect(),
            group: terms().map(|(k, _)| self.groups[k][row]).collect(),
            wanted: terms().map(|(k, _)| wanted[k]).collect(),
            weight: if sample.weights.is_some() { self.weights[row] } else { 1.0 },
        };
        (0..ROWS).map(of_row).collect()
    }
}

/// All predictions for a source in one.
fn predict(predictor: &Predictor<'_>, table: &dyn Source) -> PredictedRows {
    let mut all: Option<PredictedRows> = None;
    let mut sink = |_, mut rows: PredictedRows| {
        match &mut all {
            None => all = Some(rows),
            Some(all) => {
                all.prediction.append(&mut rows.prediction);
                all.std_error.append(&mut rows.std_error);
                all.lower.append(&mut rows.lower);
                all.upper.append(&mut rows.upper);
                all.known.iter_mut().zip(rows.known).for_each(|(all, rows)| all.extend(rows));
            }
        }
        Ok(())
    };
    RowPass::new(table, predictor.requests().to_vec())
        .run(&mut (), |block| predictor.of_block(block), &mut |(block, rows): (Block, PredictedRows)| sink(block, rows))
        .expect("predictions");
    all.expect("rows")
}

struct Case<'a> {
    case: &'a Sampled,
    objective: Objective<'a>,
    raw: Vec<f64>,
    optimum: Optimum,
    effects: Vec<LevelEffects>,
    beta: DVector<f64>,
    aliases: DMatrix<f64>,
}

impl<'a> Case<'a> {
    fn new(case: &'a Sampled, method: Method, raw: &[f64]) -> Case<'a> {
        let objective = Objective::new(&case.model, method);
        let optimum = as_optimum(&objective, raw);
        let effects = random_effects(&objective, &optimum).expect("effects");
        let (beta, _) = case.model.unshift(&optimum.at.fixed.beta, &optimum.at.fixed.xx_inverse);
        let inference = FixedInference::new(&objective, &optimum, Inference::default());
        let aliases = FixedModel::new(&case.model, inference).aliases(&case.model.recipe);
        Case { case, objective, raw: raw.to_vec(), optimum, effects, beta, aliases }
    }

    fn fixed(&self) -> FixedPart<'_> {
        let model = &self.case.model;
        FixedPart { recipe: &model.recipe, coefficients: &model.coefficients, beta: &self.beta, aliases: &self.aliases }
    }

    fn effects(&self, wanted: &[bool]) -> Vec<LevelEffects> {
        let is_wanted = |level: &&LevelEffects| wanted[level.level[1..].parse::<usize>().expect("g0, g1, …")];
        self.effects.iter().filter(is_wanted).cloned().collect()
    }

    fn predictor(&self, wanted: &[bool], kind: IntervalKind) -> Predictor<'a> {
        let errors = PredictionErrors::new(&self.objective, &self.optimum);
        let interval = Some(Interval { kind, level: 0.9 });
        Predictor::with_errors(self.fixed(), self.effects(wanted), errors, interval).expect("matching effects")
    }

    fn compare(&self, new: &NewRows, wanted: &[bool], checks: &mut Checks) {
        let rows = new.of_oracle(self.case, wanted);
        let want = self.case.sample.problem().predict(&self.raw, reference(self.objective.method), &rows);
        let table = new.table().in_blocks_of(17);
        let mean = predict(&self.predictor(wanted, IntervalKind::Confidence), &table);
        let response = predict(&self.predictor(wanted, IntervalKind::Prediction), &table);
        let plain = Predictor::new(self.fixed(), self.effects(wanted)).expect("matching effects");
        let plain = predict(&plain, &table);

        let of = |f: fn(&Predicted) -> f64| want.iter().map(f).collect::<Vec<f64>>();
        let (value, error) = (of(|p| p.value), of(|p| p.variance.max(0.0).sqrt()));
        let close = Tolerance::of_largest(1e-8);
        let half = |rows: &PredictedRows| -> Vec<f64> {
            rows.upper.iter().zip(&rows.lower).map(|(u, l)| 0.5 * (u - l) / QUANTILE).collect()
        };
        let known: Vec<Vec<bool>> = (0..wanted.len())
            .rev()
            .filter(|&k| wanted[k])
            .map(|k| new.groups[k].iter().map(Option::is_some).collect())
            .collect();
        checks
            .slice("predictions", &mean.prediction, &value, close)
            .equal("the same with other intervals", mean.prediction == response.prediction, true)
            .equal("the same without errors", mean.prediction == plain.prediction, true)
            .slice("standard errors", &mean.std_error, &error, close)
            .equal("standard errors with other intervals", mean.std_error == response.std_error, true)
            .slice("confidence", &half(&mean), &error, close)
            .slice("prediction", &half(&response), &of(|p| p.response_variance.sqrt()), close)
            .equal("known", mean.known.clone(), known);
    }
}

#[test]
fn predictions_and_their_errors_agree_with_v_written_out() {
    let mut cases = 0;
    for (seed, name, sample) in samples(0..96) {
        let Some(case) = Sampled::new(&name, sample) else { continue };
        let mut random = Random(seed);
        let new = NewRows::of(&case, &mut random);
        let levels = case.sample.levels.len();
        for method in METHODS {
            for scale in [0.05, 1.0, 6.0] {
                let raw: Vec<f64> = case.sample.theta_near_truth(seed).iter().map(|t| scale * t).collect();
                let at = Case::new(&case, method, &raw);
                // All levels, none, each with all coarser ones, and other subsets.
                let sets = 1 << levels;
                for set in [sets - 1, 0, sets - 2, random.below(sets), random.below(sets)] {
                    let wanted: Vec<bool> = (0..levels).map(|k| set >> k & 1 == 1).collect();
                    let mut checks = Checks::new(format!("{method} {} {wanted:?} at {raw:?}", case.name));
                    at.compare(&new, &wanted, &mut checks);
                    checks.finish();
                }
            }
        }
        cases += 1;
    }
    assert!(cases > 85, "{cases} cases");
}

#[test]
fn variances_of_zero_have_errors_too() {
    for (seed, name, sample) in samples(0..32) {
        let Some(case) = Sampled::new(&name, sample) else { continue };
        let levels = case.sample.levels.len();
        let new = NewRows::of(&case, &mut Random(seed));
        let raw = vec![0.0; case.sample.theta.len()];
        let mut checks = Checks::new(format!("{} at zero", case.name));
        Case::new(&case, Method::Reml, &raw).compare(&new, &vec![true; levels], &mut checks);
        checks.finish();
    }
}

#[test]
fn the_rows_of_the_fit_have_its_fitted_values() {
    for (_, name, sample) in samples(0..24) {
        let Some(case) = Sampled::new(&name, sample) else { continue };
        let at = Case::new(&case, Method::Reml, &case.sample.theta);
        let fitted = FittedValues::new(&at.objective, &at.optimum, &at.effects);
        let mut want = Vec::new();
        RowPass::new(&case.table, fitted.requests().to_vec())
            .run(&mut (), |block| fitted.of_block(&block), &mut |rows: FittedRows| {
                want.extend(rows.fitted);
                Ok(())
            })
            .expect("fitted values");
        let predictor = Predictor::new(at.fixed(), at.effects.clone()).expect("matching effects");
        let got = predict(&predictor, &case.table);
        let mut checks = Checks::new(case.name.clone());
        checks.slice("fitted", &got.prediction, &want, Tolerance::of_largest(1e-13));
        assert!(got.known.iter().flatten().all(|known| *known));
        checks.finish();
    }
}

/// The saved part of a fit, read back from JSON.
fn kept(at: &Case<'_>, df: DfMethod) -> (FixedInference, f64) {
    let inference = FixedInference::new(&at.objective, &at.optimum, Inference { df, ..Inference::default() });
    let sigma = report(&at.objective, &at.optimum, &Dropped::default()).sigma;
    let text = serde_json::to_string(&(inference, sigma)).expect("plain data");
    serde_json::from_str(&text).expect("as it was written")
}

#[test]
fn errors_for_the_population_are_bit_identical_without_the_moments() {
    for (seed, name, sample) in samples(0..24) {
        let Some(case) = Sampled::new(&name, sample) else { continue };
        let table = NewRows::of(&case, &mut Random(seed)).table();
        let none = vec![false; case.sample.levels.len()];
        for method in METHODS {
            let at = Case::new(&case, method, &case.sample.theta);
            let (inference, sigma) = kept(&at, DfMethod::Satterthwaite);
            let predictor = Predictor::of_population(at.fixed(), &inference, sigma, Some(0.9)).expect("all is kept");
            let (got, want) =
                (predict(&predictor, &table), predict(&at.predictor(&none, IntervalKind::Confidence), &table));
            assert!(got.std_error.iter().all(|error| *error > 0.0) && got.lower.len() == ROWS, "{}", case.name);
            assert_eq!(got, want, "{method} {}", case.name);
            // The covariance alone, or an adjusted one, does not give the same bits.
            let (inference, sigma) = kept(&at, DfMethod::None);
            assert!(Predictor::of_population(at.fixed(), &inference, sigma, None).is_none());
        }
    }
}

#[test]
fn no_response_is_needed() {
    let case = Sampled::new("seed 5", simulate_nested(5, &Shape::any(5))).expect("a case");
    let at = Case::new(&case, Method::Reml, &case.sample.theta);
    let predictor = at.predictor(&[false, true], IntervalKind::Confidence);
    assert!(predictor.requests().iter().all(|request| request.column != "y" && request.column != "w"));
    assert!(predictor.requests().iter().all(|request| request.column != "g0"));
    assert_eq!(predictor.levels().collect::<Vec<_>>(), ["g1"]);
}

#[test]
fn columns_far_from_zero_have_the_same_errors() {
    const FAR: f64 = 1e6;
    for seed in 0..4 {
        let near = Sampled::new(&format!("seed {seed}"), simulate_nested(seed, &Shape::any(seed))).expect("a case");
        let mut sample = simulate_nested(seed, &Shape::any(seed));
        assert!(sample.levels.iter().all(|level| level.terms == [[0]]), "no slopes, so that theta stays the same");
        sample.columns[1].iter_mut().for_each(|x| *x += FAR);
        sample.y.iter_mut().for_each(|y| *y += 100.0 * FAR);
        let far = Sampled::new(&format!("seed {seed}, far"), sample).expect("a case");
        let levels = near.sample.levels.len();
        let new = NewRows::of(&near, &mut Random(seed));
        let table = new.table();
        let predicted = |case: &Sampled, table: &Memory| {
            let at = Case::new(case, Method::Reml, &near.sample.theta);
            predict(&at.predictor(&vec![true; levels], IntervalKind::Prediction), table)
        };
        let want = predicted(&near, &table);
        let got = predicted(&far, &table.map("c1", |x| x + FAR));
        let mut checks = Checks::new(far.name.clone());
        let prediction: Vec<f64> = want.prediction.iter().map(|p| p + 100.0 * FAR).collect();
        let half =
            |rows: &PredictedRows| -> Vec<f64> { rows.upper.iter().zip(&rows.lower).map(|(u, l)| u - l).collect() };
        checks
            .slice("predictions", &got.prediction, &prediction, Tolerance::absolute(1e-6))
            .slice("standard errors", &got.std_error, &want.std_error, Tolerance::relative(1e-8))
            .slice("intervals", &half(&got), &half(&want), Tolerance::absolute(1e-6));
        checks.finish();
    }
}

/// Treatment and dose are not fully crossed: b was not given at the high dose. A prediction for that cell
/// would depend on the choice of the reference levels.
#[test]
fn combinations_that_never_occurred_are_not_estimable() {
    let mut random = Random(11);
    let cells = [("a", "low"), ("a", "high"), ("b", "low"), ("c", "low"), ("c", "high")];
    let rows: Vec<usize> = (0..150).collect();
    let of = |cells: &[(&str, &str)], which: fn(&(&str, &str)) -> String| {
        Values::Texts(rows.iter().map(|row| which(&cells[row % cells.len()])).collect())
    };
    let (treatment, dose) = (|cell: &(&str, &str)| cell.0.to_owned(), |cell: &(&str, &str)| cell.1.to_owned());
    let noise: Vec<f64> = rows.iter().map(|row| (row % 5) as f64 + (row / 10) as f64 % 3.0 + random.normal()).collect();
    let x: Vec<f64> = rows.iter().map(|_| 30.0 + random.normal()).collect();
    let table = Memory::new(vec![
        ("y", Values::Numbers(noise)),
        ("x", Values::Numbers(x.clone())),
        ("treatment", of(&cells, treatment)),
        ("dose", of(&cells, dose)),
        ("site", Values::Ids(rows.iter().map(|row| (row / 10) as i64).collect())),
    ]);
    let (model, _) = model(&table, "y ~ treatment*dose + x + (1 | site)", None).expect("a model");
    assert_eq!(model.dropped.len(), 1);
    let objective = Objective::new(&model, Method::Reml);
    let optimum = optimise(&objective, &NewtonSettings::default(), &mut |_, _| {});
    let inference = FixedInference::new(&objective, &optimum, Inference::default());
    let fixed = FixedModel::new(&model, inference);
    let part = FixedPart {
        recipe: &model.recipe,
        coefficients: &model.coefficients,
        beta: &fixed.inference.beta,
        aliases: &fixed.aliases(&model.recipe),
    };
    let predictor = Predictor::of_population(part, &fixed.inference, 1.0, Some(0.9)).expect("errors are kept");
    let new = [("b", "low"), ("b", "high"), ("c", "high"), ("b", "high")];
    let new = Memory::new(vec![
        ("treatment", Values::Texts(new.iter().map(treatment).collect())),
        ("dose", Values::Texts(new.iter().map(dose).collect())),
        ("x", Values::Numbers(vec![30.0, 31.0, f64::NAN, -5.0])),
    ]);
    let mut seen = Vec::new();
    RowPass::new(&new, predictor.requests().to_vec())
        .run(&mut (), |block| predictor.of_block(block), &mut |(_, rows): (Block, PredictedRows)| {
            seen.push(rows);
            Ok(())
        })
        .expect("predictions");
    let rows = &seen[0];
    assert_eq!(rows.not_estimable, [1, 3]);
    assert_eq!(rows.missing, Some(vec![false, true, true, true]));
    for figures in [&rows.prediction, &rows.std_error, &rows.lower, &rows.upper] {
        let there: Vec<bool> = figures.iter().map(|value| value.is_finite()).collect();
        assert_eq!(there, [true, false, false, false]);
    }
}
