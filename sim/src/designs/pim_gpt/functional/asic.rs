//! What the ASIC does with read-outs: normalization and softmax over its lanes.

use attelier_workloads::model::Normalization;

use crate::datapath::bf16::{Bf16, Fp32, add, multiply};
use crate::datapath::bf16_functions::{exponential, inverse_square_root, larger, reciprocal};
use crate::datapath::bf16_mac::tree;

/// Lanes of the ASIC: as many as numbers in a beat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lanes {
    /// How many.
    pub count: usize,
    /// Whether outputs are divided, not probabilities.
    pub divide_late: bool,
}

impl Lanes {
    /// A sum: each lane adds what beats bring it, then a tree adds the lanes.
    pub fn sum(&self, numbers: impl IntoIterator<Item = Fp32>) -> Fp32 {
        let mut lanes = vec![Fp32::ZERO; self.count.max(1)];
        let count = lanes.len();
        for (index, number) in numbers.into_iter().enumerate() {
            let lane = &mut lanes[index % count];
            *lane = add(*lane, number);
        }
        tree(lanes)
    }

    /// Softmax of the scores times `scale`.
    ///
    /// The sum is that of the numbers that the banks get, after rounding.
    pub fn softmax(&self, scores: &[Fp32], scale: Fp32) -> Softmax {
        let scaled: Vec<Fp32> = scores.iter().map(|&score| multiply(score, scale)).collect();
        // From -infinity on, in any order: what is no number is passed over.
        let most = scaled.iter().copied().fold(Fp32::NEGATIVE_INFINITY, larger);
        let exponentials = scaled.iter().map(|&score| exponential(add(score, most.negate())));
        let numbers: Vec<Bf16> = exponentials.map(Fp32::narrow).collect();
        let inverse = reciprocal(self.sum(numbers.iter().map(|number| number.widen())));
        if self.divide_late {
            return Softmax { numbers, factor: inverse };
        }
        let divide = |number: &Bf16| multiply::<23, 23>(number.widen(), inverse).narrow();
        Softmax { numbers: numbers.iter().map(divide).collect(), factor: Fp32::ONE }
    }
}

/// Numbers for the banks, and what their results are multiplied with.
#[derive(Debug, Clone)]
pub struct Softmax {
    /// Exponentials, or probabilities where the division is early.
    pub numbers: Vec<Bf16>,
    factor: Fp32,
}

impl Softmax {
    /// What the product of the numbers with the values is multiplied with.
    pub fn factor(&self) -> Fp32 {
        self.factor
    }

    /// A mixed value from the product of the numbers with the values.
    pub fn finish(&self, sum: Fp32) -> Fp32 {
        multiply(sum, self.factor)
    }
}

/// Layer normalization.
#[derive(Debug)]
pub struct Norm {
    /// By element.
    pub weight: Vec<Bf16>,
    /// By element.
    pub bias: Vec<Bf16>,
    /// Added to the variance.
    pub epsilon: Fp32,
}

impl Norm {
    /// The nearest BF16 numbers to a model's.
    pub fn new(norm: &Normalization<'_>) -> Self {
        let [weight, bias] = [norm.weight, norm.bias]
            .map(|row| row.iter().map(|&number| Bf16::from_f32(number)).collect());
        Self { weight, bias, epsilon: Fp32::from_f32(norm.epsilon) }
    }

    /// (x - mean) / sqrt(variance + epsilon) * weight + bias. Sum and sum of squares are gathered
    /// while the state is made, so the variance is mean square less squared mean.
    pub fn apply(&self, state: &[Bf16], lanes: &Lanes) -> Vec<Bf16> {
        let numbers: Vec<Fp32> = state.iter().map(|number| number.widen()).collect();
        let count = Fp32::from_f64(1.0 / numbers.len().max(1) as f64);
        let mean = multiply(lanes.sum(numbers.iter().copied()), count);
        let squares = numbers.iter().map(|&number| multiply(number, number));
        let square = multiply(lanes.sum(squares), count);
        let variance = add(square, multiply::<23, 23>(mean, mean).negate());
        // Rounding can leave less than nothing of a state that is almost constant.
        let variance = add(larger(variance, Fp32::ZERO), self.epsilon);
        let inverse = inverse_square_root(variance);
        let affine = self.weight.iter().zip(&self.bias);
        let result = numbers.iter().zip(affine).map(|(&number, (weight, bias))| {
            let centred = multiply::<23, 23>(add(number, mean.negate()), inverse);
            add(multiply(centred, weight.widen()), bias.widen()).narrow()
        });
        result.collect()
    }
}
