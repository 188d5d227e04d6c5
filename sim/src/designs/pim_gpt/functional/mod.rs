//! PIM-GPT with numbers: a GPT-2 decode in the bits of the machine, along the compiler's mapping.
//!
//! * [`Functional`]: all layers, token by token, keys and values cached.
//! * [`asic`]: what happens to read-outs; `product`: matrices in the banks.
//! * [`check`]: every operation against exact arithmetic on its own operands, within a bound that is
//!   derived before anything is computed.
//!
//! Numbers that move are BF16: weights, biases, states, vectors, read-outs, keys, values, exponentials.
//! Banks and ASIC compute in FP32 ([`crate::datapath::bf16`]) and round where a number leaves them. The
//! host makes the first state and picks the next token.

pub mod asic;
pub mod check;
mod product;

use attelier_hw::pim_gpt::PimGpt;
use attelier_workloads::model::{Gpt, GptLayer, ModelError};

use crate::datapath::bf16::{Bf16, Fp32, add};
use crate::datapath::bf16_functions::gelu;
use asic::{Lanes, Norm};
use check::{Check, OperationCheck};
use product::{Matrix, Unit, dots};

/// A model in the banks of a machine, and the text so far.
#[derive(Debug)]
pub struct Functional<'a, 'm> {
    model: &'a Gpt<'m>,
    unit: Unit,
    lanes: Lanes,
    layers: Vec<Layer>,
    final_norm: Norm,
    language: Matrix,
    checks: Option<Vec<OperationCheck>>,
    tokens: usize,
}

#[derive(Debug)]
struct Layer {
    attention_norm: Norm,
    query: Matrix,
    key: Matrix,
    value: Matrix,
    output: Matrix,
    feed_forward_norm: Norm,
    up: Matrix,
    down: Matrix,
    scale: Fp32,
    /// By head.
    caches: Vec<Cache>,
}

/// Keys and values of one head, as they lie in the banks.
#[derive(Debug, Clone, Default)]
pub struct Cache {
    /// One key after the other.
    keys: Vec<Vec<Bf16>>,
    /// One column after the other, each along the tokens.
    values: Vec<Vec<Bf16>>,
}

/// What one token gives.
#[derive(Debug, Clone)]
pub struct Step {
    /// State after each layer [hidden].
    pub states: Vec<Vec<Bf16>>,
    /// Scores of the token that follows [vocabulary].
    pub logits: Vec<Bf16>,
}

impl Layer {
    fn new(layer: &GptLayer<'_>, heads: usize) -> Self {
        Self {
            attention_norm: Norm::new(&layer.attention_norm),
            query: Matrix::new(&layer.query),
            key: Matrix::new(&layer.key),
            value: Matrix::new(&layer.value),
            output: Matrix::new(&layer.output),
            feed_forward_norm: Norm::new(&layer.feed_forward_norm),
            up: Matrix::new(&layer.up),
            down: Matrix::new(&layer.down),
            scale: Fp32::from_f32(layer.scale),
            caches: vec![Cache::default(); heads],
        }
    }
}

impl<'a, 'm> Functional<'a, 'm> {
    /// A model in the banks of `machine`, without a text; with `checks`, every operation is compared
    /// with exact arithmetic.
    pub fn new(machine: &PimGpt, model: &'a Gpt<'m>, checks: bool) -> Self {
        let wide = |count: u32| count as usize;
        Self {
            model,
            unit: Unit {
                multipliers: wide(machine.mac.multipliers),
                chunk: wide(machine.memory.chunk_elements()),
            },
            lanes: Lanes { count: wide(machine.banks()), divide_late: machine.overlap.divide_late },
            layers: model.layers.iter().map(|layer| Layer::new(layer, model.heads)).collect(),
            final_norm: Norm::new(&model.final_norm),
            language: Matrix::new(&model.language),
            checks: checks.then(|| vec![OperationCheck::default(); model.layers.len()]),
            tokens: 0,
        }
    }

    /// Forgets the text.
    pub fn forget(&mut self) {
        self.tokens = 0;
        for layer in &mut self.layers {
            layer.caches.fill(Cache::default());
        }
    }

    /// Comparisons of each layer, if they were asked for.
    pub fn checks(&self) -> &[OperationCheck] {
        self.checks.as_deref().unwrap_or_default()
    }

    /// Takes one more token through all layers.
    ///
    /// # Errors
    /// A token that the model does not know, or more tokens than it has positions.
    pub fn step(&mut self, token: u32) -> Result<Step, ModelError> {
        let (token, position) = self.model.place(token, self.tokens)?;
        self.tokens += 1;
        let words = self.model.words.row(token);
        let positions = self.model.positions.row(position);
        let mut state: Vec<Bf16> =
            words.iter().zip(positions).map(|(word, at)| Bf16::from_f32(word + at)).collect();
        let mut states = Vec::new();
        for (index, layer) in self.layers.iter_mut().enumerate() {
            let mut check = Check {
                unit: self.unit,
                into: self.checks.as_mut().and_then(|checks| checks.get_mut(index)),
            };
            state = layer.step(&state, self.unit, &self.lanes, &mut check);
            states.push(state.clone());
        }
        let state = self.final_norm.apply(&state, &self.lanes);
        let scores = self.language.product(&state, self.unit);
        let logits = scores.into_iter().map(Fp32::narrow).collect();
        Ok(Step { states, logits })
    }
}

impl Layer {
    fn step(
        &mut self,
        state: &[Bf16],
        unit: Unit,
        lanes: &Lanes,
        check: &mut Check<'_>,
    ) -> Vec<Bf16> {
        let input = self.attention_norm.apply(state, lanes);
        check.norm(&self.attention_norm, state, &input, lanes);
        let [q, k, v] = [&self.query, &self.key, &self.value].map(|matrix| {
            let result = rounded(matrix.product(&input, unit));
            check.product(matrix, &input, None, &result);
            result
        });
        let head_dim = q.len() / self.caches.len().max(1);
        let mut mixed = Vec::with_capacity(q.len());
        for (head, cache) in self.caches.iter_mut().enumerate() {
            let part = head * head_dim..(head + 1) * head_dim;
            cache.append(&k[part.clone()], &v[part.clone()]);
            let output = cache.attend(&q[part.clone()], self.scale, unit, lanes);
            check.attention(cache, &q[part], self.scale, &output);
            mixed.extend(output);
        }
        let state = residual(&self.output, &mixed, state, unit, check);
        let input = self.feed_forward_norm.apply(&state, lanes);
        check.norm(&self.feed_forward_norm, &state, &input, lanes);
        let hidden: Vec<Bf16> =
            self.up.product(&input, unit).into_iter().map(|sum| gelu(sum).narrow()).collect();
        check.activation(&self.up, &input, &hidden);
        residual(&self.down, &hidden, &state, unit, check)
    }
}

fn rounded(sums: Vec<Fp32>) -> Vec<Bf16> {
    sums.into_iter().map(Fp32::narrow).collect()
}

/// A product that is added to the state.
fn residual(
    matrix: &Matrix,
    input: &[Bf16],
    state: &[Bf16],
    unit: Unit,
    check: &mut Check<'_>,
) -> Vec<Bf16> {
    let sums = matrix.product(input, unit).into_iter().zip(state);
    let result = sums.map(|(sum, state)| add(sum, state.widen()).narrow()).collect::<Vec<_>>();
    check.product(matrix, input, Some(state), &result);
    result
}

impl Cache {
    fn append(&mut self, key: &[Bf16], value: &[Bf16]) {
        self.keys.push(key.to_vec());
        self.values.resize(value.len(), Vec::new());
        for (column, &number) in self.values.iter_mut().zip(value) {
            column.push(number);
        }
    }

    fn attend(&self, query: &[Bf16], scale: Fp32, unit: Unit, lanes: &Lanes) -> Vec<Bf16> {
        let scores: Vec<Fp32> = self.keys.iter().map(|key| dots(key, query, unit)).collect();
        let softmax = lanes.softmax(&scores, scale);
        let columns = self.values.iter().map(|column| dots(column, &softmax.numbers, unit));
        columns.map(|sum| softmax.finish(sum).narrow()).collect()
    }
}

#[cfg(test)]
mod tests;
