//! Matrices in the banks: chunks of inputs, one dot product per column and chunk, read-outs added by
//! the ASIC.

use attelier_workloads::model::Affine;

use crate::datapath::bf16::{Bf16, Fp32, add};
use crate::datapath::bf16_mac::dot;

/// What of a machine decides about the order of additions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unit {
    /// Multipliers of a bank.
    pub multipliers: usize,
    /// Numbers of a vector chunk.
    pub chunk: usize,
}

/// A matrix and its bias.
#[derive(Debug)]
pub struct Matrix {
    /// By output: the weights of all inputs.
    pub columns: Vec<Vec<Bf16>>,
    /// By output.
    pub bias: Vec<Bf16>,
}

impl Matrix {
    /// The nearest BF16 numbers to a model's.
    pub fn new(map: &Affine<'_>) -> Self {
        let column = |weights: ndarray::ArrayView1<'_, f32>| {
            weights.iter().map(|&weight| Bf16::from_f32(weight)).collect()
        };
        let columns: Vec<Vec<Bf16>> = map.weight.columns().into_iter().map(column).collect();
        let bias = match map.bias {
            Some(bias) => column(bias),
            None => vec![Bf16::ZERO; columns.len()],
        };
        Self { columns, bias }
    }

    /// The product with a vector and the bias, before the ASIC rounds it.
    pub fn product(&self, input: &[Bf16], unit: Unit) -> Vec<Fp32> {
        let columns = self.columns.iter().zip(&self.bias);
        columns.map(|(weights, bias)| add(dots(weights, input, unit), bias.widen())).collect()
    }
}

/// A dot product of any length: that of each chunk is read out, the ASIC adds one to the other.
pub fn dots(weights: &[Bf16], input: &[Bf16], unit: Unit) -> Fp32 {
    let chunks = weights.chunks(unit.chunk.max(1)).zip(input.chunks(unit.chunk.max(1)));
    let parts = chunks.map(|(weights, input)| dot(weights, input, unit.multipliers).widen());
    parts.reduce(add).unwrap_or(Fp32::ZERO)
}
