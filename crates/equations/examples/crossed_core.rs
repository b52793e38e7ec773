//! Times the equations of synthetic crossed designs: elapsed time, and CPU time of all threads on Linux.
//!
//! ```text
//! cargo run --release -p tiers-equations --example crossed_core -- insteval|ratings|items|anywhere
//! ```

use nalgebra::DMatrix;
use std::collections::BTreeMap;
use std::time::Instant;
use tiers_equations::{Covariances, CrossedPlan, CrossedScratch, CurvatureAt, Direction, Want};
use tiers_moments::{CoreFactor, CorePairs, Crossed, LeafShard, Level, RowSource};

/// Number of columns of C: the constant, three covariates and y.
const M: usize = 5;
const SHARDS: usize = 64;

/// Numbers that look random.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 ^ (self.0 >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd) >> 11
    }
    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
    fn unit(&mut self) -> f64 {
        self.next() as f64 / (1_u64 << 53) as f64
    }
}

/// Sums a design of random intercepts whose rows have these groups, the leaf first.
fn design(groups: &[usize], rows: impl Iterator<Item = Vec<usize>>) -> Crossed {
    let mut random = Random(7);
    let factors = groups.len();
    let mut first = vec![0; factors];
    (2..factors).for_each(|k| first[k] = first[k - 1] + groups[k - 1]);
    let mut moments: Vec<Vec<f64>> = groups.iter().map(|q| vec![0.0; q * M]).collect();
    let mut meetings: Vec<BTreeMap<u32, f64>> = vec![BTreeMap::new(); groups[0]];
    let mut pairs: Vec<BTreeMap<u32, f64>> = vec![BTreeMap::new(); groups[1..].iter().sum()];
    let (mut cross, mut n) = (vec![0.0; M * M], 0);
    for row in rows {
        let c = [1.0, random.unit(), random.unit(), random.unit(), random.unit() * 4.0];
        for (k, &g) in row.iter().enumerate() {
            moments[k][g * M..(g + 1) * M].iter_mut().zip(c).for_each(|(x, c)| *x += c);
        }
        for a in 1..factors {
            let effect = first[a] + row[a];
            *meetings[row[0]].entry(effect as u32).or_default() += 1.0;
            for b in a + 1..factors {
                *pairs[effect].entry((first[b] + row[b]) as u32).or_default() += 1.0;
            }
        }
        (0..M * M).for_each(|i| cross[i] += c[i / M] * c[i % M]);
        n += 1;
    }
    let mut leaf = vec![LeafShard { starts: vec![0], block_starts: vec![0], ..LeafShard::default() }; SHARDS];
    for (g, met) in meetings.iter().enumerate().filter(|(_, met)| !met.is_empty()) {
        let shard = &mut leaf[g % SHARDS];
        shard.groups += 1;
        shard.moments.extend_from_slice(&moments[0][g * M..(g + 1) * M]);
        for (&effect, &count) in met {
            shard.neighbours.push(effect);
            shard.blocks.push(count);
            shard.block_starts.push(shard.blocks.len());
        }
        shard.starts.push(shard.neighbours.len());
    }
    let mut core_pairs = CorePairs { starts: vec![0], block_starts: vec![0], ..CorePairs::default() };
    for partners in &pairs {
        for (&partner, &count) in partners {
            core_pairs.partners.push(partner);
            core_pairs.blocks.push(count);
            core_pairs.block_starts.push(core_pairs.blocks.len());
        }
        core_pairs.starts.push(core_pairs.partners.len());
    }
    let core = (1..factors).map(|k| CoreFactor {
        groups: groups[k],
        first: first[k],
        moments: moments[k].clone(),
        ..CoreFactor::default()
    });
    let level = |k: usize| Level {
        name: format!("factor {k}"),
        grouping: k,
        keys: vec![k],
        groups: groups[k],
        z: vec![0],
        terms: vec![(k, 0)],
        source: vec![RowSource::Stored(0)],
    };
    Crossed {
        m: M,
        levels: (0..factors).map(level).collect(),
        labels: Vec::new(),
        leaf,
        core: core.collect(),
        pairs: core_pairs,
        cross,
        rows: n,
        sum_log_weights: 0.0,
    }
}

fn named(name: &str) -> Crossed {
    let mut random = Random(3);
    match name {
        // Students, lecturers, departments: each student rates about 25 lecturers.
        "insteval" => {
            let rows = (0..73_421).map(|_| {
                let lecturer = random.below(1128);
                vec![random.below(2972), lecturer, (lecturer + random.below(2)) % 28]
            });
            design(&[2972, 1128, 28], rows)
        }
        "ratings" => design(
            &[3947, 1540, 20],
            (0..100_000).map(|_| {
                let lecturer = random.below(1540);
                vec![random.below(3947), lecturer, lecturer % 20]
            }),
        ),
        "items" => design(&[20_000, 50], (0..1_000_000).map(|i| vec![i / 50, i % 50])),
        // Pupils of four years, 5% of whom move to any other of the schools each year.
        "anywhere" => {
            let mut school = 0;
            design(
                &[25_000, 1480, 60],
                (0..100_000).map(move |i| {
                    if i % 4 == 0 || random.unit() < 0.05 {
                        school = random.below(60);
                    }
                    vec![i / 4, school * 24 + random.below(24), school]
                }),
            )
        }
        _ => panic!("unknown design {name}"),
    }
}

fn main() {
    let name = std::env::args().nth(1).unwrap_or_else(|| "insteval".to_owned());
    let design = named(&name);
    let start = now();
    let plan = CrossedPlan::new(&design);
    let mut scratch = CrossedScratch::new(&plan, &design);
    report(&format!("{name}: plan, {:?}", plan.cost(&design)), start);
    let at = |theta: f64| {
        Covariances::from_factors(design.levels.iter().map(|_| DMatrix::from_element(1, 1, theta)).collect())
    };
    for theta in [0.3, 0.4, 0.5] {
        let start = now();
        let sums = plan.evaluate(&design, &at(theta), Want::Value, &mut scratch);
        report(&format!("value at {theta}: {}", sums.log_det), start);
        let start = now();
        let sums = plan.evaluate(&design, &at(theta), Want::Derivatives, &mut scratch);
        report(&format!("derivatives at {theta}: {:?}", sums.derivatives[0].h), start);
    }
    let directions: Vec<Direction> = (0..design.levels.len()).map(|level| Direction { level, a: 0, b: 0 }).collect();
    let here = at(0.5);
    for with_products in [false, true] {
        let s_xx_inverse = [0.01; M * M];
        let point = CurvatureAt {
            g: here.by_level(),
            directions: &directions,
            residual: &[-1.0, 0.0, 0.0, 0.0, 1.0],
            s_xx_inverse: with_products.then_some(&s_xx_inverse[..]),
            with_products,
        };
        let start = now();
        let curvature = plan.curvature(&design, &here, &point, &mut scratch);
        report(&format!("curvature, products {with_products}: {:?}", &curvature.trace[..2]), start);
    }
}

#[allow(clippy::print_stdout)]
fn report(what: &str, (start, cpu): (Instant, f64)) {
    println!("{:9.2} ms {:9.2} ms CPU  {what}", start.elapsed().as_secs_f64() * 1e3, cpu_ms() - cpu);
}

fn now() -> (Instant, f64) {
    (Instant::now(), cpu_ms())
}

/// Returns the CPU time of all threads in milliseconds; NaN where the system does not report it.
fn cpu_ms() -> f64 {
    let of_thread = |entry: std::io::Result<std::fs::DirEntry>| -> Option<f64> {
        let text = std::fs::read_to_string(entry.ok()?.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<f64>().ok()
    };
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return f64::NAN };
    threads.map(|entry| of_thread(entry).unwrap_or(f64::NAN)).sum::<f64>() / 1e6
}
