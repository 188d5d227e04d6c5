//! Layer normalization, one token after the other.
//!
//! Two loops in turn: one reads a token and accumulates mean and mean of squares, the other takes the
//! root, divides and writes the token. Each begins its transfers anew for each token, so that every
//! token pays the latency of the port once in each loop.

use attelier_hw::edge_moe::EdgeMoe;
use attelier_workloads::vision::ImageShape;

use super::dataflow::{Call, Process, nest};
use super::units::{Port, Unit};

/// Layer norm of all tokens.
pub fn layer_norm(machine: &EdgeMoe, shape: &ImageShape) -> Call {
    let token = nest(&[shape.width / machine.lanes(), machine.port.word_cycles]);
    let bytes = shape.width.saturating_mul(attelier_hw::edge_moe::FEATURE_BYTES);
    let o = &machine.operators;
    let latency = u64::from(machine.port.latency_cycles);
    let tree = machine.lanes().ilog2() * o.add_cycles;
    let sums = u64::from(2 * o.multiply_cycles + tree + o.add_cycles);
    let root = o.multiply_cycles + 2 * o.add_cycles + o.sqrt_cycles + o.divide_cycles;
    let scale = 2 * o.multiply_cycles + 2 * o.add_cycles;
    let output = u64::from(root + scale);
    let tokens = shape.tokens().into();
    let accumulate =
        Process::read(Port::Inout2, tokens, bytes).every(latency + token + sums).taking(sums);
    let output = Process::write(Port::Inout1, tokens, bytes)
        .every(output + token + latency)
        .taking(output)
        .after(&[0]);
    // The loops that move the data are those that compute.
    let work = Process::compute(Unit::LayerNorm, tokens).every(token).after(&[0]);
    Call::new(Unit::LayerNorm, vec![accumulate, output, work])
}

/// Loads of weights and biases of both norms of a layer; numbers of 16 bits, as many as lanes at a time.
pub fn load(machine: &EdgeMoe, shape: &ImageShape) -> Vec<Call> {
    let words = nest(&[shape.width / machine.lanes()]);
    let read = Process::read(Port::Weights, words, machine.port.word_bytes / 2);
    let copy = Process::compute(Unit::WeightLoader, words).after(&[0]);
    vec![Call::new(Unit::WeightLoader, vec![read, copy]); 4]
}
