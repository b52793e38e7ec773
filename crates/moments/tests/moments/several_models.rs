//! One read for many models gives the same moments as a separate read for each.

use crate::support::{bits, same_moments};
use proptest::prelude::*;
use tiers_design::Plan;
use tiers_moments::{
    Further, Ingested, MemoryLimit, Reading, Until, Wanted, accumulate, accumulate_many, accumulate_with,
};
use tiers_testdata::{Filtered, MODELS, ModelSpec, Values, partition_labels, plan, students};

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
                    (Ok(got), Ok(want)) => compare_partition(&format!("{name} {label:?}"), &rows, plan, &got, &want)?,
                    (Err(got), Err(want)) => prop_assert_eq!(got.to_string(), want.to_string()),
                    (got, want) => prop_assert!(false, "{name} {label:?}: {:?} {:?}", got.map(|_| ()), want.map(|_| ())),
                }
            }
        }
    }
}

/// Compares the moments with those of the partition's rows by the same recipe. A read of its rows alone has
/// the same levels but other shifts.
fn compare_partition(
    name: &str,
    rows: &Filtered<'_>,
    plan: &Plan,
    got: &Ingested,
    want: &Ingested,
) -> Result<(), TestCaseError> {
    prop_assert_eq!(&got.dropped, &want.dropped, "{}", name);
    let levels = |ingested: &Ingested| -> Vec<Vec<String>> {
        ingested.recipe.factors.iter().map(|factor| factor.levels.clone()).collect()
    };
    prop_assert_eq!(levels(got), levels(want), "{}", name);
    let recipe = got.recipe.clone();
    let alike = accumulate_with(rows, plan, &Reading { recipe: Some(&recipe), ..Reading::default() }, &mut ()).unwrap();
    // Rows of the filtered table have numbers of their own.
    same_moments(name, got, &alike, 1e-12);
    Ok(())
}

#[test]
fn models_are_read_in_one_pass_with_fewer_bundles() {
    let table = students(3_000, 5, true).in_blocks_of(250);
    let plans: Vec<Plan> = MODELS.iter().map(|&spec| plan(&table, spec)).collect();
    let wanted: Vec<Wanted> = plans.iter().cloned().map(Wanted::new).collect();
    let mut shared = accumulate_many(&table, &wanted, &Reading::default(), None, &mut ()).unwrap();
    assert_eq!((shared.passes(), shared.deferred()), (1, vec![]));
    assert!(shared.bundles().len() < MODELS.len(), "{:?}", shared.bundles());
    for (model, plan) in plans.iter().enumerate() {
        let (got, want) = (shared.take(model), accumulate(&table, plan, &mut ()));
        assert_eq!(bits(MODELS[model].0, got), bits(MODELS[model].0, want));
    }
}

/// A model by partitions leaves the sums of a model of all rows as they are.
#[test]
fn partitions_and_all_rows_are_read_together() {
    let table = students(6_000, 11, true).in_blocks_of(500);
    for spec in [MODELS[2], MODELS[3], MODELS[8]] {
        let by_state = Wanted { plan: plan(&table, spec), by: vec!["state".to_owned()] };
        let wanted = [by_state, Wanted::new(plan(&table, spec))];
        let mut shared = accumulate_many(&table, &wanted, &Reading::default(), None, &mut ()).unwrap();
        assert_eq!(shared.take_partitions(0).unwrap().len(), 3);
        let want = accumulate(&table, &wanted[1].plan, &mut ()).unwrap();
        assert_eq!(bits(spec.0, shared.take(1)), bits(spec.0, Ok(want)));
    }
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
