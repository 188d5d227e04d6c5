//! Prefix sum over lanes, in log2(lanes) levels (Kogge and Stone 1973).

use std::sync::Arc;

use super::{width, within};
use crate::{ModuleBuilder, Signal, bits::index_width, error::Error, ir::Module};

/// Where registers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pipelining {
    /// Nowhere: the result is there in the same cycle.
    Combinational,
    /// After every level.
    EveryLevel,
}

/// `sum_i` is the sum of `x_0` to `x_i`.
///
/// Ports: `x_0` ...; `sum_0` ..., wide enough for the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrefixSum {
    /// Lanes, 2 to 256.
    pub lanes: u32,
    /// Width of an addend \[bits\], 1 to 64.
    pub width: u32,
    /// Where registers are.
    pub pipelining: Pipelining,
}

impl PrefixSum {
    /// Levels of adders.
    pub fn levels(&self) -> u32 {
        index_width(self.lanes.into())
    }

    /// Width of a sum \[bits\].
    pub fn sum_width(&self) -> u32 {
        self.width + self.levels()
    }

    /// The module `prefix_sum_nLANES_wWIDTH`, with `_p` at the end where pipelined.
    ///
    /// # Errors
    /// A parameter outside its range.
    pub fn build(&self) -> Result<Arc<Module>, Error> {
        let pipelined = self.pipelining == Pipelining::EveryLevel;
        let end = if pipelined { "_p" } else { "" };
        let name = format!("prefix_sum_n{}_w{}{end}", self.lanes, self.width);
        width(&name, self.width)?;
        within(&name, "lanes", self.lanes, (2, 256), "2 to 256 lanes")?;
        let m = ModuleBuilder::new(name);
        m.doc("Prefix sum: sum_i = x_0 + ... + x_i. Level k adds what lies 2^k lanes below.");
        m.parameter("LANES", self.lanes);
        m.parameter("WIDTH", self.width);
        m.latency(if pipelined {
            format!("{} cycles; 1 result per cycle", self.levels())
        } else {
            "same cycle".to_owned()
        });
        let inputs = m.inputs("x", self.lanes, self.width);
        let mut sums: Vec<Signal> = inputs.iter().map(|x| x.extend(self.sum_width())).collect();
        for level in 0..self.levels() {
            let distance = 1 << level;
            m.section(format!("level {level}: add the sum {distance} below"));
            let next = (0..sums.len()).map(|lane| {
                let sum = match lane.checked_sub(distance) {
                    Some(below) => &sums[lane] + &sums[below],
                    None => sums[lane].clone(),
                };
                let name = format!("level_{level}_{lane}");
                if pipelined { m.pipe(name, &sum) } else { m.wire(name, &sum) }
            });
            sums = next.collect();
        }
        m.outputs("sum", &sums);
        m.finish()
    }
}
