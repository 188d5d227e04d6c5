//! Pipeline register with valid and ready.

use std::sync::Arc;

use super::{StreamIn, StreamOut, width};
use crate::{ModuleBuilder, error::Error, ir::Module};

/// One stage: data and valid from registers, ready passed through within the cycle.
///
/// Ports: stream `s_axis` in, stream `m_axis` out. Full throughput.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PipelineRegister {
    /// Width of a beat \[bits\].
    pub width: u32,
}

impl PipelineRegister {
    /// The module `pipeline_register_wWIDTH`.
    ///
    /// # Errors
    /// A parameter outside its range.
    pub fn build(&self) -> Result<Arc<Module>, Error> {
        let name = format!("pipeline_register_w{}", self.width);
        width(&name, self.width)?;
        let m = ModuleBuilder::new(name);
        m.doc("Pipeline register. Ready passes through within the cycle.");
        m.parameter("WIDTH", self.width);
        m.latency("1 cycle; 1 beat per cycle");
        let input = StreamIn::new(&m, "s_axis", self.width);
        let output = StreamOut::new(&m, "m_axis");
        let valid = m.register("valid", 1);
        let ready = m.wire("advance", &(&output.ready | !&valid));
        m.update_when(&valid, &ready, &input.valid);
        let data = m.pipe_when("data", &ready, &input.data);
        input.ready(&m, &ready);
        output.offer(&m, &valid, &data);
        m.finish()
    }
}
