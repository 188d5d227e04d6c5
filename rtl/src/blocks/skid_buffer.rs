//! Skid buffer: cuts the ready path of a stream.

use std::sync::Arc;

use super::{StreamIn, StreamOut, width};
use crate::{ModuleBuilder, error::Error, ir::Module};

/// A buffer of two beats whose outputs, `s_axis_tready` included, all come from registers.
///
/// Ports: stream `s_axis` in, stream `m_axis` out. Full throughput.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SkidBuffer {
    /// Width of a beat \[bits\].
    pub width: u32,
}

impl SkidBuffer {
    /// The module `skid_buffer_wWIDTH`.
    ///
    /// # Errors
    /// A parameter outside its range.
    pub fn build(&self) -> Result<Arc<Module>, Error> {
        let name = format!("skid_buffer_w{}", self.width);
        width(&name, self.width)?;
        let m = ModuleBuilder::new(name);
        m.doc("Skid buffer: both valid and ready come from registers.");
        m.parameter("WIDTH", self.width);
        m.latency("1 cycle; 1 beat per cycle");
        let input = StreamIn::new(&m, "s_axis", self.width);
        let output = StreamOut::new(&m, "m_axis");

        let valid = m.register("output_valid", 1);
        let skid_valid = m.register("skid_valid", 1).comment("A beat waits behind the output.");
        let free = m.wire("output_free", &(&output.ready | !&valid));
        let push = m.wire("push", &(&input.valid & !&skid_valid));
        m.update_when(&valid, &free, &push | &skid_valid);
        m.update(&skid_valid, (&push | &skid_valid) & !&free);
        let skid = m.pipe_when("skid_data", &push, &input.data);
        let data = m.pipe_when("output_data", &free, &skid_valid.mux(&skid, &input.data));
        input.ready(&m, &!&skid_valid);
        output.offer(&m, &valid, &data);
        m.finish()
    }
}
