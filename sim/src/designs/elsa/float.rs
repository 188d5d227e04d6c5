//! Floating-point numbers of ELSA (section IV-E of the paper): exponentials and reciprocals from tables.
//!
//! A number is a double whose significand has few bits; rounding is to nearest, ties to even.

use attelier_hw::elsa::Format;

/// Base-2 logarithm of e.
const LOG2_E: i64 = 1_512_775;
/// Its fraction bits: over all exponents it is off by less than a thousandth of a nat.
const LOG2_E_BITS: u32 = 20;

/// `number` with `fraction_bits` bits behind the leading one.
pub fn rounded(number: f64, fraction_bits: u32) -> f64 {
    let cut = f64::MANTISSA_DIGITS - 1 - fraction_bits;
    let bits = number.to_bits();
    let half = (1u64 << cut) >> 1;
    let to_even = bits >> cut & 1;
    // A carry out of the significand raises the exponent, as it should.
    let up = bits + half.saturating_sub(1) + to_even;
    f64::from_bits(up >> cut << cut)
}

/// 2 to the power of `exponent`, which must be that of a normal double.
fn power_of_two(exponent: i64) -> f64 {
    f64::from_bits(((exponent + 1023) as u64) << (f64::MANTISSA_DIGITS - 1))
}

/// Exponent and the fraction bits of a positive number.
fn parts(number: f64, fraction_bits: u32) -> (i64, usize) {
    let bits = number.to_bits() >> (f64::MANTISSA_DIGITS - 1 - fraction_bits);
    ((bits >> fraction_bits) as i64 - 1023, (bits & ((1 << fraction_bits) - 1)) as usize)
}

/// An exponential as the machine has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exponential {
    /// Its value.
    pub value: f64,
    /// Whether it lies beyond the exponents that there are.
    pub is_beyond: bool,
}

/// Tables of powers of two and of reciprocals, an entry for each fraction.
#[derive(Debug, Clone, PartialEq)]
pub struct Floats {
    fraction_bits: u32,
    most_exponent: i64,
    /// Fraction bits of a score.
    score_bits: u32,
    powers: Vec<f64>,
    reciprocals: Vec<f64>,
}

impl Floats {
    /// Tables for the numbers of a machine.
    pub fn new(format: &Format) -> Self {
        let fraction_bits = format.float_fraction_bits;
        let entries = 1u32 << fraction_bits;
        let fractions = || (0..entries).map(|at| f64::from(at) / f64::from(entries));
        Self {
            fraction_bits,
            most_exponent: (1 << (format.float_exponent_bits - 1)) - 1,
            score_bits: 2 * format.fraction_bits,
            powers: fractions().map(|part| rounded(part.exp2(), fraction_bits)).collect(),
            reciprocals: fractions()
                .map(|part| rounded(1.0 / (1.0 + part), fraction_bits))
                .collect(),
        }
    }

    /// Exponential of a score, in units of its last bit: its base-2 logarithm is rounded to as many
    /// fraction bits as the table has entries for.
    pub fn exponential(&self, score: i64) -> Exponential {
        let cut = self.score_bits + LOG2_E_BITS - self.fraction_bits;
        let logarithm = (score * LOG2_E + ((1 << cut) >> 1)) >> cut;
        let exponent = logarithm >> self.fraction_bits;
        let entry = (logarithm & ((1 << self.fraction_bits) - 1)) as usize;
        let most = self.most_exponent;
        let value = if exponent < -most {
            0.0
        } else {
            self.powers[entry] * power_of_two(exponent.min(most))
        };
        Exponential { value, is_beyond: exponent.abs() > most }
    }

    /// Reciprocal of a positive sum; of 0, which no candidate leaves behind, it is 0.
    pub fn reciprocal(&self, sum: f64) -> f64 {
        if sum <= 0.0 {
            return 0.0;
        }
        let (exponent, entry) = parts(rounded(sum, self.fraction_bits), self.fraction_bits);
        self.reciprocals[entry] * power_of_two(-exponent)
    }

    /// Largest share by which an exponential is off: half a step of the logarithm, half a step of the
    /// table, and what the constant lacks.
    pub fn exponential_error(&self) -> f64 {
        let step = 1.0 / f64::from(1u32 << self.fraction_bits);
        (step / 2.0).exp2() * (1.0 + step / 2.0) * (1.0 + 0.001) - 1.0
    }

    /// Largest share by which a reciprocal is off: half a step of its argument and half a step of the
    /// table.
    pub fn reciprocal_error(&self) -> f64 {
        let half = 0.5 / f64::from(1u32 << self.fraction_bits);
        (1.0 + half) / (1.0 - half) - 1.0
    }
}

#[cfg(test)]
mod tests {
    use attelier_hw::elsa::Elsa;
    use proptest::prelude::*;

    use super::*;

    fn floats() -> Floats {
        Floats::new(&Elsa::preset("elsa").unwrap().format)
    }

    /// 1 + 1/32 + 1/64 lies in the middle: the even neighbour is 1 + 2/32. 63.9 of 32 rounds up to 2.
    #[test]
    fn rounding_is_to_nearest_and_to_even() {
        for (number, expected) in [
            (1.0 + 1.0 / 64.0, 1.0),
            (1.0 + 3.0 / 64.0, 1.0 + 2.0 / 32.0),
            (-1.02, -(1.0 + 1.0 / 32.0)),
            (63.9 / 32.0, 2.0),
            (0.0, 0.0),
        ] {
            assert_eq!(rounded(number, 5), expected, "{number}");
        }
    }

    /// Scores have six fraction bits: 64 is 1, and e = 2.718 lies between 2 (1 + 11/32) and 2 (1 + 12/32).
    #[test]
    fn exponentials_and_reciprocals_of_small_numbers() {
        let floats = floats();
        assert_eq!(floats.exponential(0).value, 1.0);
        assert_eq!(floats.exponential(64).value, 2.0 * (1.0 + 11.0 / 32.0));
        assert_eq!(floats.exponential(-64 * 400).value, 0.0);
        assert!(floats.exponential(64 * 400).is_beyond && floats.exponential(-64 * 400).is_beyond);
        assert!(!floats.exponential(64 * 350).is_beyond);
        for (sum, expected) in [(1.0, 1.0), (4.0, 0.25), (3.0, 0.5 * (1.0 + 11.0 / 32.0) / 2.0)] {
            assert_eq!(floats.reciprocal(sum), expected, "{sum}");
        }
        assert_eq!(floats.reciprocal(0.0), 0.0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn errors_stay_below_the_stated_ones(score in -64 * 350..64 * 350i64, sum in 1e-30..1e30f64) {
            let floats = floats();
            let share = floats.exponential(score).value / (score as f64 / 64.0).exp();
            prop_assert!((share - 1.0).abs() <= floats.exponential_error(), "{share}");
            let share = floats.reciprocal(sum) * sum;
            prop_assert!((share - 1.0).abs() <= floats.reciprocal_error(), "{share}");
        }
    }
}
