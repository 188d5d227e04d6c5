//! Softmax pipeline: scale, exponential, sum, division, requantisation.

use serde::{Deserialize, Serialize};

use super::QkArray;
use crate::schema::{Derived, Field};

/// Softmax pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Softmax {
    /// Scores per cycle (derived: keys_per_line).
    pub lanes: u32,
    /// Rows of exponentials that wait for their sum.
    pub fifo_depth: u32,
    /// Fixed to float with scale \[cycles\].
    pub scale_cycles: u32,
    /// Exponential \[cycles\].
    pub exp_cycles: u32,
    /// Accumulation of the sum \[cycles\].
    pub accumulate_cycles: u32,
    /// Division \[cycles\].
    pub divide_cycles: u32,
    /// Float to fixed \[cycles\].
    pub quantise_cycles: u32,
}

/// What a user may set.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    fifo_depth: u32,
    scale_cycles: u32,
    exp_cycles: u32,
    accumulate_cycles: u32,
    divide_cycles: u32,
    quantise_cycles: u32,
}

pub(super) const FIELDS: &[Field] = &[
    Field::count("fifo_depth", "rows", 1, 1 << 20),
    Field::count("scale_cycles", "cycles", 1, 1 << 16),
    Field::count("exp_cycles", "cycles", 1, 1 << 16),
    Field::count("accumulate_cycles", "cycles", 1, 1 << 16),
    Field::count("divide_cycles", "cycles", 1, 1 << 16),
    Field::count("quantise_cycles", "cycles", 1, 1 << 16),
];

pub(super) const DERIVED: &[Derived] =
    &[Derived { key: "lanes", unit: "scores per cycle", rule: "qk_array.keys_per_line" }];

pub(super) fn check(raw: &Raw, qk_array: &QkArray) -> Softmax {
    Softmax {
        lanes: qk_array.keys_per_line,
        fifo_depth: raw.fifo_depth,
        scale_cycles: raw.scale_cycles,
        exp_cycles: raw.exp_cycles,
        accumulate_cycles: raw.accumulate_cycles,
        divide_cycles: raw.divide_cycles,
        quantise_cycles: raw.quantise_cycles,
    }
}
