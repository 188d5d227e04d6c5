//! Pipelined adder tree.

use std::sync::Arc;

use super::{width, within};
use crate::{
    ModuleBuilder, Signal,
    error::Error,
    ir::{Module, Type},
};

/// Sum of many lanes, one register per level, each level one bit wider: no overflow.
///
/// Ports: `valid_in`, `x_0` ...; `valid_out`, `sum`. One sum per cycle, ceil(log2(lanes)) cycles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdderTree {
    /// Addends, 2 to 1024.
    pub lanes: u32,
    /// Type of an addend.
    pub ty: Type,
}

impl AdderTree {
    /// Levels, which is the latency \[cycles\].
    pub fn levels(&self) -> u32 {
        crate::bits::index_width(self.lanes.into())
    }

    /// The module `adder_tree_nLANES_sWIDTH` (`u` for unsigned addends).
    ///
    /// # Errors
    /// A parameter outside its range.
    pub fn build(&self) -> Result<Arc<Module>, Error> {
        let sign = if self.ty.signed { 's' } else { 'u' };
        let name = format!("adder_tree_n{}_{sign}{}", self.lanes, self.ty.width);
        width(&name, self.ty.width)?;
        within(&name, "lanes", self.lanes, (2, 1024), "2 to 1024 lanes")?;
        let m = ModuleBuilder::new(name);
        m.doc("Adder tree. Every level adds pairs and is one bit wider than the one before.");
        m.parameter("LANES", self.lanes);
        m.parameter("WIDTH", self.ty.width);
        m.latency(format!("{} cycles; 1 sum per cycle", self.levels()));
        let mut valid = m.input("valid_in", 1).comment("The addends are there.");
        let mut level = m.inputs("x", self.lanes, self.ty);
        for number in 0..self.levels() {
            m.section(format!("level {number}: {} addends", level.len()));
            valid = m.pipe_reset(format!("valid_{number}"), &valid);
            level = add_pairs(&m, &format!("sum_{number}"), &level);
        }
        m.output_for("valid_out", &valid, "The sum is there.");
        m.output_for("sum", &level[0], "Sum of all addends.");
        m.finish()
    }
}

/// Registered sums of neighbours; a last one without neighbour passes.
fn add_pairs(m: &ModuleBuilder, name: &str, lanes: &[Signal]) -> Vec<Signal> {
    let sums = lanes.chunks(2).enumerate().map(|(lane, pair)| {
        let sum = match pair {
            [a, b] => a.add_full(b),
            _ => pair[0].extend(pair[0].width() + 1),
        };
        m.pipe(format!("{name}_{lane}"), &sum)
    });
    sums.collect()
}
