//! Functions of the PIM-GPT ASIC from additions and multiplications alone.
//!
//! The publication names the methods: Taylor series for the exponential and tanh, Newton-Raphson for
//! the reciprocal, the "fast inverse square root" for normalization. Orders, steps, range reduction
//! and width are not published. Here every unit computes in FP32 ([`super::bf16`]); BF16 is what enters
//! and leaves the ASIC. Bounds, with u = 2^-24 for one rounding:
//!
//! | function | method | relative error |
//! |---|---|---|
//! | [`reciprocal`] | linear seed, 1/17 off; three steps, each squares it | 4 u |
//! | [`inverse_square_root`] | shifted exponent as seed, one step | 0.0017523 + 4 u |
//! | [`exponential`] | x = k ln 2 + r, six terms through r^5 | r^6 / 720 / e^r < 3.4e-6, + 8 u |
//! | [`tanh`] | six terms through x^11 below 1/2, else from the exponential of -2 abs(x) | 4e-6 |
//! | [`gelu`] | with [`tanh`] | 2e-6 of abs(x), + 4 u |
//!
//! The last step of a Newton iteration rounds three times; the seed's square after three steps, 17^-8,
//! is below u. abs(r) is at most ln 2 / 2. The error of one step on the inverse square root with this
//! seed is known (0.17523 %). A relative error e of tanh moves GELU by e x / 2.

use std::f64::consts::{FRAC_2_PI, LN_2, LOG2_E};

use super::bf16::{Fp32, add, multiply};

/// Bits of a number that are subtracted from its exponent-halved bits: "0x5f3759df".
const ROOT_SEED: u32 = 0x5f37_59df;
/// Steps on the reciprocal.
const RECIPROCAL_STEPS: u32 = 3;
/// Coefficients of the exponential: 1 / n!.
const EXPONENTIAL: [f64; 6] = [1.0, 1.0, 1.0 / 2.0, 1.0 / 6.0, 1.0 / 24.0, 1.0 / 120.0];
/// Coefficients of tanh: x^1, x^3 and so on.
const TANH: [f64; 6] =
    [1.0, -1.0 / 3.0, 2.0 / 15.0, -17.0 / 315.0, 62.0 / 2835.0, -1382.0 / 155_925.0];
/// ln 2 with the last 14 bits 0, so that its product with a whole number below 2^10 is exact.
const LN_2_HIGH: f64 = 0.693_359_375;
/// Where tanh changes its method.
const TANH_SPLIT: f64 = 0.5;
/// Coefficient of the cubic term of GELU (Hendrycks and Gimpel, arXiv 1606.08415).
const GELU_CUBIC: f64 = 0.044_715;

fn number(value: f64) -> Fp32 {
    Fp32::from_f64(value)
}

fn times(a: Fp32, b: Fp32) -> Fp32 {
    multiply(a, b)
}

/// Whether `a` < `b`; false if one is NaN.
fn less(a: Fp32, b: Fp32) -> bool {
    // The sign of a difference that is not zero.
    let difference = add(a, b.negate());
    !difference.is_nan() && difference.is_negative() && difference != Fp32::ZERO.negate()
}

/// The larger of two numbers, the first where they are equal.
pub fn larger(a: Fp32, b: Fp32) -> Fp32 {
    if less(a, b) { b } else { a }
}

fn magnitude(x: Fp32) -> Fp32 {
    if x.is_negative() { x.negate() } else { x }
}

/// Coefficients from the lowest, by Horner.
fn polynomial(coefficients: &[f64], x: Fp32) -> Fp32 {
    let terms = coefficients.iter().rev();
    terms.fold(Fp32::ZERO, |sum, &coefficient| add(times(sum, x), number(coefficient)))
}

/// Fields of a positive number: exponent, and the number scaled to [0.5, 1).
fn scaled(x: Fp32) -> (i32, Fp32) {
    let (field, fraction) = ((x.to_bits() >> 23) & 255, x.to_bits() & 0x7f_ffff);
    (field as i32 - 126, Fp32::from_bits(126 << 23 | fraction))
}

/// `x` times 2^`exponent`.
fn shifted(x: Fp32, exponent: i32) -> Fp32 {
    // Two factors, each of which is a number.
    let half = exponent.div_euclid(2);
    let power = |exponent: i32| number(f64::from(exponent.clamp(-126, 127)).exp2());
    times(times(x, power(half)), power(exponent - half))
}

/// 1 / x.
pub fn reciprocal(x: Fp32) -> Fp32 {
    // Rounding to its own format makes a subnormal number the zero that it counts as.
    let (positive, infinity) = (magnitude(x.round()), number(f64::INFINITY));
    if positive.is_nan() {
        return Fp32::NAN;
    }
    let result = match positive {
        Fp32::ZERO => infinity,
        _ if positive == infinity => Fp32::ZERO,
        _ => {
            let (exponent, scaled) = scaled(positive);
            let mut guess = add(number(48.0 / 17.0), times(number(-32.0 / 17.0), scaled));
            for _ in 0..RECIPROCAL_STEPS {
                let rest = add(Fp32::ONE, times(scaled, guess).negate());
                guess = add(guess, times(guess, rest));
            }
            shifted(guess, -exponent)
        }
    };
    if x.is_negative() { result.negate() } else { result }
}

/// 1 / sqrt(x) for a positive number; of anything else there is no such number.
pub fn inverse_square_root(x: Fp32) -> Fp32 {
    if !less(Fp32::ZERO, x) || x == number(f64::INFINITY) {
        return Fp32::NAN;
    }
    let seed = Fp32::from_bits(ROOT_SEED - (x.to_bits() >> 1));
    let half = times(number(0.5), x);
    let rest = add(number(1.5), times(times(half, seed), seed).negate());
    times(seed, rest)
}

/// e^x.
pub fn exponential(x: Fp32) -> Fp32 {
    if x.is_nan() {
        return Fp32::NAN;
    }
    if less(number(89.0), x) {
        return number(f64::INFINITY);
    }
    if less(x, number(-88.0)) {
        // Below the smallest normal number, about e^-87.3.
        return Fp32::ZERO;
    }
    let whole = times(x, number(LOG2_E)).to_f32().round_ties_even();
    let steps = Fp32::from_f32(-whole);
    let rest = add(x, times(steps, number(LN_2_HIGH)));
    let rest = add(rest, times(steps, number(LN_2 - LN_2_HIGH)));
    // At most 128 either way.
    shifted(polynomial(&EXPONENTIAL, rest), whole as i32)
}

/// The hyperbolic tangent.
pub fn tanh(x: Fp32) -> Fp32 {
    let positive = magnitude(x);
    if less(positive, number(TANH_SPLIT)) {
        return times(x, polynomial(&TANH, times(x, x)));
    }
    let decayed = exponential(times(number(-2.0), positive));
    let above = add(Fp32::ONE, decayed.negate());
    let result = times(above, reciprocal(add(Fp32::ONE, decayed)));
    if x.is_negative() { result.negate() } else { result }
}

/// x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))), what GPT-2 calls `gelu_new`.
pub fn gelu(x: Fp32) -> Fp32 {
    let cubic = times(times(times(number(GELU_CUBIC), x), x), x);
    let bent = tanh(times(number(FRAC_2_PI.sqrt()), add(x, cubic)));
    times(times(number(0.5), x), add(Fp32::ONE, bent))
}

#[cfg(test)]
mod tests {
    use super::*;

    const U: f64 = 1.0 / 16_777_216.0;

    fn fp32(value: f64) -> Fp32 {
        number(value)
    }

    /// Numbers with `steps` even steps from `from` to `to`.
    fn range(from: f64, to: f64, steps: u32) -> impl Iterator<Item = Fp32> {
        (0..=steps).map(move |step| fp32(from + (to - from) * f64::from(step) / f64::from(steps)))
    }

    fn relative(found: Fp32, expected: f64) -> f64 {
        ((found.to_f64() - expected) / expected).abs()
    }

    #[test]
    fn reciprocals_are_right_to_the_last_bits() {
        for x in range(0.001, 10.0, 50_000).chain([1e-30, 3e37, -7.0].map(fp32)) {
            assert!(relative(reciprocal(x), 1.0 / x.to_f64()) <= 4.0 * U, "{x:?}");
        }
        assert_eq!(reciprocal(Fp32::ONE), Fp32::ONE);
        assert_eq!(reciprocal(Fp32::ZERO.negate()), fp32(f64::NEG_INFINITY));
        assert_eq!(reciprocal(fp32(f64::INFINITY)), Fp32::ZERO);
        assert_eq!(reciprocal(Fp32::from_bits(0x8000_0001)), fp32(f64::NEG_INFINITY));
        assert!(reciprocal(Fp32::NAN).is_nan());
    }

    #[test]
    fn inverse_square_roots_have_the_known_error_of_one_step() {
        let mut worst = 0.0f64;
        for x in range(0.25, 4.0, 100_000).chain([1e-30, 1e30].map(fp32)) {
            worst = worst.max(relative(inverse_square_root(x), x.to_f64().powf(-0.5)));
        }
        // One step would leave 0.06 % with the best possible seed, and two steps 5e-6.
        assert!((0.001_70..0.001_752_3 + 4.0 * U).contains(&worst), "{worst}");
        for x in [0.0, -0.0, -1.0, f64::INFINITY, f64::NAN] {
            assert!(inverse_square_root(fp32(x)).is_nan(), "{x}");
        }
    }

    /// -30 is far beyond what the series alone can do: there it gives more than 10^5.
    #[test]
    fn exponentials_hold_their_bound_over_the_whole_range() {
        for x in range(-87.0, 88.0, 200_000).chain(range(-1.0, 1.0, 20_000)) {
            let error = relative(exponential(x), x.to_f64().exp());
            assert!(error <= 3.4e-6 + 8.0 * U, "{x:?}: {error}");
        }
        assert_eq!(exponential(Fp32::ZERO), Fp32::ONE);
        assert_eq!(exponential(fp32(-1000.0)), Fp32::ZERO);
        assert_eq!(exponential(fp32(1000.0)), fp32(f64::INFINITY));
        assert_eq!(exponential(fp32(f64::NEG_INFINITY)), Fp32::ZERO);
        assert!(exponential(Fp32::NAN).is_nan());
    }

    #[test]
    fn tanh_holds_its_bound_on_both_sides_of_the_split() {
        for x in range(-12.0, 12.0, 100_000).chain(range(0.4, 0.6, 20_000)) {
            if x != Fp32::ZERO {
                let error = relative(tanh(x), x.to_f64().tanh());
                assert!(error <= 4e-6, "{x:?}: {error}");
            }
        }
        assert_eq!(tanh(Fp32::ZERO), Fp32::ZERO);
        assert_eq!(tanh(fp32(-100.0)), Fp32::ONE.negate());
    }

    #[test]
    fn gelu_holds_its_bound() {
        for x in range(-10.0, 10.0, 100_000) {
            let value = x.to_f64();
            let inner = FRAC_2_PI.sqrt() * (value + GELU_CUBIC * value.powi(3));
            let expected = 0.5 * value * (1.0 + inner.tanh());
            let error = (gelu(x).to_f64() - expected).abs();
            assert!(error <= 2e-6 * value.abs() + 4.0 * U * expected.abs(), "{x:?}: {error}");
        }
        // By table: GELU(1) = 0.841192.
        assert!((gelu(Fp32::ONE).to_f64() - 0.841_192).abs() < 1e-6);
    }

    #[test]
    fn larger_knows_signs_zeros_and_nan() {
        let pairs = [(1.0, 2.0, 2.0), (-1.0, -2.0, -1.0), (-1.0, 1.0, 1.0), (3.0, 3.0, 3.0)];
        for (a, b, expected) in pairs {
            assert_eq!(larger(fp32(a), fp32(b)), fp32(expected));
        }
        assert_eq!(larger(Fp32::ZERO, Fp32::ZERO.negate()), Fp32::ZERO);
    }
}
