//! M3ViT's accelerator (Fan et al., NeurIPS 2022; arXiv 2210.14793): checked parameter records.
//!
//! One array of multipliers works through all layers while the weights of the next step are loaded into
//! the other half of a buffer. Every field is a count unless its name or comment gives another unit. The
//! model itself belongs to the workload.

use serde::{Deserialize, Serialize};

use crate::config::{self, Config};
use crate::diagnostic::Diagnostic;
use crate::record::Record;
use crate::schema::{Derived, Field, Schema, Section};

/// The whole machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct M3vit {
    /// Name of the preset it started from.
    pub name: String,
    /// Clock of everything \[Hz\].
    pub clock_hz: u64,
    /// The array.
    pub array: Array,
    /// Sizes of numbers.
    pub numbers: Numbers,
    /// What lies on the chip.
    pub buffers: Buffers,
    /// The memory behind it.
    pub dram: Dram,
    /// How experts are computed.
    pub experts: Experts,
}

/// Multipliers, all of which work on whatever step it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Array {
    /// Heads that are computed at the same time.
    pub heads: u32,
    /// Multipliers of one head.
    pub head_multipliers: u32,
    /// All multipliers (derived).
    pub multipliers: u32,
}

/// Sizes of numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Numbers {
    /// A weight or a bias \[B\].
    pub weight_bytes: u32,
    /// A feature \[B\].
    pub feature_bytes: u32,
}

/// What lies on the chip besides the weights under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Buffers {
    /// Buffers that hold a feature map, all tokens of it.
    pub feature_maps: u32,
}

/// The memory behind the chip.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dram {
    /// Bandwidth \[B/s\].
    pub peak_bytes_per_s: u64,
}

/// How experts are computed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experts {
    /// Expert by expert, each with its queue of tokens; otherwise token by token, with a cache.
    pub reordering: bool,
    /// Experts that the cache holds where they are not reordered.
    pub cached: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    name: String,
    clock_hz: u64,
    array: RawArray,
    numbers: Numbers,
    buffers: Buffers,
    dram: Dram,
    experts: Experts,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawArray {
    heads: u32,
    head_multipliers: u32,
}

const ROOT: &[Field] =
    &[Field::text("name"), Field::count("clock_hz", "Hz", 1_000_000, 10_000_000_000)];
const ARRAY: &[Field] =
    &[Field::count("heads", "", 1, 1 << 10), Field::count("head_multipliers", "", 1, 1 << 16)];
const ARRAY_DERIVED: &[Derived] =
    &[Derived { key: "multipliers", unit: "", rule: "heads * head_multipliers" }];
const NUMBERS: &[Field] =
    &[Field::count("weight_bytes", "B", 1, 8), Field::count("feature_bytes", "B", 1, 8)];
const BUFFERS: &[Field] = &[Field::count("feature_maps", "", 1, 64)];
const DRAM: &[Field] = &[Field::count("peak_bytes_per_s", "B/s", 1_000_000, 1 << 50)];
const EXPERTS: &[Field] = &[Field::flag("reordering"), Field::count("cached", "", 1, 256)];

/// Names, units and ranges of all values, in printing order.
pub static SCHEMA: Schema = Schema {
    sections: &[
        section("", ROOT, &[]),
        section("array", ARRAY, ARRAY_DERIVED),
        section("numbers", NUMBERS, &[]),
        section("buffers", BUFFERS, &[]),
        section("dram", DRAM, &[]),
        section("experts", EXPERTS, &[]),
    ],
};

const fn section(
    name: &'static str,
    fields: &'static [Field],
    derived: &'static [Derived],
) -> Section {
    Section { name, fields, derived }
}

impl Record for M3vit {}

impl M3vit {
    /// The machine of a preset, unchanged.
    ///
    /// ```
    /// let machine = attelier_hw::m3vit::M3vit::preset("m3vit")?;
    /// assert_eq!(machine.array.multipliers, 12 * 128);
    /// # Ok::<(), attelier_hw::diagnostic::Diagnostic>(())
    /// ```
    ///
    /// # Errors
    /// A name that no design has.
    pub fn preset(name: &str) -> Result<Self, Diagnostic> {
        Self::check(&config::load(name, None, &[])?)
    }

    /// Joins the values of a configuration and derives what follows from them.
    ///
    /// # Errors
    /// A value that is missing, of another kind or out of range.
    pub fn check(config: &Config) -> Result<Self, Diagnostic> {
        let Raw { name, clock_hz, array, numbers, buffers, dram, experts } = config.raw()?;
        let RawArray { heads, head_multipliers } = array;
        // At most 2^26 by the ranges of both.
        let array = Array { heads, head_multipliers, multipliers: heads * head_multipliers };
        Ok(Self { name, clock_hz, array, numbers, buffers, dram, experts })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::schema::join;

    #[test]
    fn fields_and_derived_values_are_exactly_the_values_of_the_record() {
        let recorded: BTreeSet<_> = M3vit::preset("m3vit").unwrap().leaves().into_keys().collect();
        let listed = SCHEMA.sections.iter().flat_map(|section| {
            let fields = section.fields.iter().map(|field| field.key);
            let keys = fields.chain(section.derived.iter().map(|derived| derived.key));
            keys.map(|key| join(section.name, key))
        });
        assert_eq!(recorded, listed.collect::<BTreeSet<_>>());
    }

    #[test]
    fn every_settable_value_changes_the_hash() {
        let base = M3vit::preset("m3vit").unwrap();
        for path in SCHEMA.paths().filter(|path| path != "name") {
            let other = match base.leaves()[&path].parse::<u64>() {
                Ok(count) => (2 * count).to_string(),
                Err(_) => "false".to_owned(),
            };
            let config = config::load("m3vit", None, &[format!("{path}={other}")]).unwrap();
            let changed = M3vit::check(&config).unwrap();
            assert_ne!(changed.config_hash(), base.config_hash(), "{path}");
        }
    }
}
