//! PIM-GPT's units (Wu, Wang, Lu; npj Unconventional Computing 1, 4, 2024), one file per unit.
//!
//! Widths and pipelines inside the units are not published; `docs/designs/pim-gpt.md` names what was
//! chosen. The arithmetic is that of the simulator, bit by bit.

mod arithmetic;
mod channel;
pub mod command_decoder;
mod float;
mod functions;
mod global_buffer;
mod layer_norm;
mod mac_unit;
mod passes;
mod pipeline;
mod sequenced_channel;
mod sequencer;
mod softmax;

pub use self::{
    arithmetic::{bf16_add, bf16_multiply, bf16_product, fp32_add, fp32_multiply, fp32_to_bf16},
    channel::{channel, channel_latency},
    command_decoder::command_decoder,
    functions::{FunctionUnit, exponential, gelu, inverse_square_root, reciprocal, tanh},
    global_buffer::global_buffer,
    layer_norm::layer_norm,
    mac_unit::{mac_unit, mac_unit_latency},
    sequenced_channel::sequenced_channel,
    sequencer::{EVENT_BITS, INSTRUCTION_BITS, sequencer},
    softmax::softmax,
};
