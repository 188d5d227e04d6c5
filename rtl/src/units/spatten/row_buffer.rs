//! Row buffer: a copy of some elements, one bank per lane, with any number of readers.

use std::sync::Arc;

use crate::{
    Error, ModuleBuilder, Signal,
    bits::index_width,
    ir::{MemoryStyle, Module},
};

/// A row buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowBuffer {
    /// Elements that are read at once, a power of two.
    pub lanes: u32,
    /// Elements that are written at once, a power of two, at most `lanes`.
    pub write_lanes: u32,
    /// Width of an element \[bits\].
    pub width: u32,
    /// Elements in all, a multiple of `lanes`.
    pub capacity: u32,
    /// Names of the read ports.
    pub readers: Vec<&'static str>,
}

impl RowBuffer {
    /// The module: inputs `write`, `write_row`, `write_0`, ... and `READER_address` for every
    /// reader; outputs `READER_0`, ..., the row of the address of one cycle before. Rows of writes
    /// have `write_lanes` elements, rows of reads `lanes`.
    ///
    /// # Errors
    /// Fewer than two rows, or lanes that do not fit each other.
    pub fn module(&self) -> Result<Arc<Module>, Error> {
        let Self { lanes, write_lanes, width, capacity, ref readers } = *self;
        if !write_lanes.is_power_of_two() || write_lanes > lanes || !lanes.is_power_of_two() {
            let expected = "a power of two, at most the parallelism";
            return Err(Error::parameter("row_buffer", "lanes", write_lanes, expected));
        }
        let m = ModuleBuilder::new("row_buffer");
        m.doc("Row buffer: one bank per lane. Rows that are written may be shorter than those that are");
        m.doc("read: consecutive ones lie side by side.");
        m.parameter("lanes", lanes);
        m.parameter("lanes of a write", write_lanes);
        m.parameter("element width", width);
        m.parameter("capacity", capacity);
        m.latency("1 cycle from address to row");
        let groups = lanes / write_lanes;
        let row_width = index_width(u64::from(capacity / lanes));
        let short_width = index_width(u64::from(capacity / write_lanes));
        let write = m.input("write", 1).comment("a row is written");
        let write_row = m.input("write_row", short_width).comment("its number");
        let data = m.inputs("write", write_lanes, width);
        let addresses: Vec<Signal> =
            readers.iter().map(|reader| m.input(format!("{reader}_address"), row_width)).collect();
        let group_bits = groups.trailing_zeros();
        let address = write_row.bits(group_bits..short_width);
        for group in 0..groups {
            m.section(format!("Rows whose number ends in {group}."));
            let here = match group_bits {
                0 => write.clone(),
                _ => &write & write_row.bits(0..group_bits).eq(u64::from(group)),
            };
            let here = m.wire(format!("writes_group_{group}"), &here);
            for (element, lane) in data.iter().zip(group * write_lanes..) {
                let name = format!("bank_{lane}");
                let bank = m.memory(&name, width, capacity / lanes, MemoryStyle::Distributed);
                bank.write(&address, element, &here);
                for (reader, address) in readers.iter().zip(&addresses) {
                    let word = bank.read_clocked(format!("{name}_{reader}"), address);
                    m.output(format!("{reader}_{lane}"), &word);
                }
            }
        }
        m.finish()
    }
}

/// An engine together with the buffer that it reads through `row_address` and `row_*`. The other
/// ports of the engine and the write port of the buffer, with rows of `lanes`, are those of the module.
///
/// # Errors
/// A buffer that cannot be built.
pub fn with_buffer(
    engine: &Arc<Module>,
    lanes: u32,
    width: u32,
    capacity: u32,
) -> Result<Arc<Module>, Error> {
    let buffer = RowBuffer { lanes, write_lanes: lanes, width, capacity, readers: vec!["row"] };
    let m = ModuleBuilder::new(format!("{}_with_buffer", engine.name()));
    m.doc(format!("{} together with the buffer that it reads.", engine.name()));
    m.latency("that of the engine");
    let buffer = buffer.module()?;
    let inside = m.instance("buffer", &buffer);
    let unit = m.instance("engine", engine);
    let is_row =
        |name: &str| name.strip_prefix("row_").is_some_and(|lane| lane.parse::<u32>().is_ok());
    for (name, ty) in buffer.inputs().filter(|(name, _)| name.starts_with("write")) {
        inside.input(name, m.input(name, ty));
    }
    inside.input("row_address", unit.output("row_address"));
    for (name, ty) in engine.inputs() {
        if is_row(name) {
            unit.input(name, inside.output(name));
        } else {
            unit.input(name, m.input(name, ty));
        }
    }
    for (name, _) in engine.outputs().filter(|(name, _)| *name != "row_address") {
        m.output(name, &unit.output(name));
    }
    m.finish()
}
