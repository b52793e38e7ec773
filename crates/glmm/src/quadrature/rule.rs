//! Gauss–Hermite rules.

use nalgebra::{DMatrix, SymmetricEigen};

/// Nodes and weights with `∫ g(x) exp(-x²) dx ≈ Σ_j w_j g(x_j)`, exact for polynomials of degree 2Q - 1.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rule {
    /// `√2 x_j`, by size; the nodes of a standard normal variable.
    pub(super) nodes: Vec<f64>,
    /// `log w_j + x_j² - log(π)/2`, so that `∫ g(u) du ≈ τ √(2π) Σ_j exp(log_weights_j) g(û + τ nodes_j)`.
    pub(super) log_weights: Vec<f64>,
}

impl Rule {
    /// The rule with the given number of nodes, at least 1.
    ///
    /// The nodes are eigenvalues of the Jacobi matrix (Golub and Welsch 1969), polished by Newton's method on the
    /// orthonormal Hermite functions `ψ_k(x) = p_k(x) exp(-x²/2)`. The weights are Christoffel's numbers,
    /// `w_j exp(x_j²) = 1 / Σ_{k<Q} ψ_k(x_j)²`: a sum without cancellation.
    pub(crate) fn new(count: usize) -> Rule {
        let jacobi = DMatrix::from_fn(count, count, |i, j| match i.abs_diff(j) {
            1 => (0.5 * i.max(j) as f64).sqrt(),
            _ => 0.0,
        });
        let mut nodes: Vec<f64> = SymmetricEigen::new(jacobi).eigenvalues.iter().copied().collect();
        nodes.sort_by(f64::total_cmp);
        let half: Vec<(f64, f64)> = nodes[count / 2..].iter().map(|&x| polish(x, count)).collect();
        let mut rule = Rule { nodes: Vec::with_capacity(count), log_weights: Vec::with_capacity(count) };
        // The rule is symmetric; for an odd number the middle node is exactly zero.
        for i in 0..count {
            let (from_middle, sign) = match (2 * i + 1).cmp(&count) {
                std::cmp::Ordering::Less => (count - 1 - i, -1.0),
                std::cmp::Ordering::Equal => (i, 0.0),
                std::cmp::Ordering::Greater => (i, 1.0),
            };
            let (x, log_weight) = half[from_middle - count / 2];
            rule.nodes.push(sign * std::f64::consts::SQRT_2 * x);
            rule.log_weights.push(log_weight - 0.5 * libm::log(std::f64::consts::PI));
        }
        rule
    }

    /// Number of nodes, Q.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The nodes from 0 up, then those below 0 downwards, each side from the middle outwards.
    pub(super) fn sides(&self) -> [Vec<usize>; 2] {
        let middle = self.len() / 2;
        [(middle..self.len()).collect(), (0..middle).rev().collect()]
    }
}

/// The zero of `ψ_Q` near x, and `log w + x²` there.
fn polish(mut x: f64, count: usize) -> (f64, f64) {
    if 2 * (count / 2) < count && x.abs() < 1e-8 {
        x = 0.0;
    }
    for _ in 0..4 {
        let (values, next) = hermite_functions(x, count);
        let slope = (2.0 * count as f64).sqrt() * values[count - 1];
        x -= next / slope;
    }
    let (values, _) = hermite_functions(x, count);
    (x, -libm::log(values.iter().map(|v| v * v).sum()))
}

/// `ψ_0 … ψ_{Q-1}` and `ψ_Q` at x.
fn hermite_functions(x: f64, count: usize) -> (Vec<f64>, f64) {
    let (mut before, mut value) = (0.0, libm::pow(std::f64::consts::PI, -0.25) * libm::exp(-0.5 * x * x));
    let mut values = Vec::with_capacity(count);
    for k in 0..count {
        values.push(value);
        let k = k as f64;
        let next = x * (2.0 / (k + 1.0)).sqrt() * value - (k / (k + 1.0)).sqrt() * before;
        (before, value) = (value, next);
    }
    (values, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `Σ_j W_j u_j^degree` with W summing to 1: a moment of the standard normal distribution.
    fn moment(rule: &Rule, degree: i32) -> f64 {
        let weight = |j: usize| libm::exp(rule.log_weights[j] - 0.5 * rule.nodes[j].powi(2));
        (0..rule.len()).map(|j| weight(j) * rule.nodes[j].powi(degree)).sum()
    }

    #[test]
    fn rules_integrate_polynomials_up_to_their_degree_exactly() {
        for count in (1..=30).chain([51, 64, 101, 203]) {
            let rule = Rule::new(count);
            let mut exact = 1.0;
            for degree in (0..(2 * count as i32).min(60)).step_by(2) {
                let got = moment(&rule, degree);
                assert!((got / exact - 1.0).abs() < 1e-12, "{count} nodes, degree {degree}: {got} for {exact}");
                assert!(moment(&rule, degree + 1).abs() <= 1e-13 * exact * f64::from(degree + 1).sqrt().max(1.0));
                exact *= f64::from(degree + 1);
            }
        }
    }

    #[test]
    fn nodes_and_weights_agree_with_published_ones() {
        // Abramowitz and Stegun (1972), table 25.10, n = 5 and n = 20.
        let five = Rule::new(5);
        for (j, x, w) in [
            (2, 0.0, 0.945_308_720_483),
            (3, 0.958_572_464_613_819, 0.393_619_323_152_2),
            (4, 2.020_182_870_456_086, 1.995_324_205_905e-2),
        ] {
            let node = five.nodes[j] / std::f64::consts::SQRT_2;
            let weight = libm::exp(five.log_weights[j] - node * node) * std::f64::consts::PI.sqrt();
            assert!((node - x).abs() < 1e-14 && (weight / w - 1.0).abs() < 1e-11, "{node} {weight}");
        }
        let twenty = Rule::new(20);
        let largest = twenty.nodes[19] / std::f64::consts::SQRT_2;
        assert!((largest - 5.387_480_890_011_2).abs() < 1e-12, "{largest}");
    }

    #[test]
    fn rules_are_symmetric_to_the_bit() {
        for count in [1, 2, 7, 10, 101] {
            let rule = Rule::new(count);
            for j in 0..count {
                assert_eq!(rule.nodes[j], -rule.nodes[count - 1 - j]);
                assert_eq!(rule.log_weights[j], rule.log_weights[count - 1 - j]);
            }
            assert!(rule.nodes.windows(2).all(|pair| pair[0] < pair[1]));
        }
    }
}
