//! PIM-GPT (Wu, Wang, Lu; npj Unconventional Computing 2024): checked parameter records.
//!
//! Weights, keys and values lie in GDDR6 banks, each with a multiply-accumulate unit; everything
//! else is computed by one ASIC beside the memory. Every field is a count unless its name or
//! comment gives another unit. Sources of the values stand in the presets: much of the publication
//! could not be read, so no other design has as many values that are `recalled` or `assumed`.

mod asic;
mod energy;
mod mac;
mod memory;
mod overlap;
#[cfg(test)]
mod tests;
mod timing;

use serde::{Deserialize, Serialize};

pub use asic::Asic;
pub use energy::{Energy, Setting};
pub use mac::Mac;
pub use memory::{Activation, Memory};
pub use overlap::Overlap;
pub use timing::Timing;

use crate::config::{self, Config};
use crate::diagnostic::Diagnostic;
use crate::record::Record;
use crate::schema::{Derived, Field, Schema, Section};

/// Bytes of one number: BF16 everywhere \[B\].
pub const ELEMENT_BYTES: u32 = 2;

/// The whole PIM-GPT machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PimGpt {
    /// Name of the preset it started from.
    pub name: String,
    /// Banks, rows and the vector buffer of a channel.
    pub memory: Memory,
    /// Distances between commands.
    pub timing: Timing,
    /// The multiply-accumulate unit of a bank.
    pub mac: Mac,
    /// Everything that is no vector-matrix product.
    pub asic: Asic,
    /// What may happen at the same time.
    pub overlap: Overlap,
    /// What it costs.
    pub energy: Energy,
}

/// What a user may set.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    name: String,
    memory: memory::Raw,
    timing: Timing,
    mac: mac::Raw,
    asic: Asic,
    overlap: Overlap,
    energy: Energy,
}

/// Names, units and ranges of all values, in printing order.
pub static SCHEMA: Schema = Schema {
    sections: &[
        section("", &[Field::text("name")], &[]),
        section("memory", memory::FIELDS, memory::DERIVED),
        section("timing", timing::FIELDS, &[]),
        section("mac", mac::FIELDS, mac::DERIVED),
        section("asic", asic::FIELDS, &[]),
        section("overlap", overlap::FIELDS, &[]),
        section("energy", energy::FIELDS, &[]),
    ],
};

const fn section(
    name: &'static str,
    fields: &'static [Field],
    derived: &'static [Derived],
) -> Section {
    Section { name, fields, derived }
}

impl Record for PimGpt {}

impl PimGpt {
    /// The machine of a preset, unchanged.
    ///
    /// ```
    /// let machine = attelier_hw::pim_gpt::PimGpt::preset("pim-gpt")?;
    /// assert_eq!(machine.memory.channels * machine.memory.banks, 128);
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
        let mac = mac::check(config, &raw.mac, &raw.memory, &raw.timing)?;
        timing::check(config, &raw.timing)?;
        Ok(Self {
            name: raw.name,
            memory: memory::check(&raw.memory, &raw.timing),
            timing: raw.timing,
            mac,
            asic: raw.asic,
            overlap: raw.overlap,
            energy: raw.energy,
        })
    }

    /// Banks of all channels.
    pub fn banks(&self) -> u32 {
        self.memory.channels * self.memory.banks
    }

    /// Command clock \[Hz\].
    pub fn command_hz(&self) -> u64 {
        1_000_000_000_000 / u64::from(self.timing.tck_ps)
    }
}
