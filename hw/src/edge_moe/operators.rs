//! Latencies of operators on 32-bit fixed-point numbers.

use serde::{Deserialize, Serialize};

use crate::schema::Field;

/// Latencies, from operands to result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operators {
    /// Addition or comparison \[cycles\].
    pub add_cycles: u32,
    /// Multiplication \[cycles\].
    pub multiply_cycles: u32,
    /// Exponential \[cycles\].
    pub exp_cycles: u32,
    /// Division \[cycles\].
    pub divide_cycles: u32,
    /// Square root \[cycles\].
    pub sqrt_cycles: u32,
}

const fn cycles(key: &'static str) -> Field {
    Field::count(key, "cycles", 1, 1 << 12)
}

pub(super) const FIELDS: &[Field] = &[
    cycles("add_cycles"),
    cycles("multiply_cycles"),
    cycles("exp_cycles"),
    cycles("divide_cycles"),
    cycles("sqrt_cycles"),
];
