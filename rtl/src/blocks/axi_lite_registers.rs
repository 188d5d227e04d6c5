//! AXI4-Lite register file (Arm IHI 0022H, part B).

use std::sync::Arc;

use super::within;
use crate::{ModuleBuilder, Signal, bits::index_width, error::Error, ir::Module};

/// Width of the bus \[bits\].
const WIDTH: u32 = 32;

/// Registers that a processor writes, and values that it reads.
///
/// Word `i` is control register `i`; status inputs follow after the last one. Reading or writing
/// beyond the end, or writing a status word, is answered with SLVERR.
///
/// Ports: AXI4-Lite after `s_axi_`, `status_0` ...; `control_0` ..., `written` (one bit per control
/// register, 1 for one cycle after a write).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AxiLiteRegisters {
    /// Registers that can be written, 1 to 256.
    pub controls: u32,
    /// Values that can be read, 0 to 256.
    pub statuses: u32,
}

impl AxiLiteRegisters {
    /// Width of an address \[bits\].
    pub fn address_width(&self) -> u32 {
        index_width(u64::from(self.controls + self.statuses)) + 2
    }

    /// The module `axi_lite_registers_cCONTROLS_sSTATUSES`.
    ///
    /// # Errors
    /// A parameter outside its range.
    pub fn build(&self) -> Result<Arc<Module>, Error> {
        let name = format!("axi_lite_registers_c{}_s{}", self.controls, self.statuses);
        within(&name, "controls", self.controls, (1, 256), "1 to 256 registers")?;
        within(&name, "statuses", self.statuses, (0, 256), "0 to 256 values")?;
        let m = ModuleBuilder::new(name);
        m.doc("AXI4-Lite register file: control registers first, then status inputs.");
        m.parameter("CONTROLS", self.controls);
        m.parameter("STATUSES", self.statuses);
        m.latency("1 cycle from address (and data) to response");
        let controls = self.write_side(&m);
        self.read_side(&m, &controls);
        m.outputs("control", &controls);
        m.finish()
    }

    fn write_side(&self, m: &ModuleBuilder) -> Vec<Signal> {
        let aw_valid = m.input("s_axi_awvalid", 1);
        let aw_address = m.input("s_axi_awaddr", self.address_width());
        let w_valid = m.input("s_axi_wvalid", 1);
        let w_data = m.input("s_axi_wdata", WIDTH);
        let w_strobe = m.input("s_axi_wstrb", WIDTH / 8);
        let b_ready = m.input("s_axi_bready", 1);
        m.discard(&aw_address);

        m.section("write: address and data are taken together");
        let b_valid = m.register("write_done", 1).comment("A response waits.");
        let free = &b_ready | !&b_valid;
        let write = m.wire("write", &(&aw_valid & &w_valid & &free));
        m.update_when(&b_valid, &(&b_ready | !&b_valid), &write);
        let word = m.wire("write_word", &aw_address.bits(2..self.address_width()));
        let mut controls = Vec::new();
        let mut hits = Vec::new();
        let mut written = Vec::new();
        for number in 0..self.controls {
            let hit = m.wire(format!("write_{number}"), &(&write & word.eq(u64::from(number))));
            let control = m.register(format!("value_{number}"), WIDTH);
            let (old, new) = (control.lanes(WIDTH / 8), w_data.lanes(WIDTH / 8));
            let bytes: Vec<Signal> = w_strobe
                .lanes(WIDTH / 8)
                .iter()
                .zip(old.iter().zip(&new))
                .map(|(strobe, (old, new))| strobe.mux(new, old))
                .collect();
            m.update_when(&control, &hit, m.pack(&bytes));
            written.push(m.pipe_reset(format!("written_{number}"), &hit));
            controls.push(control);
            hits.push(hit);
        }
        let failed = m.register("write_failed", 1);
        m.update_when(&failed, &write, !m.any_of(&hits));
        m.output("s_axi_awready", &write);
        m.output("s_axi_wready", &write);
        m.output("s_axi_bvalid", &b_valid);
        m.output_for("s_axi_bresp", &response(m, &failed), "OKAY or SLVERR.");
        m.output_for("written", &m.pack(&written), "Control registers just written.");
        controls
    }

    fn read_side(&self, m: &ModuleBuilder, controls: &[Signal]) {
        let ar_valid = m.input("s_axi_arvalid", 1);
        let ar_address = m.input("s_axi_araddr", self.address_width());
        let r_ready = m.input("s_axi_rready", 1);
        m.discard(&ar_address);
        let statuses = m.inputs("status", self.statuses, WIDTH);

        m.section("read");
        let r_valid = m.register("read_done", 1).comment("A response waits.");
        let free = m.wire("read_free", &(&r_ready | !&r_valid));
        m.update_when(&r_valid, &free, &ar_valid);
        let word = m.wire("read_word", &ar_address.bits(2..self.address_width()));
        let words: Vec<&Signal> = controls.iter().chain(&statuses).collect();
        let arms = (0u64..).zip(words.iter().copied());
        let value = m.wire("read_value", &m.case(&word, arms, 0));
        let taken = m.wire("read", &(&ar_valid & &free));
        let data = m.register("read_data", WIDTH);
        m.update_when(&data, &taken, &value);
        let failed = m.register("read_failed", 1);
        let states = 1u64 << word.width();
        let beyond = if words.len() as u64 == states {
            m.constant(0, 1)
        } else {
            word.ge(words.len() as u64)
        };
        m.update_when(&failed, &taken, &beyond);
        m.output("s_axi_arready", &free);
        m.output("s_axi_rvalid", &r_valid);
        m.output("s_axi_rdata", &data);
        m.output_for("s_axi_rresp", &response(m, &failed), "OKAY or SLVERR.");
    }
}

/// OKAY (0) or SLVERR (2).
fn response(m: &ModuleBuilder, failed: &Signal) -> Signal {
    failed.concat(&m.constant(0, 1))
}
