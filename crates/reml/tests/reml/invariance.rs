//! A fit does not depend on the order of rows, names of groups, threads, blocks or waves.

use crate::common::{METHODS, Sampled, fit, same_fit, sample};
use proptest::prelude::*;
use tiers_design::{Encoder, Formula, Plan, Settings, Source};
use tiers_moments::{BlockSums, Moments, Summands};
use tiers_reml::{KeyLabels, LevelEffects, Method};
use tiers_testdata::{Memory, Random, Values, table_of};
use tiers_testkit::{Checks, Tolerance};

fn sampled(seed: u64) -> Option<Sampled> {
    Sampled::new(&format!("seed {seed}"), sample(seed)).filter(Sampled::leaves_a_residual)
}

fn same_effects(checks: &mut Checks, got: &[LevelEffects], want: &[LevelEffects]) {
    for (got, want) in got.iter().zip(want) {
        let close = Tolerance { absolute: 1e-7, ..Tolerance::of_largest(1e-6) };
        checks
            .equal("rows", got.rows.clone(), want.rows.clone())
            .slice("b", &got.estimate, &want.estimate, close)
            .slice("conditional sd", &got.conditional_sd, &want.conditional_sd, close)
            .slice("prediction sd", &got.prediction_sd, &want.prediction_sd, close);
    }
}

/// Each group's id as a string whose order is that of the numbers.
fn as_text(table: &Memory, level: usize) -> Memory {
    let name = format!("g{level}");
    let texts = table.ids(&name).iter().map(|id| format!("group {id:06}")).collect();
    table.with(&name, Values::Texts(texts))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn permuted_rows(seed in 0u64..100_000) {
        let Some(case) = sampled(seed) else { return Err(TestCaseError::reject("refused")) };
        let order = Random(seed).order(case.table.rows());
        let mut checks = Checks::new(&case.name);
        let want = case.fit(Method::Reml);
        let got = fit(&case.table.permuted(&order), &case.formula, case.weights(), Method::Reml).expect("a fit");
        same_fit(&mut checks, &got.fit, &want.fit);
        same_effects(&mut checks, &got.effects, &want.effects);
        checks.finish();
    }

    #[test]
    fn relabelled_groups(seed in 0u64..100_000) {
        let Some(case) = sampled(seed) else { return Err(TestCaseError::reject("refused")) };
        let mut checks = Checks::new(&case.name);
        let want = case.fit(Method::Ml);
        // Strings instead of numbers, in the same order, give bit-identical results.
        let texts = (0..case.sample.levels.len()).fold(case.table.clone(), |table, level| as_text(&table, level));
        let got = fit(&texts, &case.formula, case.weights(), Method::Ml).expect("a fit");
        same_fit(&mut checks, &got.fit, &want.fit);
        same_effects(&mut checks, &got.effects, &want.effects);
        // Other numbers, of any size and sign.
        let mut random = Random(seed);
        let mut table = case.table.clone();
        let mut orders = Vec::new();
        for (level, of) in case.sample.levels.iter().enumerate() {
            let order = random.order(1 + of.group.iter().max().expect("rows"));
            let id = |g: usize| (order[g] as i64 - 3) * 1_000_000_007 * (1 + level as i64);
            table = table.with(&format!("g{level}"), Values::Ids(of.group.iter().map(|&g| id(g)).collect()));
            orders.push(order);
        }
        let got = fit(&table, &case.formula, case.weights(), Method::Ml).expect("a fit");
        same_fit(&mut checks, &got.fit, &want.fit);
        for (level, order) in orders.iter().enumerate() {
            let at = want.effects.len() - 1 - level;
            let (got, want) = (&got.effects[at], &want.effects[at]);
            let r = want.terms.len();
            checks.that("ids in order", matches!(&got.keys[0].labels, KeyLabels::Integer(ids) if ids.is_sorted()));
            let moved: Vec<f64> = (0..order.len()).flat_map(|g| got.estimate[order[g] * r..][..r].to_vec()).collect();
            checks.slice("b", &moved, &want.estimate, Tolerance { absolute: 1e-7, ..Tolerance::of_largest(1e-6) });
        }
        checks.finish();
    }

    #[test]
    fn any_size_of_blocks(seed in 0u64..100_000, block_rows in 1usize..60) {
        let Some(case) = sampled(seed) else { return Err(TestCaseError::reject("refused")) };
        let mut checks = Checks::new(format!("blocks of {block_rows}, {}", case.name));
        let want = case.fit(Method::Reml);
        let got = fit(&case.table.in_blocks_of(block_rows), &case.formula, case.weights(), Method::Reml).expect("a fit");
        same_fit(&mut checks, &got.fit, &want.fit);
        same_effects(&mut checks, &got.effects, &want.effects);
        checks.finish();
    }

    #[test]
    fn blocks_absorbed_in_one_wave_or_many(seed in 0u64..100_000, block_rows in 1usize..20, wave in 1usize..7) {
        let sample = sample(seed);
        let (table, formula) = table_of(&sample);
        let formula: Formula = formula.parse().expect("a formula");
        let settings = Settings { weights: sample.weights.as_ref().map(|_| "w".to_owned()), ..Settings::default() };
        let plan = Plan::new(&formula, table.fields(), &settings).expect("a plan");
        let table = table.in_blocks_of(block_rows);
        let blocks = || table.scan(plan.requests()).expect("a table").map(|raw| raw.unwrap().decode().unwrap());
        let recipe = plan.freeze(&blocks().next().expect("a block"), None).expect("a recipe");
        let encoder = Encoder::new(&recipe);
        let of_waves = |size: usize| {
            let summands = Summands::new(&recipe, vec![recipe.keys.len() - 1]);
            let sums = blocks().map(|block| BlockSums::of(&summands, encoder.encode(&block).expect("clean rows")));
            let mut sums: Vec<BlockSums> = sums.collect();
            let mut moments = Moments::new(summands, &sums[0]);
            sums.chunks_mut(size).for_each(|wave| moments.absorb(wave));
            moments
        };
        let (one, many) = (of_waves(usize::MAX), of_waves(wave));
        prop_assert_eq!(&one.cross, &many.cross);
        prop_assert_eq!((one.rows, one.sum_log_weights), (many.rows, many.sum_log_weights));
        for (one, many) in one.shards.iter().zip(&many.shards) {
            prop_assert_eq!((&one.labels, &one.first_row), (&many.labels, &many.first_row));
            prop_assert_eq!((&one.counts, &one.sums), (&many.counts, &many.sums));
        }
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    for seed in 0..48 {
        let Some(case) = sampled(seed) else { continue };
        let table = case.table.in_blocks_of(7);
        for method in METHODS {
            let on = |threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
                let fitted = pool.install(|| fit(&table, &case.formula, case.weights(), method).expect("a fit"));
                // Debug prints the shortest text that reads back as the same number, so equal texts mean
                // equal bits.
                format!("{:?} {:?}", fitted.fit, fitted.effects)
            };
            let one = on(1);
            for threads in [2, 3, 7] {
                assert_eq!(one, on(threads), "{threads} threads, {}", case.name);
            }
        }
    }
}
