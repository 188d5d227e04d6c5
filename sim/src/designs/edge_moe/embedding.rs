//! Patch embedding and residual additions.

use attelier_hw::edge_moe::EdgeMoe;
use attelier_workloads::vision::ImageShape;

use super::dataflow::{Call, Process, nest};
use super::units::{Port, Unit};

/// Words of pixels in a line of patches, one byte per pixel and colour.
fn line_words(machine: &EdgeMoe, shape: &ImageShape) -> u32 {
    shape.patch_columns * shape.patch / machine.port.word_bytes
}

/// Embedding of all patches: for each word of pixels all words of features.
pub fn patch_embedding(machine: &EdgeMoe, shape: &ImageShape) -> Call {
    let (lanes, word) = (machine.lanes(), machine.port.word_bytes);
    let features = shape.width / lanes;
    let lines = [shape.patch_rows, shape.channels, shape.patch, line_words(machine, shape)];
    let pixels = nest(&lines);
    let tokens = nest(&[shape.tokens(), features]);
    let o = &machine.operators;
    let depth = o.multiply_cycles + (shape.patch.ilog2() + 1) * o.add_cycles;
    let processes = vec![
        Process::read(Port::Inout1, pixels, word),
        Process::compute(Unit::PatchEmbedding, pixels.saturating_mul(features.into()))
            .taking(depth.into())
            .after(&[0]),
        // Embeddings of positions.
        Process::read(Port::Weights, tokens, word),
        Process::write(Port::Inout2, tokens, word).after(&[1, 2]),
    ];
    Call::new(Unit::PatchEmbedding, processes)
}

/// Words of the weights of the embedding.
pub fn weight_words(machine: &EdgeMoe, shape: &ImageShape) -> u64 {
    let pixels = [shape.channels, shape.patch, shape.patch];
    (nest(&pixels).saturating_mul(shape.width.into())).div_ceil(machine.word_weights().into())
}

/// Addition of a result to the residual stream.
pub fn add(machine: &EdgeMoe, shape: &ImageShape) -> Call {
    let words = nest(&[shape.tokens(), shape.width / machine.lanes()]);
    let word = machine.port.word_bytes;
    let processes = vec![
        Process::read(Port::Inout2, words, word),
        Process::read(Port::Inout3, words, word),
        Process::compute(Unit::Adder, words)
            .taking(machine.operators.add_cycles.into())
            .after(&[0, 1]),
        Process::write(Port::Inout2, words, word).after(&[2]),
    ];
    Call::new(Unit::Adder, processes)
}
