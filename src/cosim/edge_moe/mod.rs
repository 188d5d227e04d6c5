//! Units of Edge-MoE.

mod expert_queues;
mod expert_sequencer;
mod functions;
mod gate;
mod layer_norm;
mod linear;
mod operands;
mod patch_embedding;
mod pv_product;
mod qk_product;
mod running_softmax;
mod weight_loader;

use attelier_hw::edge_moe::Sizes;

use super::Unit;

/// The units of a machine of these sizes.
pub fn units(sizes: &Sizes) -> Vec<Box<dyn Unit>> {
    let mut units = functions::units(sizes);
    units.extend([
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
    ]);
    units
}
