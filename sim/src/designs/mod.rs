//! Whole accelerators.

pub mod edge_moe;
pub mod m3vit;
pub mod pim_gpt;
pub mod spatten;
