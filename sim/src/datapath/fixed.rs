//! Edge-MoE's arithmetic on features: 32 bits, 22 of them behind the point.
//!
//! A product or sum is computed with all its bits and then cut to a feature: bits below the last are
//! dropped, which rounds toward minus infinity; beyond the range the upper bits are dropped too, or the
//! nearest end of the range is taken. Numbers are integers in units of the last bit of their format
//! ([`attelier_hw::edge_moe::formats`]).

use attelier_hw::edge_moe::formats::{FEATURE, Format};

/// One, as a feature.
pub const ONE: i32 = 1 << FEATURE.fraction;

/// Arithmetic on features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fixed {
    /// A result beyond the range becomes the nearest end of it; otherwise its upper bits are lost.
    pub saturate: bool,
}

impl Fixed {
    /// A feature from a number with as many fraction bits.
    pub fn fit(self, value: i64) -> i32 {
        if self.saturate {
            value.clamp(i32::MIN.into(), i32::MAX.into()) as i32
        } else {
            value as i32
        }
    }

    /// Sum of two features.
    pub fn add(self, a: i32, b: i32) -> i32 {
        self.fit(i64::from(a) + i64::from(b))
    }

    /// Difference of two features.
    pub fn subtract(self, a: i32, b: i32) -> i32 {
        self.fit(i64::from(a) - i64::from(b))
    }

    /// Product that has `surplus` fraction bits more than a feature: those of the other factor.
    pub fn multiply(self, a: i32, b: i32, surplus: u32) -> i32 {
        self.fit((i64::from(a) * i64::from(b)) >> surplus)
    }

    /// Product of two features.
    pub fn product(self, a: i32, b: i32) -> i32 {
        self.multiply(a, b, FEATURE.fraction)
    }

    /// What one beat of an array of multipliers adds to a running sum: each product, with `surplus`
    /// fraction bits more than a feature, is cut to one; then all are added, and the sum is cut once.
    pub fn dot<T: Copy + Into<i64>>(self, sum: i32, a: &[i32], b: &[T], surplus: u32) -> i32 {
        let products = a.iter().zip(b).map(|(&a, &b)| (i64::from(a) * b.into()) >> surplus);
        if self.saturate {
            let limits = (i64::from(i32::MIN), i64::from(i32::MAX));
            let products = products.map(|product| product.clamp(limits.0, limits.1));
            self.fit(products.fold(sum.into(), i64::wrapping_add))
        } else {
            // The order of cuts does not matter where upper bits are lost.
            products.fold(sum, |sum, product| sum.wrapping_add(product as i32))
        }
    }
}

/// A real number in a format, cut toward minus infinity as the arithmetic does; NaN becomes 0.
pub fn quantise(format: Format, value: f64, saturate: bool) -> i32 {
    let (least, most) = format.range();
    let scaled = (value * (1u64 << format.fraction) as f64).floor();
    let integer = scaled as i64;
    if saturate || scaled.is_infinite() || (least..=most).contains(&integer) {
        return integer.clamp(least, most) as i32;
    }
    // The upper bits are lost: a residue of 2^bits, in the range of the format.
    let span = (1u64 << format.bits) as f64;
    let residue = scaled.rem_euclid(span) as i64;
    let wrapped = if residue > most { residue - (1 << format.bits) } else { residue };
    wrapped as i32
}

/// The real number that an integer stands for in a format.
pub fn real(format: Format, value: i32) -> f64 {
    f64::from(value) / (1u64 << format.fraction) as f64
}

#[cfg(test)]
mod tests {
    use attelier_hw::edge_moe::formats::{PIXEL, WEIGHT};
    use proptest::prelude::*;

    use super::*;

    const WRAP: Fixed = Fixed { saturate: false };
    const SATURATE: Fixed = Fixed { saturate: true };

    #[test]
    fn products_are_cut_toward_minus_infinity() {
        // Half a last bit, above and below zero.
        assert_eq!(WRAP.product(ONE / 2, 1), 0);
        assert_eq!(WRAP.product(ONE / 2, -1), -1);
        assert_eq!(WRAP.product(-3 * ONE, 5 * ONE), -15 * ONE);
    }

    #[test]
    fn results_beyond_the_range_wrap_or_saturate() {
        let (a, b) = (500 * ONE, 20 * ONE);
        assert_eq!(WRAP.add(a, b), -504 * ONE);
        assert_eq!(SATURATE.add(a, b), i32::MAX);
        assert_eq!(SATURATE.subtract(-a, b), i32::MIN);
        // 30 * 30 = 900 = 1024 - 124.
        assert_eq!(WRAP.product(30 * ONE, 30 * ONE), -124 * ONE);
        assert_eq!(SATURATE.product(30 * ONE, -30 * ONE), i32::MIN);
    }

    /// 300 + 300 - 500: each product fits, so only the sum of all is cut.
    #[test]
    fn a_beat_saturates_its_products_and_then_their_sum_once() {
        let (inputs, ones) = ([300 * ONE, 300 * ONE, -500 * ONE], [ONE; 3]);
        assert_eq!(SATURATE.dot(0, &inputs, &ones, 22), 100 * ONE);
        // 600 becomes just below 512 before 500 are taken away.
        assert_eq!(SATURATE.dot(0, &[300 * ONE, -500 * ONE], &[2 * ONE, ONE], 22), 12 * ONE - 1);
    }

    #[test]
    fn real_numbers_are_cut_and_wrap() {
        let weight = |value, saturate| quantise(WEIGHT, value, saturate);
        assert_eq!([weight(0.5, false), weight(-1e-9, false)], [8192, -1]);
        assert_eq!([weight(2.0, false), weight(2.0, true)], [-32_768, 32_767]);
        assert_eq!(weight(-2.5, false), 24_576);
        assert_eq!([weight(f64::INFINITY, false), weight(f64::NAN, false)], [32_767, 0]);
        assert_eq!([quantise(PIXEL, 255.0 / 256.0, false), quantise(PIXEL, 1.0, true)], [255; 2]);
        assert_eq!(real(WEIGHT, -8192), -0.5);
    }

    proptest! {
        /// A beat against one product after the other in 128 bits.
        #[test]
        fn a_beat_is_the_sum_of_cut_products(
            sum: i32,
            pairs in prop::collection::vec((any::<i32>(), any::<i16>()), 0..32),
        ) {
            let (a, b): (Vec<i32>, Vec<i16>) = pairs.iter().copied().unzip();
            let cut = |a: i32, b: i16| (i128::from(a) * i128::from(b)).div_euclid(1 << 14);
            let exact = pairs.iter().fold(i128::from(sum), |sum, &(a, b)| sum + cut(a, b));
            prop_assert_eq!(i128::from(WRAP.dot(sum, &a, &b, 14)), exact as i32 as i128);
        }
    }
}
