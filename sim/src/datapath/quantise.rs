//! Symmetric linear quantisation of the operands, done by the host before it stores them
//! (SpAtten section III-D).

/// A symmetric scale: `code = round(value / step)`, clamped to `+-(2^(bits-1) - 1)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantiser {
    step: f64,
    bits: u32,
}

impl Quantiser {
    /// The scale that maps the largest magnitude of `values` to the largest code of `bits` bits
    /// (2 to 16). Values that are all 0 keep a step of 1.
    pub fn fit(values: impl IntoIterator<Item = f32>, bits: u32) -> Self {
        let largest =
            values.into_iter().fold(0.0f64, |most, value| most.max(f64::from(value).abs()));
        let limit = f64::from(limit(bits));
        Self { step: if largest > 0.0 { largest / limit } else { 1.0 }, bits }
    }

    /// Code of `value`; ties go away from zero.
    pub fn code(&self, value: f32) -> i32 {
        let limit = limit(self.bits);
        // The cast saturates, so that an infinite quotient is clamped as well.
        ((f64::from(value) / self.step).round() as i32).clamp(-limit, limit)
    }

    /// Value of one code.
    pub fn step(&self) -> f64 {
        self.step
    }

    /// Width of a code \[bits\].
    pub fn bits(&self) -> u32 {
        self.bits
    }

    /// Value of the last bit of a data path word of `word_bits` bits, at the top of which the code
    /// lies.
    pub fn word_step(&self, word_bits: u32) -> f64 {
        self.step / f64::from(1u32 << (word_bits - self.bits))
    }
}

fn limit(bits: u32) -> i32 {
    (1 << (bits - 1)) - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_largest_magnitude_gets_the_largest_code() {
        let quantiser = Quantiser::fit([0.5, -2.0, 1.0], 4);
        assert_eq!([0.5, -2.0, 1.0, 9.0, -9.0].map(|v| quantiser.code(v)), [2, -7, 4, 7, -7]);
        assert_eq!(quantiser.word_step(12), 2.0 / 7.0 / 256.0);
        assert_eq!(Quantiser::fit([0.0; 3], 8).code(0.0), 0);
    }

    proptest! {
        #[test]
        fn the_error_is_at_most_half_a_step(
            values in prop::collection::vec(-1e3f32..1e3, 1..20),
            bits in 2u32..=16,
        ) {
            let quantiser = Quantiser::fit(values.iter().copied(), bits);
            for value in values {
                let error = f64::from(quantiser.code(value)) * quantiser.step() - f64::from(value);
                prop_assert!(error.abs() <= quantiser.step() * (0.5 + 1e-9));
            }
        }
    }
}
