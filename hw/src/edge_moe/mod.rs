//! Edge-MoE (Sarkar et al., ICCAD 2023): checked parameter records.
//!
//! A vision transformer with mixture-of-experts layers on one FPGA. Every field is a count unless its
//! name or comment gives another unit. The model itself belongs to the workload.

pub mod formats;
mod operators;
mod port;
mod sizes;
pub mod tables;
mod techniques;
#[cfg(test)]
mod tests;
mod top;
mod units;

use serde::{Deserialize, Serialize};

pub use formats::Arithmetic;
pub use operators::Operators;
pub use port::{Dram, Port};
pub use sizes::Sizes;
pub use techniques::{Overlap, Techniques};
pub use top::TopSizes;
pub use units::{Attention, Linear, Softmax};

use crate::config::{self, Config};
use crate::diagnostic::Diagnostic;
use crate::record::Record;
use crate::schema::{Derived, Field, Schema, Section};

/// Bytes of a feature: 32 bits, 10 of them integer \[B\].
pub const FEATURE_BYTES: u32 = 4;

/// Bytes of a weight of a linear layer: 16 bits, 2 of them integer \[B\].
pub const WEIGHT_BYTES: u32 = 2;

/// The whole Edge-MoE machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EdgeMoe {
    /// Name of the preset it started from.
    pub name: String,
    /// Clock of everything \[Hz\].
    pub clock_hz: u64,
    /// Ports to the memory.
    pub port: Port,
    /// The memory behind them.
    pub dram: Dram,
    /// Products of queries with keys, and of probabilities with values.
    pub attention: Attention,
    /// Softmax of one pass.
    pub softmax: Softmax,
    /// The linear unit.
    pub linear: Linear,
    /// Arithmetic on features.
    pub arithmetic: Arithmetic,
    /// Latencies of operators.
    pub operators: Operators,
    /// What may happen at the same time.
    pub overlap: Overlap,
    /// The six techniques of the paper.
    pub techniques: Techniques,
}

/// What a user may set.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    name: String,
    clock_hz: u64,
    port: port::RawPort,
    dram: Dram,
    attention: Attention,
    softmax: Softmax,
    linear: Linear,
    arithmetic: Arithmetic,
    operators: Operators,
    overlap: Overlap,
    techniques: Techniques,
}

const ROOT: &[Field] =
    &[Field::text("name"), Field::count("clock_hz", "Hz", 1_000_000, 10_000_000_000)];

/// Names, units and ranges of all values, in printing order.
pub static SCHEMA: Schema = Schema {
    sections: &[
        section("", ROOT, &[]),
        section("port", port::PORT_FIELDS, port::PORT_DERIVED),
        section("dram", port::DRAM_FIELDS, &[]),
        section("attention", units::ATTENTION_FIELDS, &[]),
        section("softmax", units::SOFTMAX_FIELDS, &[]),
        section("linear", units::LINEAR_FIELDS, &[]),
        section("arithmetic", formats::FIELDS, &[]),
        section("operators", operators::FIELDS, &[]),
        section("overlap", techniques::OVERLAP_FIELDS, &[]),
        section("techniques", techniques::FIELDS, &[]),
    ],
};

const fn section(
    name: &'static str,
    fields: &'static [Field],
    derived: &'static [Derived],
) -> Section {
    Section { name, fields, derived }
}

impl Record for EdgeMoe {}

impl EdgeMoe {
    /// The machine of a preset, unchanged.
    ///
    /// ```
    /// let machine = attelier_hw::edge_moe::EdgeMoe::preset("edge-moe")?;
    /// assert_eq!(machine.port.word_cycles, 2);
    /// # Ok::<(), attelier_hw::diagnostic::Diagnostic>(())
    /// ```
    ///
    /// # Errors
    /// A name that no design has.
    pub fn preset(name: &str) -> Result<Self, Diagnostic> {
        Self::check(&config::load(name, None, &[])?)
    }

    /// Joins the values of a configuration: derives widths, refuses what cannot be built.
    ///
    /// # Errors
    /// Values that contradict each other; the message points at the one set last.
    pub fn check(config: &Config) -> Result<Self, Diagnostic> {
        let raw: Raw = config.raw()?;
        port::check_refresh(config, &raw.dram)?;
        units::check(config, &raw.linear)?;
        Ok(Self {
            name: raw.name,
            clock_hz: raw.clock_hz,
            port: port::check(&raw.port),
            dram: raw.dram,
            attention: raw.attention,
            softmax: raw.softmax,
            linear: raw.linear,
            arithmetic: raw.arithmetic,
            operators: raw.operators,
            overlap: raw.overlap,
            techniques: raw.techniques,
        })
    }

    /// Features of one word: lanes of everything that works on features.
    pub fn lanes(&self) -> u32 {
        self.port.word_bytes / FEATURE_BYTES
    }

    /// Weights of one word.
    pub fn word_weights(&self) -> u32 {
        self.port.word_bytes / WEIGHT_BYTES
    }
}
