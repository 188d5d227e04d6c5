//! Library blocks: one file each, parameters as a record, a checked [`Module`](crate::ir::Module)
//! as the result.
//!
//! The name of a module carries its parameters, so that several variants meet in one design.
//! Streams are named as AXI4-Stream names them: `tvalid`, `tready`, `tdata` after a prefix.

pub mod adder_tree;
pub mod arbiter;
pub mod axi_lite_registers;
pub mod axi_read_master;
pub mod axi_stream_width;
pub mod axi_write_master;
pub mod barrel_shifter;
pub mod crossbar;
pub mod dual_port_ram;
pub mod fifo;
pub mod pipeline_register;
pub mod prefix_sum;
pub mod skid_buffer;
mod stream;

pub use self::{
    adder_tree::AdderTree,
    arbiter::{LowestFirstArbiter, RoundRobinArbiter},
    axi_lite_registers::AxiLiteRegisters,
    axi_read_master::AxiReadMaster,
    axi_stream_width::{AxiStreamNarrower, AxiStreamWidener},
    axi_write_master::AxiWriteMaster,
    barrel_shifter::{BarrelShifter, Shift},
    crossbar::Crossbar,
    dual_port_ram::{DualPortRam, TrueDualPortRam},
    fifo::Fifo,
    pipeline_register::PipelineRegister,
    prefix_sum::{Pipelining, PrefixSum},
    skid_buffer::SkidBuffer,
    stream::{StreamIn, StreamOut},
};

use crate::error::Error;

/// Refuses a parameter outside `low..=high`.
fn within(
    module: &str,
    parameter: &'static str,
    value: u32,
    (low, high): (u32, u32),
    expected: &'static str,
) -> Result<(), Error> {
    if (low..=high).contains(&value) {
        Ok(())
    } else {
        Err(Error::parameter(module, parameter, value, expected))
    }
}

/// Refuses a data width that no signal can have.
fn width(module: &str, value: u32) -> Result<(), Error> {
    within(module, "width", value, (1, 2048), "1 to 2048 bits")
}
