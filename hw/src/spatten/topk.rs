//! Quick-select top-k engine. Two of them exist: local values, and tokens shared with heads.

use serde::{Deserialize, Serialize};

use super::Softmax;
use crate::config::Config;
use crate::diagnostic::Diagnostic;
use crate::schema::{Derived, Field};

/// Quick-select top-k engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TopK {
    /// Comparators of each array = elements partitioned per cycle.
    pub parallelism: u32,
    /// Elements per cycle on the input and filter side (derived: softmax lanes).
    pub lanes: u32,
    /// Elements that the input buffer and the quick-select FIFOs hold.
    pub capacity: u32,
    /// Fixed cycles of one quick-select round (compare, compact, write back).
    pub round_overhead_cycles: u32,
}

/// What a user may set.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    parallelism: u32,
    capacity: u32,
    round_overhead_cycles: u32,
}

/// Parallelism is a power of two because the zero eliminator shifts by powers of two.
pub(super) const FIELDS: &[Field] = &[
    Field::power_of_two("parallelism", "comparators per array", 1, 1 << 12),
    Field::count("capacity", "elements", 1, 1 << 24),
    Field::count("round_overhead_cycles", "cycles per round", 0, 1 << 16),
];

pub(super) const DERIVED: &[Derived] =
    &[Derived { key: "lanes", unit: "elements per cycle", rule: "softmax.lanes" }];

/// `name` is the section of this engine.
pub(super) fn check(
    config: &Config,
    name: &str,
    raw: &Raw,
    softmax: &Softmax,
) -> Result<TopK, Diagnostic> {
    let Raw { parallelism, capacity, round_overhead_cycles } = *raw;
    if capacity % parallelism != 0 {
        let below = capacity / parallelism * parallelism;
        let above = u64::from(below) + u64::from(parallelism);
        let near = if below == 0 { above.to_string() } else { format!("{below} or {above}") };
        return Err(config.refuse(
            &[&format!("{name}.capacity"), &format!("{name}.parallelism")],
            format!("`{name}` has FIFOs of {capacity} elements but rows of {parallelism}"),
            format!("expected `{name}.capacity` to be a multiple of {parallelism}"),
            format!("set `{name}.capacity` to {near}"),
        ));
    }
    Ok(TopK { parallelism, lanes: softmax.lanes, capacity, round_overhead_cycles })
}
