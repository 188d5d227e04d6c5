//! The vector buffer of a channel: what the ASIC wrote, broadcast to all banks.

use std::sync::Arc;

use attelier_hw::pim_gpt::{ELEMENT_BYTES, PimGpt};

use crate::{
    Error, ModuleBuilder,
    bits::index_width,
    ir::{MemoryStyle, Module},
};

/// Bursts that the buffer holds, both halves together where it has two.
pub(super) fn buffer_lines(params: &PimGpt) -> u32 {
    let halves = if params.memory.double_buffer { 2 } else { 1 };
    halves * (params.memory.buffer_bytes / params.memory.burst_bytes)
}

/// Bits of a burst: the operand of one MAC command.
pub(super) fn burst_bits(params: &PimGpt) -> u32 {
    params.memory.burst_bytes * 8
}

/// The module `global_buffer`.
///
/// # Errors
/// A burst that is not what the multipliers of a bank take, or fewer than two bursts.
pub fn global_buffer(params: &PimGpt) -> Result<Arc<Module>, Error> {
    let (name, bytes) = ("global_buffer", params.memory.burst_bytes);
    if bytes != params.mac.multipliers.saturating_mul(ELEMENT_BYTES) {
        let expected = "2 * mac.multipliers, the operands of one MAC command";
        return Err(Error::parameter(name, "memory.burst_bytes", bytes, expected));
    }
    let lines = buffer_lines(params);
    if lines < 2 {
        let expected = "at least two bursts";
        let bytes = params.memory.buffer_bytes;
        return Err(Error::parameter(name, "memory.buffer_bytes", bytes, expected));
    }
    let address = index_width(lines.into());
    let m = ModuleBuilder::new(name);
    m.doc("Vector buffer of a channel. A line is one burst; the upper half of the lines is the second");
    m.doc("chunk where there are two, written while the first is read.");
    m.parameter("LINES", lines);
    m.parameter("LINE_BITS", burst_bits(params));
    m.latency(
        "1 cycle from `read_valid` to `data`; a line written at the same edge is read as before",
    );
    let write = m.input("write_valid", 1);
    let write_line = m.input("write_line", address);
    let write_data = m.input("write_data", burst_bits(params));
    let read = m.input("read_valid", 1);
    let read_line = m.input("read_line", address);
    let memory = m.memory("vector", burst_bits(params), lines, MemoryStyle::Block);
    memory.write(&write_line, &write_data, &write);
    let data = memory.read_clocked_when("line", &read_line, &read);
    m.output("data", &data);
    m.finish()
}
