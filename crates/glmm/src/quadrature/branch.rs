//! The integral over the effect of a group that has groups below it.

use super::leaf::{Leaf, product};
use super::mixture::{Mixture, accumulate};
use super::nest::{Integral, Nest, RowValues, Subtree};

/// State of the groups of one level k ≥ 1 of a visit, each with its descendants.
#[derive(Debug, Default)]
pub(super) struct Depth {
    /// Joint modes of a group of level k and its descendants: for each level up to k, one number a group.
    pub(super) u: Vec<Vec<f64>>,
    /// Derivative of each group's own mode by c, and of those of its descendants by `c + λ_k u`.
    pub(super) tangent: Vec<Vec<f64>>,
    /// The elimination: `n` and pivots `a` of each group.
    pub(super) n: Vec<Vec<f64>>,
    pub(super) a: Vec<Vec<f64>>,
    /// Right-hand sides, solutions, and sums along paths.
    pub(super) t: Vec<Vec<f64>>,
    pub(super) extra: Vec<Vec<f64>>,
    pub(super) step: Vec<Vec<f64>>,
    pub(super) path: Vec<Vec<f64>>,
    /// Rows at the joint modes.
    pub(super) mode: RowValues,
    /// `d log L_g / dη` of each row, at the last integral.
    pub(super) e: Vec<f64>,
    /// `d log L_g / dλ_j` of the last integral, for each level up to k.
    pub(super) lambda: Vec<f64>,
    /// The same, of the children at one node.
    children: Vec<f64>,
}

impl Depth {
    /// Prepares for a visit with the given numbers of groups of the levels up to k. New groups have modes at zero.
    pub(super) fn resize(&mut self, counts: &[usize], rows: usize) {
        let all = [
            &mut self.u,
            &mut self.tangent,
            &mut self.n,
            &mut self.a,
            &mut self.t,
            &mut self.extra,
            &mut self.step,
            &mut self.path,
        ];
        for values in all {
            values.resize_with(counts.len(), Vec::new);
            values.iter_mut().zip(counts).for_each(|(values, &count)| values.resize(count, 0.0));
        }
        self.mode.resize(rows);
        self.e.resize(rows, 0.0);
        self.lambda.resize(counts.len(), 0.0);
        self.children.resize(counts.len() - 1, 0.0);
    }
}

/// Sums over the nodes of a group, weighted by its posterior distribution.
struct OverNodes {
    mixture: Mixture,
    /// `Σ π r` and `Σ π r node`, where r is the derivative of the integrand's logarithm by u.
    r1: f64,
    r2: f64,
    /// Derivatives that hold the nodes: by c and by the group's own λ.
    slope: f64,
    own: f64,
}

impl Nest<'_> {
    /// Integrates over the effect of group g of the level of `own`; `below` are the levels between it and the finest.
    pub(super) fn integrate_branch(
        &self,
        leaf: &mut Leaf,
        own: &mut Depth,
        below: &mut [Depth],
        g: usize,
        c: f64,
    ) -> Integral {
        let k = below.len() + 1;
        let tree = self.subtree(k, g);
        let found = self.joint_modes(own, &tree, c);
        self.tangents(own, &tree);
        let tau = 1.0 / own.a[k][g].sqrt();
        own.e[tree.rows.clone()].fill(0.0);
        own.lambda.fill(0.0);
        let mut sums = OverNodes { mixture: Mixture::new(), r1: 0.0, r2: 0.0, slope: 0.0, own: 0.0 };
        if found {
            for side in self.sides {
                self.add_side(leaf, own, below, (g, &tree), (c, tau), side, &mut sums);
            }
        }
        let share = 1.0 / sums.mixture.total();
        own.e[tree.rows.clone()].iter_mut().for_each(|e| *e *= share);
        own.lambda.iter_mut().for_each(|lambda| *lambda *= share);
        own.lambda[k] += sums.own * share;
        let rho = -0.5 * (sums.r2 * share * tau + 1.0);
        let moved = self.add_moving_nodes(own, &tree, sums.r1 * share, rho);
        let value = if found { sums.mixture.log() + libm::log(tau) } else { f64::NAN };
        Integral { value, slope: sums.slope * share + moved }
    }

    /// Adds the nodes on one side of the mode, from the middle outwards.
    #[allow(clippy::too_many_arguments)]
    fn add_side(
        &self,
        leaf: &mut Leaf,
        own: &mut Depth,
        below: &mut [Depth],
        (g, tree): (usize, &Subtree),
        (c, tau): (f64, f64),
        side: &[usize],
        sums: &mut OverNodes,
    ) {
        let k = below.len() + 1;
        let (mode, lambda) = (own.u[k][g], self.lambda[k]);
        let mut at = None;
        for &j in side {
            let node = self.rule.nodes[j];
            let u = mode + tau * node;
            let sum = c + lambda * u;
            match at {
                None => self.start_children(leaf, own, below, tree, sum - (c + lambda * mode)),
                Some(last) => self.move_children(leaf, below, tree, sum - last),
            }
            at = Some(sum);
            own.children.fill(0.0);
            let children = self.groups.children(k - 1, g);
            let Integral { value, slope } = self.integrate(leaf, below, children, sum, &mut own.children);
            let (scale, weight) = sums.mixture.add(self.rule.log_weights[j] + value - 0.5 * u * u);
            let rows = tree.rows.clone();
            let e = below.last().map_or(&leaf.e, |depth| &depth.e);
            accumulate(&mut own.e[rows.clone()], &e[rows], (scale, weight));
            accumulate(&mut own.lambda[..k], &own.children, (scale, weight));
            let residual = lambda * slope - u;
            let add = |sum: &mut f64, v: f64| *sum = scale * *sum + weight * v;
            add(&mut sums.r1, residual);
            add(&mut sums.r2, residual * node);
            add(&mut sums.slope, slope);
            add(&mut sums.own, u * slope);
        }
    }

    /// Sets the modes of the children to those predicted from the joint modes, for a change of the sum of effects
    /// above them.
    fn start_children(&self, leaf: &mut Leaf, own: &Depth, below: &mut [Depth], tree: &Subtree, change: f64) {
        for (j, range) in tree.groups.iter().enumerate().take(below.len() + 1) {
            let u = match below.last_mut() {
                None => &mut leaf.u,
                Some(depth) => &mut depth.u[j],
            };
            for g in range.clone() {
                u[g] = own.u[j][g] + change * own.tangent[j][g];
            }
        }
    }

    /// Moves the modes of the children to those predicted for a change of the sum of effects above them.
    fn move_children(&self, leaf: &mut Leaf, below: &mut [Depth], tree: &Subtree, change: f64) {
        let Some(depth) = below.last_mut() else {
            tree.groups[0].clone().for_each(|g| leaf.u[g] += change * leaf.tangent[g]);
            return;
        };
        let top = depth.u.len() - 1;
        for g in tree.groups[top].clone() {
            let own = change * depth.tangent[top][g];
            depth.u[top][g] += own;
            let change = change + self.lambda[top] * own;
            let within = self.subtree(top, g);
            for (j, range) in within.groups.iter().enumerate().take(top) {
                range.clone().for_each(|g| depth.u[j][g] += change * depth.tangent[j][g]);
            }
        }
    }

    /// Adds to `own.e` and `own.lambda` the derivatives by way of the nodes, which move with the mode û (`r1`) and
    /// with the logarithm of the pivot (`rho`). Returns the derivative by c.
    ///
    /// With `ω_i` the derivative of ρ log a by w_i and `m_i = w'_i ω_i`, the adjoint system
    /// `A y = Λ'Z'm + r1 e_g` gives `e_i = m_i - w_i z_i q_i`, q the path of `Λy`.
    fn add_moving_nodes(&self, own: &mut Depth, tree: &Subtree, r1: f64, rho: f64) -> f64 {
        let k = tree.groups.len() - 1;
        let top = tree.groups[k].start;
        // ρ log a by n of each group, downwards: n_parent = Σ n / a. It is kept in `path`.
        let lambda = self.lambda[k];
        own.path[k][top] = rho * lambda * lambda / own.a[k][top];
        own.lambda[k] += 2.0 * rho * lambda * own.n[k][top] / own.a[k][top];
        for j in (0..k).rev() {
            for parent in tree.groups[j + 1].clone() {
                for g in self.groups.children(j, parent) {
                    let ratio = own.n[j][g] / own.a[j][g];
                    own.path[j][g] = own.path[j + 1][parent] / (own.a[j][g] * own.a[j][g]);
                    own.lambda[j] -= 2.0 * own.path[j + 1][parent] * self.lambda[j] * ratio * ratio;
                }
            }
        }
        for g in tree.groups[0].clone() {
            let (by_n, mut t) = (own.path[0][g], 0.0);
            for i in self.rows_of(g..g + 1) {
                let z = self.rows.z[i];
                let m = by_n * z * z * own.mode.w1[i];
                own.mode.w2[i] = m;
                t += z * m;
            }
            own.t[0][g] = t;
        }
        for (extra, range) in own.extra.iter_mut().zip(&tree.groups) {
            extra[range.clone()].fill(0.0);
        }
        own.extra[k][top] = r1;
        self.solve(own, tree);
        // Σ z s and Σ z e of each group: of the finest here, then of their parents, in `t` and `extra`.
        for g in tree.groups[0].clone() {
            let (rows, q) = (self.rows_of(g..g + 1), own.path[0][g]);
            let mut moved = 0.0;
            for i in rows.clone() {
                let z = self.rows.z[i];
                let e = own.mode.w2[i] - own.mode.w[i] * z * q;
                own.e[i] += e;
                moved += z * e;
            }
            own.t[0][g] = product(&own.mode.s[rows.clone()], &self.rows.z[rows]);
            own.extra[0][g] = moved;
        }
        for j in 0..=k {
            for g in tree.groups[j].clone() {
                if j > 0 {
                    let children = || self.groups.children(j - 1, g);
                    own.t[j][g] = children().map(|g| own.t[j - 1][g]).sum();
                    own.extra[j][g] = children().map(|g| own.extra[j - 1][g]).sum();
                }
                own.lambda[j] += own.step[j][g] * own.t[j][g] + own.u[j][g] * own.extra[j][g];
            }
        }
        own.extra[k][top]
    }
}
