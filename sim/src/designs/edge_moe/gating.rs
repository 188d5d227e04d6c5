//! Gate, choice of experts and their queues (section IV-E of the paper), one token after the other.

use attelier_hw::edge_moe::EdgeMoe;
use attelier_workloads::vision::ImageShape;

use super::dataflow::{Call, Process, nest};
use super::units::{Port, Unit};

/// Cycles from one token to the next: all logits of a word at a time; then softmax and insertion sort
/// side by side over the experts; then the weights of those chosen.
pub fn token_cycles(machine: &EdgeMoe, shape: &ImageShape) -> u64 {
    let o = &machine.operators;
    let logits = nest(&[shape.width / machine.lanes(), machine.port.word_cycles])
        + u64::from(o.multiply_cycles + (machine.lanes().ilog2() + 1) * o.add_cycles);
    let softmax = nest(&[shape.experts, machine.softmax.recurrence_cycles])
        + u64::from(o.exp_cycles + o.multiply_cycles + 2 * o.add_cycles);
    let insertion = nest(&[shape.experts, o.add_cycles]);
    logits + softmax.max(insertion) + u64::from(o.add_cycles + o.exp_cycles + o.divide_cycles)
}

/// Gating of all tokens.
pub fn gating(machine: &EdgeMoe, shape: &ImageShape) -> Call {
    let words = nest(&[shape.tokens(), shape.width / machine.lanes()]);
    let interval = token_cycles(machine, shape);
    let tokens = shape.tokens().into();
    let processes = vec![
        Process::read(Port::Inout1, words, machine.port.word_bytes),
        Process::compute(Unit::Gate, tokens).every(interval).taking(interval).after(&[0]),
        Process::compute(Unit::Gate, tokens).after(&[1]),
    ];
    Call::new(Unit::Gate, processes)
}

/// Load of the gate of a task.
pub fn load(machine: &EdgeMoe, shape: &ImageShape) -> Call {
    let words = nest(&[shape.experts, shape.width / machine.lanes()]);
    let read = Process::read(Port::Weights, words, machine.port.word_bytes / 2);
    let copy = Process::compute(Unit::WeightLoader, words).after(&[0]);
    Call::new(Unit::WeightLoader, vec![read, copy])
}

/// Zeros where the experts accumulate.
pub fn zero_output(machine: &EdgeMoe, shape: &ImageShape) -> Call {
    let words = nest(&[shape.tokens(), shape.width / machine.lanes()]);
    let write = Process::write(Port::Inout3, words, machine.port.word_bytes);
    Call::new(Unit::Adder, vec![write])
}
