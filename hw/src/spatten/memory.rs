//! Ideal off-chip memory: what the units see before DRAM timing is modelled.

use serde::{Deserialize, Serialize};

use crate::schema::Field;

/// Ideal memory: every channel takes one transaction per cycle and answers after a fixed latency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// Channels; a power of two.
    pub channels: u32,
    /// Bytes of one transaction \[B\]; addresses interleave over channels at this grain.
    pub transaction_bytes: u32,
    /// Issue to data \[core cycles\].
    pub latency_cycles: u32,
}

/// What a user may set.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    channels: u32,
    transaction_bytes: u32,
    latency_cycles: u32,
}

/// Channel and transaction are powers of two because an address is cut into bit fields.
pub(super) const FIELDS: &[Field] = &[
    Field::power_of_two("channels", "channels", 1, 1 << 10),
    Field::power_of_two("transaction_bytes", "B", 4, 1 << 12),
    Field::count("latency_cycles", "core cycles", 1, 1 << 20),
];

pub(super) fn check(raw: &Raw) -> Memory {
    Memory {
        channels: raw.channels,
        transaction_bytes: raw.transaction_bytes,
        latency_cycles: raw.latency_cycles,
    }
}
