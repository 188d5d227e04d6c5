//! MnnFast (Jang et al., ISCA 2019): checked parameter records.
//!
//! Attention by columns: chunks of keys and values stream past, exponentials and the weighted sum are
//! gathered, and one division at the end makes the softmax (lazy softmax). Values whose exponential is
//! small are skipped.

use serde::{Deserialize, Serialize};

use crate::config::{self, Config};
use crate::diagnostic::Diagnostic;
use crate::record::Record;
use crate::schema::{Field, Schema, Section};

/// The whole MnnFast machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MnnFast {
    /// Name of the preset it started from.
    pub name: String,
    /// Clock of everything \[Hz\].
    pub clock_hz: u64,
    /// Multipliers of each of the two products.
    pub multipliers: u32,
    /// Rows of a chunk.
    pub chunk_rows: u32,
    /// From the last dot product of a chunk to its last exponential \[cycles\].
    pub exponent_cycles: u32,
    /// Divisions that begin per cycle, at the end of a query.
    pub dividers: u32,
    /// Zero skipping.
    pub skip: Skip,
    /// What stands outside the chip.
    pub memory: Memory,
    /// Power of everything, memory included \[uW\].
    pub power_uw: u32,
}

/// Zero skipping.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Skip {
    /// Whether small exponentials are skipped.
    pub enabled: bool,
    /// Largest exponential that is skipped, in thousandths of the largest so far.
    pub threshold_permille: u32,
}

/// What stands outside the chip.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// Bytes that arrive per cycle \[B\].
    pub bytes_per_cycle: u32,
    /// Bits of an element \[bits\].
    pub element_bits: u32,
    /// Queries that a pass over keys and values serves.
    pub queries_per_pass: u32,
}

/// Names, units and ranges of all values, in printing order.
pub static SCHEMA: Schema = Schema {
    sections: &[
        section(
            "",
            &[
                Field::text("name"),
                Field::count("clock_hz", "Hz", 1_000_000, 10_000_000_000),
                Field::count("multipliers", "multipliers", 1, 1 << 20),
                Field::count("chunk_rows", "rows", 1, 1 << 20),
                Field::count("exponent_cycles", "cycles", 0, 1 << 16),
                Field::count("dividers", "divisions per cycle", 1, 1 << 16),
                Field::count("power_uw", "uW", 0, 1_000_000_000),
            ],
        ),
        section(
            "skip",
            &[
                Field::flag("enabled"),
                Field::count("threshold_permille", "largest exponential / 1000", 0, 1000),
            ],
        ),
        section(
            "memory",
            &[
                Field::count("bytes_per_cycle", "B", 1, 1 << 16),
                Field::count("element_bits", "bits", 1, 64),
                Field::count("queries_per_pass", "queries", 1, 1 << 20),
            ],
        ),
    ],
};

const fn section(name: &'static str, fields: &'static [Field]) -> Section {
    Section { name, fields, derived: &[] }
}

impl Record for MnnFast {}

impl MnnFast {
    /// The machine of a preset, unchanged.
    ///
    /// # Errors
    /// A name that no design has.
    pub fn preset(name: &str) -> Result<Self, Diagnostic> {
        Self::check(&config::load(name, None, &[])?)
    }

    /// The record of a configuration.
    ///
    /// # Errors
    /// A configuration of another design.
    pub fn check(config: &Config) -> Result<Self, Diagnostic> {
        config.raw()
    }

    /// Cycles of one product of `rows` rows with `head_dim` elements each.
    pub fn product_cycles(&self, rows: u64, head_dim: u32) -> u64 {
        (rows * u64::from(head_dim)).div_ceil(u64::from(self.multipliers))
    }

    /// Bytes of `elements` elements \[B\].
    pub fn bytes(&self, elements: u64) -> u64 {
        (elements * u64::from(self.memory.element_bits)).div_ceil(8)
    }
}
