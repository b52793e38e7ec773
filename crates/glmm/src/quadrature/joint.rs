//! Joint modes of a group and its descendants, given the effects above: Newton's method with the elimination of
//! scalar effects.
//!
//! With `n_g = Σ w z²` over a finest group's rows, the elimination is
//!
//! ```text
//! a_g = 1 + λ² n_g,   n_parent = Σ n_g / a_g,   log|A| = Σ log a_g
//! ```

use super::branch::Depth;
use super::nest::{LAST_STEP, NO_STEP, Nest, STEPS, Subtree, keeps};

impl Nest<'_> {
    /// Finds the joint modes from those in `own.u`, and factors the information there. Returns whether they were
    /// found.
    pub(super) fn joint_modes(&self, own: &mut Depth, tree: &Subtree, c: f64) -> bool {
        let mut h = self.penalised(own, tree, c);
        if !h.is_finite() {
            own.u.iter_mut().zip(&tree.groups).for_each(|(u, range)| u[range.clone()].fill(0.0));
            h = self.penalised(own, tree, c);
        }
        let mut found = false;
        for _ in 0..STEPS {
            self.factor(own, tree);
            if found || !h.is_finite() {
                break;
            }
            for g in tree.groups[0].clone() {
                let rows = self.rows_of(g..g + 1);
                own.t[0][g] = super::leaf::product(&own.mode.s[rows.clone()], &self.rows.z[rows]);
            }
            for ((extra, u), range) in own.extra.iter_mut().zip(&own.u).zip(&tree.groups) {
                extra[range.clone()].iter_mut().zip(&u[range.clone()]).for_each(|(extra, u)| *extra = -u);
            }
            self.solve(own, tree);
            let squares = |values: &[Vec<f64>]| -> f64 {
                let of_level = |(v, range): (&Vec<f64>, &std::ops::Range<usize>)| {
                    super::leaf::product(&v[range.clone()], &v[range.clone()])
                };
                values.iter().zip(&tree.groups).map(of_level).sum()
            };
            let length = squares(&own.step) / (1.0 + squares(&own.u));
            found = length <= LAST_STEP;
            if length <= NO_STEP {
                break;
            }
            // `extra` holds -u where the step begins.
            let mut size = 1.0;
            loop {
                for (j, range) in tree.groups.iter().enumerate() {
                    for g in range.clone() {
                        own.u[j][g] = size * own.step[j][g] - own.extra[j][g];
                    }
                }
                let next = self.penalised(own, tree, c);
                if keeps(next, h, size) {
                    h = next;
                    break;
                }
                (size, found) = (0.5 * size, false);
            }
        }
        found && h.is_finite()
    }

    /// Evaluates the rows of a subtree at the effects in `own.u`. Returns `Σ u²/2 - Σ l`.
    fn penalised(&self, own: &mut Depth, tree: &Subtree, c: f64) -> f64 {
        let k = tree.groups.len() - 1;
        let top = tree.groups[k].start;
        own.path[k][top] = c + self.lambda[k] * own.u[k][top];
        let mut squares = own.u[k][top] * own.u[k][top];
        for j in (0..k).rev() {
            for parent in tree.groups[j + 1].clone() {
                for g in self.groups.children(j, parent) {
                    let u = own.u[j][g];
                    own.path[j][g] = own.path[j + 1][parent] + self.lambda[j] * u;
                    squares += u * u;
                }
            }
        }
        for g in tree.groups[0].clone() {
            let rows = self.rows_of(g..g + 1);
            let (xb, z) = (&self.xb[rows.clone()], &self.rows.z[rows.clone()]);
            super::leaf::predict(&mut own.mode.eta[rows], xb, z, own.path[0][g]);
        }
        own.mode.evaluate(self.distribution, self.rows, tree.rows.clone());
        let l: f64 = own.mode.l[tree.rows.clone()].iter().sum();
        0.5 * squares - l
    }

    /// Eliminates the effects of a subtree, given the weights in `own.mode`.
    fn factor(&self, own: &mut Depth, tree: &Subtree) {
        for g in tree.groups[0].clone() {
            let rows = self.rows_of(g..g + 1);
            let (w, z) = (&own.mode.w[rows.clone()], &self.rows.z[rows]);
            own.n[0][g] = w.iter().zip(z).map(|(w, z)| w * z * z).sum();
            own.a[0][g] = 1.0 + self.lambda[0] * self.lambda[0] * own.n[0][g];
        }
        for (j, range) in tree.groups.iter().enumerate().skip(1) {
            for parent in range.clone() {
                let n = self.groups.children(j - 1, parent).map(|g| own.n[j - 1][g] / own.a[j - 1][g]).sum();
                own.n[j][parent] = n;
                own.a[j][parent] = 1.0 + self.lambda[j] * self.lambda[j] * n;
            }
        }
    }

    /// Solves `A y = Λ't + extra`, where t is given for the finest groups. y is left in `own.step`, and its sums
    /// `Σ λ y` along the paths from the subtree's top down in `own.path`.
    pub(super) fn solve(&self, own: &mut Depth, tree: &Subtree) {
        let k = tree.groups.len() - 1;
        for (j, range) in tree.groups.iter().enumerate() {
            let lambda = self.lambda[j];
            for g in range.clone() {
                if j > 0 {
                    let up = |g: usize| own.t[j - 1][g] - own.n[j - 1][g] * self.lambda[j - 1] * own.step[j - 1][g];
                    own.t[j][g] = self.groups.children(j - 1, g).map(up).sum();
                }
                own.step[j][g] = (lambda * own.t[j][g] + own.extra[j][g]) / own.a[j][g];
            }
        }
        let top = tree.groups[k].start;
        own.path[k][top] = self.lambda[k] * own.step[k][top];
        for j in (0..k).rev() {
            for parent in tree.groups[j + 1].clone() {
                let q = own.path[j + 1][parent];
                for g in self.groups.children(j, parent) {
                    own.step[j][g] -= self.lambda[j] * own.n[j][g] * q / own.a[j][g];
                    own.path[j][g] = q + self.lambda[j] * own.step[j][g];
                }
            }
        }
    }

    /// Derivatives of the modes below a subtree's top by the sum of effects above them, and of the top's by c.
    pub(super) fn tangents(&self, own: &mut Depth, tree: &Subtree) {
        let k = tree.groups.len() - 1;
        let by_sum = |own: &Depth, j: usize, g: usize| -self.lambda[j] * own.n[j][g] / own.a[j][g];
        let top = tree.groups[k].start;
        own.tangent[k][top] = by_sum(own, k, top);
        own.path[k][top] = 1.0;
        for j in (0..k).rev() {
            for parent in tree.groups[j + 1].clone() {
                let q = own.path[j + 1][parent];
                for g in self.groups.children(j, parent) {
                    own.tangent[j][g] = by_sum(own, j, g) * q;
                    own.path[j][g] = q + self.lambda[j] * own.tangent[j][g];
                }
            }
        }
    }
}
