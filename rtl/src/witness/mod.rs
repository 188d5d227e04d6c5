//! Test benches: one stream of vectors through native execution, Verilator and Icarus.
//!
//! A [`Vectors`] says, cycle by cycle, what the inputs are and what the outputs must be. Every
//! witness sees the same: all inputs zero while the reset is held for [`RESET_CYCLES`] edges, then
//! one vector per cycle. Outputs are compared at the end of the cycle, before the next edge.

mod frame;
mod icarus;
mod native;
mod outcome;
mod tool;
mod verilator;

pub(crate) use self::tool::{run, write_sources};
pub use self::{
    frame::{Frame, Pin, Pins, Vectors},
    icarus::{TestBench, VECTORS, icarus},
    native::{native, native_speed},
    outcome::{Mismatch, Outcome},
    tool::ToolError,
    verilator::{Verilated, verilator, verilator_version},
};

/// Clock edges for which the reset is held and all inputs are zero: enough for pipelines without
/// reset to fill with known values.
pub const RESET_CYCLES: u32 = 64;
