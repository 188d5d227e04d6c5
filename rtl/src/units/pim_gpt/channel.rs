//! A channel: command decoder, vector buffer, and a multiply-accumulate unit per bank. The arrays of
//! the banks are DRAM and lie outside.

use std::sync::Arc;

use attelier_hw::pim_gpt::PimGpt;

use super::{
    command_decoder::{COMMAND_BITS, DECODE_CYCLES, command_decoder},
    global_buffer::{burst_bits, global_buffer},
    mac_unit::{mac_unit, mac_unit_latency},
};
use crate::{Error, ModuleBuilder, Signal, ir::Module};

/// Cycles from RDACC to the results.
pub fn channel_latency(params: &PimGpt) -> u32 {
    DECODE_CYCLES + mac_unit_latency(&params.mac)
}

/// The module `channel`.
///
/// # Errors
/// Those of its parts.
pub fn channel(params: &PimGpt) -> Result<Arc<Module>, Error> {
    let (decoder, buffer) = (command_decoder(params)?, global_buffer(params)?);
    let (unit, banks) = (mac_unit(&params.mac)?, params.memory.banks);
    let m = ModuleBuilder::new("channel");
    m.doc("A channel without its arrays. `array_read` asks each bank for `array_column` of the open row;");
    m.doc(
        "`array_data_*` show it one cycle later. Data of WRVEC come one cycle after the command.",
    );
    m.parameter("BANKS", banks);
    m.parameter("MULTIPLIERS", params.mac.multipliers);
    m.latency(format!("{} cycles from RDACC to `result_valid`", channel_latency(params)));
    let port = |name: &str| decoder.inputs().find(|(port, _)| *port == name).map(|(_, ty)| ty);
    let width = |name: &str| port(name).map_or(1, |ty| ty.width);
    let command = m.input("command", COMMAND_BITS);
    let row = m.input("row", width("row"));
    let column = m.input("column", width("column"));
    let half = m.input("half", 1);
    let vector = m.input("vector_data", burst_bits(params));
    let arrays = m.inputs("array_data", banks, burst_bits(params));

    m.section("commands");
    let decode = m.instance("decoder", &decoder);
    decode.input("command", &command).input("row", &row);
    decode.input("column", &column).input("half", &half);

    m.section("vector");
    let lines = m.instance("buffer", &buffer);
    lines
        .input("write_valid", decode.output("buffer_write"))
        .input("write_line", decode.output("buffer_write_line"))
        .input("write_data", &vector)
        .input("read_valid", decode.output("bank_read"))
        .input("read_line", decode.output("buffer_read_line"));

    m.section("banks");
    let (mut valid, mut results): (Vec<Signal>, Vec<Signal>) = (Vec::new(), Vec::new());
    for (bank, array) in arrays.iter().enumerate() {
        let instance = m.instance(format!("bank_{bank}"), &unit);
        instance
            .input("mac_valid", decode.output("mac_valid"))
            .input("read_valid", decode.output("read_valid"))
            .input("weights", array)
            .input("inputs", lines.output("data"));
        valid.push(instance.output("result_valid"));
        results.push(instance.output("result"));
    }

    m.output("array_activate", &decode.output("activate"));
    m.output("array_row", &decode.output("activate_row"));
    m.output("array_precharge", &decode.output("precharge"));
    m.output("array_refresh", &decode.output("refresh"));
    m.output("array_read", &decode.output("bank_read"));
    m.output("array_column", &decode.output("bank_column"));
    m.output_for("result_valid", &m.all_of(&valid), "A number of each bank is there.");
    m.outputs("result", &results);
    m.output("illegal_command", &decode.output("illegal_command"));
    m.finish()
}
