//! The sparse matrix Z, for inspection.

use tiers_design::{Encoder, Formula, Plan, Settings, Source, z_matrix};
use tiers_testdata::table_of;
use tiers_testkit::{Shape, simulate_nested};

#[test]
fn columns_of_z_are_named_and_give_the_users_values() {
    let sample = simulate_nested(6, &Shape { levels: 2, slopes: 1, weights: false, ..Shape::any(6) });
    let (table, formula) = table_of(&sample);
    let formula: Formula = formula.parse().expect("a formula");
    let plan = Plan::new(&formula, table.fields(), &Settings::default()).expect("a plan");
    let scan = |requests| table.scan(requests).expect("a table in memory").map(|raw| raw.unwrap().decode().unwrap());
    let first = scan(plan.requests()).next().expect("a block");
    let recipe = plan.freeze(&first, None).expect("a recipe");
    assert!(recipe.columns.iter().any(|column| column.shift != 0.0), "a column is shifted");
    let encoder = Encoder::new(&recipe);
    let blocks: Vec<_> = scan(&recipe.requests).map(|block| encoder.encode(&block).expect("clean rows")).collect();
    let z = z_matrix(&recipe, &blocks);
    let dense = z.z.to_csc();
    for (j, column) in z.columns.iter().enumerate() {
        let level: usize = column.level[1..].parse().expect("levels are g0, g1, …");
        let group = column.group[0].parse::<usize>().expect("groups are numbers") - 100;
        let of_column = dense.outer_view(j).expect("a column");
        let rows: Vec<usize> = (0..sample.n()).filter(|&i| sample.levels[level].group[i] == group).collect();
        assert_eq!(of_column.indices(), rows, "{column:?}");
        let own = match column.effect.as_str() {
            "(Intercept)" => 0,
            name => name[1..].parse::<usize>().expect("columns are c1, c2, …"),
        };
        for (i, value) in of_column.iter() {
            assert!((value + column.shift - sample.columns[own][i]).abs() < 1e-14, "{column:?} row {i}");
        }
    }
}
