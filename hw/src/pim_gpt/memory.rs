//! Channels, banks, rows, and the vector buffer that the banks of a channel share.

use serde::{Deserialize, Serialize};

use super::{ELEMENT_BYTES, Timing};
use crate::schema::{Derived, Field};

/// How the row of every bank is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// One command opens a row in all banks.
    AllBank,
    /// One command per bank group, at most one in `n_faw`: the power limit of ordinary GDDR6.
    BankGroup,
}

/// Memory of all channels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// Channels, each with its own bus; they work in lock-step.
    pub channels: u32,
    /// Banks of a channel; a multiple of the four bank groups.
    pub banks: u32,
    /// Rows of a bank.
    pub rows: u32,
    /// Bytes of a row of one bank \[B\].
    pub row_bytes: u32,
    /// Bytes that one burst moves over the pins of a channel \[B\].
    pub burst_bytes: u32,
    /// Bytes of one vector chunk in the buffer of a channel \[B\].
    pub buffer_bytes: u32,
    /// Whether the buffer holds two chunks, so that one can be written while the other is read.
    pub double_buffer: bool,
    /// How rows are opened.
    pub activation: Activation,
    /// Whether rows are refreshed.
    pub refresh: bool,
    /// All of it \[B\] (derived).
    pub capacity_bytes: u64,
    /// What all channels move together over their pins \[B/s\] (derived).
    pub peak_bytes_per_s: u64,
}

/// What a user may set.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    pub channels: u32,
    pub banks: u32,
    pub rows: u32,
    pub row_bytes: u32,
    pub burst_bytes: u32,
    pub buffer_bytes: u32,
    pub double_buffer: bool,
    pub activation: Activation,
    pub refresh: bool,
}

/// Powers of two because an address is cut into bit fields.
pub(super) const FIELDS: &[Field] = &[
    Field::power_of_two("channels", "channels", 1, 64),
    Field::power_of_two("banks", "banks per channel", 4, 64),
    Field::power_of_two("rows", "rows per bank", 1, 1 << 20),
    Field::power_of_two("row_bytes", "B", 64, 1 << 14),
    Field::power_of_two("burst_bytes", "B", 2, 1 << 8),
    Field::power_of_two("buffer_bytes", "B", 64, 1 << 20),
    Field::flag("double_buffer"),
    Field::choice("activation", &["all-bank", "bank-group"]),
    Field::flag("refresh"),
];

pub(super) const DERIVED: &[Derived] = &[
    Derived { key: "capacity_bytes", unit: "B", rule: "channels * banks * rows * row_bytes" },
    Derived {
        key: "peak_bytes_per_s",
        unit: "B/s",
        rule: "channels * burst_bytes / (timing.n_bl * timing.tck_ps)",
    },
];

pub(super) fn check(raw: &Raw, timing: &Timing) -> Memory {
    let per_channel = u64::from(raw.banks) * u64::from(raw.rows) * u64::from(raw.row_bytes);
    let burst_ps = u64::from(timing.n_bl) * u64::from(timing.tck_ps);
    let bytes = u64::from(raw.channels) * u64::from(raw.burst_bytes);
    Memory {
        channels: raw.channels,
        banks: raw.banks,
        rows: raw.rows,
        row_bytes: raw.row_bytes,
        burst_bytes: raw.burst_bytes,
        buffer_bytes: raw.buffer_bytes,
        double_buffer: raw.double_buffer,
        activation: raw.activation,
        refresh: raw.refresh,
        // Bounds of the fields keep both products far below 2^64.
        capacity_bytes: u64::from(raw.channels) * per_channel,
        peak_bytes_per_s: bytes * 1_000_000_000_000 / burst_ps,
    }
}

impl Memory {
    /// Numbers in a row of one bank.
    pub fn row_elements(&self) -> u32 {
        self.row_bytes / ELEMENT_BYTES
    }

    /// Numbers in one chunk of the vector buffer.
    pub fn chunk_elements(&self) -> u32 {
        self.buffer_bytes / ELEMENT_BYTES
    }

    /// Numbers in one burst.
    pub fn burst_elements(&self) -> u32 {
        self.burst_bytes / ELEMENT_BYTES
    }
}
