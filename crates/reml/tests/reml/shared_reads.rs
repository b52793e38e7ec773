//! Fits to moments of models and partitions that were read together are those of separate reads.

use crate::common::{METHODS, go_on, report};
use proptest::prelude::*;
use std::error::Error;
use tiers_design::Plan;
use tiers_moments::{
    IngestError, Ingested, ReadObserver, Reading, Wanted, accumulate, accumulate_many, accumulate_with,
};
use tiers_reml::{Fit, Method, NewtonSettings, Objective, Status, build_model, find_optimum};
use tiers_testdata::{Filtered, MODELS, ModelSpec, Values, plan, students};

/// Fits moments.
fn fit(ingested: Ingested, method: Method) -> Result<Fit, Box<dyn Error>> {
    let (model, dropped) = build_model(ingested)?;
    let objective = Objective::new(&model, method);
    let optimum = find_optimum(&objective, &NewtonSettings::default(), &mut go_on)?;
    Ok(report(&objective, &optimum, &dropped))
}

/// Checks that two fits agree. Where a covariance is singular the optimum is flat in some direction, so that
/// rounding error is larger.
#[track_caller]
fn same_fit(name: &str, got: &Fit, want: &Fit, digits: f64) {
    let close = |what: &str, got: f64, want: f64, room: f64| {
        assert!((got - want).abs() <= room, "{name} {what}: {got} {want}");
    };
    let digits = if want.status == Status::Boundary { digits.max(1e-6) } else { digits };
    close("criterion", got.criterion, want.criterion, 1e-10 * want.criterion.abs().max(1.0));
    close("sigma", got.sigma, want.sigma, digits * want.sigma);
    for (got, want) in got.fixed_effects.iter().zip(&want.fixed_effects) {
        assert_eq!(got.term, want.term, "{name}");
        close(&want.term, got.estimate, want.estimate, digits * (want.estimate.abs() + want.std_error));
        close(&format!("se of {}", want.term), got.std_error, want.std_error, digits * want.std_error);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    /// The criterion of a partition's fit is that of a fit to its rows alone, or both fail alike. With few rows
    /// optima are flat; estimates are compared below, with more rows.
    #[test]
    fn partitions_have_the_criterion_of_filtered_rows(
        chosen in 0..MODELS.len(), rows in 150_usize..300, block_rows in 5_usize..90, seed in 0_u64..1 << 40, gaps: bool,
        by in 0_usize..2,
    ) {
        let by = [["state", "f"][by].to_owned()];
        let table = students(rows, seed, gaps).in_blocks_of(block_rows);
        let (plan, name) = (plan(&table, MODELS[chosen]), MODELS[chosen].0);
        let wanted = Wanted { plan: plan.clone(), by: by.to_vec() };
        let mut shared = accumulate_many(&table, &[wanted], &Reading::default(), None, &mut ()).unwrap();
        let partitions = shared.take_partitions(0).unwrap();
        for p in 0..partitions.len() {
            let alone = Filtered { source: &table, by: &by, label: partitions.labels(p) };
            let want = accumulate(&alone, &plan, &mut ()).map_err(Into::into).and_then(|want| fit(want, Method::Reml));
            match (partitions.ingested(p).map_err(Into::into).and_then(|got| fit(got, Method::Reml)), want) {
                (Ok(got), Ok(want)) => {
                    let close = (got.criterion - want.criterion).abs() <= 1e-8;
                    prop_assert!(close, "{name}: {} {}", got.criterion, want.criterion);
                }
                // Figures in messages are those of another search.
                (Err(got), Err(want)) => {
                    prop_assert_eq!(without_figures(got.as_ref()), without_figures(want.as_ref()), "{}", name);
                }
                (got, want) => prop_assert!(false, "{name}: {:?} {:?}", got.map(|_| ()), want.map(|_| ())),
            }
        }
    }
}

fn without_figures(error: &dyn Error) -> String {
    error.to_string().replace(|c: char| c.is_ascii_digit(), "")
}

/// Sums by the shifts of other rows give the same estimates. So do merged moments of parts, which are equal
/// to sums over all rows by one recipe.
#[test]
fn estimates_do_not_depend_on_the_shifts() {
    let table = students(900, 7, false);
    let others = table.permuted(&(0..60).collect::<Vec<_>>()).map("x", |x| x + 5.0).map("y", |y| y - 20.0);
    for spec in [MODELS[1], MODELS[3], MODELS[6], MODELS[8], MODELS[9]] {
        let plan = plan(&table, spec);
        let recipe = accumulate(&others, &plan, &mut ()).unwrap().recipe;
        let reading = Reading { recipe: Some(&recipe), ..Reading::default() };
        for method in METHODS {
            let own = accumulate(&table, &plan, &mut ()).unwrap();
            assert_ne!(own.recipe.response_shift, recipe.response_shift, "{}", spec.0);
            let shifted = accumulate_with(&table, &plan, &reading, &mut ()).unwrap();
            let (got, want) = (fit(shifted, method).unwrap(), fit(own, method).unwrap());
            assert_eq!((&got.levels, got.status), (&want.levels, want.status), "{}", spec.0);
            // The search stops at different points of a flat optimum.
            same_fit(spec.0, &got, &want, 1e-7);
        }
    }
}

#[test]
fn estimates_are_those_of_separate_fits() {
    let table = students(3_000, 5, true).in_blocks_of(250);
    let plans: Vec<Plan> = MODELS.iter().map(|&spec| plan(&table, spec)).collect();
    let wanted: Vec<Wanted> = plans.iter().cloned().map(Wanted::new).collect();
    let mut shared = accumulate_many(&table, &wanted, &Reading::default(), None, &mut ()).unwrap();
    for (model, plan) in plans.iter().enumerate().step_by(4) {
        let (got, want) = (shared.take(model).unwrap(), accumulate(&table, plan, &mut ()).unwrap());
        let name = MODELS[model].0;
        let (got, want) = (fit(got, METHODS[0]), fit(want, METHODS[0]));
        match (got, want) {
            (Ok(got), Ok(want)) => same_fit(name, &got, &want, 1e-10),
            (got, want) => assert_eq!(got.unwrap_err().to_string(), want.unwrap_err().to_string()),
        }
    }
}

#[test]
fn partitions_of_many_rows_have_the_estimates_of_separate_fits() {
    let table = students(6_000, 11, true).in_blocks_of(500);
    let by = ["state".to_owned()];
    for spec in [MODELS[2], MODELS[3], MODELS[8]] {
        let wanted = Wanted { plan: plan(&table, spec), by: by.to_vec() };
        let wanted = [wanted];
        let mut shared = accumulate_many(&table, &wanted, &Reading::default(), None, &mut ()).unwrap();
        let partitions = shared.take_partitions(0).unwrap();
        assert_eq!(partitions.len(), 3);
        for p in 0..3 {
            let rows = Filtered { source: &table, by: &by, label: partitions.labels(p) };
            let want = fit(accumulate(&rows, &wanted[0].plan, &mut ()).unwrap(), Method::Reml).unwrap();
            same_fit(spec.0, &fit(partitions.ingested(p).unwrap(), Method::Reml).unwrap(), &want, 1e-9);
        }
    }
}

/// Counts the calls of an observer.
#[derive(Default)]
struct Counting {
    restarted: usize,
}

impl ReadObserver for Counting {
    fn rows_read(&mut self, _: u64) -> bool {
        true
    }
    fn restarted(&mut self, _: &str, _: &str) {
        self.restarted += 1;
    }
}

#[test]
fn an_error_of_one_model_leaves_the_others() {
    let rows = 600;
    let mut x2 = vec![1.5; rows];
    x2[431] = f64::INFINITY;
    let mut late = vec!["a".to_owned(); rows];
    late.iter_mut().step_by(2).for_each(|l| *l = "b".to_owned());
    late[598] = "z".to_owned();
    let mut w2 = vec![1.0; rows];
    w2[500] = -1.0;
    let table = students(rows, 9, false)
        .with("x2", Values::Numbers(x2))
        .with("one", Values::Texts(vec!["same".to_owned(); rows]))
        .with("flat", Values::Numbers(vec![3.0; rows]))
        .with("w2", Values::Numbers(w2))
        .with("late", Values::Texts(late))
        .in_blocks_of(40);
    let models: [ModelSpec; 8] = [
        ("y ~ x + (1 | school)", None, None),
        ("y ~ x + x2 + (1 | school)", None, None),
        ("y ~ x + late + (1 | school)", None, None),
        ("y ~ x + one + (1 | school)", None, None),
        ("flat ~ x + (1 | school)", None, None),
        ("y ~ x + (1 | school)", Some("w2"), None),
        ("y ~ x + f + (1 | school)", None, Some("nowhere")),
        ("y ~ x", None, None),
    ];
    let wanted: Vec<Wanted> = models.iter().map(|&spec| Wanted::new(plan(&table, spec))).collect();
    let mut counting = Counting::default();
    let mut shared = accumulate_many(&table, &wanted, &Reading::default(), None, &mut counting).unwrap();
    for (model, &spec) in models.iter().enumerate() {
        let alone = accumulate(&table, &plan(&table, spec), &mut ());
        let fitted = |ingested: Result<Ingested, IngestError>| fit(ingested?, METHODS[0]);
        match (fitted(shared.take(model)), fitted(alone)) {
            (Ok(got), Ok(want)) => same_fit(spec.0, &got, &want, 1e-10),
            (got, want) => assert_eq!(got.unwrap_err().to_string(), want.unwrap_err().to_string(), "{}", spec.0),
        }
    }
    assert!(counting.restarted <= 1);
}
