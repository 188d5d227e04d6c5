//! The multiply-accumulate unit of one bank.

use serde::{Deserialize, Serialize};

use super::{ELEMENT_BYTES, Timing, memory};
use crate::config::Config;
use crate::diagnostic::Diagnostic;
use crate::schema::{Derived, Field};

/// The multiply-accumulate unit of one bank.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mac {
    /// BF16 multipliers of one bank; one MAC command multiplies as many numbers of its row.
    pub multipliers: u32,
    /// Clock of the unit \[Hz\].
    pub clock_hz: u64,
    /// MAC commands that use up a row (derived).
    pub columns: u32,
    /// MAC command to MAC command \[command cycles\] (derived).
    pub interval: u32,
}

/// What a user may set.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    multipliers: u32,
    clock_hz: u64,
}

pub(super) const FIELDS: &[Field] = &[
    Field::power_of_two("multipliers", "multipliers per bank", 1, 1 << 10),
    Field::count("clock_hz", "Hz", 1_000_000, 10_000_000_000),
];

pub(super) const DERIVED: &[Derived] = &[
    Derived {
        key: "columns",
        unit: "MAC commands per row",
        rule: "memory.row_bytes / 2 / multipliers",
    },
    Derived {
        key: "interval",
        unit: "command cycles",
        rule: "the longer of timing.n_ccd and 1 / clock_hz, rounded up to the command clock",
    },
];

pub(super) fn check(
    config: &Config,
    raw: &Raw,
    memory: &memory::Raw,
    timing: &Timing,
) -> Result<Mac, Diagnostic> {
    for (path, bytes) in
        [("memory.row_bytes", memory.row_bytes), ("memory.buffer_bytes", memory.buffer_bytes)]
    {
        let elements = bytes / ELEMENT_BYTES;
        if elements < raw.multipliers {
            return Err(config.refuse(
                &["mac.multipliers", path],
                format!("{} multipliers take more than `{path}` holds", raw.multipliers),
                format!("expected at most {elements} multipliers, the numbers in {bytes} bytes"),
                format!("set `mac.multipliers` to {elements}"),
            ));
        }
    }
    // 1 / clock_hz in command cycles, rounded up; both factors fit 64 bits by their ranges.
    let period = 1_000_000_000_000u64.div_ceil(raw.clock_hz * u64::from(timing.tck_ps));
    let interval = period.max(u64::from(timing.n_ccd));
    Ok(Mac {
        multipliers: raw.multipliers,
        clock_hz: raw.clock_hz,
        columns: memory.row_bytes / ELEMENT_BYTES / raw.multipliers,
        interval: u32::try_from(interval).unwrap_or(u32::MAX),
    })
}
