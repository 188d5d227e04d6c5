//! The multiply-accumulate unit of a PIM-GPT bank: 16 multipliers, an adder tree, an accumulator.
//!
//! Products of BF16 numbers are exact in FP32. The tree adds neighbours, level by level, and rounds to
//! FP32 at every node; so does the accumulator. Only the read-out rounds to BF16. The widths inside the
//! unit are not published; this is our choice, and `docs/designs/pim-gpt.md` says why.

use super::bf16::{Bf16, Float, Fp32, add, multiply};

/// Multipliers of the unit as published.
pub const INPUTS: usize = 16;

/// One product, exact unless it leaves the range of FP32.
pub fn product(weight: Bf16, input: Bf16) -> Fp32 {
    multiply(weight, input)
}

/// The sum of neighbours, level by level; +0 of nothing.
///
/// Where a level is odd, the last number goes up unchanged, as if the missing one were -0.
pub fn tree<const FRACTION: u32>(mut numbers: Vec<Float<FRACTION>>) -> Float<FRACTION> {
    while numbers.len() > 1 {
        let pairs = numbers.chunks(2).map(|pair| match *pair {
            [left, right] => add(left, right),
            _ => pair[0],
        });
        numbers = pairs.collect();
    }
    numbers.first().copied().unwrap_or(Float::ZERO)
}

/// One MAC command of the published unit.
pub fn mac_step(accumulator: Fp32, weights: &[Bf16; INPUTS], inputs: &[Bf16; INPUTS]) -> Fp32 {
    step(accumulator, weights, inputs)
}

/// One MAC command of a unit with as many multipliers as there are pairs.
pub fn step(accumulator: Fp32, weights: &[Bf16], inputs: &[Bf16]) -> Fp32 {
    let products = weights.iter().zip(inputs).map(|(&weight, &input)| product(weight, input));
    add(accumulator, tree(products.collect()))
}

/// What the accumulator gives to the bus.
pub fn read_out(accumulator: Fp32) -> Bf16 {
    accumulator.round()
}

/// The dot product of a bank: MAC command after MAC command of `multipliers` pairs, then the
/// read-out. What is missing in the last command is +0, as the rows are padded.
pub fn dot(weights: &[Bf16], inputs: &[Bf16], multipliers: usize) -> Bf16 {
    let width = multipliers.max(1);
    let pairs = weights.chunks(width).zip(inputs.chunks(width));
    let sum = pairs.fold(Fp32::ZERO, |sum, (weights, inputs)| match weights.len() {
        length if length == width => step(sum, weights, inputs),
        _ => step(sum, &padded(weights, width), &padded(inputs, width)),
    });
    read_out(sum)
}

fn padded(numbers: &[Bf16], width: usize) -> Vec<Bf16> {
    let mut numbers = numbers.to_vec();
    numbers.resize(width, Bf16::ZERO);
    numbers
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(value: f32) -> Bf16 {
        let number = Bf16::from_f32(value);
        assert_eq!(number.to_f32(), value, "not a BF16 number");
        number
    }

    /// By hand: 2^24 and 1 add to 2^24, so the order of additions shows.
    #[test]
    fn neighbours_are_added_first() {
        let big = 2f32.powi(24);
        let mut inputs = [number(0.0); INPUTS];
        (inputs[0], inputs[1], inputs[2], inputs[3]) =
            (number(big), number(1.0), number(-big), number(1.0));
        let ones = [number(1.0); INPUTS];
        // (2^24 + 1) + (-2^24 + 1) = 2^24 + (-2^24 + 1), of which -2^24 + 1 is exact.
        assert_eq!(mac_step(Fp32::ZERO, &ones, &inputs).to_f32(), 1.0);
        inputs.swap(1, 2);
        assert_eq!(mac_step(Fp32::ZERO, &ones, &inputs).to_f32(), 2.0);
        // The accumulator is added last.
        assert_eq!(mac_step(Fp32::from_f32(big), &ones, &inputs).to_f32(), big + 2.0);
    }

    #[test]
    fn a_dot_product_is_rounded_once_at_its_end() {
        // 1 + 2^-8 + 2^-8 is a BF16 number; rounding after each addition would lose both.
        let small = 2f32.powi(-8);
        let inputs = [1.0, small, small].map(number);
        assert_eq!(dot(&[Bf16::ONE; 3], &inputs, 1).to_f32(), 1.0 + 2.0 * small);
        assert_eq!(dot(&[Bf16::ONE; 3], &inputs, 16).to_f32(), 1.0 + 2.0 * small);
        // A tie of the read-out goes to the even number.
        assert_eq!(dot(&[Bf16::ONE; 2], &inputs[..2], 16).to_f32(), 1.0);
    }

    /// The processor's FP32 in the same order.
    fn by_processor(weights: &[f32], inputs: &[f32]) -> f32 {
        let mut sum = 0.0f32;
        for (weights, inputs) in weights.chunks(16).zip(inputs.chunks(16)) {
            let mut level: Vec<f32> = weights.iter().zip(inputs).map(|(w, x)| w * x).collect();
            level.resize(16, 0.0);
            while level.len() > 1 {
                level = level.chunks(2).map(|pair| pair[0] + pair[1]).collect();
            }
            sum += level[0];
        }
        sum
    }

    proptest! {
        #[test]
        fn the_unit_is_the_processor_in_the_same_order(
            pairs in proptest::collection::vec((-4.0f32..4.0, -4.0f32..4.0), 1..200)
        ) {
            let (weights, inputs): (Vec<Bf16>, Vec<Bf16>) = pairs
                .iter()
                .map(|&(w, x)| (Bf16::from_f32(w), Bf16::from_f32(x)))
                .unzip();
            let real = |numbers: &[Bf16]| -> Vec<f32> {
                numbers.iter().map(|number| number.to_f32()).collect()
            };
            let expected = by_processor(&real(&weights), &real(&inputs));
            prop_assert_eq!(dot(&weights, &inputs, 16), Bf16::from_f32(expected));
        }
    }
}
