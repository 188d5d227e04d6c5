//! Row aligner: turns a row so that it continues a partly filled one.
//!
//! Element 0 goes to lane `offset`, the next ones to the lanes after it; what passes the last lane
//! comes in again at lane 0, into the next row. `log2(lanes)` layers rotate by 1, 2, 4, ...

use std::sync::Arc;

use crate::{Error, ModuleBuilder, Signal, bits::index_width, ir::Module};

/// A row aligner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowAligner {
    /// Name of the module.
    pub name: String,
    /// Elements of a row, a power of two.
    pub lanes: u32,
    /// Width of an element \[bits\].
    pub width: u32,
}

impl RowAligner {
    /// The module: inputs `offset`, `count` and `s_data_0`, ...; outputs `m_data_0`, ..., `writes`
    /// (one bit per lane: an element arrives) and `wraps` (that element belongs to the next row).
    /// Combinational.
    ///
    /// # Errors
    /// Lanes that are no power of two from 2 to 64, or a width that no signal has.
    pub fn module(&self) -> Result<Arc<Module>, Error> {
        let Self { ref name, lanes, width } = *self;
        if !lanes.is_power_of_two() || !(2..=64).contains(&lanes) {
            return Err(Error::parameter(name, "lanes", lanes, "a power of two from 2 to 64"));
        }
        let m = ModuleBuilder::new(name);
        m.doc("Row aligner: turns a row so that its element 0 comes to lane `offset`; what passes the");
        m.doc("last lane comes in again at lane 0, for the next row.");
        m.parameter("lanes", lanes);
        m.parameter("element width", width);
        m.latency("0 cycles (combinational)");
        let layers = index_width(lanes.into());
        let offset = m.input("offset", layers).comment("lane of element 0");
        let count_width = index_width(u64::from(lanes) + 1);
        let count = m.input("count", count_width).comment("elements of the row");
        let mut row = m.inputs("s_data", lanes, width);
        for layer in 0..layers {
            let distance = 1u32 << layer;
            m.section(format!("Layer {layer}: rotate by {distance}."));
            let turned: Vec<Signal> = (0..lanes)
                .map(|lane| {
                    let from = &row[((lane + lanes - distance) % lanes) as usize];
                    offset.bit(layer).mux(from, &row[lane as usize])
                })
                .collect();
            row = m.wires(&format!("layer_{layer}_data"), &turned);
        }
        m.section("Lanes that get an element: from `offset` up to `end`, and below what wraps.");
        let end = m.wire("past_end", &offset.add_full(&count));
        let end_width = end.width();
        let (mut writes, mut wraps) = (Vec::new(), Vec::new());
        for lane in 0..u64::from(lanes) {
            let before = m.wire(format!("is_before_{lane}"), &offset.gt(lane));
            let here = !&before & end.gt(lane);
            let next = &before & end.extend(end_width).gt(lane + u64::from(lanes));
            writes.push(m.wire(format!("writes_{lane}"), &(here | &next)));
            wraps.push(before);
        }
        m.outputs("m_data", &row);
        m.output_for("writes", &m.pack(&writes), "one bit per lane: an element arrives");
        m.output_for(
            "wraps",
            &m.pack(&wraps),
            "one bit per lane: an arriving element is of the next row",
        );
        m.finish()
    }
}
