//! From plain columns to sums: the kernel of X'WX, encoding, and the sums of a block of rows.
//!
//! ```text
//! cargo bench -p tiers-moments --bench sums
//! ```
//!
//! The columns are those of the benchmarks of the whole program: six covariates, of which one is a
//! factor of four levels, so that C has m = 10 columns.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use tiers_design::{
    BLOCK_ROWS, Block, Column, Dictionary, Encoder, Field, Formula, Kind, Labels, Plan, Recipe, Role, Settings,
};
use tiers_moments::{BlockSums, CHUNK, Cross, Summands, padded};

const FORMULA: &str = "score ~ pretest + ses + female + minority + treat + class_size + (1 | school/class)";

fn main() {
    divan::main();
}

/// Rows per second of the kernel, in chunks as the callers have them.
#[divan::bench(args = [4, 8, 10, 16, 24])]
fn cross_add(bencher: Bencher, m: usize) {
    const CHUNKS: usize = 256;
    let width = padded(m);
    let mut random = Uniform(1);
    let rows: Vec<f64> = (0..CHUNK * width).map(|at| if at % width < m { random.next() } else { 0.0 }).collect();
    let mut cross = Cross::new(m);
    bencher.counter(ItemsCount::new(CHUNK * CHUNKS)).bench_local(|| {
        for _ in 0..CHUNKS {
            cross.add(black_box(&rows), black_box(&rows));
        }
    });
}

/// Rows per second from plain columns to C and codes.
#[divan::bench(args = [true, false])]
fn encode(bencher: Bencher, sorted: bool) {
    let (recipe, block) = students(sorted);
    let encoder = Encoder::new(&recipe);
    bencher.counter(ItemsCount::new(BLOCK_ROWS)).bench_local(|| encoder.encode(black_box(&block)));
}

/// Rows per second from encoded rows to sums by run of equal labels.
#[divan::bench(args = [true, false])]
fn block_sums(bencher: Bencher, sorted: bool) {
    let (recipe, block) = students(sorted);
    let rows = Encoder::new(&recipe).encode(&block).expect("clean rows");
    let summands = Summands::new(&recipe, vec![0]);
    let bencher = bencher.counter(ItemsCount::new(BLOCK_ROWS)).with_inputs(|| rows.clone());
    bencher.bench_local_values(|rows| BlockSums::of(&summands, rows));
}

/// A small generator of uniform numbers in [0, 1): splitmix64.
struct Uniform(u64);

impl Uniform {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// A full block of students: classes of 22 in schools of 14 classes, one after the other or in
/// random order.
fn students(sorted: bool) -> (Recipe, Block) {
    let mut random = Uniform(2);
    let mut place: Vec<usize> = (0..BLOCK_ROWS).collect();
    if !sorted {
        (1..BLOCK_ROWS).rev().for_each(|i| place.swap(i, (random.next() * (i + 1) as f64) as usize));
    }
    let labels = |name: fn(usize) -> String, group: fn(usize) -> usize| {
        let groups = (0..BLOCK_ROWS).map(group).max().unwrap_or(0) + 1;
        let dictionary = Dictionary::Text((0..groups).map(name).collect::<Vec<_>>().iter().collect());
        Column::Labels(Labels { codes: place.iter().map(|&row| group(row) as u32).collect(), dictionary })
    };
    let school = labels(|g| format!("S{g:06}"), |row| row / 22 / 14);
    let class = labels(|g| format!("C{g:02}"), |row| row / 22 % 14);
    let minority = labels(|g| ["A", "B", "C", "D"][g].to_owned(), |row| row % 4);
    let field = |name: &str| {
        let text = ["school", "class", "minority"].contains(&name);
        Field::new(name, if text { Kind::Text } else { Kind::Float })
    };
    let names = ["score", "pretest", "ses", "female", "minority", "treat", "class_size", "school", "class"];
    let fields = names.map(field);
    let formula: Formula = FORMULA.parse().expect("a formula");
    let plan = Plan::new(&formula, &fields, &Settings::default()).expect("a plan");
    let mut column = |name: &str| match name {
        "school" => school.clone(),
        "class" => class.clone(),
        "minority" => minority.clone(),
        _ => Column::Numbers((0..BLOCK_ROWS).map(|_| random.next()).collect()),
    };
    let columns = plan.requests().iter().map(|request| column(&request.column)).collect();
    debug_assert!(plan.requests().iter().all(|r| (r.role == Role::Label) == (field(&r.column).kind == Kind::Text)));
    let block = Block { first_row: 0, rows: BLOCK_ROWS, columns };
    (plan.freeze(&block, None).expect("a recipe"), block)
}
