//! Sparse factorisation and Henderson's textbook form, against elimination along the trees and against
//! formulas with V written out.

use crate::common::{forest, internal_theta, model};
use nalgebra::{DMatrix, DVector};
use tiers_equations::{
    EquationsError, FixedEffects, Henderson, SparseEquations, SparseScratch, SparseShard, Sums, TreePlan, TreeScratch,
};
use tiers_moments::GroupPlace;
use tiers_reml::{Method, Model, Objective};
use tiers_testdata::table_of;
use tiers_testkit::{Checks, NestedSample, Shape, Solution, Tolerance, oracle, simulate_nested};

/// A simulated sample with its model and a θ.
struct Case {
    name: String,
    sample: NestedSample,
    model: Model,
    /// θ for the oracle.
    raw: Vec<f64>,
}

fn cases(seeds: std::ops::Range<u64>) -> impl Iterator<Item = Case> {
    seeds.filter_map(|seed| {
        let sample = simulate_nested(seed, &Shape::any(seed));
        let (table, formula) = table_of(&sample);
        // Samples with two equal levels or one effect per row are correctly refused.
        let (model, _) = model(&table, &formula, sample.weights.as_ref().map(|_| "w")).ok()?;
        let raw = sample.theta_near_truth(seed);
        Some(Case { name: format!("seed {seed}: {formula}"), sample, model, raw })
    })
}

impl Case {
    /// The factors Λ_k in the basis of the shifted columns, for a θ in the user's columns.
    fn factors(&self, raw: &[f64]) -> Vec<DMatrix<f64>> {
        let objective = Objective::new(&self.model, Method::Reml);
        objective.parameters.factors(&internal_theta(&self.model, &objective, raw))
    }

    fn solution(&self) -> Solution {
        self.sample.problem().solve(&self.raw, oracle::Method::Reml)
    }

    /// The oracle's numbers of the effects of a group: positions in its b of all terms.
    fn positions(&self, level: usize, shard: usize, group: usize) -> Vec<usize> {
        let (forest, problem) = (forest(&self.model), self.sample.problem());
        let of = &forest.levels[level];
        let label = self.model.structure().group_name(level, GroupPlace { shard, group });
        let group = label.parse::<usize>().expect("groups are numbers") - 100;
        let of_term = |&(term, _): &(usize, usize)| {
            let r = problem.terms[term].z.ncols();
            let first = problem.effect_offset(term) + group * r;
            first..first + r
        };
        of.terms.iter().flat_map(of_term).collect()
    }

    /// Visits (name of the level, shard, level, group, the oracle's positions).
    fn each_group(&self, mut visit: impl FnMut(&str, usize, usize, usize, &[usize])) {
        for (shard, tree) in forest(&self.model).trees.iter().enumerate() {
            for (k, level) in tree.levels.iter().enumerate() {
                for group in 0..level.groups {
                    visit(&self.model.levels()[k].name, shard, k, group, &self.positions(k, shard, group));
                }
            }
        }
    }

    /// The sums by elimination along the trees.
    fn tree_sums(&self, factors: &[DMatrix<f64>]) -> Sums {
        let forest = forest(&self.model);
        let plan = TreePlan::new(forest);
        let g: Vec<Vec<f64>> = factors.iter().map(|l| (l * l.transpose()).as_slice().to_vec()).collect();
        let of = |tree| plan.evaluate(tree, &g, false, &mut TreeScratch::new(&plan, tree));
        let mut sums = forest.trees.iter().map(of);
        let mut total = sums.next().expect("a shard");
        sums.for_each(|sum| total.merge(&sum));
        total
    }
}

fn same_sums(checks: &mut Checks, got: &Sums, want: &Sums) {
    checks.check("log|A|", got.log_det, want.log_det, Tolerance::both(1e-11, 1e-11));
    checks.slice("B'A⁻¹B", &got.downdate.to_dense(), &want.downdate.to_dense(), Tolerance::of_largest(1e-11));
}

/// A square block as a matrix.
fn block(values: &[f64], group: usize, r: usize) -> DMatrix<f64> {
    DMatrix::from_row_slice(r, r, &values[group * r * r..(group + 1) * r * r])
}

/// The symmetric matrix with these entries in its upper triangle.
fn dense(size: usize, upper: impl Iterator<Item = (f64, usize, usize)>) -> DMatrix<f64> {
    let mut out = DMatrix::zeros(size, size);
    for (value, i, j) in upper {
        assert!(i <= j, "an entry below the diagonal");
        out[(i, j)] = value;
        out[(j, i)] = value;
    }
    out
}

/// The full matrix A of a shard.
fn whole(shard: &SparseShard<'_>) -> DMatrix<f64> {
    dense(shard.unknowns(), shard.matrix().iter().map(|(&value, (i, j))| (value, i as usize, j as usize)))
}

#[test]
fn elimination_creates_no_fill() {
    let mut shapes = std::collections::BTreeSet::new();
    for case in cases(0..400) {
        let widest = case.model.levels().iter().map(tiers_moments::Level::r).max();
        shapes.insert((case.model.levels().len(), widest));
        let mut equations = SparseEquations::new(forest(&case.model)).expect("small");
        equations.factor(&case.factors(&case.raw)).expect("positive definite");
        for shard in &equations.shards {
            let strict = shard.matrix().nnz() - shard.unknowns();
            assert_eq!(shard.l().nnz(), strict, "{}: nnz(L) against the strict triangle of A", case.name);
            let mut of_l: Vec<_> = shard.l().iter().map(|(_, (i, j))| (j, i)).collect();
            let mut of_a: Vec<_> = shard.matrix().iter().map(|(_, at)| at).filter(|(i, j)| i != j).collect();
            of_l.sort_unstable();
            of_a.sort_unstable();
            assert_eq!(of_l, of_a, "{}", case.name);
        }
    }
    // One to four levels, of one to three effects.
    let all = (1..=4).flat_map(|levels| (1..=3).map(move |r| (levels, Some(r))));
    assert_eq!(shapes, all.collect());
}

#[test]
fn l_and_d_give_back_a() {
    for case in cases(0..24) {
        let mut equations = SparseEquations::new(forest(&case.model)).expect("small");
        equations.factor(&case.factors(&case.raw)).expect("positive definite");
        let mut checks = Checks::new(&case.name);
        for shard in &equations.shards {
            let mut l = DMatrix::identity(shard.unknowns(), shard.unknowns());
            shard.l().iter().for_each(|(&value, (i, j))| l[(i as usize, j as usize)] = value);
            let d = DMatrix::from_diagonal(&DVector::from_column_slice(shard.d()));
            checks.matrix("LDL'", &(&l * d * l.transpose()), &whole(shard), Tolerance::of_largest(1e-13));
            checks.that("pivots of 1 or more", shard.d().iter().all(|&d| d >= 1.0 - 1e-12));
        }
        checks.finish();
    }
}

#[test]
fn sums_agree_with_elimination_along_trees() {
    for case in cases(0..200) {
        let mut checks = Checks::new(&case.name);
        let mut equations = SparseEquations::new(forest(&case.model)).expect("small");
        for scale in [0.0, 0.01, 1.0, 30.0] {
            let raw: Vec<f64> = case.raw.iter().map(|t| scale * t).collect();
            let factors = case.factors(&raw);
            equations.factor(&factors).expect("positive definite");
            same_sums(&mut checks, &equations.sums(), &case.tree_sums(&factors));
        }
        checks.finish();
    }
}

#[test]
fn effects_agree_with_v_written_out() {
    for case in cases(0..200) {
        let (model, want) = (&case.model, case.solution());
        let mut equations = SparseEquations::new(forest(model)).expect("small");
        equations.factor(&case.factors(&case.raw)).expect("positive definite");
        let fixed = equations.fixed_effects(&model.x()).expect("independent columns");
        let mut checks = Checks::new(&case.name);
        let (beta, xx_inverse) = model.unshift(&fixed.beta, &fixed.xx_inverse);
        checks.check("pwrss", fixed.pwrss, want.pwrss, Tolerance::relative(1e-9));
        checks.check("log|X'V⁻¹X|", fixed.log_det_xx, want.log_det_x, Tolerance::both(1e-11, 1e-11));
        checks.vector("beta", &beta, &want.beta, Tolerance::of_largest(1e-9));
        checks.matrix("Cov(beta)", &(xx_inverse * want.sigma2), &want.cov_beta, Tolerance::of_largest(1e-9));
        compare_effects(&case, &equations, &fixed, &want, &mut checks);
        checks.finish();
    }
}

/// b, conditional and prediction covariances of every group.
fn compare_effects(
    case: &Case,
    equations: &SparseEquations<'_>,
    fixed: &FixedEffects,
    want: &Solution,
    checks: &mut Checks,
) {
    let (maps, gamma) = (case.model.effect_maps(), fixed.residual(case.model.totals().m));
    let b_all: Vec<f64> = want.b.iter().flat_map(|b| b.transpose().as_slice().to_vec()).collect();
    let conditional: Vec<_> = equations.shards.iter().map(SparseShard::conditional_covariances).collect();
    let shards = || equations.shards.iter();
    let prediction: Vec<_> = shards().zip(&conditional).map(|(s, c)| s.prediction_covariances(c, fixed)).collect();
    let b: Vec<_> = shards().map(|shard| shard.effects(&gamma)).collect();
    case.each_group(|name, shard, k, group, at| {
        let (map, r) = (&maps[k], at.len());
        let pick = |of: &DMatrix<f64>| DMatrix::from_fn(r, r, |i, j| of[(at[i], at[j])]);
        let given = |of: &[Vec<f64>]| map * block(&of[k], group, r) * map.transpose() * want.sigma2;
        let effects = map * DVector::from_column_slice(&b[shard][k][group * r..(group + 1) * r]);
        let expected = DVector::from_fn(r, |i, _| b_all[at[i]]);
        checks.vector(&format!("b of {name}"), &effects, &expected, Tolerance::both(1e-8, 1e-9));
        let close = Tolerance::of_largest(1e-8);
        checks.matrix("conditional covariance", &given(&conditional[shard]), &pick(&want.conditional), close);
        checks.matrix("prediction error", &given(&prediction[shard]), &pick(&want.prediction), close);
    });
}

#[test]
fn the_textbook_form_agrees_wherever_it_exists() {
    for case in cases(0..200) {
        let (model, want) = (&case.model, case.solution());
        let mut checks = Checks::new(&case.name);
        let henderson = Henderson::new(forest(model), &case.factors(&case.raw), &model.x()).expect("G has an inverse");
        let solution = henderson.solve();
        let inverse = henderson.inverse();
        let (q, p) = (henderson.q(), model.p());
        let (beta, covariance) = model.unshift(&solution.beta, &inverse.view((q, q), (p, p)).clone_owned());
        checks.vector("beta", &beta, &want.beta, Tolerance::of_largest(1e-8));
        checks.matrix("Cov(beta)", &(covariance * want.sigma2), &want.cov_beta, Tolerance::of_largest(1e-8));
        let maps = model.effect_maps();
        let b_all: Vec<f64> = want.b.iter().flat_map(|b| b.transpose().as_slice().to_vec()).collect();
        case.each_group(|name, shard, k, group, at| {
            let (map, r) = (&maps[k], at.len());
            let effects = map * DVector::from_column_slice(&solution.b[shard][k][group * r..(group + 1) * r]);
            let expected = DVector::from_fn(r, |i, _| b_all[at[i]]);
            checks.vector(&format!("b of {name}"), &effects, &expected, Tolerance::both(1e-8, 1e-8));
            let first = henderson.unknown(shard, k, group, 0);
            let error = map * inverse.view((first, first), (r, r)) * map.transpose() * want.sigma2;
            let expected = DMatrix::from_fn(r, r, |i, j| want.prediction[(at[i], at[j])]);
            checks.matrix("prediction error", &error, &expected, Tolerance::of_largest(1e-8));
        });
        checks.finish();
    }
}

#[test]
fn the_textbook_form_is_an_error_where_it_does_not_exist() {
    for case in cases(0..24) {
        let zero = vec![0.0; case.raw.len()];
        let error = Henderson::new(forest(&case.model), &case.factors(&zero), &case.model.x()).err();
        let level = case.model.levels()[0].name.clone();
        assert_eq!(error, Some(EquationsError::SingularCovariance { level, effect: 0 }), "{}", case.name);
    }
    // A correlation of one: the second effect adds nothing to the first.
    let case = cases(4..100).find(|c| c.sample.levels[0].terms[0].len() == 2).expect("a slope");
    let mut factors = case.factors(&case.raw);
    factors[0] = DMatrix::from_row_slice(2, 2, &[1.0, 0.0, 0.7, 0.0]);
    let error = Henderson::new(forest(&case.model), &factors, &case.model.x()).expect_err("singular");
    assert!(matches!(error, EquationsError::SingularCovariance { effect: 1, .. }), "{error}");
}

#[test]
fn zero_variances_give_least_squares() {
    for case in cases(0..12) {
        let model = &case.model;
        let mut equations = SparseEquations::new(forest(model)).expect("small");
        let fresh = equations.sums();
        equations.factor(&case.factors(&vec![0.0; case.raw.len()])).expect("the identity");
        let sums = equations.sums();
        assert_eq!(sums, fresh, "a new shard stands at zero");
        assert_eq!((sums.log_det, sums.downdate.to_dense().iter().all(|&v| v == 0.0)), (0.0, true), "{}", case.name);
        let fixed = equations.fixed_effects(&model.x()).expect("independent columns");
        for shard in &equations.shards {
            let conditional = shard.conditional_covariances();
            let prediction = shard.prediction_covariances(&conditional, &fixed);
            let b = shard.effects(&fixed.residual(model.totals().m));
            assert!([conditional, prediction, b].iter().flatten().flatten().all(|&v| v == 0.0), "{}", case.name);
        }
    }
}

#[test]
fn factoring_again_keeps_no_state() {
    for case in cases(0..24) {
        let forest = forest(&case.model);
        let mut used = SparseEquations::new(forest).expect("small");
        let bad = case.factors(&case.raw).iter().map(|l| l * f64::NAN).collect::<Vec<_>>();
        for seed in 0..4 {
            let factors = case.factors(&case.sample.theta_near_truth(seed));
            // Neither other values nor a failure leave any state.
            assert!(used.factor(&bad).is_err());
            used.factor(&factors).expect("positive definite");
            let mut fresh = SparseEquations::new(forest).expect("small");
            fresh.factor(&factors).expect("positive definite");
            assert_eq!(used.sums(), fresh.sums(), "{}", case.name);
            for (used, fresh) in used.shards.iter().zip(&fresh.shards) {
                assert_eq!(used.conditional_covariances(), fresh.conditional_covariances(), "{}", case.name);
            }
        }
    }
}

#[test]
fn the_selected_inverse_is_the_inverse() {
    for case in cases(0..24) {
        let mut equations = SparseEquations::new(forest(&case.model)).expect("small");
        let factors = case.factors(&case.raw);
        equations.factor(&factors).expect("positive definite");
        let mut checks = Checks::new(&case.name);
        for shard in &equations.shards {
            let inverse = whole(shard).try_inverse().expect("positive definite");
            for (k, covariances) in shard.conditional_covariances().iter().enumerate() {
                let (l, r) = (&factors[k], factors[k].nrows());
                for group in 0..covariances.len() / (r * r) {
                    let at = shard.unknown(k, group);
                    let want = l * inverse.view((at, at), (r, r)) * l.transpose();
                    checks.matrix("block", &block(covariances, group, r), &want, Tolerance::of_largest(1e-11));
                }
            }
        }
        checks.finish();
    }
}

#[test]
fn a_pivot_that_is_not_finite_names_level_group_and_effect() {
    let case = cases(0..100).find(|c| c.sample.levels.len() == 3 && c.sample.levels[1].terms[0].len() > 1);
    let case = case.expect("three levels with a slope at the second");
    let forest = forest(&case.model);
    let mut factors = case.factors(&case.raw);
    factors[1][(1, 1)] = f64::NAN;
    let first = forest.trees.iter().position(|tree| tree.levels[1].groups > 0).expect("groups");
    let mut shard = SparseShard::new(forest, first).expect("small");
    let error = shard.factor(&factors).expect_err("not a number");
    let EquationsError::Pivot { place, value } = &error else { panic!("{error}") };
    assert!(value.is_nan());
    assert_eq!((place.level, place.shard, place.group), (1, first, 0));
    assert!(error.to_string().contains(&forest.levels[1].name), "{error}");
    let words = place.describe(&case.model.recipe, case.model.structure());
    let label = case.model.structure().group_name(1, GroupPlace { shard: first, group: 0 });
    assert!(words.ends_with(&format!("of {} {}", forest.levels[1].name, label)), "{words}");
    // Infinite values and an overflow in A are errors, too.
    factors[1][(1, 1)] = 1e200;
    assert!(matches!(shard.factor(&factors), Err(EquationsError::Pivot { .. })));
}

#[test]
fn every_unknown_has_its_position() {
    for case in cases(0..24) {
        let equations = SparseEquations::new(forest(&case.model)).expect("small");
        for (s, shard) in equations.shards.iter().enumerate() {
            for unknown in 0..shard.unknowns() {
                let place = shard.place(unknown);
                assert_eq!(place.shard, s);
                assert_eq!(shard.unknown(place.level, place.group) + place.effect, unknown);
            }
        }
    }
}

#[test]
fn shards_may_share_one_scratch() {
    let case = cases(3..40).next().expect("a case");
    let mut scratch = SparseScratch::default();
    let mut equations = SparseEquations::new(forest(&case.model)).expect("small");
    let factors = case.factors(&case.raw);
    equations.factor(&factors).expect("positive definite");
    for shard in &equations.shards {
        assert_eq!(shard.sums(&mut scratch), shard.sums(&mut SparseScratch::default()));
    }
}

#[test]
fn a_model_may_have_no_fixed_effects() {
    let sample = simulate_nested(5, &Shape::any(5));
    let (table, formula) = table_of(&sample);
    let formula = formula.replace("1 + c1 + c2 +", "0 +");
    let (model, _) = model(&table, &formula, sample.weights.as_ref().map(|_| "w")).expect("a model");
    let problem = oracle::Problem { x: DMatrix::zeros(sample.n(), 0), ..sample.problem() };
    let case = Case { name: formula, raw: sample.theta_near_truth(5), sample, model };
    let want = problem.solve(&case.raw, oracle::Method::Ml);
    let mut equations = SparseEquations::new(forest(&case.model)).expect("small");
    equations.factor(&case.factors(&case.raw)).expect("positive definite");
    let fixed = equations.fixed_effects(&case.model.x()).expect("nothing to solve");
    let mut checks = Checks::new(&case.name);
    checks.equal("p", fixed.beta.len(), 0);
    checks.check("pwrss", fixed.pwrss, want.pwrss, Tolerance::relative(1e-9));
    compare_effects(&case, &equations, &fixed, &want, &mut checks);
    checks.finish();
}
