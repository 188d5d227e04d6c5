//! Products of features with weights of 16 bits, for processors: the same bits as [`Fixed::dot`] in wrapping
//! arithmetic, from products of 16 by 16 bits, of which a processor computes eight or more at a time.
//!
//! With a feature `a = high * 2^29 + middle * 2^14 + low` and 14 fraction bits in the weight `w`, the cut
//! product `floor(a * w / 2^14)` is `(high * w << 15) + middle * w + floor(low * w / 2^14)`, modulo 2^32. Only
//! the last term needs a cut of its own for each product.
//!
//! [`Fixed::dot`]: super::fixed::Fixed::dot

use attelier_hw::edge_moe::formats::WEIGHT;

/// Bits of the middle part: what, beside its sign, a number of 16 bits holds.
const MIDDLE_BITS: u32 = 15;

/// Features, split once for all outputs that they are multiplied for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SplitInputs {
    low: Vec<i16>,
    middle: Vec<i16>,
    high: Vec<i16>,
}

impl SplitInputs {
    /// Splits features.
    pub fn new(inputs: &[i32]) -> Self {
        let part = |shift: u32, mask: i32| {
            inputs.iter().map(|&input| ((input >> shift) & mask) as i16).collect()
        };
        Self {
            low: part(0, (1 << WEIGHT.fraction) - 1),
            middle: part(WEIGHT.fraction, (1 << MIDDLE_BITS) - 1),
            high: part(WEIGHT.fraction + MIDDLE_BITS, -1),
        }
    }

    /// The sum and, for each pair of an input and a weight, their product cut to a feature.
    pub fn dot(&self, sum: i32, weights: &[i16]) -> i32 {
        let products = |part: &[i16], cut: u32| {
            part.iter().zip(weights).fold(0i32, |sum, (&input, &weight)| {
                sum.wrapping_add((i32::from(input) * i32::from(weight)) >> cut)
            })
        };
        sum.wrapping_add(products(&self.low, WEIGHT.fraction))
            .wrapping_add(products(&self.middle, 0))
            .wrapping_add(products(&self.high, 0) << MIDDLE_BITS)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::datapath::fixed::Fixed;

    #[test]
    fn the_ends_of_both_ranges() {
        let ends = [i32::MIN, i32::MIN + 1, -1, 0, 1, i32::MAX];
        for input in ends {
            for weight in [i16::MIN, -1, 0, 1, i16::MAX] {
                let exact = (i64::from(input) * i64::from(weight)) >> WEIGHT.fraction;
                assert_eq!(SplitInputs::new(&[input]).dot(0, &[weight]), exact as i32);
            }
        }
    }

    proptest! {
        #[test]
        fn parts_give_the_bits_of_the_whole(
            sum: i32,
            pairs in prop::collection::vec((any::<i32>(), any::<i16>()), 0..100),
        ) {
            let (inputs, weights): (Vec<i32>, Vec<i16>) = pairs.into_iter().unzip();
            let whole = Fixed { saturate: false }.dot(sum, &inputs, &weights, WEIGHT.fraction);
            prop_assert_eq!(SplitInputs::new(&inputs).dot(sum, &weights), whole);
        }
    }
}
