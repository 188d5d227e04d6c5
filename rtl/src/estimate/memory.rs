//! Memories: look-up tables, block RAM or UltraRAM.

use super::Estimate;
use crate::{ir::MemoryStyle, netlist::Memory};

/// Shapes of a RAMB18 with one write and one read port: words and bits (Xilinx UG573).
const RAMB18: [(u32, u32); 6] =
    [(512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16_384, 1)];
/// Shapes of a RAMB18 of which both ports read and write.
const RAMB18_TRUE_DUAL: [(u32, u32); 5] =
    [(1024, 18), (2048, 9), (4096, 4), (8192, 2), (16_384, 1)];
/// Shape of a URAM288.
const URAM: (u32, u32) = (4096, 72);
/// Words up to which synthesis prefers look-up tables where it may choose, for narrow memories.
const DISTRIBUTED_BITS: u64 = 2048;

/// Whether the memory is built of look-up tables.
pub fn is_distributed(memory: &Memory) -> bool {
    match memory.style {
        MemoryStyle::Distributed => true,
        MemoryStyle::Block | MemoryStyle::Ultra => memory.asynchronous_reads > 0,
        MemoryStyle::Auto => {
            memory.asynchronous_reads > 0
                || u64::from(memory.depth) * u64::from(memory.width) <= DISTRIBUTED_BITS
        }
    }
}

/// Adds what a memory needs.
pub fn add(memory: &Memory, estimate: &mut Estimate) {
    let (depth, width) = (u64::from(memory.depth), u64::from(memory.width));
    let reads = (memory.asynchronous_reads + memory.clocked_reads) as u64;
    if is_distributed(memory) {
        // Eight tables hold 14 bits of 32 words or 7 bits of 64, with one write and one read port
        // (RAM32M16 and RAM64M8, UG574).
        let tables =
            if depth <= 32 { width.div_ceil(14) } else { depth.div_ceil(64) * width.div_ceil(7) };
        estimate.lutram += 8 * tables * reads.max(1);
        let blocks = depth.div_ceil(64);
        if blocks > 1 {
            // Blocks of 64 words are chosen among behind their outputs.
            estimate.lut += reads.max(1) * width * blocks;
        }
        return;
    }
    if memory.style == MemoryStyle::Ultra {
        let (words, bits) = (u64::from(URAM.0), u64::from(URAM.1));
        estimate.uram += depth.div_ceil(words) * width.div_ceil(bits);
        return;
    }
    let shapes = if memory.writes.len() > 1 { &RAMB18_TRUE_DUAL[..] } else { &RAMB18 };
    let blocks = shapes
        .iter()
        .map(|(words, bits)| depth.div_ceil(u64::from(*words)) * width.div_ceil(u64::from(*bits)));
    if memory.writes.len() > 1 {
        // A read that meets a write at the other port is not defined on this device: synthesis keeps
        // the word written and whether it is the one, and chooses behind the memory.
        let clocked = memory.clocked_reads as u64;
        estimate.ff += clocked * (width + 1);
        estimate.lut += clocked * width;
    }
    let copies = if memory.writes.len() > 1 { 1 } else { reads.max(1) };
    estimate.ramb18 += blocks.min().unwrap_or(0) * copies;
}
