//! Numbers as R prints them, so that a summary reads like lme4's.

/// Number of characters by which scientific notation must be shorter to be preferred. This is R's
/// `scipen`, which is 0 there, but decimals are easier to compare.
const SCIENTIFIC_PENALTY: i32 = 4;

/// Formats a column of numbers with common decimals, by the rule of R's `format(x, digits)`: the fewest
/// decimals that show every number with `digits` significant digits, or scientific notation where that
/// is much shorter.
pub fn column(values: &[f64], digits: usize) -> Vec<String> {
    let finite: Vec<Digits> = values.iter().filter(|v| v.is_finite()).map(|&v| Digits::of(v, digits)).collect();
    let most = |of: fn(&Digits) -> i32| finite.iter().map(of).max().unwrap_or(0);
    let sign = i32::from(values.iter().any(|v| *v < 0.0));
    let decimals = most(|d| (d.significant - d.exponent - 1).max(0));
    let fixed = sign + most(|d| d.exponent.max(0) + 1) + decimals + i32::from(decimals > 0);
    let mantissa = most(|d| d.significant) - 1;
    let exponent = if finite.iter().any(|d| d.exponent.abs() >= 100) { 5 } else { 4 };
    let scientific = sign + 1 + mantissa + i32::from(mantissa > 0) + exponent;
    let one = |&value: &f64| match value {
        v if v.is_nan() => "NaN".to_owned(),
        v if v.is_infinite() => if v > 0.0 { "Inf" } else { "-Inf" }.to_owned(),
        v if fixed <= scientific + SCIENTIFIC_PENALTY => fixed_point(v, decimals as usize),
        v => scientific_notation(v, mantissa as usize),
    };
    values.iter().map(one).collect()
}

/// Returns the number of decimals of R's tables of coefficients: `digits` digits of the smallest number.
pub fn decimals_of_smallest(values: &[f64], digits: i32) -> usize {
    let sizes = values.iter().map(|v| v.abs()).filter(|v| *v > 0.0 && v.is_finite());
    let smallest = sizes.fold(f64::INFINITY, f64::min);
    let whole = if smallest.is_finite() { 1 + smallest.log10().floor() as i32 } else { 1 };
    (digits - whole).max(1) as usize
}

/// Rounds to this number of decimals, as R's `round`.
pub fn round(value: f64, decimals: usize) -> f64 {
    format!("{value:.decimals$}").parse().unwrap_or(value)
}

/// Formats with a fixed number of decimals, without a minus sign before zeros.
pub fn fixed_point(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    match text.strip_prefix('-') {
        Some(rest) if rest.bytes().all(|b| b == b'0' || b == b'.') => rest.to_owned(),
        _ => text,
    }
}

/// Formats with at most four decimals and without trailing zeros: `2.5`, `95`.
pub fn trim_number(value: f64) -> String {
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Formats p values as R's `format.pval`: three digits, `<2e-16` below the machine precision.
pub fn p_values(values: &[f64]) -> Vec<String> {
    const TINY: f64 = 2.2e-16;
    let is_tiny = |v: f64| v < TINY;
    let is_small = |v: f64| v > 0.0 && v.log10() < -3.0;
    let pick = |keep: &dyn Fn(f64) -> bool| -> Vec<f64> { values.iter().copied().filter(|&v| keep(v)).collect() };
    let mut fixed = column(&pick(&|v| !is_tiny(v) && !is_small(v)), 3).into_iter();
    let small = pick(&|v| !is_tiny(v) && is_small(v));
    let mut small = small.iter().map(|&v| scientific_notation(v, Digits::of(v, 3).significant as usize - 1));
    let one = |&v: &f64| match v {
        v if is_tiny(v) => "<2e-16".to_owned(),
        v if is_small(v) => small.next().expect("one for each that is small"),
        _ => fixed.next().expect("one for each that is not"),
    };
    values.iter().map(one).collect()
}

/// Formats as `1.5e-07`: the exponent has at least two digits, as in C and R.
fn scientific_notation(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$e}");
    let (mantissa, exponent) = text.split_once('e').expect("Rust writes an exponent");
    let exponent: i32 = exponent.parse().expect("Rust writes a number there");
    format!("{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

/// The digits of a number that was rounded to a number of significant digits.
struct Digits {
    /// Power of ten of the first digit.
    exponent: i32,
    /// Significant digits without zeros at the end.
    significant: i32,
}

impl Digits {
    fn of(value: f64, digits: usize) -> Self {
        let text = format!("{:.*e}", digits - 1, value.abs());
        let (mantissa, exponent) = text.split_once('e').expect("Rust writes an exponent");
        let mantissa = mantissa.trim_end_matches('0').trim_end_matches('.');
        let significant = mantissa.bytes().filter(u8::is_ascii_digit).count().max(1);
        Digits { exponent: exponent.parse().expect("Rust writes a number there"), significant: significant as i32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_has_the_decimals_that_its_smallest_number_needs() {
        // R: format(c(612.10016, 35.07171, 654.94001), digits = 4)
        assert_eq!(column(&[612.100_16, 35.071_71, 654.940_01], 4), ["612.10", "35.07", "654.94"]);
        assert_eq!(column(&[1.131_802_9, 0.020_274_9, 5.042_44], 4), ["1.13180", "0.02027", "5.04244"]);
        assert_eq!(column(&[0.0, 1.5], 4), ["0.0", "1.5"]);
        assert_eq!(column(&[100.0, -2.0], 4), ["100", "-2"]);
        assert_eq!(column(&[f64::NAN, 2.25], 4), ["NaN", "2.25"]);
        assert!(column(&[], 4).is_empty());
    }

    #[test]
    fn very_small_and_large_numbers_are_scientific() {
        // R: format(c(1.5e-10, 3), digits = 4)
        assert_eq!(column(&[1.5e-10, 3.0], 4), ["1.5e-10", "3.0e+00"]);
        assert_eq!(column(&[1e100], 4), ["1e+100"]);
        assert_eq!(column(&[123_456_789.0], 4), ["123456789"]);
    }

    #[test]
    fn p_values_are_those_of_r() {
        assert_eq!(p_values(&[0.0, 1e-20, 0.034_567, 0.000_123_4]), ["<2e-16", "<2e-16", "0.0346", "1.23e-04"]);
        assert_eq!(p_values(&[0.5, 0.012_34, 1.0]), ["0.5000", "0.0123", "1.0000"]);
    }

    #[test]
    fn zero_has_no_sign() {
        assert_eq!(fixed_point(-0.000_01, 2), "0.00");
        assert_eq!(fixed_point(-0.01, 2), "-0.01");
    }

    #[test]
    fn tables_of_coefficients_stop_at_four_digits_of_the_smallest() {
        // sleepstudy in lme4: 251.405, 6.825, 10.467, 1.546
        assert_eq!(decimals_of_smallest(&[251.405_1, 6.824_6, 10.467_29, 1.545_79], 4), 3);
        assert_eq!(decimals_of_smallest(&[0.0], 4), 3);
    }
}
