//! Profile likelihood intervals: against the deviance written out with V, and against lme4.

use crate::common::{Sampled, model};
use nalgebra::{DMatrix, DVector};
use tiers_reml::{Curve, End, Method, NewtonSettings, Objective, Profile, Target, profile};
use tiers_testdata::{Memory, Values};
use tiers_testkit::{Checks, Problem, Shape, Tolerance, difference, simulate_nested};

/// Profiles of all parameters at level 0.95.
fn profiles(model: &tiers_reml::Model) -> Profile {
    let objective = Objective::new(model, Method::Reml);
    let targets = Target::all(&objective);
    let found = profile(&objective, &targets, 0.95, &NewtonSettings::default(), &|_| true);
    found.expect("profiles").expect("not cancelled")
}

/// The deviance at all parameters in lme4's order: standard deviations, correlations, σ, β.
fn deviance(problem: &Problem, parameters: &[f64]) -> f64 {
    let (components, beta) = parameters.split_at(parameters.len() - problem.p());
    problem.deviance_at(components, &DVector::from_column_slice(beta)).unwrap_or(f64::INFINITY)
}

/// How far the deviance may still decrease, by its quadratic approximation, when all but one parameter move.
fn decrement(problem: &Problem, parameters: &[f64], held: usize) -> f64 {
    let free: Vec<usize> = (0..parameters.len()).filter(|&i| i != held).collect();
    let place = |at: &[f64]| {
        let mut all = parameters.to_vec();
        free.iter().zip(at).for_each(|(&i, v)| all[i] = *v);
        all
    };
    let f = |at: &[f64]| DVector::from_element(1, deviance(problem, &place(at)));
    let at: Vec<f64> = free.iter().map(|&i| parameters[i]).collect();
    let gradient = |at: &[f64]| DVector::from_fn(at.len(), |i, _| difference(f, at, i)[0]);
    let columns: Vec<_> = (0..at.len()).map(|i| difference(gradient, &at, i)).collect();
    let hessian = DMatrix::from_columns(&columns);
    let g = gradient(&at);
    (&hessian + hessian.transpose()).scale(0.5).lu().solve(&g).map_or(f64::INFINITY, |step| g.dot(&step))
}

/// 95 % quantile of χ² with one degree of freedom.
const CHI2: f64 = 3.841_458_820_694_124;

/// At every end the deviance has risen by the quantile, and is lowest in the other parameters.
#[test]
fn ends_are_constrained_optima_of_the_deviance_with_v_written_out() {
    let (mut ends, mut correlations, mut bumps) = (0, 0, 0);
    // Of samples with many groups, whose correlations are in the interior, only these.
    let many = Shape { top_groups: 32, most: 5, slopes: 1, ..Shape::any(4) };
    let any = (0..12).chain([37]).map(|seed| (seed, Shape::any(seed), ""));
    for (seed, shape, prefix) in any.chain((100..110).map(|seed| (seed, many, "cor_"))) {
        let Some(sampled) = Sampled::new(&format!("seed {seed}"), simulate_nested(seed, &shape)) else {
            continue;
        };
        if !sampled.leaves_a_residual() {
            continue;
        }
        let (problem, found) = (sampled.sample.problem(), profiles(&sampled.model));
        let mut checks = Checks::new(sampled.name.clone());
        checks.equal("a lower deviance", found.lower_deviance, None);
        for (held, curve) in found.curves.iter().enumerate().filter(|(_, curve)| curve.name.starts_with(prefix)) {
            bumps += usize::from(!is_monotone(curve));
            for (end, point) in [(curve.lower, curve.points.first()), (curve.upper, curve.points.last())] {
                let (End::Found(value), Some(point)) = (end, point) else { continue };
                let what = |what: &str| format!("{} at {value}: {what}", curve.name);
                checks.check(&what("the rise"), point.deviance - found.deviance, CHI2, Tolerance::both(0.0, 1e-6));
                checks.check(&what("held"), point.parameters[held], value, Tolerance::both(1e-9, 1e-9));
                let dense = deviance(&problem, &point.parameters);
                // On the boundary (a variance of zero, a perfect correlation) differences cannot be taken.
                let inside = dense.is_finite()
                    && point.parameters[..problem.theta_len()]
                        .iter()
                        .zip(&found.targets)
                        .all(|(v, t)| is_inside(*t, *v));
                if !inside {
                    continue;
                }
                checks.check(&what("deviance"), dense, point.deviance, Tolerance::both(1e-9, 1e-7));
                let left = decrement(&problem, &point.parameters, held);
                checks.that(&what(&format!("lowest: {left:e} left")), left.abs() < 1e-5);
                ends += 1;
                correlations += usize::from(curve.name.starts_with("cor_"));
            }
        }
        checks.finish();
    }
    // Seed 37 has two optima: one with a variance of zero, which its profiles find, and a worse one.
    assert!(bumps <= 2, "{bumps} profiles fall before they rise");
    assert!(ends >= 40 && correlations >= 4, "only {ends} ends in the inside, {correlations} of correlations");
}

fn is_inside(target: Target, value: f64) -> bool {
    match target {
        Target::Component(tiers_reml::Component::Correlation { .. }) => value.abs() < 0.98,
        _ => value > 0.02,
    }
}

fn is_monotone(curve: &Curve) -> bool {
    curve.points.windows(2).all(|pair| pair[0].value < pair[1].value && pair[0].zeta <= pair[1].zeta + 1e-6)
}

fn interval(found: &Profile, name: &str) -> (End, End) {
    let curve = found.curves.iter().find(|curve| curve.name == name).unwrap_or_else(|| panic!("no {name}"));
    (curve.lower, curve.upper)
}

fn check(folder: &str, numbers: &[&str], labels: &[&str], formula: &str, want: &[(&str, f64, f64)]) {
    let table = Memory::of_dataset(folder, numbers, labels);
    let (model, _) = model(&table, formula, None).expect("a model");
    let found = profiles(&model);
    assert_eq!(found.lower_deviance, None);
    let mut checks = Checks::new(formula);
    let names: Vec<&str> = found.curves.iter().map(|curve| curve.name.as_str()).collect();
    checks.equal("names", names, want.iter().map(|w| w.0).collect());
    for &(name, lower, upper) in want {
        let (below, above) = interval(&found, name);
        // lme4 interpolates between points where its optimiser stops at about 1e-6 of the deviance.
        let close = Tolerance::both(2e-3, 0.0);
        checks.check(&format!("{name} 2.5 %"), below.value().expect("an end"), lower, close);
        checks.check(&format!("{name} 97.5 %"), above.value().expect("an end"), upper, close);
        checks.that("zero is the bound", (lower == 0.0) == (below == End::Bound(0.0)));
    }
}

/// R 4.2.2, lme4 1.1-31: confint(m, oldNames = FALSE).
#[test]
fn intervals_are_those_of_lme4() {
    check(
        "sleepstudy",
        &["Reaction", "Days"],
        &["Subject"],
        "Reaction ~ Days + (1 + Days | Subject)",
        &[
            ("sd_(Intercept)|Subject", 14.381_473_478_6, 37.715_991_858_8),
            ("cor_Days.(Intercept)|Subject", -0.481_500_761_3, 0.684_986_273_3),
            ("sd_Days|Subject", 3.801_164_059_6, 8.753_380_567_5),
            ("sigma", 22.898_266_881_1, 28.857_996_511_4),
            ("(Intercept)", 237.680_695_505_2, 265.129_514_680_2),
            ("Days", 7.358_653_275_1, 13.575_918_751_7),
        ],
    );
    check(
        "dyestuff",
        &["Yield"],
        &["Batch"],
        "Yield ~ 1 + (1 | Batch)",
        &[
            ("sd_(Intercept)|Batch", 12.198_535_213_1, 84.063_046_710_8),
            ("sigma", 38.229_984_882_6, 67.657_696_244_8),
            ("(Intercept)", 1_486.451_499_968_8, 1_568.548_494_368_1),
        ],
    );
    check(
        "dyestuff2",
        &["Yield"],
        &["Batch"],
        "Yield ~ 1 + (1 | Batch)",
        &[
            ("sd_(Intercept)|Batch", 0.0, 2.084_043_489_0),
            ("sigma", 2.892_831_020_1, 4.815_832_552_5),
            ("(Intercept)", 4.312_102_216_7, 7.019_092_346_8),
        ],
    );
    check(
        "pastes",
        &["strength"],
        &["batch", "cask"],
        "strength ~ 1 + (1 | batch/cask)",
        &[
            ("sd_(Intercept)|batch:cask", 2.157_933_708_2, 4.053_588_940_5),
            ("sd_(Intercept)|batch", 0.0, 2.946_591_096_9),
            ("sigma", 0.652_023_356_1, 1.085_448_103_8),
            ("(Intercept)", 58.663_650_378_7, 61.443_016_368_4),
        ],
    );
}

/// A column that others determine is dropped, and shifts of columns far from zero are undone, so that the
/// intervals are those of the plain model.
#[test]
fn shifted_and_dependent_columns_change_nothing() {
    let table = Memory::of_dataset("sleepstudy", &["Reaction", "Days"], &["Subject"]);
    let days = table.numbers("Days").to_vec();
    let subject = Values::Ids(table.ids("Subject").to_vec());
    let moved = Memory::new(vec![
        ("y", Values::Numbers(table.numbers("Reaction").iter().map(|y| y + 1e5).collect())),
        ("year", Values::Numbers(days.iter().map(|d| d + 2000.0).collect())),
        ("again", Values::Numbers(days.iter().map(|d| 3.0 - 2.0 * d).collect())),
        ("Subject", subject.clone()),
    ]);
    let of = |table: &Memory, formula: &str| profiles(&model(table, formula, None).expect("a model").0);
    let plain = of(&table, "Reaction ~ Days + (1 + Days | Subject)");
    let moved = of(&moved, "y ~ year + again + (1 + I(year - 2000) | Subject)");
    let far = of(
        &Memory::new(vec![
            ("y", Values::Numbers(table.numbers("Reaction").to_vec())),
            ("year", Values::Numbers(days.iter().map(|d| d + 2000.0).collect())),
            ("Subject", subject),
        ]),
        "y ~ year + (1 + year | Subject)",
    );
    let mut checks = Checks::new("shifts");
    let pairs = [
        ("sd_(Intercept)|Subject", "sd_(Intercept)|Subject"),
        ("sd_Days|Subject", "sd_I(year - 2000)|Subject"),
        ("cor_Days.(Intercept)|Subject", "cor_I(year - 2000).(Intercept)|Subject"),
        ("sigma", "sigma"),
        ("Days", "year"),
    ];
    for (one, two) in pairs {
        let (want, got) = (interval(&plain, one), interval(&moved, two));
        let ends = |(below, above): (End, End)| [below.value().expect("an end"), above.value().expect("an end")];
        checks.slice(one, &ends(got), &ends(want), Tolerance::both(1e-6, 1e-8));
    }
    // At year 0 the intercepts vary enormously (as the slopes times 2000), and no end is missed.
    for curve in &far.curves {
        let lower_and_upper = matches!((curve.lower, curve.upper), (End::Found(_), End::Found(_)));
        checks.that(&format!("{} has two ends: {:?} {:?}", curve.name, curve.lower, curve.upper), lower_and_upper);
    }
    let ends = |found: &Profile, name: &str| interval(found, name).0.value().expect("an end");
    checks.check("a slope", ends(&far, "sd_year|Subject"), ends(&plain, "sd_Days|Subject"), Tolerance::relative(1e-6));
    checks.check("σ", ends(&far, "sigma"), ends(&plain, "sigma"), Tolerance::relative(1e-6));
}
