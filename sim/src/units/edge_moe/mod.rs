//! Units of Edge-MoE with their cycles, as the hardware has them: when what is known from the arithmetic of
//! `units::edge_*` shows.

pub mod call_sequencer;
pub mod expert_queues;
pub mod expert_sequencer;
pub mod feature_adder;
pub mod gate;
pub mod layer_norm;
pub mod linear;
pub mod outlet;
pub mod parameter_loader;
pub mod patch_embedding;
pub mod pv_product;
pub mod qk_product;
pub mod queue_walker;
pub mod row_addresses;
pub mod running_softmax;
pub mod token_steps;
pub mod weight_loader;
