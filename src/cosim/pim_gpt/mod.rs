//! Units of PIM-GPT, from the arithmetic to a channel that executes instructions.

mod arithmetic;
mod channel;
mod command_decoder;
mod functions;
mod global_buffer;
mod layer_norm;
mod mac_unit;
mod operands;
mod programs;
mod rows;
mod sequenced_channel;
mod sequencer;
mod softmax;

use attelier_hw::pim_gpt::PimGpt;

use super::Unit;

/// The units of a machine with these parameters.
pub fn units(params: &PimGpt) -> Vec<Box<dyn Unit>> {
    let mut units = arithmetic::units();
    units.push(mac_unit::unit(params));
    units.push(global_buffer::unit(params));
    units.push(command_decoder::unit(params));
    units.push(channel::unit(params));
    units.extend(functions::units());
    units.push(softmax::unit(params));
    units.push(layer_norm::unit(params));
    units.push(sequencer::unit(params));
    units.push(sequenced_channel::unit(params));
    units
}
