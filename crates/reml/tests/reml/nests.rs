//! Nests found from the data, columns dropped from X, and first blocks with too little information.

use crate::common::{fit, same_fit};
use tiers_reml::{Fit, Method};
use tiers_testdata::{Memory, Random, Values};
use tiers_testkit::Checks;

/// Districts of schools of classes, all ids unique; a factor with a rare level in the last rows.
fn districts() -> Memory {
    let mut random = Random(8);
    let (mut y, mut x, mut z) = (Vec::new(), Vec::new(), Vec::new());
    let [mut district, mut school, mut class] = [const { Vec::new() }; 3];
    let mut kind = Vec::new();
    for d in 0..6i64 {
        let of_district = random.normal();
        for s in 0..4 {
            let of_school = random.normal();
            for c in 0..3 {
                let of_class = 0.8 * random.normal();
                for i in 0..4 {
                    let (v, w) = (random.normal(), random.normal());
                    y.push(1.0 + of_district + of_school + of_class + 0.5 * v + random.normal());
                    x.push(v);
                    z.push(w);
                    district.push(d);
                    school.push(10 * d + s);
                    class.push(100 * d + 10 * s + c);
                    kind.push(
                        if d == 5 && i == 2 {
                            "rare"
                        } else if i % 2 == 0 {
                            "base"
                        } else {
                            "other"
                        }
                        .to_owned(),
                    );
                }
            }
        }
    }
    Memory::new(vec![
        ("y", Values::Numbers(y)),
        ("x", Values::Numbers(x)),
        ("z", Values::Numbers(z)),
        ("district", Values::Ids(district)),
        ("school", Values::Ids(school)),
        ("class", Values::Ids(class)),
        ("kind", Values::Texts(kind)),
    ])
}

fn fitted(table: &Memory, formula: &str) -> Fit {
    fit(table, formula, None, Method::Reml).unwrap_or_else(|e| panic!("{formula}: {e}")).fit
}

fn same(context: &str, got: &Fit, want: &Fit) {
    let mut checks = Checks::new(context);
    let renamed =
        got.levels.iter().zip(&want.levels).map(|(g, w)| tiers_reml::LevelSize { name: w.name.clone(), ..g.clone() });
    let levels = renamed.collect();
    let mut got = got.clone();
    got.levels = levels;
    same_fit(&mut checks, &got, want);
    checks.finish();
}

#[test]
fn the_order_of_terms_and_factors_does_not_matter() {
    let table = districts();
    let want = fitted(&table, "y ~ x + (1 | district/school/class)");
    assert_eq!(want.levels.iter().map(|l| l.groups).collect::<Vec<_>>(), [6, 24, 72]);
    assert_eq!(want.levels[2].name, "district:school:class");
    for formula in [
        // Found from the data, since the ids are unique.
        "y ~ x + (1 | district) + (1 | school) + (1 | class)",
        "y ~ x + (1 | class) + (1 | district) + (1 | school)",
        "y ~ x + (1 | district) + (1 | school/class)",
        "y ~ x + (1 | class:school) + (1 | school) + (1 | district)",
        // Explicit interactions in any order of their factors.
        "y ~ x + (1 | class:school:district) + (1 | school:district) + (1 | district)",
    ] {
        same(formula, &fitted(&table, formula), &want);
        let shuffled = table.permuted(&Random(1).order(table.rows())).in_blocks_of(17);
        same(&format!("shuffled: {formula}"), &fitted(&shuffled, formula), &want);
    }
}

#[test]
fn nested_factors_in_reversed_order_are_reported_as_the_same_groups() {
    // class/school is class + class:school: with unique ids the same groups, which is an error.
    let error = fit(&districts(), "y ~ x + (1 | class/school)", None, Method::Reml).expect_err("the same groups");
    assert!(error.to_string().contains("same 72 groups"), "{error}");
}

#[test]
fn several_terms_share_the_groups_of_one_factor() {
    let table = districts();
    let apart = fitted(&table, "y ~ x + (1 | school) + (0 + x | school) + (1 | district)");
    let bars = fitted(&table, "y ~ x + (x || school) + (1 | district)");
    same("(x || school)", &apart, &bars);
    assert_eq!(apart.levels.len(), 2);
    assert_eq!(apart.variance_components.iter().map(|v| v.terms.len()).collect::<Vec<_>>(), [1, 1, 1]);
    let three = fitted(&table, "y ~ x + (1 | district) + (0 + z | school) + (0 + x | school) + (1 | school)");
    let order: Vec<_> = three.variance_components.iter().map(|v| (v.level.as_str(), v.terms[0].as_str())).collect();
    assert_eq!(order, [("school", "z"), ("school", "x"), ("school", "(Intercept)"), ("district", "(Intercept)")]);
}

#[test]
fn columns_that_others_determine_are_dropped_as_in_r() {
    let table = districts();
    let sum = table.numbers("x").iter().zip(table.numbers("z")).map(|(x, z)| 2.0 * x - z + 5.0).collect();
    let table = table.with("sum", Values::Numbers(sum)).with("five", Values::Numbers(vec![5.0; table.rows()]));
    let want = fitted(&table, "y ~ x + z + (1 | school) + (1 | district)");
    // R drops the later ones.
    for (formula, dropped) in [
        ("y ~ x + z + sum + (1 | school) + (1 | district)", vec!["sum"]),
        ("y ~ five + x + z + sum + (1 | school) + (1 | district)", vec!["five", "sum"]),
        ("y ~ x + z + I(1000 * x) + (1 | school) + (1 | district)", vec!["I(1000 * x)"]),
    ] {
        for rows in [7, 1 << 15] {
            let got = fitted(&table.in_blocks_of(rows), formula);
            assert_eq!(got.dropped_columns, dropped, "{formula}, blocks of {rows}");
            same(formula, &got, &want);
            assert_eq!(got.n_parameters, want.n_parameters);
        }
    }
    // Far from zero and in other units it is still the same column.
    let far = table.map("x", |v| v + 1e4).map("sum", |v| v + 2e4);
    assert_eq!(fitted(&far, "y ~ x + z + sum + (1 | school)").dropped_columns, ["sum"]);
    // A column that is only nearly the same is kept.
    let mut random = Random(4);
    let noise: Vec<f64> = table.numbers("x").iter().map(|x| x + 1e-4 * random.normal()).collect();
    let near = table.with("near", Values::Numbers(noise));
    assert!(fitted(&near, "y ~ x + near + (1 | school)").dropped_columns.is_empty());
}

#[test]
fn a_level_that_first_appears_in_a_late_block() {
    let table = districts();
    let want = fitted(&table, "y ~ x + kind + (1 | school) + (1 | district)");
    let terms: Vec<_> = want.fixed_effects.iter().map(|e| e.term.as_str()).collect();
    assert_eq!(terms, ["(Intercept)", "x", "kindother", "kindrare"]);
    for rows in [1, 5, 64, 287] {
        let got = fitted(&table.in_blocks_of(rows), "y ~ x + kind + (1 | school) + (1 | district)");
        assert_eq!(got.fixed_effects.iter().map(|e| e.term.as_str()).collect::<Vec<_>>(), terms);
        same(&format!("blocks of {rows}"), &got, &want);
    }
}

#[test]
fn a_first_block_without_a_complete_row_leaves_the_fit_as_accurate() {
    // Shifts are taken from the first complete rows, which the first block does not have.
    let table = districts();
    let rows = table.rows();
    let far = |name: &str, by: f64| -> Vec<f64> {
        table.numbers(name).iter().map(|v| (v * 1048576.0).round() / 1048576.0 + by).collect()
    };
    let missing =
        |values: Vec<f64>| values.into_iter().enumerate().map(|(i, v)| if i < 24 { f64::NAN } else { v }).collect();
    let table = table
        .with("x", Values::Numbers(far("x", 1e6)))
        .with("y", Values::Numbers(far("y", 1e6)))
        .with("z", Values::Numbers(missing(table.numbers("z").to_vec())));
    let formula = "y ~ x + z + (1 + x | school) + (1 | district)";
    let want = fitted(&table, formula);
    assert_eq!((want.n_obs, want.n_dropped), (rows as u64 - 24, 24));
    for block_rows in [24, 12, 6] {
        let got = fitted(&table.in_blocks_of(block_rows), formula);
        assert_eq!((got.n_dropped, got.missing.clone()), (24, vec![("z".to_owned(), 24)]));
        same(&format!("blocks of {block_rows}"), &got, &want);
    }
}
