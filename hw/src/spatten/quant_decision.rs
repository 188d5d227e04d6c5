//! Progressive-quantization decision: is any probability large enough to do without the low bits?

use serde::{Deserialize, Serialize};

use super::Softmax;
use crate::schema::{Derived, Field};

/// Progressive-quantization decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QuantDecision {
    /// Rows of probabilities that wait for the verdict.
    pub fifo_depth: u32,
    /// Last row to verdict \[cycles\] (derived: log2(lanes), a registered maximum tree).
    pub verdict_cycles: u32,
}

/// What a user may set.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    fifo_depth: u32,
}

pub(super) const FIELDS: &[Field] = &[Field::count("fifo_depth", "rows", 1, 1 << 20)];

pub(super) const DERIVED: &[Derived] = &[Derived {
    key: "verdict_cycles",
    unit: "cycles",
    rule: "log2(softmax.lanes), a registered maximum tree",
}];

pub(super) fn check(raw: &Raw, softmax: &Softmax) -> QuantDecision {
    QuantDecision { fifo_depth: raw.fifo_depth, verdict_cycles: softmax.lanes.ilog2() }
}
