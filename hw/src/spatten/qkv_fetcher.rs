//! Q-K-V fetcher: address generation and the two crossbars around the memory channels.

use serde::{Deserialize, Serialize};

use super::{Memory, QkArray};
use crate::config::Config;
use crate::diagnostic::Diagnostic;
use crate::schema::Field;

/// Address generation, 32x16 address crossbar, 16x32 data crossbar.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QkvFetcher {
    /// Lanes: addresses generated in one cycle.
    pub lanes: u32,
    /// Entries of one lane's address FIFO and of its data FIFO.
    pub fifo_depth: u32,
}

/// What a user may set.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    lanes: u32,
    fifo_depth: u32,
}

pub(super) const FIELDS: &[Field] = &[
    Field::power_of_two("lanes", "lanes", 1, 1 << 12),
    Field::count("fifo_depth", "entries per lane", 1, 1 << 20),
];

/// Lanes must keep every channel busy, and one fetch must take at least one row of surviving value
/// indices, which is as wide as the softmax.
pub(super) fn check(
    config: &Config,
    raw: &Raw,
    memory: &Memory,
    qk_array: &QkArray,
) -> Result<QkvFetcher, Diagnostic> {
    let (lanes, channels, row) = (raw.lanes, memory.channels, qk_array.keys_per_line);
    if lanes < channels {
        return Err(config.refuse(
            &["qkv_fetcher.lanes", "memory.channels"],
            format!("{lanes} fetcher lanes cannot feed {channels} memory channels"),
            format!("expected `qkv_fetcher.lanes` >= `memory.channels` = {channels}"),
            format!(
                "raise `qkv_fetcher.lanes` to {channels} or lower `memory.channels` to {lanes}"
            ),
        ));
    }
    if lanes < row {
        return Err(config.refuse(
            &["qkv_fetcher.lanes", "qk_array.multipliers", "head_dim"],
            format!("{lanes} fetcher lanes cannot take a row of {row} value indices"),
            format!("expected `qkv_fetcher.lanes` >= `qk_array.keys_per_line` = {row}"),
            format!("raise `qkv_fetcher.lanes` to {row} or use fewer multipliers"),
        ));
    }
    Ok(QkvFetcher { lanes, fifo_depth: raw.fifo_depth })
}
