//! Whole accelerators.

pub mod edge_moe;
pub mod pim_gpt;
pub mod spatten;
