//! Every operation against exact arithmetic on the operands that it had.
//!
//! Bounds follow from the arithmetic alone. u = 2^-24 is half a unit in the last place of FP32, h = 2^-8
//! that of BF16; a sum of which each term passes k additions is off by at most k u times the sum of
//! magnitudes (Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 4.2).
//!
//! * **Dot product** of n numbers in chunks: A is the sum of magnitudes of the products, of which each
//!   passes log2(multipliers) + steps additions; each read-out adds h of itself; adding the read-outs, the
//!   bias and the state passes chunks + 2 additions.
//! * **GELU** has a slope of at most 1.13, and its own error ([`crate::datapath::bf16_functions`]).
//! * **Normalization**: the inverse root is off by 0.0017523; sums over lanes pass n / lanes + log2(lanes)
//!   additions, and what that costs the variance counts in proportion to mean square over variance.
//! * **Attention** of a head: a score is a dot product; an error of d in an exponent is a relative one of
//!   e^d - 1 in the exponential and, through the sum, once more on average; then BF16 of the exponential (of
//!   the probability once more where division is early), a dot product, and the reciprocal.
//!
//! Where a result is BF16, h of it comes on top. Products of errors are covered by 1 + 2^-4, underflow by
//! 2^-100.

use crate::datapath::bf16::{Bf16, Fp32};
use crate::deviation::Deviation;
use attelier_workloads::reference::{gelu_tanh, softmax};

use super::Cache;
use super::asic::{Lanes, Norm};
use super::product::{Matrix, Unit};

/// Half a unit in the last place of FP32, relative.
const U: f64 = 1.0 / 16_777_216.0;
/// Half a unit in the last place of BF16, relative.
const H: f64 = 1.0 / 256.0;
/// Largest slope of GELU.
const GELU_SLOPE: f64 = 1.13;
/// Covers products of errors.
const HIGHER_ORDER: f64 = 1.0 + 1.0 / 16.0;
/// Covers underflow.
const TINY: f64 = 1e-30;

/// Comparisons of one layer.
#[derive(Debug, Clone, Copy, Default)]
pub struct OperationCheck {
    /// Results against exact ones.
    pub results: Deviation,
    /// Results farther away than their bound.
    pub beyond_bound: u64,
    /// Largest share that an error takes of its bound.
    pub fullest: f64,
}

impl OperationCheck {
    fn add(&mut self, found: Bf16, exact: f64, bound: f64) {
        let found = found.to_f64();
        self.results.add(found, exact);
        let bound = HIGHER_ORDER * (bound + H * (exact.abs() + bound)) + TINY;
        let share = (found - exact).abs() / bound;
        self.fullest = self.fullest.max(share);
        // What is no number is not within anything.
        let within = share <= 1.0;
        self.beyond_bound += u64::from(!within);
    }
}

/// Where the comparisons of a layer go; nowhere if they are not asked for.
pub struct Check<'a> {
    /// The order of additions.
    pub unit: Unit,
    /// Where to.
    pub into: Option<&'a mut OperationCheck>,
}

/// An exact number and the bound of what stands for it, before it is rounded to BF16.
#[derive(Debug, Clone, Copy)]
struct Sum {
    exact: f64,
    magnitudes: f64,
    bound: f64,
}

fn real(numbers: &[Bf16]) -> Vec<f64> {
    numbers.iter().map(|number| number.to_f64()).collect()
}

fn sum(weights: &[f64], input: &[f64], unit: Unit) -> Sum {
    let mut total = Sum { exact: 0.0, magnitudes: 0.0, bound: 0.0 };
    let chunk = unit.chunk.max(1);
    let chunks = weights.chunks(chunk).zip(input.chunks(chunk));
    let mut parts = 0.0;
    for (weights, input) in chunks {
        let (mut exact, mut magnitudes) = (0.0, 0.0);
        for (weight, input) in weights.iter().zip(input) {
            exact += weight * input;
            magnitudes += (weight * input).abs();
        }
        let steps = weights.len().div_ceil(unit.multipliers.max(1));
        let additions = f64::from(unit.multipliers.max(1).ilog2()) + steps as f64;
        let before = additions * U * magnitudes;
        total.exact += exact;
        total.magnitudes += magnitudes;
        total.bound += before + H * (exact.abs() + before);
        parts += 1.0;
    }
    total.bound += parts * U * (total.magnitudes + total.bound);
    total
}

impl Check<'_> {
    /// A matrix product, its bias, and the state that is added.
    pub(super) fn product(
        &mut self,
        matrix: &Matrix,
        input: &[Bf16],
        state: Option<&[Bf16]>,
        found: &[Bf16],
    ) {
        let Some(check) = self.into.as_deref_mut() else { return };
        let input = real(input);
        for (index, &found) in found.iter().enumerate() {
            let sum = with_bias(matrix, index, &input, self.unit);
            let state = state.map_or(0.0, |state| state[index].to_f64());
            let rounding = U * (sum.magnitudes + state.abs());
            check.add(found, sum.exact + state, sum.bound + rounding);
        }
    }

    /// A matrix product, its bias, and GELU.
    pub(super) fn activation(&mut self, matrix: &Matrix, input: &[Bf16], found: &[Bf16]) {
        let Some(check) = self.into.as_deref_mut() else { return };
        let input = real(input);
        for (index, &found) in found.iter().enumerate() {
            let sum = with_bias(matrix, index, &input, self.unit);
            let exact = gelu_tanh(sum.exact);
            let own = 2e-6 * (sum.exact.abs() + sum.bound) + 4.0 * U * exact.abs();
            check.add(found, exact, GELU_SLOPE * sum.bound + own);
        }
    }

    /// A normalization.
    pub(super) fn norm(&mut self, norm: &Norm, state: &[Bf16], found: &[Bf16], lanes: &Lanes) {
        let Some(check) = self.into.as_deref_mut() else { return };
        let state = real(state);
        let count = state.len().max(1) as f64;
        let mean = state.iter().sum::<f64>() / count;
        let magnitude = state.iter().map(|number| number.abs()).sum::<f64>() / count;
        let square = state.iter().map(|number| number * number).sum::<f64>() / count;
        let variance = state.iter().map(|number| (number - mean).powi(2)).sum::<f64>() / count;
        let variance = variance + norm.epsilon.to_f64();
        let lanes = lanes.count.max(1) as f64;
        // Additions of a sum, and four roundings around it.
        let additions = (count / lanes).ceil() + lanes.log2().ceil() + 4.0;
        let of_mean = additions * U * magnitude;
        let of_variance = (additions * U * square + 2.0 * mean.abs() * of_mean) / variance;
        let inverse = variance.sqrt().recip();
        let of_inverse = 0.001_752_3 + of_variance / 2.0 + 4.0 * U;
        for ((&found, number), (weight, bias)) in
            found.iter().zip(&state).zip(norm.weight.iter().zip(&norm.bias))
        {
            let (weight, bias) = (weight.to_f64(), bias.to_f64());
            let scaled = (number - mean) * inverse * weight;
            let moved = of_mean * inverse * weight.abs();
            let rounding = 4.0 * U * (scaled.abs() + bias.abs());
            check.add(found, scaled + bias, scaled.abs() * of_inverse + moved + rounding);
        }
    }

    /// Attention of one head.
    pub(super) fn attention(&mut self, cache: &Cache, query: &[Bf16], scale: Fp32, found: &[Bf16]) {
        let Some(check) = self.into.as_deref_mut() else { return };
        let (query, scale) = (real(query), scale.to_f64());
        let scores: Vec<Sum> =
            cache.keys.iter().map(|key| sum(&real(key), &query, self.unit)).collect();
        let exponents: Vec<f64> = scores.iter().map(|score| scale * score.exact).collect();
        let largest = exponents.iter().fold(0.0f64, |most, exponent| most.max(exponent.abs()));
        // Of each exponential, relative: its exponent's error, its own, and BF16 twice.
        let own = 3.4e-6 + 8.0 * U + 2.0 * H;
        let errors: Vec<f64> = scores
            .iter()
            .map(|score| (scale.abs() * score.bound + 4.0 * U * largest).exp_m1() + own)
            .collect();
        let probabilities = softmax(&exponents);
        let average: f64 = probabilities.iter().zip(&errors).map(|(p, error)| p * error).sum();
        for (&found, column) in found.iter().zip(&cache.values) {
            let column = real(column);
            let products = sum(&probabilities, &column, self.unit);
            let moved: f64 = probabilities
                .iter()
                .zip(&errors)
                .zip(&column)
                .map(|((p, error), value)| p * (error + average) * value.abs())
                .sum();
            // The sum of the exponentials and its reciprocal.
            let divided = (scores.len() as f64 + 16.0) * U * products.magnitudes;
            check.add(found, products.exact, products.bound + moved + divided);
        }
    }
}

fn with_bias(matrix: &Matrix, index: usize, input: &[f64], unit: Unit) -> Sum {
    let mut sum = sum(&real(&matrix.columns[index]), input, unit);
    let bias = matrix.bias[index].to_f64();
    sum.exact += bias;
    sum.magnitudes += bias.abs();
    sum.bound += U * sum.magnitudes;
    sum
}
