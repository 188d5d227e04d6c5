//! Off-chip memory: ideal, or HBM2 command by command.

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::diagnostic::Diagnostic;
use crate::schema::Field;

/// Bytes of one HBM2 burst: four beats of a 64-bit pseudo-channel \[B\].
const HBM2_BURST_BYTES: u32 = 32;

/// How memory timing is modelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemoryKind {
    /// Every channel takes one transaction per cycle and answers after a fixed latency.
    Ideal,
    /// HBM2 with banks, rows and refresh; one channel moves at most 32 bytes per memory cycle.
    Hbm2,
}

/// Off-chip memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// How timing is modelled.
    pub kind: MemoryKind,
    /// Channels; a power of two.
    pub channels: u32,
    /// Bytes of one transaction \[B\]; addresses interleave over channels at this grain.
    pub transaction_bytes: u32,
    /// Issue to data of ideal memory \[core cycles\].
    pub latency_cycles: u32,
    /// Controller and PHY in front of HBM2, both ways \[core cycles\]; ideal memory has it in its
    /// latency.
    pub front_end_cycles: u32,
}

/// What a user may set.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    kind: MemoryKind,
    channels: u32,
    transaction_bytes: u32,
    latency_cycles: u32,
    front_end_cycles: u32,
}

/// Channel and transaction are powers of two because an address is cut into bit fields.
pub(super) const FIELDS: &[Field] = &[
    Field::power_of_two("channels", "channels", 1, 1 << 10),
    Field::power_of_two("transaction_bytes", "B", 4, 1 << 12),
    Field::count("latency_cycles", "core cycles", 1, 1 << 20),
    Field::choice("kind", &["ideal", "hbm2"]),
    Field::count("front_end_cycles", "core cycles", 1, 1 << 20),
];

pub(super) fn check(config: &Config, raw: &Raw) -> Result<Memory, Diagnostic> {
    let bytes = raw.transaction_bytes;
    if raw.kind == MemoryKind::Hbm2 && bytes != HBM2_BURST_BYTES {
        return Err(config.refuse(
            &["memory.transaction_bytes", "memory.kind"],
            format!("HBM2 moves {HBM2_BURST_BYTES} bytes per burst, not {bytes}"),
            format!("expected `memory.transaction_bytes` = {HBM2_BURST_BYTES} with HBM2"),
            format!(
                "set `memory.transaction_bytes` to {HBM2_BURST_BYTES} or `memory.kind` to \"ideal\""
            ),
        ));
    }
    Ok(Memory {
        kind: raw.kind,
        channels: raw.channels,
        transaction_bytes: bytes,
        latency_cycles: raw.latency_cycles,
        front_end_cycles: raw.front_end_cycles,
    })
}
