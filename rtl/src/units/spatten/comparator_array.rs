//! Comparator array: a row of candidates against the pivot.

use std::sync::Arc;

use crate::{Error, ModuleBuilder, Signal, ir::Module};

/// Comparators on either side of the pivot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComparatorArray {
    /// Elements of a row.
    pub lanes: u32,
    /// Width of an element \[bits\], unsigned.
    pub width: u32,
}

impl ComparatorArray {
    /// The module: inputs `pivot`, `valid` (one bit per lane) and `s_data_0`, ...; outputs `smaller`
    /// and `larger`, one bit per lane. Combinational.
    ///
    /// # Errors
    /// No lanes, or a width that no signal has.
    pub fn module(&self) -> Result<Arc<Module>, Error> {
        let Self { lanes, width } = *self;
        let m = ModuleBuilder::new("comparator_array");
        m.doc("Comparator array: which elements of a row are smaller and which larger than the pivot.");
        m.doc("Equal elements are neither.");
        m.parameter("lanes", lanes);
        m.parameter("element width", width);
        m.latency("0 cycles (combinational)");
        let pivot = m.input("pivot", width);
        let valid = m.input("valid", lanes).comment("one bit per lane: there is an element");
        let elements = m.inputs("s_data", lanes, width);
        let side = |name: &str, compare: &dyn Fn(&Signal) -> Signal| {
            m.section(format!("Elements {name} than the pivot."));
            let wires: Vec<Signal> = elements
                .iter()
                .zip(0..)
                .map(|(element, lane)| {
                    m.wire(format!("is_{name}_{lane}"), &(compare(element) & valid.bit(lane)))
                })
                .collect();
            m.pack(&wires)
        };
        let smaller = side("smaller", &|element| element.lt(&pivot));
        let larger = side("larger", &|element| element.gt(&pivot));
        m.output_for("smaller", &smaller, "one bit per lane");
        m.output_for("larger", &larger, "one bit per lane");
        m.finish()
    }
}
