//! Writes the simulated smoking-prevention study as CSV.
//!
//! ```text
//! cargo run -p tiers-testkit --example write_smoking -- datasets/smoking_simulated/smoking_simulated.csv
//! ```

/// The seed of the study in `datasets/smoking_simulated`.
const SEED: u64 = 20_250_627;

fn main() {
    let path = std::env::args().nth(1).expect("the path of the file to write");
    let csv = tiers_testkit::smoking_prevention(SEED).to_csv();
    std::fs::write(&path, csv).unwrap_or_else(|e| panic!("{path}: {e}"));
}
