//! Query times key: multipliers behind a broadcast query, and an adder tree cut at `head_dim`.

use serde::{Deserialize, Serialize};

use super::vectors_per_line;
use crate::config::Config;
use crate::diagnostic::Diagnostic;
use crate::schema::{Derived, Field};

/// Query times key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QkArray {
    /// Multipliers.
    pub multipliers: u32,
    /// Keys of one line = scores per cycle (derived: multipliers / head_dim).
    pub keys_per_line: u32,
    /// Read of a line to its scores \[cycles\]
    /// (derived: broadcast 1 + multiply 1 + log2(head_dim)).
    pub latency_cycles: u32,
}

/// What a user may set.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    multipliers: u32,
}

pub(super) const FIELDS: &[Field] = &[Field::count("multipliers", "multipliers", 1, 1 << 20)];

pub(super) const DERIVED: &[Derived] = &[
    Derived { key: "keys_per_line", unit: "keys", rule: "multipliers / head_dim" },
    Derived {
        key: "latency_cycles",
        unit: "cycles",
        rule: "broadcast 1 + multiply 1 + log2(head_dim) registered tree levels",
    },
];

pub(super) fn check(config: &Config, raw: &Raw, head_dim: u32) -> Result<QkArray, Diagnostic> {
    let keys_per_line = vectors_per_line(config, "qk_array", raw.multipliers, head_dim)?;
    Ok(QkArray {
        multipliers: raw.multipliers,
        keys_per_line,
        latency_cycles: 2 + head_dim.ilog2(),
    })
}
