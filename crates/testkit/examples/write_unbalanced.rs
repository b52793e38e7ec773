//! Writes the small unbalanced nest in `datasets/unbalanced_simulated` as CSV. It has groups of one row,
//! a random slope at the coarser level, and weights.
//!
//! ```text
//! cargo run -p tiers-testkit --example write_unbalanced -- FILE [SEED]
//! ```

use std::fmt::Write as _;
use tiers_testkit::{Shape, simulate_nested};

fn main() {
    let mut args = std::env::args().skip(1);
    let path = args.next().expect("the path of the file to write");
    let seed = args.next().map_or(12, |s| s.parse().expect("a seed"));
    let shape =
        Shape { levels: 2, top_groups: 16, most: 5, slopes: 1, uncorrelated: false, weights: true, shuffled: true };
    let s = simulate_nested(seed, &shape);
    let mut text = String::from("y,x1,x2,w,top,mid\n");
    for i in 0..s.n() {
        let round = |v: f64| (v * 1e4).round() / 1e4;
        let (y, x1, x2) = (round(s.y[i]), round(s.columns[1][i]), round(s.columns[2][i]));
        let w = round(s.weights.as_ref().expect("weights")[i]);
        let (mid, top) = (s.levels[0].group[i] + 1, s.levels[1].group[i] + 1);
        writeln!(text, "{y:?},{x1:?},{x2:?},{w:?},{top},{mid}").expect("a string");
    }
    std::fs::write(&path, text).unwrap_or_else(|e| panic!("{path}: {e}"));
}
