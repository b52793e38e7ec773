//! Sums of logarithms by products.

/// Sum of the logarithms of numbers that are at least 1, taken of products of several numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogSum {
    sum: f64,
    product: f64,
}

impl LogSum {
    pub(crate) fn new() -> Self {
        LogSum { sum: 0.0, product: 1.0 }
    }

    #[inline(always)]
    pub(crate) fn add(&mut self, value: f64) {
        self.product *= value;
        if !(self.product < 1e100 && value < 1e100) {
            // The product was below 1e100 before this step, so it is still finite for values up to 1e200.
            self.sum += (self.product / value).ln() + value.ln();
            self.product = 1.0;
        }
    }

    pub(crate) fn total(self) -> f64 {
        self.sum + self.product.ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_sum_survives_large_factors() {
        let mut sum = LogSum::new();
        let values = [1.5, 1e90, 1e99, 1e200, 2.0, 1e300, 1e300, 1.0];
        values.iter().for_each(|&v| sum.add(v));
        let want: f64 = values.iter().map(|v: &f64| v.ln()).sum();
        assert!((sum.total() - want).abs() < 1e-10);
    }
}
