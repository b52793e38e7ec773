//! A forest of synthetic students in classes in schools, for benchmarks and examples.
//!
//! Classes have 10 to 35 students and schools 14 classes, as in the benchmarks of the whole program;
//! C has [`M`] columns: a constant, covariates and y.

use tiers_moments::{CHUNK, Cross, Forest, Level, RowSource, Tree, TreeLevel, padded};

/// Number of columns of C.
pub(crate) const M: usize = 10;
/// Number of shards of the forest.
pub(crate) const SHARDS: usize = 64;

/// A small generator of uniform numbers in [-1, 1): splitmix64.
struct Uniform(u64);

impl Uniform {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn next(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }
}

/// Returns the levels: classes with random intercepts (and slopes of column 1), schools with intercepts.
fn levels(effects: usize, classes: usize, schools: usize) -> Vec<Level> {
    let level = |name: &str, grouping, groups, r: usize, source: Vec<RowSource>| Level {
        name: name.to_owned(),
        grouping,
        keys: Vec::new(),
        groups,
        z: (0..r).collect(),
        terms: vec![(grouping, 0)],
        source,
    };
    let stored = (0..effects).map(RowSource::Stored).collect();
    vec![level("school:class", 0, classes, effects, stored), level("school", 1, schools, 1, vec![RowSource::Sum(0, 0)])]
}

/// Returns the moments of synthetic students in `classes` classes, with an intercept and `effects - 1`
/// slopes per class.
pub(crate) fn forest(classes: usize, effects: usize) -> Forest {
    let schools = classes * 31 / 444;
    let (mut random, mut cross, mut n) = (Uniform(1), Cross::new(M), 0);
    let mut trees = Vec::new();
    for shard in 0..SHARDS {
        let share = |of: usize| of * (shard + 1) / SHARDS - of * shard / SHARDS;
        let (classes, schools) = (share(classes), share(schools));
        let mut class = TreeLevel { groups: classes, ..TreeLevel::default() };
        for at in 0..classes {
            class.parent.push((at * schools / classes) as u32);
            let rows = 10 + (random.bits() % 26) as usize;
            class.moments.extend(class_moments(rows, effects, &mut random, &mut cross));
            n += rows as u64;
        }
        let school = TreeLevel { groups: schools, ..TreeLevel::default() };
        trees.push(Tree { levels: vec![class, school], labels: Vec::new() });
    }
    Forest {
        m: M,
        levels: levels(effects, classes, schools),
        trees,
        labels: Vec::new(),
        cross: cross.to_dense(),
        rows: n,
        sum_log_weights: 0.0,
    }
}

/// Returns `z'C` of one class, and adds its rows to `C'C`.
fn class_moments(rows: usize, effects: usize, random: &mut Uniform, cross: &mut Cross) -> Vec<f64> {
    let width = padded(M);
    let (mut out, mut c) = (vec![0.0; effects * M], vec![0.0; CHUNK * width]);
    let effect = random.next();
    for row in c.chunks_exact_mut(width).take(rows) {
        row[0] = 1.0;
        (1..M).for_each(|j| row[j] = random.next());
        row[M - 1] += effect + row[1..M - 1].iter().sum::<f64>();
        for (z, out) in out.chunks_exact_mut(M).enumerate() {
            let factor = row[z];
            out.iter_mut().zip(&*row).for_each(|(o, v)| *o += factor * v);
        }
    }
    cross.add(&c[..rows * width], &c[..rows * width]);
    out
}
