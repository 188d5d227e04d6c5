//! Hardware units, by design and named as in `attelier_hw` and in the simulator.

pub mod edge_moe;
pub mod elsa;
pub mod pim_gpt;
pub mod spatten;
