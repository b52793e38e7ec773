//! Measures how often nominal 95 % intervals cover the true values: simulates data sets of a small design
//! row by row, fits them by REML, and computes Wald, profile and bootstrap intervals.
//!
//! ```sh
//! cargo run --release -p tiers-reml --example coverage -- 500 399 OUT
//! ```
//!
//! writes `OUT.json` and `OUT.md`. The arguments are the number of data sets, the number of replicates of
//! each bootstrap, and the output path.

#![allow(clippy::print_stdout, reason = "an example")]

use chacha20::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;
use rayon::prelude::*;
use serde::Serialize;
use std::fmt::Write;
use std::time::Instant;
use tiers_design::{Formula, Plan, Settings, Source};
use tiers_moments::{Dropped, accumulate};
use tiers_reml::{
    BootstrapSettings, Component, Fit, FixedInference, Inference, IntervalType, Method, NewtonSettings, Objective,
    Optimum, Target, WaldScale, bootstrap, build_model, optimise, profile, wald_interval,
};
use tiers_testdata::{Memory, Values};

/// Number of schools, half of them treated; each has classes of students.
const SCHOOLS: usize = 16;
const CLASSES: usize = 3;
const STUDENTS: usize = 5;
const FORMULA: &str = "y ~ x + treat + (1 | school/class)";
/// True standard deviations of classes and schools, σ, and coefficients.
const TRUTH: [f64; 6] = [0.5, 0.6, 1.0, 2.0, 0.5, 0.3];
const LEVEL: f64 = 0.95;
const METHODS: [&str; 4] = ["wald", "profile", "percentile", "basic"];

fn simulate(number: u64) -> Memory {
    let mut random = ChaCha8Rng::seed_from_u64(20_261_122);
    random.set_stream(number);
    let mut normal = || -> f64 { random.sample(StandardNormal) };
    let [sd_class, sd_school, sigma, intercept, slope, effect] = TRUTH;
    let (mut y, mut x, mut treat, mut school, mut class) = (vec![], vec![], vec![], vec![], vec![]);
    for s in 0..SCHOOLS {
        let of_school = sd_school * normal();
        for c in 0..CLASSES {
            let of_class = sd_class * normal();
            for _ in 0..STUDENTS {
                let (covariate, treated) = (normal(), (s % 2) as f64);
                y.push(intercept + slope * covariate + effect * treated + of_school + of_class + sigma * normal());
                x.push(covariate);
                treat.push(treated);
                school.push(s as i64);
                class.push(c as i64);
            }
        }
    }
    Memory::new(vec![
        ("y", Values::Numbers(y)),
        ("x", Values::Numbers(x)),
        ("treat", Values::Numbers(treat)),
        ("school", Values::Ids(school)),
        ("class", Values::Ids(class)),
    ])
}

/// The interval of each method and parameter, if there is one.
type Intervals = Vec<Vec<Option<(f64, f64)>>>;

fn intervals(number: u64, replicates: u64) -> (Vec<String>, Intervals) {
    let table = simulate(number);
    let formula: Formula = FORMULA.parse().expect("a formula");
    let plan = Plan::new(&formula, table.fields(), &Settings::default()).expect("a plan");
    let (model, dropped) = build_model(accumulate(&table, &plan, &mut ()).expect("moments")).expect("a model");
    let objective = Objective::new(&model, Method::Reml);
    let newton = NewtonSettings::default();
    let optimum = optimise(&objective, &newton, &mut |_, _| {});
    let targets = Target::all(&objective);
    let profiles = profile(&objective, &targets, LEVEL, &newton, &|_| true).expect("profiles").expect("not cancelled");
    let settings = BootstrapSettings { replicates, seed: number + 1 };
    let boot = bootstrap(&objective, &optimum, &settings, &|_| true).expect("not cancelled");
    let of_profile = profiles.curves.iter().map(|c| c.lower.value().zip(c.upper.value())).collect();
    let of_boot = |kind| (0..targets.len()).map(|i| boot.interval(i, LEVEL, kind)).collect();
    let all = vec![
        wald(&objective, &optimum, &dropped, &targets),
        of_profile,
        of_boot(IntervalType::Percentile),
        of_boot(IntervalType::Basic),
    ];
    (targets.iter().map(|target| target.name(&objective)).collect(), all)
}

fn wald(
    objective: &Objective<'_>,
    optimum: &Optimum,
    dropped: &Dropped,
    targets: &[Target],
) -> Vec<Option<(f64, f64)>> {
    let inference = FixedInference::new(objective, optimum, Inference::default());
    let fit = Fit::new(objective, optimum, dropped, Inference::default());
    let one = |target: &Target| match *target {
        Target::Coefficient(i) => {
            let test = inference.coefficient(i);
            Some((test.lower, test.upper))
        }
        Target::Component(Component::Sigma) => wald_interval(fit.sigma, fit.sigma_std_error?, LEVEL, WaldScale::Log),
        Target::Component(Component::Sd { level, row }) => {
            let name = &objective.model().levels()[level].name;
            let component = fit.variance_components.iter().find(|c| c.level == *name)?;
            wald_interval(component.sd[row], component.sd_std_error[row]?, LEVEL, WaldScale::Log)
        }
        Target::Component(Component::Correlation { .. }) => None,
    };
    targets.iter().map(one).collect()
}

/// Coverage of the intervals of one parameter by one method, as shares of the data sets.
#[derive(Debug, Serialize)]
struct Coverage {
    parameter: String,
    truth: f64,
    method: &'static str,
    /// The interval covers the true value.
    covered: f64,
    /// The interval lies above the true value, below it, or is missing.
    above: f64,
    below: f64,
    none: f64,
    mean_width: f64,
}

#[derive(Debug, Serialize)]
struct Study {
    formula: &'static str,
    schools: usize,
    classes: usize,
    students: usize,
    level: f64,
    data_sets: u64,
    replicates: u64,
    seconds: f64,
    coverage: Vec<Coverage>,
}

fn coverage(all: &[(Vec<String>, Intervals)]) -> Vec<Coverage> {
    let mut out = Vec::new();
    for (i, name) in all[0].0.iter().enumerate() {
        for (m, method) in METHODS.into_iter().enumerate() {
            let found: Vec<Option<(f64, f64)>> = all.iter().map(|(_, intervals)| intervals[m][i]).collect();
            let (truth, some) = (TRUTH[i], found.iter().flatten().count() as f64);
            let share = |is: &dyn Fn(f64, f64) -> bool| {
                found.iter().flatten().filter(|(low, high)| is(*low, *high)).count() as f64 / found.len() as f64
            };
            out.push(Coverage {
                parameter: name.clone(),
                truth,
                method,
                covered: share(&|low, high| low <= truth && truth <= high),
                above: share(&|low, _| low > truth),
                below: share(&|_, high| high < truth),
                none: 1.0 - some / found.len() as f64,
                mean_width: found.iter().flatten().map(|(low, high)| high - low).sum::<f64>() / some,
            });
        }
    }
    out
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize, default: u64| arguments.get(i).map_or(default, |a| a.parse().expect("a number"));
    let (data_sets, replicates) = (number(0, 500), number(1, 399));
    let clock = Instant::now();
    let all: Vec<(Vec<String>, Intervals)> =
        (0..data_sets).into_par_iter().map(|number| intervals(number, replicates)).collect();
    let study = Study {
        formula: FORMULA,
        schools: SCHOOLS,
        classes: CLASSES,
        students: STUDENTS,
        level: LEVEL,
        data_sets,
        replicates,
        seconds: clock.elapsed().as_secs_f64(),
        coverage: coverage(&all),
    };
    let (json, text) = (serde_json::to_string_pretty(&study).expect("plain data") + "\n", markdown(&study));
    match arguments.get(2) {
        Some(out) => {
            std::fs::write(format!("{out}.json"), json).expect("OUT.json");
            std::fs::write(format!("{out}.md"), text).expect("OUT.md");
        }
        None => println!("{text}"),
    }
}

fn markdown(study: &Study) -> String {
    let Study { formula, schools, classes, students, data_sets, replicates, seconds, .. } = study;
    let error = 100.0 * (0.95 * 0.05 / *data_sets as f64).sqrt();
    let mut text = format!(
        "# Coverage of intervals of nominal 95 %\n\n`{formula}`, {schools} schools of {classes} classes of {students} \
         students, fitted by REML to {data_sets} simulated data sets; bootstraps of {replicates} replicates. Standard \
         error of a coverage of 95 %: {error:.1}. Took {seconds:.0} s.\n\n```sh\ncargo run --release -p tiers-reml \
         --example coverage -- {data_sets} {replicates} OUT\n```\n\nPer cent of the data sets whose interval holds the \
         truth, lies above it, below it, or is not there:\n\n\
         | parameter | truth | method | covers | above | below | none | mean width |\n|---|---|---|---|---|---|---|---|\n"
    );
    for row in &study.coverage {
        let Coverage { parameter, truth, method, mean_width, .. } = row;
        let [covers, above, below, none] = [row.covered, row.above, row.below, row.none].map(|share| 100.0 * share);
        let parameter = parameter.replace('|', "\\|");
        writeln!(
            text,
            "| `{parameter}` | {truth} | {method} | {covers:.1} | {above:.1} | {below:.1} | {none:.1} | {mean_width:.3} |"
        )
        .expect("a text");
    }
    text
}
