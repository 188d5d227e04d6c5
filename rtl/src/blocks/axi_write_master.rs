//! AXI4 write master (Arm IHI 0022H): commands and beats of data in, responses counted.

use std::sync::Arc;

use super::{
    axi_read_master::{BOUNDARY_BYTES, resized},
    within,
};
use crate::{ModuleBuilder, bits::index_width, error::Error, ir::Module};

/// Most bursts that a master has under way.
const MOST_BURSTS: u32 = 256;

/// Writes runs of beats. A command names the first byte and the number of beats; it becomes bursts of at
/// most `burst_beats` that never cross 4 KiB. Every byte of a beat is written.
///
/// Ports: command stream `command_valid`, `command_ready`, `command_address` (aligned to a beat),
/// `command_beats`; data stream `s_axis_*`, the beats of all commands one after the other; AXI4 channels
/// `m_axi_aw*`, `m_axi_w*` and `m_axi_b*`; `idle`, which is 1 once all that was commanded is answered;
/// `error`, which stays 1 after a response other than OKAY. All writes carry identifier 0.
///
/// The address of a burst is offered before its data, at most one burst ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AxiWriteMaster {
    /// Width of an address \[bits\], 13 to 64.
    pub address_width: u32,
    /// Bytes of a beat: a power of two, 1 to 128.
    pub beat_bytes: u32,
    /// Longest burst \[beats\]: a power of two, 1 to 256.
    pub burst_beats: u32,
    /// Width of the number of beats of a command \[bits\], 1 to 32.
    pub length_width: u32,
}

impl AxiWriteMaster {
    /// The module `axi_write_master_aADDRESS_bBYTES_lBURST`.
    ///
    /// # Errors
    /// A parameter outside its range.
    pub fn build(&self) -> Result<Arc<Module>, Error> {
        let name = format!(
            "axi_write_master_a{}_b{}_l{}",
            self.address_width, self.beat_bytes, self.burst_beats
        );
        self.check(&name)?;
        let offset = self.beat_bytes.trailing_zeros();
        let longest = self.burst_beats.min(BOUNDARY_BYTES / self.beat_bytes);
        let m = ModuleBuilder::new(name);
        m.doc("AXI4 write master. A command becomes bursts that never cross 4 KiB.");
        m.parameter("ADDRESS_WIDTH", self.address_width);
        m.parameter("BEAT_BYTES", self.beat_bytes);
        m.parameter("BURST_BEATS", longest);
        m.latency("the first address is offered 1 cycle after its command, its data 2 cycles after the address");

        let command_valid = m.input("command_valid", 1);
        let command_address = m
            .input("command_address", self.address_width)
            .comment("First byte; aligned to a beat.");
        m.discard(&command_address);
        let command_beats =
            m.input("command_beats", self.length_width).comment("0 writes nothing.");
        let in_valid = m.input("s_axis_tvalid", 1);
        let in_data = m.input("s_axis_tdata", 8 * self.beat_bytes);
        let aw_ready = m.input("m_axi_awready", 1);
        let w_ready = m.input("m_axi_wready", 1);
        let b_valid = m.input("m_axi_bvalid", 1);
        let b_resp = m.input("m_axi_bresp", 2);

        let beat_address = self.address_width - offset;
        let address = m.register("address", beat_address).comment("Next beat to be asked for.");
        let left = m.register("left", self.length_width).comment("Beats not yet asked for.");
        let step_bits = index_width(u64::from(longest) + 1);
        let queued =
            m.register("queued", 1).comment("A burst was asked for and waits for its data.");
        let queued_beats = m.register_without_reset("queued_beats", step_bits);
        let sending = m.register("sending", step_bits).comment("Beats left of the burst at hand.");
        let burst_bits = index_width(u64::from(MOST_BURSTS) + 1);
        let under_way = m.register("under_way", burst_bits).comment("Bursts not yet answered.");

        m.section("the next burst");
        let busy = m.wire("busy", &left.any());
        // Up to the next multiple of the longest burst: also keeps within 4 KiB, which is one too.
        let width = self.length_width.max(step_bits);
        let room = if longest == 1 {
            m.constant(1, width)
        } else {
            let within = address.bits(0..longest.trailing_zeros());
            m.wire("room", &(m.constant(longest.into(), width) - within.extend(width)))
        };
        let wanted = left.extend(width);
        let beats = m.wire("beats", &room.lt(&wanted).mux(&room, &wanted));
        m.discard(&beats);
        let step = beats.bits(0..step_bits);
        let may_ask = m.wire("may_ask", &(!&queued & under_way.lt(u64::from(MOST_BURSTS))));
        let aw_valid = m.wire("aw_valid", &(&busy & may_ask));
        let asked = m.wire("asked", &(&aw_valid & aw_ready));

        m.section("command");
        let ready = m.wire("ready", &!&busy);
        let accept = m.wire("accept", &(&command_valid & &ready));
        let start = command_address.bits(offset..self.address_width);
        let next_address = &address + resized(&step, beat_address);
        m.update_when(&address, &(&accept | &asked), accept.mux(&start, &next_address));
        let remaining = &left - resized(&step, self.length_width);
        m.update_when(&left, &(&accept | &asked), accept.mux(&command_beats, &remaining));

        m.section("data of the burst at hand");
        let is_sending = m.wire("is_sending", &sending.any());
        let last = m.wire("last", &sending.eq(1));
        let in_ready = m.wire("in_ready", &(&is_sending & w_ready));
        let sent = m.wire("sent", &(&in_ready & &in_valid));
        let begins = m.wire("begins", &(&queued & (!&is_sending | (&sent & &last))));
        m.update(&queued, &asked | (&queued & !&begins));
        m.update_when(&queued_beats, &asked, &step);
        m.update_when(&sending, &(&begins | &sent), begins.mux(&queued_beats, &sending - 1));

        m.section("responses");
        let answered = asked.extend(burst_bits) - b_valid.extend(burst_bits);
        m.update(&under_way, &under_way + answered);
        let failed = m.register("failed", 1).comment("Some response was no OKAY.");
        m.update_when(&failed, &b_valid, &failed | b_resp.any());
        let waits = m.any_of(&[queued, is_sending.clone(), under_way.any()]);

        m.output("command_ready", &ready);
        m.output("s_axis_tready", &in_ready);
        m.output_for("m_axi_awvalid", &aw_valid, "A burst is asked for.");
        let byte_address =
            if offset == 0 { address.clone() } else { address.concat(&m.constant(0, offset)) };
        m.output("m_axi_awaddr", &byte_address);
        m.output_for("m_axi_awlen", &resized(&(&step - 1), 8), "Beats - 1.");
        m.output_for("m_axi_awsize", &m.constant(offset.into(), 3), "log2 of the bytes of a beat.");
        m.output_for("m_axi_awburst", &m.constant(1, 2), "INCR.");
        m.output("m_axi_wvalid", &(&is_sending & &in_valid));
        m.output("m_axi_wdata", &in_data);
        let strobe = m.constant(1, 1).repeat(self.beat_bytes);
        m.output_for("m_axi_wstrb", &strobe, "Every byte.");
        m.output("m_axi_wlast", &last);
        m.output_for("m_axi_bready", &m.constant(1, 1), "Always.");
        m.output_for("idle", &(&ready & !waits), "All is written.");
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
        Ok(())
    }
}
