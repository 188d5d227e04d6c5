//! AXI4-Stream width adapters with `tkeep` and `tlast` (Arm IHI 0051A).

use std::sync::Arc;

use super::within;
use crate::{ModuleBuilder, Signal, bits::index_width, error::Error, ir::Module};

/// Gathers narrow beats into wide ones, the first in the lowest bytes; `tlast` closes a wide beat
/// early, and the bytes that are missing have `tkeep` 0.
///
/// Ports: `s_axis_*`, `m_axis_*`, each with `tvalid`, `tready`, `tdata`, `tkeep`, `tlast`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AxiStreamWidener {
    /// Width of the narrow side \[bytes\], 1 to 64.
    pub narrow_bytes: u32,
    /// Narrow beats in a wide one, 2 to 32.
    pub ratio: u32,
}

/// Cuts wide beats into narrow ones, the lowest bytes first. Trailing narrow beats whose `tkeep` is
/// zero are left out; the last one sent carries `tlast`.
///
/// Ports as [`AxiStreamWidener`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AxiStreamNarrower {
    /// Width of the narrow side \[bytes\], 1 to 64.
    pub narrow_bytes: u32,
    /// Narrow beats in a wide one, 2 to 32.
    pub ratio: u32,
}

/// The beat of the sending side.
struct Beat {
    valid: Signal,
    data: Signal,
    keep: Signal,
    last: Signal,
}

impl Beat {
    fn input(m: &ModuleBuilder, bytes: u32) -> Self {
        Self {
            valid: m.input("s_axis_tvalid", 1),
            data: m.input("s_axis_tdata", 8 * bytes),
            keep: m.input("s_axis_tkeep", bytes).comment("Bytes that count."),
            last: m.input("s_axis_tlast", 1).comment("Ends a packet."),
        }
    }

    fn output(&self, m: &ModuleBuilder) {
        m.output("m_axis_tvalid", &self.valid);
        m.output("m_axis_tdata", &self.data);
        m.output_for("m_axis_tkeep", &self.keep, "Bytes that count.");
        m.output_for("m_axis_tlast", &self.last, "Ends a packet.");
    }
}

fn begin(kind: &str, bytes: u32, ratio: u32) -> Result<ModuleBuilder, Error> {
    let name = format!("axi_stream_{kind}_b{bytes}_r{ratio}");
    within(&name, "narrow_bytes", bytes, (1, 64), "1 to 64 bytes")?;
    within(&name, "ratio", ratio, (2, 32), "2 to 32")?;
    if bytes * ratio > 256 {
        return Err(Error::parameter(&name, "narrow_bytes * ratio", bytes * ratio, "at most 256"));
    }
    let m = ModuleBuilder::new(name);
    m.parameter("NARROW_BYTES", bytes);
    m.parameter("RATIO", ratio);
    Ok(m)
}

impl AxiStreamWidener {
    /// The module `axi_stream_widener_bBYTES_rRATIO`.
    ///
    /// # Errors
    /// A parameter outside its range.
    pub fn build(&self) -> Result<Arc<Module>, Error> {
        let (bytes, ratio) = (self.narrow_bytes, self.ratio);
        let m = begin("widener", bytes, ratio)?;
        m.doc("AXI4-Stream widener: narrow beats side by side, the first in the lowest bytes.");
        m.latency(
            "1 cycle after the narrow beat that completes the wide one; 1 narrow beat per cycle",
        );
        let input = Beat::input(&m, bytes);
        let out_ready = m.input("m_axis_tready", 1);
        let valid = m.register("full", 1).comment("A wide beat is complete.");
        let place = m.register("place", index_width(ratio.into())).comment("Next narrow beat.");
        let ready = m.wire("ready", &(&out_ready | !&valid));
        let take = m.wire("take", &(&input.valid & &ready));
        let at_end = m.wire("at_end", &place.eq(u64::from(ratio - 1)));
        let complete = m.wire("complete", &(&take & (&at_end | &input.last)));
        let first = m.wire("first", &place.eq(0));
        m.update_when(&place, &take, complete.mux(&m.constant(0, place.width()), &place + 1));
        m.update_when(&valid, &ready, &complete);
        let last = m.pipe_when("last", &take, &input.last);
        let (mut data, mut keep) = (Vec::new(), Vec::new());
        for number in 0..ratio {
            m.section(format!("narrow beat {number}"));
            let here = m.wire(format!("here_{number}"), &place.eq(u64::from(number)));
            let write = &take & &here;
            data.push(m.pipe_when(format!("data_{number}"), &write, &input.data));
            // The first narrow beat clears what the last wide one kept.
            let kept = m.register(format!("keep_{number}"), bytes);
            m.update_when(&kept, &(&take & (&here | &first)), here.gate(&input.keep));
            keep.push(kept);
        }
        m.output("s_axis_tready", &ready);
        Beat { valid, data: m.pack(&data), keep: m.pack(&keep), last }.output(&m);
        m.finish()
    }
}

impl AxiStreamNarrower {
    /// The module `axi_stream_narrower_bBYTES_rRATIO`.
    ///
    /// # Errors
    /// A parameter outside its range.
    pub fn build(&self) -> Result<Arc<Module>, Error> {
        let (bytes, ratio) = (self.narrow_bytes, self.ratio);
        let m = begin("narrower", bytes, ratio)?;
        m.doc("AXI4-Stream narrower: the lowest bytes of a wide beat first.");
        m.doc("The wide beat must stay until it is taken, as the protocol asks.");
        m.latency("same cycle; 1 narrow beat per cycle");
        let input = Beat::input(&m, bytes * ratio);
        let out_ready = m.input("m_axis_tready", 1);
        let place = m.register("place", index_width(ratio.into())).comment("Narrow beat sent.");
        let keeps = input.keep.lanes(ratio);
        // Narrow beats above the one sent, of which some byte counts.
        let more: Vec<Signal> = (0..ratio)
            .map(|number| {
                let above: Vec<Signal> =
                    keeps[number as usize + 1..].iter().map(Signal::any).collect();
                m.wire(format!("more_{number}"), &m.any_of(&above))
            })
            .collect();
        let more = m.wire("more", &m.select(&place, &more));
        let sent = m.wire("sent", &(&input.valid & &out_ready));
        m.update_when(&place, &sent, more.gate(&(&place + 1)));
        m.output_for("s_axis_tready", &(&out_ready & !&more), "The wide beat is done.");
        Beat {
            data: m.select(&place, &input.data.lanes(ratio)),
            keep: m.select(&place, &keeps),
            last: &input.last & !&more,
            valid: input.valid,
        }
        .output(&m);
        m.finish()
    }
}
