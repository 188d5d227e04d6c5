//! Whole accelerators, and what they are compared with.

pub mod a3;
pub mod edge_moe;
pub mod elsa;
pub mod heads;
pub mod m3vit;
pub mod mnnfast;
pub mod pim_gpt;
pub mod platform;
pub mod spatten;
