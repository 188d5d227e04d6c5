//! Whole accelerators.

pub mod spatten;
