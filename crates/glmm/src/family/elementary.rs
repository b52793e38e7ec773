//! `exp` and `log1p` that give the same bits on every machine, and that the compiler can vectorise: no tables,
//! no branches, no calls; fused multiply-adds throughout.

const LOG2_E: f64 = std::f64::consts::LOG2_E;
/// ln 2 in two parts; products of the first with integers below 2^11 are exact.
const LN2_HIGH: f64 = 6.931_471_803_691_238e-1;
const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;
/// 1.5 · 2^52: adding it rounds to an integer, which then stands in the low bits.
const ROUND: f64 = 6_755_399_441_055_744.0;

/// 1/k! from k = 13 down to 0.
const TAYLOR: [f64; 14] = [
    1.0 / 6_227_020_800.0,
    1.0 / 479_001_600.0,
    1.0 / 39_916_800.0,
    1.0 / 3_628_800.0,
    1.0 / 362_880.0,
    1.0 / 40_320.0,
    1.0 / 5_040.0,
    1.0 / 720.0,
    1.0 / 120.0,
    1.0 / 24.0,
    1.0 / 6.0,
    0.5,
    1.0,
    1.0,
];

/// 1/k for odd k from 35 down to 3.
const ARTANH: [f64; 17] = [
    1.0 / 35.0,
    1.0 / 33.0,
    1.0 / 31.0,
    1.0 / 29.0,
    1.0 / 27.0,
    1.0 / 25.0,
    1.0 / 23.0,
    1.0 / 21.0,
    1.0 / 19.0,
    1.0 / 17.0,
    1.0 / 15.0,
    1.0 / 13.0,
    1.0 / 11.0,
    1.0 / 9.0,
    1.0 / 7.0,
    1.0 / 5.0,
    1.0 / 3.0,
];

/// A polynomial, given its coefficients from the highest down.
#[inline(always)]
fn horner<const N: usize>(coefficients: &[f64; N], x: f64) -> f64 {
    let mut value = coefficients[0];
    for c in &coefficients[1..] {
        value = value.mul_add(x, *c);
    }
    value
}

/// The exponential function, to within 1 unit in the last place; 0 below -708, infinite above 709.7.
#[inline(always)]
pub(super) fn exp(x: f64) -> f64 {
    let clamped = x.clamp(-745.0, 709.9);
    let shifted = clamped.mul_add(LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = n.mul_add(-LN2_LOW, n.mul_add(-LN2_HIGH, clamped));
    // Taylor series to degree 13; |r| ≤ ln 2 / 2, so that the next term is below 1e-17.
    let p = horner(&TAYLOR, r);
    // 2^n in two factors, since n may be as low as -1074 or as high as 1024. The low bits of a shifted number are
    // those of its integer; additions and left shifts of them are vector instructions everywhere.
    let half = n.mul_add(0.5, ROUND).to_bits();
    let power = |bits: u64| f64::from_bits(bits.wrapping_add(1023) << 52);
    let value = p * power(half) * power(shifted.to_bits().wrapping_sub(half));
    let value = if x > 709.782_712_893_384 { f64::INFINITY } else { value };
    if x < -745.0 { 0.0 } else { value }
}

/// `log(1 + t)` for t in [0, 1], to within 2 units in the last place: `2 artanh(t / (2 + t))`.
#[inline(always)]
pub(super) fn ln_1p(t: f64) -> f64 {
    let s = t / (2.0 + t);
    let q = s * s;
    let p = horner(&ARTANH, q);
    2.0 * s.mul_add(q * p, s)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_and_log1p_are_accurate() {
        for i in -7000..7000 {
            let x = f64::from(i) * 0.1 + 0.0317;
            let (got, want) = (exp(x), x.exp());
            assert!((got - want).abs() <= 4e-16 * want, "{x}: {got} {want}");
            let t = (f64::from(i) + 7000.0) / 14000.0;
            assert!((ln_1p(t) - t.ln_1p()).abs() <= 4e-16 * t.ln_1p(), "{t}");
        }
        assert_eq!((exp(0.0), exp(f64::NEG_INFINITY), exp(f64::INFINITY)), (1.0, 0.0, f64::INFINITY));
        assert!(exp(f64::NAN).is_nan() && exp(-744.0) > 0.0 && exp(710.0).is_infinite());
    }
}
