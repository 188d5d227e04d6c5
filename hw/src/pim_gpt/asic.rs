//! The ASIC beside the memory: lanes, adders and the time of its functions.
//!
//! A lane is one multiplier with the function units behind it. Intervals are per number and lane,
//! latencies from the last number in to the last number out.

use serde::{Deserialize, Serialize};

use crate::schema::Field;

/// The ASIC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asic {
    /// Clock \[Hz\].
    pub clock_hz: u64,
    /// Multipliers = lanes.
    pub multipliers: u32,
    /// Adders.
    pub adders: u32,
    /// Scratch memory \[B\].
    pub sram_bytes: u64,
    /// Exponential: cycles from one number of a lane to its next.
    pub exp_interval: u32,
    /// Exponential: latency \[ASIC cycles\].
    pub exp_cycles: u32,
    /// GELU, through tanh: cycles from one number of a lane to its next.
    pub gelu_interval: u32,
    /// GELU: latency \[ASIC cycles\].
    pub gelu_cycles: u32,
    /// Reciprocal by Newton-Raphson: latency \[ASIC cycles\].
    pub reciprocal_cycles: u32,
    /// Fast inverse square root: latency \[ASIC cycles\].
    pub rsqrt_cycles: u32,
    /// Multiplication or addition: latency \[ASIC cycles\].
    pub operation_cycles: u32,
}

const fn cycles(key: &'static str) -> Field {
    Field::count(key, "ASIC cycles", 1, 1 << 16)
}

pub(super) const FIELDS: &[Field] = &[
    Field::count("clock_hz", "Hz", 1_000_000, 10_000_000_000),
    Field::power_of_two("multipliers", "multipliers", 1, 1 << 16),
    Field::power_of_two("adders", "adders", 1, 1 << 16),
    Field::count("sram_bytes", "B", 1, 1 << 40),
    cycles("exp_interval"),
    cycles("exp_cycles"),
    cycles("gelu_interval"),
    cycles("gelu_cycles"),
    cycles("reciprocal_cycles"),
    cycles("rsqrt_cycles"),
    cycles("operation_cycles"),
];
