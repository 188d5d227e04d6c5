//! Probability times value: one tree per element of the head, then an accumulator.

use serde::{Deserialize, Serialize};

use super::{QkArray, vectors_per_line};
use crate::config::Config;
use crate::diagnostic::Diagnostic;
use crate::schema::{Derived, Field};

/// Probability times value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PvArray {
    /// Multipliers.
    pub multipliers: u32,
    /// Values of one line (derived: multipliers / head_dim).
    pub values_per_line: u32,
    /// Rows of probabilities that wait for their values.
    pub fifo_depth: u32,
    /// Read of a line to its accumulation \[cycles\]
    /// (derived: broadcast 1 + multiply 1 + log2(values_per_line)).
    pub latency_cycles: u32,
}

/// What a user may set.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    multipliers: u32,
    fifo_depth: u32,
}

pub(super) const FIELDS: &[Field] = &[
    Field::count("multipliers", "multipliers", 1, 1 << 20),
    Field::count("fifo_depth", "rows", 1, 1 << 20),
];

pub(super) const DERIVED: &[Derived] = &[
    Derived { key: "values_per_line", unit: "values", rule: "multipliers / head_dim" },
    Derived {
        key: "latency_cycles",
        unit: "cycles",
        rule: "broadcast 1 + multiply 1 + log2(values_per_line) registered tree levels",
    },
];

/// A row of probabilities leaves the softmax as wide as the key side, and neither the paper nor the
/// released RTL has a unit that changes that width.
pub(super) fn check(
    config: &Config,
    raw: &Raw,
    head_dim: u32,
    qk_array: &QkArray,
) -> Result<PvArray, Diagnostic> {
    let values_per_line = vectors_per_line(config, "pv_array", raw.multipliers, head_dim)?;
    if values_per_line != qk_array.keys_per_line {
        return Err(config.refuse(
            &["pv_array.multipliers", "qk_array.multipliers"],
            format!(
                "rows of {} probabilities do not fit {values_per_line} values per line",
                qk_array.keys_per_line
            ),
            format!("expected both arrays equal, {} and {}", qk_array.multipliers, raw.multipliers),
            format!(
                "set `pv_array.multipliers` to {} or `qk_array.multipliers` to {}",
                qk_array.multipliers, raw.multipliers
            ),
        ));
    }
    Ok(PvArray {
        multipliers: raw.multipliers,
        values_per_line,
        fifo_depth: raw.fifo_depth,
        latency_cycles: 2 + values_per_line.ilog2(),
    })
}
