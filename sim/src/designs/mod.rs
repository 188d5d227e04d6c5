//! Whole accelerators.

pub mod pim_gpt;
pub mod spatten;
