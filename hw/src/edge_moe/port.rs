//! The ports between fabric and memory, and the memory as far as it limits them.

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::diagnostic::Diagnostic;
use crate::schema::{Derived, Field};

/// One of five equal ports. Reads and writes have channels of their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Port {
    /// Bytes that a port moves in a cycle \[B\].
    pub beat_bytes: u32,
    /// Bytes of a word of the machine \[B\].
    pub word_bytes: u32,
    /// From an address to the first data, and from the last data to the response \[cycles\].
    pub latency_cycles: u32,
    /// Words of the longest burst.
    pub burst_words: u32,
    /// Bursts under way at a time.
    pub outstanding: u32,
    /// From one word of a long transfer to the next \[cycles\] (derived).
    pub word_cycles: u32,
}

/// What a user may set.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPort {
    beat_bytes: u32,
    word_bytes: u32,
    latency_cycles: u32,
    burst_words: u32,
    outstanding: u32,
}

/// The memory behind the ports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dram {
    /// What all ports together can get \[B/s\].
    pub peak_bytes_per_s: u64,
    /// Time of a refresh, in which nothing moves \[ns\].
    pub refresh_ns: u32,
    /// Time between refreshes \[ns\].
    pub refresh_interval_ns: u32,
}

pub(super) const PORT_FIELDS: &[Field] = &[
    Field::power_of_two("beat_bytes", "B", 1, 1 << 10),
    Field::power_of_two("word_bytes", "B", 4, 1 << 10),
    Field::count("latency_cycles", "cycles", 0, 1 << 16),
    Field::count("burst_words", "words", 1, 256),
    Field::count("outstanding", "bursts", 1, 256),
];

pub(super) const PORT_DERIVED: &[Derived] = &[Derived {
    key: "word_cycles",
    unit: "cycles",
    rule: "the longer of word_bytes / beat_bytes and latency_cycles / (outstanding * burst_words), \
           each rounded up",
}];

pub(super) const DRAM_FIELDS: &[Field] = &[
    Field::count("peak_bytes_per_s", "B/s", 1_000_000, 1 << 50),
    Field::count("refresh_ns", "ns", 0, 1_000_000),
    Field::count("refresh_interval_ns", "ns", 1, 1_000_000_000),
];

pub(super) fn check(raw: &RawPort) -> Port {
    let RawPort { beat_bytes, word_bytes, latency_cycles, burst_words, outstanding } = *raw;
    let moved = word_bytes.div_ceil(beat_bytes);
    // At most 2^16 words are under way by the ranges of both factors.
    let answered = latency_cycles.div_ceil(outstanding * burst_words);
    let word_cycles = moved.max(answered);
    Port { beat_bytes, word_bytes, latency_cycles, burst_words, outstanding, word_cycles }
}

pub(super) fn check_refresh(config: &Config, dram: &Dram) -> Result<(), Diagnostic> {
    if dram.refresh_ns < dram.refresh_interval_ns {
        return Ok(());
    }
    Err(config.refuse(
        &["dram.refresh_ns", "dram.refresh_interval_ns"],
        "the memory is refreshed all the time",
        format!("expected `dram.refresh_ns` below the interval of {} ns", dram.refresh_interval_ns),
        "set `dram.refresh_ns` to 0 for a memory without refresh",
    ))
}

impl Port {
    /// From one item of `bytes` to the next in a long transfer \[cycles\].
    pub fn cycles(&self, bytes: u32) -> u64 {
        if bytes >= self.word_bytes {
            u64::from(bytes.div_ceil(self.word_bytes)) * u64::from(self.word_cycles)
        } else {
            u64::from(bytes.div_ceil(self.beat_bytes).max(1))
        }
    }
}
