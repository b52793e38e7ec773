//! Sums of positive terms that are given by their logarithms, one after the other.

/// `log Σ_j exp(v_j)`, with the scaling that sums weighted by the same terms need.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mixture {
    largest: f64,
    total: f64,
}

impl Mixture {
    pub(super) fn new() -> Mixture {
        Mixture { largest: f64::NEG_INFINITY, total: 0.0 }
    }

    /// Adds `exp(v)`. Returns the factor for sums so far and the weight of the new term in them.
    pub(super) fn add(&mut self, v: f64) -> (f64, f64) {
        let (scale, weight) = match v > self.largest {
            true => (libm::exp(self.largest - v), 1.0),
            false => (1.0, libm::exp(v - self.largest)),
        };
        self.total = self.total * scale + weight;
        self.largest = self.largest.max(v);
        (scale, weight)
    }

    /// The sum in the scale of the weights: sums over this are posterior means.
    pub(super) fn total(&self) -> f64 {
        self.total
    }

    /// `log Σ exp(v)`.
    pub(super) fn log(&self) -> f64 {
        self.largest + libm::log(self.total)
    }
}

/// `sums = scale · sums + weight · values`.
pub(super) fn accumulate(sums: &mut [f64], values: &[f64], (scale, weight): (f64, f64)) {
    match scale == 1.0 {
        true => sums.iter_mut().zip(values).for_each(|(sum, v)| *sum += weight * v),
        false => sums.iter_mut().zip(values).for_each(|(sum, v)| *sum = scale * *sum + weight * v),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_do_not_depend_on_the_order_or_overflow() {
        for order in [[800.0, 801.0, 799.0], [801.0, 800.0, 799.0], [799.0, 800.0, 801.0]] {
            let (mut mixture, mut mean) = (Mixture::new(), [0.0]);
            for v in order {
                let scaling = mixture.add(v);
                accumulate(&mut mean, &[v], scaling);
            }
            let total = 1.0 + (-1.0_f64).exp() + (-2.0_f64).exp();
            assert!((mixture.log() - 801.0 - total.ln()).abs() < 1e-13);
            let want = (801.0 + 800.0 * (-1.0_f64).exp() + 799.0 * (-2.0_f64).exp()) / total;
            assert!((mean[0] / mixture.total() - want).abs() < 1e-12);
        }
    }
}
