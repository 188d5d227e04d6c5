//! Edge-MoE's units (Sarkar et al., ICCAD 2023), one file per unit.
//!
//! Structure and loops are those of the released code (github.com/sharc-lab/Edge-MoE); its pipelines are
//! made by a synthesis tool and are not published, so stages are our choice. Each function takes the
//! sizes that the hardware is made for. Words of memory are lanes side by side, the first one lowest.

mod expert_queues;
mod expert_sequencer;
mod feature_adder;
mod functions;
mod gate;
mod gelu;
mod layer_norm;
mod linear;
mod outlet;
mod parameter_loader;
mod patch_embedding;
mod pv_product;
mod qk_product;
mod queue_walker;
mod row_addresses;
mod running_softmax;
mod token_steps;
mod top;
mod weight_loader;

pub use self::{
    expert_queues::expert_queues,
    expert_sequencer::expert_sequencer,
    feature_adder::feature_adder,
    functions::{divider, exponential, square_root},
    gate::gate,
    gelu::gelu,
    layer_norm::layer_norm,
    linear::{FEATURE_BITS, FEATURE_FRACTION, linear, linear_latency},
    parameter_loader::parameter_loader,
    patch_embedding::patch_embedding,
    pv_product::pv_product,
    qk_product::qk_product,
    queue_walker::queue_walker,
    row_addresses::row_addresses,
    running_softmax::running_softmax,
    top::{REGISTERS, STATUSES, call_sequencer, edge_moe_top},
    weight_loader::{ATTENTION_SHIFT, BIAS_BITS, WEIGHT_BITS, weight_loader},
};
