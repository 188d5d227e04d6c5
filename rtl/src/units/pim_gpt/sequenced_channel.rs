//! The sequencer and a channel: from instructions to read-outs.

use std::sync::Arc;

use attelier_hw::pim_gpt::PimGpt;

use super::{
    channel::channel, command_decoder::WRVEC, global_buffer::burst_bits, sequencer::sequencer,
};
use crate::{Error, ModuleBuilder, ir::Module};

/// The module `sequenced_channel`.
///
/// # Errors
/// Those of its parts.
pub fn sequenced_channel(params: &PimGpt) -> Result<Arc<Module>, Error> {
    let (sequencer, channel) = (sequencer(params)?, channel(params)?);
    let banks = params.memory.banks;
    let m = ModuleBuilder::new("sequenced_channel");
    m.doc("The sequencer with the first channel. `vector_read` asks for line `vector_line` of the vector");
    m.doc("that is written to `vector_half`; `vector_data` come one cycle later, as do `array_data_*`.");
    m.parameter("BANKS", banks);
    m.latency("that of the sequencer, then that of the channel");
    let width = |name: &str| {
        let port = sequencer.inputs().find(|(port, _)| *port == name);
        port.map_or(1, |(_, ty)| ty.width)
    };
    let control = m.instance("control", &sequencer);
    for name in ["s_axis_tvalid", "s_axis_tdata", "event_valid", "event_number"] {
        control.input(name, m.input(name, width(name)));
    }
    let select = control.output("channel_select");
    m.discard(&select);
    let command = control.output("command");
    let command = m.wire("own_command", &select.bit(0).gate(&command));
    let memory = m.instance("memory", &channel);
    memory.input("command", &command);
    for name in ["row", "column", "half"] {
        memory.input(name, control.output(name));
    }
    memory.input("vector_data", m.input("vector_data", burst_bits(params)));
    for (bank, data) in m.inputs("array_data", banks, burst_bits(params)).iter().enumerate() {
        memory.input(&format!("array_data_{bank}"), data);
    }
    m.output("s_axis_tready", &control.output("s_axis_tready"));
    m.output_for("vector_read", &command.eq(WRVEC), "Asks for a line of the vector.");
    m.output("vector_line", &control.output("column"));
    m.output("vector_half", &control.output("half"));
    for name in
        ["asic_valid", "beat_valid", "function_code", "numbers", "has_event", "announced_event"]
    {
        m.output(name, &control.output(name));
    }
    for (name, _) in channel.outputs() {
        m.output(name, &memory.output(name));
    }
    m.finish()
}
