//! The linear unit with its weight loader and GELU (sections IV-C and IV-D of the paper).
//!
//! A block of inputs times a block of weights per cycle. Without a unified unit the block of each has
//! fewer outputs, so that all together have the same multipliers. GELU is a table behind the unit;
//! without it, the error function is computed for one value after the other.

use attelier_hw::edge_moe::{EdgeMoe, Operators};

use super::dataflow::{Call, Process, nest};
use super::error::EdgeMoeError;
use super::units::{Port, Unit};

/// A matrix and what is done with its results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Matrix {
    /// Features in.
    pub inputs: u32,
    /// Features out.
    pub outputs: u32,
    /// Where they come from.
    pub from: Port,
    /// Where they go to.
    pub to: Port,
    /// What happens to them on the way.
    pub finish: Finish,
}

/// What happens to results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// Nothing.
    Store,
    /// GELU.
    Gelu,
    /// They are weighted by the score of the gate and added to what is there.
    Accumulate,
}

/// Multiplications and additions one after the other in the series for the error function that follows:
/// Abramowitz and Stegun 7.1.26, five terms in t = 1 / (1 + p x), times exp(-x^2); and x (1 + erf) / 2.
const ERF_MULTIPLIES: u32 = 8;
const ERF_ADDS: u32 = 7;

/// GELU of one value from the error function, no operator of which works on two at a time \[cycles\].
/// The exponential is computed beside the series.
pub fn direct_gelu_cycles(o: &Operators) -> u64 {
    let series = ERF_MULTIPLIES * o.multiply_cycles + ERF_ADDS * o.add_cycles + o.divide_cycles;
    u64::from(series.max(2 * o.multiply_cycles + o.exp_cycles))
}

/// One product for `tokens` tokens.
pub fn linear(machine: &EdgeMoe, matrix: &Matrix, tokens: u32) -> Call {
    let Matrix { inputs, outputs, from, to, finish } = *matrix;
    let (lanes, word) = (machine.lanes(), machine.port.word_bytes);
    let block = machine.linear.unit_outputs(machine.techniques.unified_linear);
    let o = &machine.operators;
    let tree = (machine.linear.inputs.ilog2() + 1) * o.add_cycles;
    let products = nest(&[tokens, outputs / block, inputs / machine.linear.inputs]);
    let mut processes = vec![
        Process::read(from, nest(&[tokens, inputs / lanes]), word),
        Process::compute(Unit::Linear, products)
            .taking((o.multiply_cycles + tree).into())
            .after(&[0]),
    ];
    if finish == Finish::Gelu {
        let gelu = if machine.techniques.table_gelu {
            let depth = o.multiply_cycles + 3 * o.add_cycles;
            Process::compute(Unit::Gelu, nest(&[tokens, outputs / block])).taking(depth.into())
        } else {
            let cycles = direct_gelu_cycles(o);
            Process::compute(Unit::Gelu, nest(&[tokens, outputs])).every(cycles).taking(cycles)
        };
        processes.push(gelu.after(&[1]));
    }
    let words = nest(&[tokens, outputs / lanes]);
    let last = processes.len() - 1;
    let mut sources = vec![last];
    if finish == Finish::Accumulate {
        sources.push(processes.len());
        processes.push(Process::read(to, words, word));
    }
    processes.push(Process::write(to, words, word).after(&sources));
    Call::new(Unit::Linear, processes)
}

/// Loads of a matrix and of its bias into one of the two buffers.
pub fn load(machine: &EdgeMoe, matrix: &Matrix) -> Vec<Call> {
    let weights = nest(&[matrix.outputs, matrix.inputs / machine.word_weights()]);
    let bias = nest(&[matrix.outputs.div_ceil(machine.word_weights())]);
    [weights, bias].map(|words| words_of_weights(machine, words)).to_vec()
}

/// A load of so many words of trained numbers.
pub fn words_of_weights(machine: &EdgeMoe, words: u64) -> Call {
    let read = Process::read(Port::Weights, words, machine.port.word_bytes);
    let copy = Process::compute(Unit::WeightLoader, words).after(&[0]);
    Call::new(Unit::WeightLoader, vec![read, copy])
}

/// Whether a matrix can be computed.
///
/// # Errors
/// Sizes that are no multiple of a block or a word, more weights than a buffer holds.
pub fn check(machine: &EdgeMoe, inputs: u32, outputs: u32) -> Result<(), EdgeMoeError> {
    let needed = nest(&[inputs, outputs]);
    let holds = machine.linear.buffer_weights;
    if needed > u64::from(holds) {
        return Err(EdgeMoeError::Buffer { inputs, outputs, needed, holds });
    }
    Ok(())
}
