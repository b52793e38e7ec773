//! One read for many models gives the same moments as a separate read for each.

use crate::common::{METHODS, go_on, report};
use crate::filtered::{Filtered, partition_labels};
use crate::memory::Values;
use crate::resume::bits;
use crate::students::{MODELS, ModelSpec, plan, students};
use proptest::prelude::*;
use std::error::Error;
use tiers_design::Plan;
use tiers_moments::{
    Further, IngestError, Ingested, MemoryLimit, ReadObserver, Reading, Until, Wanted, accumulate, accumulate_many,
    accumulate_with,
};
use tiers_reml::{Fit, Method, NewtonSettings, Objective, Status, build_model, find_optimum};

pub(crate) fn fit(ingested: Ingested, method: Method) -> Result<Fit, Box<dyn Error>> {
    let (model, dropped) = build_model(ingested)?;
    let objective = Objective::new(&model, method);
    let optimum = find_optimum(&objective, &NewtonSettings::default(), &mut go_on)?;
    Ok(report(&objective, &optimum, &dropped))
}

/// Sums, cell by cell in the order of labels.
fn by_label(ingested: &Ingested) -> Vec<(Vec<String>, u64, Vec<f64>)> {
    let per_cell = ingested.moments.summands.per_cell();
    let mut all = Vec::new();
    for shard in 0..ingested.moments.shards.len() {
        let cells = ingested.moments.cells_of(shard);
        for i in 0..cells.rows.len() {
            let label: Vec<String> = cells.keys.iter().map(|key| key.dictionary.label(key.codes[i] as usize)).collect();
            all.push((label, cells.rows[i], cells.sums[i * per_cell..(i + 1) * per_cell].to_vec()));
        }
    }
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

/// Checks that two sets of moments agree up to rounding, except for the numbers of their rows.
#[track_caller]
pub(crate) fn same_moments(name: &str, got: &Ingested, want: &Ingested) {
    assert_eq!(got.recipe, want.recipe, "{name}");
    assert_eq!(got.dropped, want.dropped, "{name}");
    assert_eq!(got.moments.rows, want.moments.rows, "{name}");
    assert!((got.moments.sum_log_weights - want.moments.sum_log_weights).abs() < 1e-9, "{name}");
    let (own, other) = (&got.moments.summands, &want.moments.summands);
    assert_eq!((own.m, &own.z, own.keys), (other.m, &other.z, other.keys), "{name}");
    let m = want.moments.summands.m;
    let scale = |i: usize| want.moments.cross.get(i, i).sqrt().max(1e-3);
    for (i, j) in (0..m).flat_map(|i| (0..m).map(move |j| (i, j))) {
        let (got, want) = (got.moments.cross.get(i, j), want.moments.cross.get(i, j));
        assert!((got - want).abs() <= 1e-12 * scale(i) * scale(j), "{name}: C'WC {i} {j}: {got} {want}");
    }
    let (got_cells, want_cells) = (by_label(got), by_label(want));
    assert_eq!(got_cells.len(), want_cells.len(), "{name}");
    for (got, wanted) in got_cells.iter().zip(&want_cells) {
        assert_eq!((&got.0, got.1), (&wanted.0, wanted.1), "{name}");
        for (k, (got, sum)) in got.2.iter().zip(&wanted.2).enumerate() {
            let room = 1e-12 * scale(want.moments.summands.z[k / m]) * scale(k % m);
            assert!((got - sum).abs() <= room, "{name}: {:?} {k}: {got} {sum}", wanted.0);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Each model's moments are bit-identical to those of a read for it alone, whatever models are read with it.
    #[test]
    fn moments_are_those_of_a_read_for_each(
        chosen in proptest::collection::vec(0..MODELS.len(), 1..9), rows in 80_usize..300, block_rows in 5_usize..90,
        seed in 0_u64..1 << 40, gaps: bool,
    ) {
        let table = students(rows, seed, gaps).in_blocks_of(block_rows);
        let plans: Vec<Plan> = chosen.iter().map(|&spec| plan(&table, MODELS[spec])).collect();
        let wanted: Vec<Wanted> = plans.iter().cloned().map(Wanted::new).collect();
        let mut shared = accumulate_many(&table, &wanted, &Reading::default(), None, &mut ()).unwrap();
        for (model, plan) in plans.iter().enumerate() {
            let name = MODELS[chosen[model]].0;
            match (shared.take(model), accumulate(&table, plan, &mut ())) {
                (Ok(got), Ok(want)) => prop_assert_eq!(bits(name, Ok(got)), bits(name, Ok(want))),
                (Err(got), Err(want)) => prop_assert_eq!(got.to_string(), want.to_string()),
                (got, want) => prop_assert!(false, "{name}: {:?} {:?}", got.map(|_| ()), want.map(|_| ())),
            }
        }
    }

    /// Each partition's moments are those of a read of its rows alone.
    #[test]
    fn partitions_are_those_of_filtered_rows(
        chosen in proptest::collection::vec(0..MODELS.len(), 1..5), rows in 80_usize..300, block_rows in 5_usize..90,
        seed in 0_u64..1 << 40, gaps: bool, by in 0_usize..3,
    ) {
        let by: Vec<String> = [&["state"][..], &["f"], &["class", "state"]][by].iter().map(|c| (*c).to_owned()).collect();
        let table = students(rows, seed, gaps).in_blocks_of(block_rows);
        let plans: Vec<Plan> = chosen.iter().map(|&spec| plan(&table, MODELS[spec])).collect();
        let wanted: Vec<Wanted> = plans.iter().map(|plan| Wanted { plan: plan.clone(), by: by.clone() }).collect();
        let mut shared = accumulate_many(&table, &wanted, &Reading::default(), None, &mut ()).unwrap();
        let (labels, without) = partition_labels(&table, &by).unwrap();
        for (model, plan) in plans.iter().enumerate() {
            let name = MODELS[chosen[model]].0;
            let partitions = shared.take_partitions(model).unwrap();
            prop_assert_eq!(partitions.unlabelled_rows, without);
            let own: Vec<&[String]> = (0..partitions.len()).map(|p| partitions.labels(p)).collect();
            prop_assert_eq!(&own, &labels.iter().map(Vec::as_slice).collect::<Vec<_>>());
            for (p, label) in labels.iter().enumerate() {
                let rows = Filtered { source: &table, by: &by, label };
                // A read of few rows may see levels that occur in dropped rows only; partitions omit them.
                let got = partitions.ingested(p);
                let want = accumulate(&rows, plan, &mut ());
                match (got, want) {
                    (Ok(got), Ok(want)) => compare_partition(&format!("{name} {label:?}"), &rows, plan, got, want)?,
                    (Err(got), Err(want)) => prop_assert_eq!(got.to_string(), want.to_string()),
                    (got, want) => prop_assert!(false, "{name} {label:?}: {:?} {:?}", got.map(|_| ()), want.map(|_| ())),
                }
            }
        }
    }
}

/// Compares the moments with those of the partition's rows by the same recipe. A read of its rows alone has
/// the same levels but other shifts, and ends at the same optimum within the tolerance of the search.
fn compare_partition(
    name: &str,
    rows: &Filtered<'_>,
    plan: &Plan,
    got: Ingested,
    want: Ingested,
) -> Result<(), TestCaseError> {
    prop_assert_eq!(&got.dropped, &want.dropped, "{}", name);
    let levels = |ingested: &Ingested| -> Vec<Vec<String>> {
        ingested.recipe.factors.iter().map(|factor| factor.levels.clone()).collect()
    };
    prop_assert_eq!(levels(&got), levels(&want), "{}", name);
    let recipe = got.recipe.clone();
    let alike = accumulate_with(rows, plan, &Reading { recipe: Some(&recipe), ..Reading::default() }, &mut ()).unwrap();
    // Rows of the filtered table have numbers of their own.
    same_moments(name, &got, &alike);
    match (fit(got, Method::Reml), fit(alike, Method::Reml), fit(want, Method::Reml)) {
        (Ok(got), Ok(alike), Ok(want)) => {
            // With few rows optima are flat; estimates are compared below, with more rows.
            let close = |other: &Fit| (got.criterion - other.criterion).abs() <= 1e-8;
            prop_assert!(close(&alike) && close(&want), "{name}: {} {}", got.criterion, want.criterion);
        }
        (Err(got), _, Err(want)) => prop_assert_eq!(got.to_string(), want.to_string(), "{}", name),
        (got, _, want) => prop_assert!(false, "{name}: {:?} {:?}", got.map(|_| ()), want.map(|_| ())),
    }
    Ok(())
}

/// Checks that two fits agree. Where a covariance is singular the optimum is flat in some direction, so that
/// rounding error is larger.
#[track_caller]
pub(crate) fn same_fit(name: &str, got: &Fit, want: &Fit, digits: f64) {
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

#[test]
fn estimates_are_those_of_separate_fits() {
    let table = students(3_000, 5, true).in_blocks_of(250);
    let plans: Vec<Plan> = MODELS.iter().map(|&spec| plan(&table, spec)).collect();
    let wanted: Vec<Wanted> = plans.iter().cloned().map(Wanted::new).collect();
    let mut shared = accumulate_many(&table, &wanted, &Reading::default(), None, &mut ()).unwrap();
    assert_eq!((shared.passes(), shared.deferred()), (1, vec![]));
    assert!(shared.bundles().len() < MODELS.len(), "{:?}", shared.bundles());
    for (model, plan) in plans.iter().enumerate() {
        let (got, want) = (shared.take(model).unwrap(), accumulate(&table, plan, &mut ()).unwrap());
        let name = MODELS[model].0;
        same_moments(name, &got, &want);
        if model % 4 != 0 {
            continue;
        }
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
        // Together with a model of all rows.
        let wanted = [wanted, Wanted::new(plan(&table, spec))];
        let mut shared = accumulate_many(&table, &wanted, &Reading::default(), None, &mut ()).unwrap();
        let partitions = shared.take_partitions(0).unwrap();
        assert_eq!(partitions.len(), 3);
        for p in 0..3 {
            let rows = Filtered { source: &table, by: &by, label: partitions.labels(p) };
            let want = fit(accumulate(&rows, &wanted[0].plan, &mut ()).unwrap(), Method::Reml).unwrap();
            same_fit(spec.0, &fit(partitions.ingested(p).unwrap(), Method::Reml).unwrap(), &want, 1e-9);
        }
        let want = accumulate(&table, &wanted[1].plan, &mut ()).unwrap();
        assert_eq!(bits(spec.0, shared.take(1)), bits(spec.0, Ok(want)));
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

#[test]
fn models_beyond_the_memory_limit_are_deferred() {
    // A cell per row: the moments outgrow the limit.
    let rows = 60_000;
    let table = students(rows, 3, false).with("pupil", Values::Ids((0..rows as i64).map(|i| i / 2).collect()));
    let table = table.in_blocks_of(2_000);
    let models: [ModelSpec; 3] = [
        ("y ~ x + (1 | pupil)", None, None),
        ("y2 ~ x + z + f + (1 + x | pupil)", None, None),
        ("y ~ z + (1 + z | pupil)", None, None),
    ];
    let wanted: Vec<Wanted> = models.iter().map(|&spec| Wanted::new(plan(&table, spec))).collect();
    let read = |bytes: u64, wanted: &[Wanted]| {
        let limit =
            Some(MemoryLimit { bytes, rows: Some(rows as u64), until: Until::Moments, inference: Further::default() });
        accumulate_many(&table, wanted, &Reading { limit, ..Reading::default() }, None, &mut ())
    };
    let mut all = read(1 << 30, &wanted).unwrap();
    assert!(all.deferred().is_empty());
    let puts_off = |limit: &u64| read(*limit, &wanted).is_ok_and(|some| !some.deferred().is_empty());
    let tight = (36..90).rev().map(|mb| mb << 20).find(puts_off).expect("a limit that puts models off");
    let mut left = vec![0, 1, 2];
    let mut calls = 0;
    while !left.is_empty() {
        let own: Vec<Wanted> = left.iter().map(|&model| wanted[model].clone()).collect();
        let mut some = read(tight, &own).unwrap();
        let deferred = some.deferred();
        for (place, &model) in left.iter().enumerate().filter(|(place, _)| !deferred.contains(place)) {
            let name = models[model].0;
            assert_eq!(bits(name, some.take(place)), bits(name, all.take(model)));
        }
        left = deferred.iter().map(|&place| left[place]).collect();
        calls += 1;
    }
    assert!(calls > 1, "{calls} calls: the limit is no limit");
    let none = read(34 << 20, &wanted[..1]).and_then(|mut none| none.take(0));
    let error = none.unwrap_err().to_string();
    assert!(error.starts_with("not enough memory"), "{error}");
}

#[test]
fn a_tight_limit_changes_no_bit() {
    let rows = 70_000;
    let table = students(rows, 5, false);
    let spec: ModelSpec = ("y2 ~ x + z + f + x:f + (1 + x | school/class)", None, None);
    let read = |limit: Option<MemoryLimit>| {
        let reading = Reading { limit, ..Reading::default() };
        let mut shared = accumulate_many(&table, &[Wanted::new(plan(&table, spec))], &reading, None, &mut ())?;
        shared.take(0)
    };
    let whole = bits("m", read(None));
    let (mut refused, mut slowed) = (0, 0);
    for megabytes in 33..70 {
        let limit = MemoryLimit {
            bytes: megabytes << 20,
            rows: Some(rows as u64),
            until: Until::Moments,
            inference: Further::default(),
        };
        match read(Some(limit)) {
            Ok(ingested) => {
                assert_eq!(bits("m", Ok(ingested)), whole, "{megabytes} MB");
                slowed += 1;
            }
            Err(error) => {
                assert!(error.to_string().starts_with("not enough memory"), "{error}");
                // A limit above one that sufficed must suffice, too.
                assert_eq!(slowed, 0, "{megabytes} MB");
                refused += 1;
            }
        }
    }
    assert!(refused > 0 && slowed > 0, "{refused} refused, {slowed} not");
}

/// The last bits of a product of three numbers depend on their order.
#[test]
fn interactions_in_another_order_keep_their_bits() {
    let table = students(3_000, 7, false).in_blocks_of(500);
    let models: [ModelSpec; 2] =
        [("y ~ x:z:y2 + x + (1 | school)", None, None), ("y ~ y2:z:x + x + (1 | school)", None, None)];
    let wanted: Vec<Wanted> = models.iter().map(|&spec| Wanted::new(plan(&table, spec))).collect();
    let mut shared = accumulate_many(&table, &wanted, &Reading::default(), None, &mut ()).unwrap();
    for (model, &spec) in models.iter().enumerate() {
        let alone = accumulate(&table, &plan(&table, spec), &mut ());
        assert_eq!(bits(spec.0, shared.take(model)), bits(spec.0, alone), "{}", spec.0);
    }
}
