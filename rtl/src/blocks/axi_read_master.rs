//! AXI4 read master (Arm IHI 0022H): commands in, beats of data out.

use std::sync::Arc;

use super::within;
use crate::{ModuleBuilder, Signal, bits::index_width, error::Error, ir::Module};

/// Bytes that a burst must not cross (IHI 0022H, A3.4.1).
pub(super) const BOUNDARY_BYTES: u32 = 4096;

/// Reads runs of beats. A command names the first byte and the number of beats; it becomes bursts
/// of at most `burst_beats` that never cross 4 KiB. With `burst_beats` 1 every beat is a transaction
/// of its own.
///
/// Ports: command stream `command_valid`, `command_ready`, `command_address` (aligned to a beat),
/// `command_beats`; AXI4 channels `m_axi_ar*` and `m_axi_r*`; data stream `m_axis_*`; `error`,
/// which stays 1 after a response other than OKAY. All reads carry identifier 0, so data come in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AxiReadMaster {
    /// Width of an address \[bits\], 13 to 64.
    pub address_width: u32,
    /// Bytes of a beat: a power of two, 1 to 128.
    pub beat_bytes: u32,
    /// Longest burst \[beats\]: a power of two, 1 to 256.
    pub burst_beats: u32,
    /// Width of the number of beats of a command \[bits\], 1 to 32.
    pub length_width: u32,
    /// Beats that may be under way, at least a burst, at most 65,535. The receiver of `m_axis`
    /// should have as many places, or it blocks the bus.
    pub outstanding_beats: u32,
}

impl AxiReadMaster {
    /// The module `axi_read_master_aADDRESS_bBYTES_lBURST`.
    ///
    /// # Errors
    /// A parameter outside its range.
    pub fn build(&self) -> Result<Arc<Module>, Error> {
        let name = format!(
            "axi_read_master_a{}_b{}_l{}",
            self.address_width, self.beat_bytes, self.burst_beats
        );
        self.check(&name)?;
        let offset = self.beat_bytes.trailing_zeros();
        let page_beats = BOUNDARY_BYTES / self.beat_bytes;
        let longest = self.burst_beats.min(page_beats);
        let m = ModuleBuilder::new(name);
        m.doc("AXI4 read master. A command becomes bursts that never cross 4 KiB.");
        m.parameter("ADDRESS_WIDTH", self.address_width);
        m.parameter("BEAT_BYTES", self.beat_bytes);
        m.parameter("BURST_BEATS", longest);
        m.parameter("OUTSTANDING_BEATS", self.outstanding_beats);
        m.latency(
            "the first address is offered 1 cycle after its command; data pass in the same cycle",
        );

        let command_valid = m.input("command_valid", 1);
        let command_address = m
            .input("command_address", self.address_width)
            .comment("First byte; aligned to a beat.");
        m.discard(&command_address);
        let command_beats = m.input("command_beats", self.length_width).comment("0 reads nothing.");
        let ar_ready = m.input("m_axi_arready", 1);
        let r_valid = m.input("m_axi_rvalid", 1);
        let r_data = m.input("m_axi_rdata", 8 * self.beat_bytes);
        let r_resp = m.input("m_axi_rresp", 2);
        let out_ready = m.input("m_axis_tready", 1);

        let beat_address = self.address_width - offset;
        let address = m.register("address", beat_address).comment("Next beat to be asked for.");
        let left = m.register("left", self.length_width).comment("Beats not yet asked for.");
        let count = index_width(u64::from(self.outstanding_beats) + 1);
        let under_way =
            m.register("under_way", count).comment("Beats asked for, not yet received.");

        m.section("the next burst");
        let busy = m.wire("busy", &left.any());
        // Up to the next multiple of the longest burst: also keeps within 4 KiB, which is one too.
        let width = self.length_width.max(index_width(u64::from(longest) + 1));
        let room = if longest == 1 {
            m.constant(1, width)
        } else {
            let within = address.bits(0..longest.trailing_zeros());
            m.wire("room", &(m.constant(longest.into(), width) - within.extend(width)))
        };
        let wanted = left.extend(width);
        let beats = m.wire("beats", &room.lt(&wanted).mux(&room, &wanted));
        let sum = m.wire("with_burst", &(under_way.extend(33) + beats.bits(0..width).extend(33)));
        let may_ask = m.wire("may_ask", &sum.le(u64::from(self.outstanding_beats)));
        let ar_valid = m.wire("ar_valid", &(&busy & &may_ask));
        let asked = m.wire("asked", &(&ar_valid & &ar_ready));

        m.section("command");
        let ready = m.wire("ready", &!&busy);
        let accept = m.wire("accept", &(&command_valid & &ready));
        let start = command_address.bits(offset..self.address_width);
        let step = beats.bits(0..index_width(u64::from(longest) + 1));
        let step_address = resized(&step, beat_address);
        m.update_when(&address, &(&accept | &asked), accept.mux(&start, &address + &step_address));
        let remaining = &left - resized(&step, self.length_width);
        m.update_when(&left, &(&accept | &asked), accept.mux(&command_beats, &remaining));

        m.section("data");
        let received = m.wire("received", &(&r_valid & &out_ready));
        let gained = m.wire("gained", &asked.gate(&resized(&step, count)));
        m.update(&under_way, &under_way + &gained - received.extend(count));
        let failed = m.register("failed", 1).comment("Some response was no OKAY.");
        m.update_when(&failed, &received, &failed | r_resp.any());

        m.output("command_ready", &ready);
        m.output_for("m_axi_arvalid", &ar_valid, "A burst is asked for.");
        let byte_address =
            if offset == 0 { address.clone() } else { address.concat(&m.constant(0, offset)) };
        m.output("m_axi_araddr", &byte_address);
        m.output_for("m_axi_arlen", &resized(&(&step - 1), 8), "Beats - 1.");
        m.output_for("m_axi_arsize", &m.constant(offset.into(), 3), "log2 of the bytes of a beat.");
        m.output_for("m_axi_arburst", &m.constant(1, 2), "INCR.");
        m.output("m_axi_rready", &out_ready);
        m.output("m_axis_tvalid", &r_valid);
        m.output("m_axis_tdata", &r_data);
        m.output_for("idle", &(&ready & !under_way.any()), "Nothing is under way.");
        m.output_for("error", &failed, "Some response was no OKAY.");
        m.finish()
    }

    fn check(&self, name: &str) -> Result<(), Error> {
        within(name, "address_width", self.address_width, (13, 64), "13 to 64 bits")?;
        within(name, "length_width", self.length_width, (1, 32), "1 to 32 bits")?;
        for (parameter, value, highest, expected) in [
            ("beat_bytes", self.beat_bytes, 128, "a power of two, 1 to 128"),
            ("burst_beats", self.burst_beats, 256, "a power of two, 1 to 256"),
        ] {
            if !value.is_power_of_two() || value > highest {
                return Err(Error::parameter(name, parameter, value, expected));
            }
        }
        if !(self.burst_beats..=65_535).contains(&self.outstanding_beats) {
            let value = self.outstanding_beats;
            return Err(Error::parameter(name, "outstanding_beats", value, "a burst to 65535"));
        }
        Ok(())
    }
}

/// Widened by zeros, or cut where the value is known to fit.
pub(super) fn resized(value: &Signal, width: u32) -> Signal {
    if width < value.width() { value.bits(0..width) } else { value.extend(width) }
}
