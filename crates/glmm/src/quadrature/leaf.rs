//! The integrals over the effects of finest groups: those of one parent together, so that their rows are evaluated
//! in long runs.

use super::mixture::{Mixture, accumulate};
use super::nest::{Integral, LAST_STEP, NO_STEP, Nest, RowValues, STEPS, keeps};
use std::ops::Range;

/// State of the finest groups of a visit.
#[derive(Debug, Default)]
pub(super) struct Leaf {
    /// Mode of each group given the effects above, at the last integral.
    pub(super) u: Vec<f64>,
    /// Its derivative by c.
    pub(super) tangent: Vec<f64>,
    /// `d log L_g / dη` of each row, at the last integral.
    pub(super) e: Vec<f64>,
    /// `d log L_g / dλ`, summed over the groups of the last call.
    pub(super) lambda: f64,
    /// Searches for modes, and sums over nodes.
    search: Vec<Search>,
    sums: Vec<Sums>,
    /// Rows at the mode, and at a node.
    mode: RowValues,
    node: RowValues,
}

/// The search for one mode.
#[derive(Clone, Copy, Debug, Default)]
struct Search {
    /// `u²/2 - Σ l` at the last point that was kept.
    h: f64,
    /// The step under trial: its start, its length and the share taken.
    from: f64,
    step: f64,
    size: f64,
    /// `Σ w z²`, `Σ s z` and `1 + λ² n` at the mode.
    n: f64,
    score: f64,
    a: f64,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// A step is needed.
    #[default]
    Open,
    /// A step is under trial; it may be the last one.
    Trial { last: bool },
    /// The step taken was the last one.
    Last,
    /// The mode is found.
    Found,
    /// The rows cannot be evaluated.
    Failed,
}

/// Sums over the nodes of one group, weighted by its posterior distribution.
#[derive(Clone, Copy, Debug)]
struct Sums {
    mixture: Mixture,
    tau: f64,
    /// `Σ r` and `Σ r node`, where r is the derivative of the integrand's logarithm by u.
    r1: f64,
    r2: f64,
    /// Derivatives that hold the nodes: by λ and by c.
    own: f64,
    slope: f64,
}

impl Leaf {
    pub(super) fn resize(&mut self, groups: usize, rows: usize) {
        self.u.resize(groups, 0.0);
        self.tangent.resize(groups, 0.0);
        self.e.resize(rows, 0.0);
        self.mode.resize(rows);
        self.node.resize(rows);
    }
}

impl Nest<'_> {
    /// Integrates over the effects of some consecutive finest groups; returns the sums over the groups.
    pub(super) fn integrate_leaves(&self, leaf: &mut Leaf, groups: Range<usize>, c: f64) -> Integral {
        let (lambda, first) = (self.lambda[0], groups.start);
        let rows = self.rows_of(groups.clone());
        self.leaf_modes(leaf, &groups, &rows, c);
        leaf.sums.clear();
        for (search, g) in leaf.search.iter().zip(groups.clone()) {
            leaf.tangent[g] = -lambda * search.n / search.a;
            let (mixture, tau) = (Mixture::new(), 1.0 / search.a.sqrt());
            leaf.sums.push(Sums { mixture, tau, r1: 0.0, r2: 0.0, own: 0.0, slope: 0.0 });
        }
        leaf.e[rows.clone()].fill(0.0);
        for &j in self.sides.iter().flatten() {
            let node = self.rule.nodes[j];
            for (sums, g) in leaf.sums.iter().zip(groups.clone()) {
                let b = c + lambda * (leaf.u[g] + sums.tau * node);
                let rows = self.rows_of(g..g + 1);
                predict(&mut leaf.node.eta[rows.clone()], &self.xb[rows.clone()], &self.rows.z[rows], b);
            }
            leaf.node.evaluate(self.distribution, self.rows, rows.clone());
            for (sums, g) in leaf.sums.iter_mut().zip(groups.clone()) {
                let rows = self.rows_of(g..g + 1);
                let u = leaf.u[g] + sums.tau * node;
                let s = &leaf.node.s[rows.clone()];
                let l: f64 = leaf.node.l[rows.clone()].iter().sum();
                let (scale, weight) = sums.mixture.add(self.rule.log_weights[j] + l - 0.5 * u * u);
                let t = product(s, &self.rows.z[rows.clone()]);
                accumulate(&mut leaf.e[rows], s, (scale, weight));
                let residual = lambda * t - u;
                sums.r1 = scale * sums.r1 + weight * residual;
                sums.r2 = scale * sums.r2 + weight * residual * node;
                sums.own = scale * sums.own + weight * u * t;
                sums.slope = scale * sums.slope + weight * t;
            }
        }
        let mut all = Integral { value: 0.0, slope: 0.0 };
        leaf.lambda = 0.0;
        for g in groups {
            let Integral { value, slope } = self.finish_leaf(leaf, g, g - first);
            all.value += value;
            all.slope += slope;
        }
        all
    }

    /// Divides the sums of a group by the sum of its weights, and adds what comes by way of the nodes, which move
    /// with û and τ.
    fn finish_leaf(&self, leaf: &mut Leaf, g: usize, at: usize) -> Integral {
        let (lambda, rows) = (self.lambda[0], self.rows_of(g..g + 1));
        let (sums, search) = (leaf.sums[at], leaf.search[at]);
        let z = &self.rows.z[rows.clone()];
        let share = 1.0 / sums.mixture.total();
        // With the derivative of log τ, that by the logarithm of the pivot a is ρ.
        let rho = -0.5 * (sums.r2 * share * sums.tau + 1.0);
        let by_n = rho * lambda * lambda / search.a;
        let (w, w1) = (&leaf.mode.w[rows.clone()], &leaf.mode.w1[rows.clone()]);
        let third: f64 = w1.iter().zip(z).map(|(w1, z)| w1 * z * z * z).sum();
        let t = by_n * third;
        let y = (lambda * t + sums.r1 * share) / search.a;
        let q = lambda * y;
        for (i, e) in leaf.e[rows].iter_mut().enumerate() {
            *e = *e * share + by_n * z[i] * z[i] * w1[i] - w[i] * z[i] * q;
        }
        let moved = t - search.n * q;
        leaf.lambda += sums.own * share + 2.0 * rho * lambda * search.n / search.a;
        leaf.lambda += y * search.score + leaf.u[g] * moved;
        let found = search.state == State::Found;
        let value = if found { sums.mixture.log() + libm::log(sums.tau) } else { f64::NAN };
        Integral { value, slope: sums.slope * share + moved }
    }

    /// Finds the modes of some finest groups from those in `leaf.u`, by Newton's method with step halving for each
    /// group. The rows there are left in `leaf.mode`.
    fn leaf_modes(&self, leaf: &mut Leaf, groups: &Range<usize>, rows: &Range<usize>, c: f64) {
        leaf.search.clear();
        leaf.search.resize(groups.len(), Search::default());
        self.evaluate_leaves(leaf, groups, rows, c);
        if (0..groups.len()).any(|at| !self.leaf_height(leaf, groups.start + at).is_finite()) {
            for g in groups.clone() {
                if !self.leaf_height(leaf, g).is_finite() {
                    leaf.u[g] = 0.0;
                }
            }
            self.evaluate_leaves(leaf, groups, rows, c);
        }
        for g in groups.clone() {
            leaf.search[g - groups.start].h = self.leaf_height(leaf, g);
        }
        for _ in 0..STEPS {
            let mut trials = false;
            for g in groups.clone() {
                trials |= self.next_step(leaf, g, g - groups.start);
            }
            if !trials {
                break;
            }
            while trials {
                self.evaluate_leaves(leaf, groups, rows, c);
                trials = false;
                for g in groups.clone() {
                    trials |= self.judge(leaf, g, g - groups.start);
                }
            }
        }
    }

    /// Sums the rows of a group at its present point; returns whether a step from there is to be tried.
    fn next_step(&self, leaf: &mut Leaf, g: usize, at: usize) -> bool {
        let (lambda, rows) = (self.lambda[0], self.rows_of(g..g + 1));
        let z = &self.rows.z[rows.clone()];
        let search = &mut leaf.search[at];
        if !matches!(search.state, State::Open | State::Last) {
            return false;
        }
        search.n = leaf.mode.w[rows.clone()].iter().zip(z).map(|(w, z)| w * z * z).sum();
        search.score = product(&leaf.mode.s[rows], z);
        search.a = 1.0 + lambda * lambda * search.n;
        let u = leaf.u[g];
        let step = (lambda * search.score - u) / search.a;
        let length = step * step / (1.0 + u * u);
        search.state = match search.state {
            _ if !search.h.is_finite() => State::Failed,
            State::Last => State::Found,
            _ if length <= NO_STEP => State::Found,
            _ => State::Trial { last: length <= LAST_STEP },
        };
        let trial = matches!(search.state, State::Trial { .. });
        if trial {
            (search.from, search.step, search.size) = (u, step, 1.0);
            leaf.u[g] = u + step;
        }
        trial
    }

    /// Keeps the step under trial, or halves it; returns whether it is to be tried again.
    fn judge(&self, leaf: &mut Leaf, g: usize, at: usize) -> bool {
        let State::Trial { last } = leaf.search[at].state else { return false };
        let next = self.leaf_height(leaf, g);
        let search = &mut leaf.search[at];
        if keeps(next, search.h, search.size) {
            search.h = next;
            search.state = if last { State::Last } else { State::Open };
            return false;
        }
        search.size *= 0.5;
        search.state = State::Trial { last: false };
        leaf.u[g] = search.from + search.size * search.step;
        true
    }

    /// `u²/2 - Σ l` of a group, from its rows as evaluated last.
    fn leaf_height(&self, leaf: &Leaf, g: usize) -> f64 {
        let l: f64 = leaf.mode.l[self.rows_of(g..g + 1)].iter().sum();
        0.5 * leaf.u[g] * leaf.u[g] - l
    }

    /// Evaluates the rows of some groups at the effects in `leaf.u`.
    fn evaluate_leaves(&self, leaf: &mut Leaf, groups: &Range<usize>, rows: &Range<usize>, c: f64) {
        for g in groups.clone() {
            let rows = self.rows_of(g..g + 1);
            let b = c + self.lambda[0] * leaf.u[g];
            predict(&mut leaf.mode.eta[rows.clone()], &self.xb[rows.clone()], &self.rows.z[rows], b);
        }
        leaf.mode.evaluate(self.distribution, self.rows, rows.clone());
    }
}

/// `η = xb + z b`.
pub(super) fn predict(eta: &mut [f64], xb: &[f64], z: &[f64], b: f64) {
    for ((eta, xb), z) in eta.iter_mut().zip(xb).zip(z) {
        *eta = xb + z * b;
    }
}

/// `Σ a b`.
pub(super) fn product(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
