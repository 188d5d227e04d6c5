//! Softmax on integers: scale, power of two, running sum, reciprocal, 12-bit probability.
//!
//! A score becomes an exponent of two, `y = score * scale * log2(e)`. Its nearest integer `n` is kept
//! as it is; the rest, at most a half, goes through the fifth-order series. So an exponential is a
//! mantissa between 0.7 and 1.42 and an exponent, and no score is too large. The sum follows the
//! largest exponent seen so far by shifting right, which replaces the subtraction of a maximum: the
//! pipeline reads every score once.

use attelier_hw::spatten::formats::{
    EXPONENT_FRACTION_BITS, EXPONENT_INTEGER_BITS, RECIPROCAL_BITS, SCALE_BITS, SERIES,
    SUM_GUARD_BITS,
};

/// From integer scores to exponents of two: a mantissa and a right shift.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scale {
    /// [`SCALE_BITS`] bits, leading bit set; 0 if the scale is 0.
    pub mantissa: i64,
    /// Right shift after the multiplication, 0 to 63.
    pub shift: u32,
}

impl Scale {
    /// The scale that turns a score whose last bit is worth `step` into an exponent of two.
    pub fn new(step: f64) -> Self {
        let factor = step * std::f64::consts::LOG2_E * f64::from(1u32 << EXPONENT_FRACTION_BITS);
        if !(factor > 0.0 && factor.is_finite()) {
            return Self { mantissa: 0, shift: 0 };
        }
        let exponent = factor.log2().floor() as i32;
        let shift = (SCALE_BITS as i32 - 1 - exponent).clamp(0, 63);
        let mantissa = (factor * f64::from(shift).exp2()).round();
        let most = f64::from((1u32 << SCALE_BITS) - 1);
        // Rounding up can reach the next power of two.
        match mantissa > most && shift > 0 && mantissa <= most + 1.0 {
            true => Self { mantissa: 1 << (SCALE_BITS - 1), shift: shift as u32 - 1 },
            false => Self { mantissa: mantissa.min(most) as i64, shift: shift as u32 },
        }
    }

    /// The exponent of two of a score, saturated.
    pub fn apply(&self, score: i64) -> i64 {
        let limit = 1i128 << (EXPONENT_INTEGER_BITS + EXPONENT_FRACTION_BITS - 1);
        let product = (i128::from(score) * i128::from(self.mantissa)) >> self.shift;
        product.clamp(-limit, limit - 1) as i64
    }
}

/// An exponential: `mantissa / 2^16 * 2^exponent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exponential {
    /// [`MANTISSA_FRACTION_BITS`] fraction bits.
    pub mantissa: i64,
    /// -512 to 512.
    pub exponent: i64,
}

impl Exponential {
    /// Two to the power of `y`, which has [`EXPONENT_FRACTION_BITS`] fraction bits. Every product of
    /// the series loses its lower bits.
    pub fn of(y: i64) -> Self {
        let exponent = (y + (1 << (EXPONENT_FRACTION_BITS - 1))) >> EXPONENT_FRACTION_BITS;
        let rest = y - (exponent << EXPONENT_FRACTION_BITS);
        let [low @ .., highest] = SERIES;
        let mantissa = low.iter().rev().fold(highest, |sum, coefficient| {
            coefficient + ((sum * rest) >> EXPONENT_FRACTION_BITS)
        });
        Self { mantissa, exponent }
    }
}

/// The running sum of a pass: a fixed-point number relative to the largest exponent so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sum {
    /// [`MANTISSA_FRACTION_BITS`] + [`SUM_GUARD_BITS`] fraction bits.
    pub value: i64,
    /// Largest exponent so far.
    pub exponent: i64,
}

impl Default for Sum {
    fn default() -> Self {
        Self { value: 0, exponent: -(1 << (EXPONENT_INTEGER_BITS - 1)) }
    }
}

impl Sum {
    /// Adds one row: the exponentials of one cycle, of which those beyond the last key are absent.
    pub fn add_row(&mut self, row: &[Exponential]) {
        let largest = row.iter().fold(self.exponent, |most, term| most.max(term.exponent));
        let mut value = shift_right(self.value, largest - self.exponent);
        for term in row {
            value += shift_right(term.mantissa << SUM_GUARD_BITS, largest - term.exponent);
        }
        *self = Self { value, exponent: largest };
    }

    /// The reciprocal by which every exponential of the pass is multiplied.
    pub fn reciprocal(&self) -> Reciprocal {
        let length = i64::from(64 - self.value.leading_zeros());
        let normal = self.value >> (length - i64::from(RECIPROCAL_BITS)).max(0);
        let value = ((1i64 << (2 * RECIPROCAL_BITS - 1)) - 1) / normal.max(1);
        Reciprocal { value, length, exponent: self.exponent }
    }
}

/// The reciprocal of a sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reciprocal {
    /// [`RECIPROCAL_BITS`] bits, leading bit set.
    pub value: i64,
    /// Bit length of the sum.
    pub length: i64,
    /// Exponent of the sum.
    pub exponent: i64,
}

impl Reciprocal {
    /// The probability of a term as an unsigned fraction of `word_bits` bits, rounded half up and
    /// saturated just below 1.
    pub fn probability(&self, term: Exponential, word_bits: u32) -> u16 {
        let guard = i64::from(SUM_GUARD_BITS) - i64::from(word_bits);
        let shift = self.length + guard + self.exponent - term.exponent;
        let product = term.mantissa * self.value;
        // Beyond 2^40 even the half that rounds is lost.
        let rounded = if shift > 40 { 0 } else { (product + (1 << (shift - 1))) >> shift };
        rounded.min((1 << word_bits) - 1) as u16
    }
}

fn shift_right(value: i64, by: i64) -> i64 {
    value >> by.min(63)
}

/// Probabilities of one pass; `lanes` scores enter per cycle.
pub fn softmax(scores: &[i64], scale: Scale, lanes: usize, word_bits: u32) -> Vec<u16> {
    let terms: Vec<Exponential> =
        scores.iter().map(|&score| Exponential::of(scale.apply(score))).collect();
    let mut sum = Sum::default();
    terms.chunks(lanes).for_each(|row| sum.add_row(row));
    let reciprocal = sum.reciprocal();
    terms.iter().map(|&term| reciprocal.probability(term, word_bits)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Softmax in f64 of `scores * step`.
    fn reference(scores: &[i64], step: f64) -> Vec<f64> {
        let most = scores.iter().copied().max().unwrap_or(0);
        let terms: Vec<f64> = scores.iter().map(|&s| ((s - most) as f64 * step).exp()).collect();
        let sum: f64 = terms.iter().sum();
        terms.iter().map(|term| term / sum).collect()
    }

    #[test]
    fn the_exponential_is_exact_to_four_parts_in_a_hundred_thousand() {
        for y in -70_000..70_000i64 {
            let Exponential { mantissa, exponent } = Exponential::of(y);
            let value = mantissa as f64 / 65_536.0 * (exponent as f64).exp2();
            let expected = (y as f64 / 32_768.0).exp2();
            assert!((value / expected - 1.0).abs() < 4e-5, "2^({y} / 2^15)");
            assert!((46_000..93_000).contains(&mantissa), "mantissa {mantissa} of {y}");
        }
    }

    #[test]
    fn scales_have_a_full_mantissa() {
        for step in [1e-9, 3.7e-6, 1.0 / 1024.0, 0.25, 1.0] {
            let scale = Scale::new(step);
            assert!((1 << 16..1 << 17).contains(&scale.mantissa), "{scale:?}");
            let factor = scale.mantissa as f64 / (scale.shift as f64).exp2() / 32_768.0;
            assert!((factor / (step * std::f64::consts::LOG2_E) - 1.0).abs() < 1e-5, "{step}");
        }
        assert_eq!(Scale::new(0.0), Scale { mantissa: 0, shift: 0 });
        assert_eq!(Scale::new(f64::NAN), Scale { mantissa: 0, shift: 0 });
    }

    #[test]
    fn equal_scores_share_the_probability() {
        let scale = Scale::new(1e-3);
        assert_eq!(softmax(&[77; 16], scale, 8, 12), [256; 16]);
        assert_eq!(softmax(&[-5], scale, 8, 12), [4095]);
        // 1/3 of 4096 is 1365.33.
        assert_eq!(softmax(&[0; 3], scale, 8, 12), [1365; 3]);
    }

    #[test]
    fn a_later_maximum_shifts_the_sum() {
        // The second row is e^20 above the first; the first keeps its place in the sum of ones.
        let scores: Vec<i64> = (0..16).map(|at| if at < 8 { 0 } else { 20_000 }).collect();
        let probabilities = softmax(&scores, Scale::new(1e-3), 8, 12);
        assert_eq!(probabilities[..8], [0; 8]);
        assert_eq!(probabilities[8..], [512; 8]);
    }

    #[test]
    fn extreme_scores_saturate() {
        let scale = Scale::new(1.0);
        assert_eq!(softmax(&[i64::MAX >> 20, i64::MIN >> 20], scale, 8, 12), [4095, 0]);
        assert_eq!(softmax(&[i64::MIN >> 20; 2], scale, 8, 12), [2048; 2]);
    }

    proptest! {
        /// The bound of `docs/designs/spatten-arithmetic.md`: half a last bit and 2^-12 of the
        /// probability, for scores that do not saturate, whatever the scale and the width.
        #[test]
        fn probabilities_are_within_the_stated_bound(
            centre in -300_000i64..300_000,
            spread in 1i64..50_000,
            unit in prop::collection::vec(-1.0f64..1.0, 1..1024),
            lanes in 1usize..=8,
            bits in 6u32..=16,
            step in 0.4e-3f64..1.1e-3,
        ) {
            let one = f64::from(1u32 << bits);
            let scores: Vec<i64> =
                unit.iter().map(|u| centre + (u * spread as f64) as i64).collect();
            let probabilities = softmax(&scores, Scale::new(step), lanes, bits);
            for (code, expected) in probabilities.iter().zip(reference(&scores, step)) {
                let error = (f64::from(*code) / one - expected).abs();
                let saturated = expected > 1.0 - 1.0 / one;
                let bound = if saturated { 1.0 / one } else { 0.5 / one } + expected / 4096.0;
                prop_assert!(error <= bound, "{} of {} bits against {}", code, bits, expected);
            }
        }
    }
}
