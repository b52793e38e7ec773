//! Small random crossed designs, by their definition: rows, groups and V.

use crate::covariances::Covariances;
use crate::tree::TreePlan;
use nalgebra::{DMatrix, DVector};
use tiers_moments::{CoreFactor, CorePairs, Crossed, Forest, LeafShard, Level, RowSource, Tree, TreeLevel};

pub(crate) type M = DMatrix<f64>;

/// One factor: its columns of C and the group of each row.
#[derive(Clone, Debug)]
pub(crate) struct Factor {
    pub(crate) z: Vec<usize>,
    /// Lengths of its terms, which sum up to the number of columns.
    pub(crate) terms: Vec<usize>,
    pub(crate) group: Vec<usize>,
}

/// Rows of a crossed design; the first factor is the leaf.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// C, n×m; the last column is y.
    pub(crate) c: M,
    pub(crate) w: DVector<f64>,
    pub(crate) factors: Vec<Factor>,
}

/// A generator of numbers that is good enough for tests.
#[derive(Clone, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A number between 0 and 1.
    pub(crate) fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mixed = (self.0 ^ (self.0 >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        (mixed >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.unit() * n as f64) as usize
    }

    /// About a standard normal number.
    pub(crate) fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }
}

impl Factor {
    pub(crate) fn groups(&self) -> usize {
        self.group.iter().max().map_or(0, |g| g + 1)
    }
}

impl Sample {
    /// A random design of 2 to 4 factors with slopes, several terms, weights, pairs that never meet and, for some
    /// seeds, unconnected parts or a factor that contains another.
    pub(crate) fn random(seed: u64) -> Sample {
        let mut random = Random(seed.wrapping_mul(7919) + 1);
        (0..10).for_each(|_| {
            random.unit();
        });
        let n = 50 + random.below(40);
        let columns = 4;
        let mut c = M::from_fn(n, columns + 1, |_, _| random.normal());
        c.column_mut(0).fill(1.0);
        let count = 2 + random.below(3);
        let parts = if seed.is_multiple_of(3) { 2 } else { 1 };
        let part: Vec<usize> = (0..n).map(|i| i * parts / n).collect();
        let mut factors: Vec<Factor> = Vec::new();
        for k in 0..count {
            let per_part = if k == 0 { 7 } else { 2 + random.below(3) };
            let nested = k > 0 && random.below(4) == 0;
            let group: Vec<usize> = match nested {
                // Each group of the factor before lies within one of this factor.
                true => factors[k - 1].group.iter().map(|g| g / 2).collect(),
                false => part.iter().map(|p| p * per_part + random.below(per_part)).collect(),
            };
            let (z, terms) = match random.below(5) {
                0 => (vec![0, 1], vec![2]),
                1 => (vec![0, 1 + random.below(3)], vec![1, 1]),
                2 => (vec![3], vec![1]),
                _ => (vec![0], vec![1]),
            };
            factors.push(Factor { z, terms, group: dense(&group) });
        }
        let w = DVector::from_fn(n, |_, _| if seed.is_multiple_of(2) { 0.3 + 2.0 * random.unit() } else { 1.0 });
        Sample { c, w, factors }
    }

    /// [`Sample::random`] with the first coefficient of each factor only.
    pub(crate) fn intercepts(seed: u64) -> Sample {
        let mut sample = Sample::random(seed);
        for factor in &mut sample.factors {
            factor.z.truncate(1);
            factor.terms = vec![1];
        }
        sample
    }

    /// A design of three factors of intercepts with a core of several panels.
    pub(crate) fn large() -> Sample {
        let (n, mut random) = (900, Random(99));
        let mut c = M::from_fn(n, 3, |_, _| random.normal());
        c.column_mut(0).fill(1.0);
        let mut factor = |groups: usize| {
            let group: Vec<usize> = (0..n).map(|_| random.below(groups)).collect();
            Factor { z: vec![0], terms: vec![1], group: dense(&group) }
        };
        let factors = vec![factor(150), factor(130), factor(90)];
        Sample { c, w: DVector::from_fn(n, |i, _| 1.0 + (i % 3) as f64), factors }
    }

    /// A ring of core groups, of which each of `leaves` leaf groups per core group meets two, at this distance or less;
    /// for the choice of the layout.
    pub(crate) fn ring(groups: usize, range: usize, leaves: usize) -> Crossed {
        let mut random = Random(3);
        let mut leaf = LeafShard { starts: vec![0], block_starts: vec![0], ..LeafShard::default() };
        for g in 0..leaves * groups {
            let one = g % groups;
            let other = (one + 1 + random.below(range)) % groups;
            leaf.groups += 1;
            leaf.moments.extend([2.0, 0.0]);
            leaf.neighbours.extend([one.min(other) as u32, one.max(other) as u32]);
            leaf.blocks.extend([1.0, 1.0]);
            leaf.block_starts.extend([leaf.blocks.len() - 1, leaf.blocks.len()]);
            leaf.starts.push(leaf.neighbours.len());
        }
        let core = CoreFactor { groups, moments: [8.0, 0.0].repeat(groups), ..CoreFactor::default() };
        let pairs = CorePairs { starts: vec![0; groups + 1], block_starts: vec![0], ..CorePairs::default() };
        let factor = |groups: usize| Factor { z: vec![0], terms: vec![1], group: (0..groups).collect() };
        Crossed {
            m: 2,
            levels: [factor(leaves * groups), factor(groups)].iter().enumerate().map(level).collect(),
            labels: Vec::new(),
            leaf: vec![leaf],
            core: vec![core],
            pairs,
            cross: vec![1.0; 4],
            rows: (2 * leaves * groups) as u64,
            sum_log_weights: 0.0,
        }
    }

    /// A nest of three levels of intercepts, the finest first, with its covariances.
    pub(crate) fn nest(scale: f64) -> (Sample, Covariances) {
        let (n, mut random) = (60, Random(5));
        let mut c = M::from_fn(n, 3, |_, _| random.normal());
        c.column_mut(0).fill(1.0);
        let of = |divisor: usize| {
            let group = (0..n).map(|i| i % 20 / divisor).collect();
            Factor { z: vec![0], terms: vec![1], group }
        };
        let sample = Sample {
            c,
            w: DVector::from_fn(n, |i, _| 0.5 + (i % 7) as f64 / 3.0),
            factors: vec![of(1), of(5), of(10)],
        };
        let at = [1.0, 0.7, 0.4].map(|lambda| M::from_element(1, 1, scale * lambda));
        (sample, Covariances::from_factors(at.to_vec()))
    }

    /// The nest of [`Sample::nest`] as a tree.
    pub(crate) fn tree(&self) -> (TreePlan, Tree) {
        let m = self.m();
        let wc = M::from_diagonal(&self.w) * &self.c;
        let parent = |k: usize, g: usize| {
            let row = self.factors[k].group.iter().position(|&group| group == g).expect("not empty");
            self.factors[k + 1].group[row] as u32
        };
        let of_level = |k: usize| {
            let groups = self.factors[k].groups();
            TreeLevel {
                groups,
                parent: if k < 2 { (0..groups).map(|g| parent(k, g)).collect() } else { Vec::new() },
                moments: if k == 0 {
                    (self.z(0).transpose() * &wc).transpose().as_slice().to_vec()
                } else {
                    Vec::new()
                },
                ..TreeLevel::default()
            }
        };
        let mut levels: Vec<Level> = self.factors.iter().enumerate().map(level).collect();
        (1..3).for_each(|k| levels[k].source = vec![RowSource::Sum(k - 1, 0)]);
        let tree = Tree { levels: (0..3).map(of_level).collect(), labels: Vec::new() };
        let forest = Forest {
            m,
            levels,
            trees: Vec::new(),
            labels: Vec::new(),
            cross: Vec::new(),
            rows: self.n() as u64,
            sum_log_weights: 0.0,
        };
        (TreePlan::new(&forest), tree)
    }

    pub(crate) fn n(&self) -> usize {
        self.c.nrows()
    }

    pub(crate) fn m(&self) -> usize {
        self.c.ncols()
    }

    /// Random factors Λ_k, with one zero or singular for some seeds; `scale` multiplies them.
    pub(crate) fn covariances(&self, seed: u64, scale: f64) -> Covariances {
        let mut random = Random(seed + 17);
        let of_factor = |(k, factor): (usize, &Factor)| {
            let r = factor.z.len();
            let mut lambda = M::zeros(r, r);
            let mut at = 0;
            for &term in &factor.terms {
                for i in 0..term {
                    for j in 0..=i {
                        let value = if i == j { 0.2 + random.unit() } else { 0.5 * random.normal() };
                        lambda[(at + i, at + j)] = scale * value;
                    }
                }
                at += term;
            }
            match (seed % 5, k) {
                (1, 1) => lambda.fill(0.0),
                (2, 0) => lambda.fill(0.0),
                (3, _) if r == 2 => lambda.column_mut(1).fill(0.0),
                _ => {}
            }
            lambda
        };
        Covariances::from_factors(self.factors.iter().enumerate().map(of_factor).collect())
    }

    /// Z of one factor, n×(groups·r).
    pub(crate) fn z(&self, k: usize) -> M {
        let factor = &self.factors[k];
        let r = factor.z.len();
        let mut z = M::zeros(self.n(), factor.groups() * r);
        for (i, &g) in factor.group.iter().enumerate() {
            factor.z.iter().enumerate().for_each(|(t, &column)| z[(i, g * r + t)] = self.c[(i, column)]);
        }
        z
    }

    /// `I ⊗ D` over the groups of a factor.
    pub(crate) fn spread(&self, k: usize, d: &M) -> M {
        M::identity(self.factors[k].groups(), self.factors[k].groups()).kronecker(d)
    }

    pub(crate) fn v(&self, at: &Covariances) -> M {
        let mut v = M::from_diagonal(&self.w.map(|w| 1.0 / w));
        for (k, lambda) in at.factors().iter().enumerate() {
            let z = self.z(k);
            v += &z * self.spread(k, &(lambda * lambda.transpose())) * z.transpose();
        }
        v
    }

    /// The design by its definition, with the leaf in this number of shards.
    pub(crate) fn crossed(&self, shards: usize) -> Crossed {
        let (m, weights) = (self.m(), M::from_diagonal(&self.w));
        let wc = &weights * &self.c;
        let z: Vec<M> = (0..self.factors.len()).map(|k| self.z(k)).collect();
        let (wz, zwc): (Vec<M>, Vec<M>) = z.iter().map(|z| (&weights * z, z.transpose() * &wc)).unzip();
        let moments = |k: usize, g: usize| rows(&zwc[k], g * self.r(k), self.r(k));
        let count = |k: usize, g: usize| self.factors[k].group.iter().filter(|&&group| group == g).count() as u64;
        let mut core = Vec::new();
        let mut first = 0;
        for (k, factor) in self.factors.iter().enumerate().skip(1) {
            let groups = factor.groups();
            core.push(CoreFactor {
                groups,
                first,
                rows: (0..groups).map(|g| count(k, g)).collect(),
                labels: Vec::new(),
                moments: (0..groups).flat_map(|g| moments(k, g)).collect(),
            });
            first += groups * factor.z.len();
        }
        let block = |(k, g): (usize, usize), (l, h): (usize, usize)| -> Option<Vec<f64>> {
            let meet = (0..self.n()).any(|i| self.factors[k].group[i] == g && self.factors[l].group[i] == h);
            let product =
                || z[k].columns(g * self.r(k), self.r(k)).transpose() * wz[l].columns(h * self.r(l), self.r(l));
            meet.then(|| product().transpose().as_slice().to_vec())
        };
        let mut leaf: Vec<LeafShard> =
            vec![LeafShard { starts: vec![0], block_starts: vec![0], ..LeafShard::default() }; shards];
        for g in 0..self.factors[0].groups() {
            let shard = &mut leaf[g * 5 % shards];
            shard.groups += 1;
            shard.rows.push(count(0, g));
            shard.moments.extend(moments(0, g));
            for (l, factor) in core.iter().enumerate() {
                for h in 0..factor.groups {
                    if let Some(block) = block((0, g), (l + 1, h)) {
                        shard.neighbours.push((factor.first + h * self.r(l + 1)) as u32);
                        shard.blocks.extend(block);
                        shard.block_starts.push(shard.blocks.len());
                    }
                }
            }
            shard.starts.push(shard.neighbours.len());
        }
        let mut pairs = CorePairs { starts: vec![0], block_starts: vec![0], ..CorePairs::default() };
        for (k, factor) in core.iter().enumerate() {
            for g in 0..factor.groups {
                for (l, other) in core.iter().enumerate().skip(k + 1) {
                    for h in 0..other.groups {
                        if let Some(block) = block((k + 1, g), (l + 1, h)) {
                            pairs.partners.push((other.first + h * self.r(l + 1)) as u32);
                            pairs.blocks.extend(block);
                            pairs.block_starts.push(pairs.blocks.len());
                        }
                    }
                }
                pairs.starts.push(pairs.partners.len());
            }
        }
        let cross = (self.c.transpose() * &wc).as_slice().to_vec();
        let levels = self.factors.iter().enumerate().map(level).collect();
        let sum_log_weights = self.w.iter().map(|w| w.ln()).sum();
        Crossed { m, levels, labels: Vec::new(), leaf, core, pairs, cross, rows: self.n() as u64, sum_log_weights }
    }

    pub(crate) fn r(&self, k: usize) -> usize {
        self.factors[k].z.len()
    }
}

fn level((k, factor): (usize, &Factor)) -> Level {
    let r = factor.z.len();
    Level {
        name: format!("factor {k}"),
        grouping: k,
        keys: vec![k],
        groups: factor.groups(),
        z: factor.z.clone(),
        terms: vec![(k, 0)],
        source: (0..r).map(RowSource::Stored).collect(),
    }
}

/// Some rows of a matrix, row-major.
fn rows(a: &M, first: usize, count: usize) -> Vec<f64> {
    (first..first + count).flat_map(|i| a.row(i).iter().copied().collect::<Vec<_>>()).collect()
}

/// Renumbers groups in the order of their first rows, so that none is empty.
fn dense(group: &[usize]) -> Vec<usize> {
    let mut seen: Vec<usize> = Vec::new();
    let mut number = |g: usize| {
        seen.iter().position(|&s| s == g).unwrap_or_else(|| {
            seen.push(g);
            seen.len() - 1
        })
    };
    group.iter().map(|&g| number(g)).collect()
}

/// Fails where a number differs by more than `tolerance` of the largest of the wanted ones (or 1).
pub(crate) fn close(what: &str, got: &[f64], want: &[f64], tolerance: f64) {
    assert_eq!(got.len(), want.len(), "{what}: length");
    let size = want.iter().fold(1.0_f64, |size, x| size.max(x.abs()));
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        assert!((got - want).abs() <= tolerance * size, "{what}[{i}]: {got} instead of {want} (size {size})");
    }
}
