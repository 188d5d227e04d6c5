//! Cost and speed of a design before any tool has seen it.
//!
//! Cost counts what Yosys `synth_xilinx -family xcup` reports for UltraScale+: look-up tables for
//! logic, flip-flops, DSP48E2, block RAM in units of RAMB18, UltraRAM. Speed is the longest path
//! between registers and ports under the delays of [`Delays`]. Both know nothing of placement. [`cells`] counts
//! what the same design takes on a chip.

mod blast;
pub mod cells;
mod cover;
mod gates;
mod memory;
mod path;
mod product;
mod used;

use std::sync::Arc;

pub use self::path::{Delays, Path};
use crate::{
    design::Design,
    error::Error,
    netlist::{Netlist, Next, lower},
};

/// What a design is expected to need.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    /// Look-up tables for logic.
    pub lut: u64,
    /// Look-up tables used as memory.
    pub lutram: u64,
    /// Flip-flops.
    pub ff: u64,
    /// DSP48E2.
    pub dsp: u64,
    /// Block RAM, in halves of a RAMB36: a RAMB18 counts 1, a RAMB36 counts 2.
    pub ramb18: u64,
    /// URAM288.
    pub uram: u64,
    /// The longest path.
    pub path: Path,
}

/// Estimates a module of a design with everything it instantiates.
///
/// # Errors
/// The design has no such module.
pub fn estimate(design: &Design, top: &str, delays: &Delays) -> Result<Estimate, Error> {
    let netlist = lower(&Arc::clone(design.module(top)?));
    let blasted = blast::blast(&netlist);
    let (shifted, shift_tables) = blasted.shift_registers();
    let mut estimate = Estimate {
        lut: blasted.tables + cover::cover(&blasted).tables,
        lutram: shift_tables,
        ff: blasted.flip_flops - shifted + read_registers(&netlist),
        dsp: blasted.dsp,
        ramb18: 0,
        uram: 0,
        path: path::longest(&netlist, delays),
    };
    for one in &netlist.memories {
        memory::add(one, &mut estimate);
    }
    Ok(estimate)
}

/// Registers behind clocked reads: those of block RAM are inside it, those of look-up tables are not.
fn read_registers(netlist: &Netlist) -> u64 {
    let bits = netlist.states.iter().map(|state| match &state.next {
        Next::Node { .. } => 0,
        Next::Read { memory, .. } if memory::is_distributed(&netlist.memories[*memory]) => {
            u64::from(netlist.width(state.output))
        }
        Next::Read { .. } => 0,
    });
    bits.sum()
}
