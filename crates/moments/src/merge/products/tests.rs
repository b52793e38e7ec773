//! Tests that sums which cannot be cross-products are refused.

use super::*;
use crate::merge::{DefinedColumn, Definition};
use tiers_design::{Field, Kind};

/// Definition of `y ~ x * f + (1 | g)`, where f is a factor with three levels.
fn definition(shift: f64) -> Definition {
    let field = |name: &str, kind| Field::new(name, kind);
    let column = |name: &str| DefinedColumn {
        name: name.to_owned(),
        shift: if name == "x" || name == "y" { shift } else { 0.0 },
    };
    Definition {
        formula: "y ~ x * f + (1 | g)".to_owned(),
        generalised: false,
        weights: None,
        reference: [].into(),
        fields: vec![
            field("y", Kind::Float),
            field("x", Kind::Float),
            field("f", Kind::Text),
            field("g", Kind::Integer),
        ],
        levels: [("f".to_owned(), ["a", "b", "c"].map(str::to_owned).to_vec())].into(),
        columns: ["1", "x", "fb", "fc", "x:fb", "x:fc", "y"].map(column).to_vec(),
    }
}

fn totals(shift: f64) -> Totals {
    let mut cross = vec![0.0; 49];
    for i in 0..30_usize {
        let x = (i * 7 % 11) as f64 * 0.37;
        let [b, c] = [1, 2].map(|level| f64::from(u8::from(i % 3 == level)));
        let y = 2.0 + x - b + (i as f64).sin();
        let row = [1.0, x - shift, b, c, x * b, x * c, y - shift];
        for (j, one) in row.iter().enumerate() {
            row.iter().enumerate().for_each(|(k, other)| cross[j * 7 + k] += one * other);
        }
    }
    Totals { rows: 30, sum_log_weights: 0.0, cross }
}

/// Returns the error for totals with these entries changed.
fn message(shift: f64, changes: &[(usize, usize, f64)]) -> Option<String> {
    let recipe = definition(shift).recipe().expect("a recipe");
    let mut totals = totals(shift);
    for &(i, j, value) in changes {
        (totals.cross[i * 7 + j], totals.cross[j * 7 + i]) = (value, value);
    }
    totals.check_products(&recipe).err().map(|error| error.to_string())
}

#[test]
fn sums_over_rows_are_products() {
    for shift in [0.0, 1.25, 1e4] {
        assert_eq!(message(shift, &[]), None, "shift {shift}");
    }
    let recipe = definition(0.0).recipe().expect("a recipe");
    let none = Totals { rows: 0, sum_log_weights: 0.0, cross: vec![0.0; 49] };
    assert_eq!(none.check_products(&recipe), Ok(()));
}

#[test]
fn impossible_totals_are_errors() {
    let check = |changes: &[(usize, usize, f64)], words: &str| {
        let message = message(1.25, changes).expect("an error");
        assert!(message.contains(words), "`{words}` is not in: {message}");
    };
    check(&[(1, 1, -1.0)], "the sum of squares of `x` is -1 (did integers overflow?");
    // Far more than the Cauchy-Schwarz bound.
    check(&[(1, 6, 1e6)], "`x` and `y` is 1000000, but their squares allow");
    // Levels that exclude each other, with a product that their squares would allow.
    check(&[(2, 3, 5.0)], "`fb` and `fc` is 5, but they are never both");
    check(&[(0, 0, 31.0)], "the constant sums to 31 over 30 rows");
    check(&[(0, 2, 9.0)], "`fb` must be 1 on the rows of its level");
    check(&[(0, 4, 3.0)], "`x:fb` must be the product of values as they are in the table");
    check(&[(2, 2, 9.5), (0, 2, 9.5)], "counts rows");
}

/// The mistake of a query that computes an interaction from shifted columns.
#[test]
fn products_of_shifted_columns_are_errors() {
    let (x, z) = ([0.5, 2.0, 3.5, 1.0, 4.0, 2.5], [1.0, 3.0, 2.0, 5.0, 4.0, 7.0]);
    let definition = |shift: f64| Definition {
        formula: "y ~ x * z + (1 | g)".to_owned(),
        fields: [("y", Kind::Float), ("x", Kind::Float), ("z", Kind::Float), ("g", Kind::Integer)]
            .map(|(name, kind)| Field::new(name, kind))
            .to_vec(),
        levels: [].into(),
        columns: [("1", 0.0), ("x", 0.0), ("z", shift), ("x:z", 0.0), ("y", 0.0)]
            .map(|(name, shift)| DefinedColumn { name: name.to_owned(), shift })
            .to_vec(),
        ..definition(0.0)
    };
    let totals = |shift: f64, inside: f64| {
        let mut cross = vec![0.0; 25];
        for (x, z) in x.iter().zip(&z) {
            let row = [1.0, *x, z - shift, x * (z - inside), x + z * z];
            for (j, one) in row.iter().enumerate() {
                row.iter().enumerate().for_each(|(k, other)| cross[j * 5 + k] += one * other);
            }
        }
        Totals { rows: 6, sum_log_weights: 0.0, cross }
    };
    let recipe = definition(3.5).recipe().expect("a recipe");
    assert_eq!(totals(3.5, 0.0).check_products(&recipe), Ok(()));
    let message = totals(3.5, 3.5).check_products(&recipe).expect_err("shifted inside").to_string();
    assert!(message.contains("`x:z` must be the product of values") && message.contains("never inside"), "{message}");
}

/// A part that lacks a level, summed with the shifts of another part.
#[test]
fn shifted_columns_that_are_all_zero_pass_the_check() {
    let mut definition = definition(0.0);
    definition.columns[4].shift = 1.37;
    let recipe = definition.recipe().expect("a recipe");
    let mut cross = vec![0.0; 49];
    for i in 0..30_usize {
        let (x, c) = ((i * 7 % 11) as f64 * 0.37, f64::from(u8::from(i % 3 == 2)));
        let row = [1.0, x, 0.0, c, -1.37, x * c, x + (i as f64).sin()];
        for (j, one) in row.iter().enumerate() {
            row.iter().enumerate().for_each(|(k, other)| cross[j * 7 + k] += one * other);
        }
    }
    let totals = Totals { rows: 30, sum_log_weights: 0.0, cross };
    assert_eq!(totals.check_products(&recipe), Ok(()));
}

#[test]
fn totals_must_be_positive_semidefinite() {
    // Each pair of the three columns is possible, but not all three together.
    let recipe = Definition {
        formula: "y ~ 0 + x + z + (0 + x | g)".to_owned(),
        fields: ["y", "x", "z", "g"].map(|name| Field::new(name, Kind::Float)).to_vec(),
        levels: [].into(),
        columns: ["x", "z", "y"].map(|name| DefinedColumn { name: name.to_owned(), shift: 0.0 }).to_vec(),
        ..definition(0.0)
    };
    let mut recipe = recipe;
    recipe.fields[3].kind = Kind::Integer;
    let recipe = recipe.recipe().expect("a recipe");
    let of = |last: f64| Totals {
        rows: 9,
        sum_log_weights: 0.0,
        cross: vec![4.0, 3.8, 3.8, 3.8, 4.0, last, 3.8, last, 4.0],
    };
    assert_eq!(of(3.5).check_products(&recipe), Ok(()));
    let message = of(3.0).check_products(&recipe).expect_err("indefinite").to_string();
    assert!(message.contains("positive semidefinite") && message.contains("`y`"), "{message}");
}

#[test]
fn cells_are_bounded_by_their_squares() {
    let recipe = definition(0.0).recipe().expect("a recipe");
    let totals = totals(0.0);
    let cell = |change: Option<(usize, f64)>| {
        let mut cells = Cells::none(&[true]);
        cells.rows = vec![10];
        cells.sums = vec![10.0, 12.0, 3.0, 3.0, 4.0, 4.0, 30.0];
        change.iter().for_each(|&(place, value)| cells.sums[place] = value);
        cells.check(&recipe, &totals, 4)
    };
    assert_eq!(cell(None), Ok(()));
    let message = cell(Some((0, 9.0))).expect_err("not its rows").to_string();
    assert!(message.contains("cell 5") && message.contains("`1*1`"), "{message}");
    let message = cell(Some((6, 1e4))).expect_err("too large").to_string();
    assert!(message.contains("`1*y`"), "{message}");
}
