//! Top-k step: what quick-select does with a row in one cycle.

use std::sync::Arc;

use super::{comparator_array::ComparatorArray, zero_eliminator::ZeroEliminator};
use crate::{Error, ModuleBuilder, ir::Module};

/// A comparator array and two zero eliminators (SpAtten section IV-B, figure 9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopKStep {
    /// Elements of a row; a power of two up to 64.
    pub lanes: u32,
    /// Width of an element \[bits\], unsigned.
    pub width: u32,
}

impl TopKStep {
    /// The module: inputs `pivot`, `valid` (one bit per lane) and `s_data_0`, ...; outputs
    /// `smaller_count` and `smaller_0`, ..., the elements below the pivot in order, and the same for
    /// `larger`. Combinational.
    ///
    /// # Errors
    /// Lanes that are no power of two, or a width that no signal has.
    pub fn module(&self) -> Result<Arc<Module>, Error> {
        let Self { lanes, width } = *self;
        let eliminator =
            ZeroEliminator { name: "zero_eliminator".into(), lanes, width }.module()?;
        let m = ModuleBuilder::new("topk_step");
        m.doc("Top-k step: compares a row with the pivot and compacts the smaller elements to one");
        m.doc("side, the larger ones to the other. Elements equal to the pivot go to neither.");
        m.parameter("lanes", lanes);
        m.parameter("element width", width);
        m.latency("0 cycles (combinational)");
        let pivot = m.input("pivot", width);
        let valid = m.input("valid", lanes).comment("one bit per lane: there is an element");
        let elements = m.inputs("s_data", lanes, width);
        let comparators = ComparatorArray { lanes, width }.module()?;
        let comparators = m.instance("comparators", &comparators);
        comparators.input("pivot", &pivot).input("valid", &valid);
        for (lane, element) in elements.iter().enumerate() {
            comparators.input(&format!("s_data_{lane}"), element);
        }
        for side in ["smaller", "larger"] {
            let compact = m.instance(format!("compact_{side}"), &eliminator);
            compact.input("keep", comparators.output(side));
            for (lane, element) in elements.iter().enumerate() {
                compact.input(&format!("s_data_{lane}"), element);
            }
            m.output(format!("{side}_count"), &compact.output("count"));
            for lane in 0..lanes {
                m.output(format!("{side}_{lane}"), &compact.output(&format!("m_data_{lane}")));
            }
        }
        m.finish()
    }
}
