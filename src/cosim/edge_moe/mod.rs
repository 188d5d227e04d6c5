//! Units of Edge-MoE.

mod call_sequencer;
mod expert_queues;
mod expert_sequencer;
mod feature_adder;
mod functions;
mod gate;
mod gelu;
pub mod image;
mod layer_norm;
mod linear;
mod operands;
mod parameter_loader;
mod patch_embedding;
mod pv_product;
mod qk_product;
mod queue_walker;
mod row_addresses;
mod running_softmax;
pub mod top;
mod weight_loader;

use attelier_hw::edge_moe::{Sizes, TopSizes};

use super::Unit;

/// What makes up the machine: its top has all units inside.
pub const WHOLE: [&str; 1] = ["edge_moe_top"];

/// The units of a machine of these sizes.
pub fn units(sizes: &Sizes) -> Vec<Box<dyn Unit>> {
    let mut units = functions::units();
    units.extend([
        gelu::unit(sizes),
        expert_queues::unit(sizes),
        expert_sequencer::unit(sizes),
        weight_loader::unit(sizes),
        linear::unit(sizes),
        qk_product::unit(sizes),
        running_softmax::unit(sizes),
        pv_product::unit(sizes),
        layer_norm::unit(sizes),
        gate::unit(sizes),
        patch_embedding::unit(sizes),
        feature_adder::unit(sizes),
        queue_walker::unit(sizes),
        parameter_loader::unit(sizes),
    ]);
    units
}

/// What only the whole machine has.
pub fn units_of_top(sizes: &TopSizes) -> Vec<Box<dyn Unit>> {
    vec![row_addresses::unit(sizes), call_sequencer::unit(sizes), top::unit(sizes)]
}
