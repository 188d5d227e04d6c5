//! Bitwidth converter: DRAM rows of narrow operands become lines of datapath words.

use serde::{Deserialize, Serialize};

use super::LineSram;
use crate::config::Config;
use crate::diagnostic::Diagnostic;
use crate::schema::Field;

/// Realigns DRAM rows of 4, 6 or 8 bits into lines of datapath words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BitwidthConverter {
    /// Lines written per cycle at most.
    pub lines_per_cycle: u32,
    /// Realign buffer \[B\].
    pub buffer_bytes: u32,
}

/// What a user may set.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    pub(super) lines_per_cycle: u32,
    buffer_bytes: u32,
}

pub(super) const FIELDS: &[Field] = &[
    Field::power_of_two("lines_per_cycle", "lines per cycle", 1, 64),
    Field::count("buffer_bytes", "B", 1, 1 << 30),
];

/// The realign buffer must hold what leaves in one cycle, and a buffer must have whole groups of
/// lines, because lines that arrive together are written together.
pub(super) fn check(
    config: &Config,
    raw: &Raw,
    srams: [(&str, &LineSram); 2],
) -> Result<BitwidthConverter, Diagnostic> {
    let per_cycle = raw.lines_per_cycle;
    for (name, sram) in srams {
        let needed = u64::from(per_cycle) * u64::from(sram.line_bytes);
        if u64::from(raw.buffer_bytes) < needed {
            return Err(config.refuse(
                &[
                    "bitwidth_converter.buffer_bytes",
                    "bitwidth_converter.lines_per_cycle",
                    "qk_array.multipliers",
                    "pv_array.multipliers",
                    "datapath_bits",
                ],
                format!("a realign buffer of {} B cannot hold one cycle", raw.buffer_bytes),
                format!(
                    "expected at least {per_cycle} lines of {} B = {needed} B",
                    sram.line_bytes
                ),
                format!("raise `bitwidth_converter.buffer_bytes` to {needed} or write fewer lines"),
            ));
        }
        if sram.lines % per_cycle != 0 {
            let whole = u64::from(sram.lines / per_cycle).max(1)
                * u64::from(per_cycle)
                * u64::from(sram.line_bytes);
            return Err(config.refuse(
                &["bitwidth_converter.lines_per_cycle", &format!("{name}.bytes")],
                format!("{} lines are not whole groups of {per_cycle}", sram.lines),
                format!("expected `{name}` to hold a multiple of {per_cycle} lines"),
                format!(
                    "set `{name}.bytes` to {whole} or `bitwidth_converter.lines_per_cycle` to 1"
                ),
            ));
        }
    }
    Ok(BitwidthConverter { lines_per_cycle: per_cycle, buffer_bytes: raw.buffer_bytes })
}
