//! Exponential, reciprocal and inverse square root of features, on integers alone.
//!
//! The released code calls the fixed-point functions of its library, whose algorithms are not published.
//! These are ours; u = 2^-22 is the last bit of a feature.
//!
//! | function | method | error |
//! |---|---|---|
//! | [`exp_negative`] | product of three tables and 1 - rest | -1.6 u to 0.3 u |
//! | [`divide`], [`reciprocal`] | restoring division, a bit of the quotient per step | above -u, at most 0 |
//! | [`square_root`] | digit by digit, a bit of the root per step | above -u, at most 0 |
//! | [`inverse_square_root`] | reciprocal of the root | root and quotient one after the other |
//!
//! Exponential: three products each lose less than 2^-26 and three entries are off by at most 2^-27,
//! which makes 0.29 u; 1 - rest is below the exponential by at most rest^2 / 2 < 2^-25, or 0.13 u; the last
//! cut takes up to 1 u. Over all 2^26 exponents below 16 the largest errors are -1.23 u and 0.04 u.

use attelier_hw::edge_moe::formats::FEATURE;
use attelier_hw::edge_moe::tables::{
    EXP_FRACTION_BITS, EXP_HIGH, EXP_LOW, EXP_PART_BITS, EXP_UNITS,
};

use super::fixed::Fixed;

/// exp(-`distance`), where `distance` has the fraction bits of a feature and no sign; between 0 and 1.
pub fn exp_negative(distance: u32) -> i32 {
    // Fraction bits below the second and below the third part.
    const HIGH: u32 = FEATURE.fraction - EXP_PART_BITS;
    const LOW: u32 = HIGH - EXP_PART_BITS;
    let Some(&units) = EXP_UNITS.get((distance >> FEATURE.fraction) as usize) else { return 0 };
    let part = |shift: u32| (distance >> shift) as usize % (1 << EXP_PART_BITS);
    let rest = (distance % (1 << LOW)) << (EXP_FRACTION_BITS - FEATURE.fraction);
    let factors = [EXP_HIGH[part(HIGH)], EXP_LOW[part(LOW)], (1 << EXP_FRACTION_BITS) - rest];
    let product = factors.into_iter().fold(u64::from(units), |product, factor| {
        (product * u64::from(factor)) >> EXP_FRACTION_BITS
    });
    (product >> (EXP_FRACTION_BITS - FEATURE.fraction)) as i32
}

/// `numerator` / `denominator` of features that are not negative, without the bits below the last; a
/// denominator of 0 or less counts as the last bit.
pub fn divide(fixed: Fixed, numerator: i32, denominator: i32) -> i32 {
    let numerator = i64::from(numerator.max(0)) << FEATURE.fraction;
    fixed.fit(numerator / i64::from(denominator.max(1)))
}

/// 1 / `x`. Below 2^-9 it leaves the range of features.
pub fn reciprocal(fixed: Fixed, x: i32) -> i32 {
    divide(fixed, super::fixed::ONE, x)
}

/// Square root of a feature, without the bits below the last; 0 for what is negative.
pub fn square_root(x: i32) -> i32 {
    let radicand = (x.max(0) as u64) << FEATURE.fraction;
    // Below 2^27, so that nothing is lost.
    radicand.isqrt() as i32
}

/// 1 / sqrt(`x`); what is 0 or negative counts as the last bit.
pub fn inverse_square_root(fixed: Fixed, x: i32) -> i32 {
    reciprocal(fixed, square_root(x.max(1)))
}

#[cfg(test)]
mod tests {
    use attelier_hw::edge_moe::formats::FEATURE;
    use proptest::prelude::*;

    use super::super::fixed::{ONE, real};
    use super::*;

    const WRAP: Fixed = Fixed { saturate: false };
    const U: f64 = 1.0 / ONE as f64;

    fn error(distance: u32) -> f64 {
        let exact = (-f64::from(distance) * U).exp();
        (real(FEATURE, exp_negative(distance)) - exact) / U
    }

    /// Every exponent of a step that has no factor in common with the parts, and both sides of each
    /// border between entries.
    #[test]
    fn the_exponential_is_within_its_bound() {
        let steps = (0..1u32 << 26).step_by(1021);
        let borders = (0..1u32 << 16).flat_map(|part| [part << 10, (part << 10) + 1023]);
        for distance in steps.chain(borders) {
            let error = error(distance);
            assert!((-1.23..0.05).contains(&error), "{error} at {distance}");
        }
        assert_eq!([exp_negative(0), exp_negative(16 << 22), exp_negative(u32::MAX)], [ONE, 0, 0]);
    }

    #[test]
    fn quotients_and_roots_are_known() {
        assert_eq!(divide(WRAP, 3 * ONE, 4 * ONE), 3 * ONE / 4);
        // 2^44 / 3 * 2^22 = 1398101.33.
        assert_eq!(reciprocal(WRAP, 3 * ONE), 1_398_101);
        assert_eq!([square_root(2 * ONE), square_root(-1)], [5_931_641, 0]);
        assert_eq!(inverse_square_root(WRAP, 4 * ONE), ONE / 2);
        // 2^33 units: the upper bits are lost, or the largest feature is taken.
        assert_eq!(inverse_square_root(WRAP, 0), 0);
        assert_eq!(inverse_square_root(Fixed { saturate: true }, 0), i32::MAX);
    }

    /// A bit per step, as a divider and a root extractor in hardware find them.
    fn restoring_division(numerator: u64, denominator: u64) -> u64 {
        let (mut rest, mut quotient) = (0u64, 0u64);
        for bit in (0..54).rev() {
            rest = rest << 1 | (numerator >> bit & 1);
            quotient <<= 1;
            if rest >= denominator {
                rest -= denominator;
                quotient |= 1;
            }
        }
        quotient
    }

    fn digits_of_a_root(radicand: u64) -> u64 {
        let mut root = 0u64;
        for bit in (0..27).rev() {
            let candidate = root | 1 << bit;
            if candidate * candidate <= radicand {
                root = candidate;
            }
        }
        root
    }

    proptest! {
        #[test]
        fn division_and_root_are_those_of_the_bitwise_circuits(a in 1i32.., b in 1i32..) {
            let quotient = restoring_division((a as u64) << 22, b as u64);
            prop_assert_eq!(divide(WRAP, a, b), quotient as i32);
            prop_assert_eq!(square_root(a) as u64, digits_of_a_root((a as u64) << 22));
        }
    }
}
