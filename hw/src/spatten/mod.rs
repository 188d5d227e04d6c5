//! SpAtten (Wang, Zhang, Han; HPCA 2021): checked parameter records, one per unit.
//!
//! Every field is a count unless its name or comment gives another unit. Each unit has a file with
//! its checked record, its raw record, its table of legal ranges, and the rules that join it to
//! others. Sources of the values stand in the presets.

mod bitwidth_converter;
mod controller;
pub mod formats;
mod line_sram;
mod memory;
mod pv_array;
mod qk_array;
mod qkv_fetcher;
mod quant_decision;
mod softmax;
#[cfg(test)]
mod tests;
mod topk;

use serde::{Deserialize, Serialize};

pub use bitwidth_converter::BitwidthConverter;
pub use controller::Controller;
pub use line_sram::LineSram;
pub use memory::{Memory, MemoryKind};
pub use pv_array::PvArray;
pub use qk_array::QkArray;
pub use qkv_fetcher::QkvFetcher;
pub use quant_decision::QuantDecision;
pub use softmax::Softmax;
pub use topk::TopK;

use crate::config::{self, Config};
use crate::diagnostic::Diagnostic;
use crate::record::Record;
use crate::schema::{Derived, Field, Schema, Section};
use crate::technology::Node;

/// The whole SpAtten machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Spatten {
    /// Name of the preset it started from.
    pub name: String,
    /// Core clock \[Hz\].
    pub clock_hz: u64,
    /// Process, for energy and area.
    pub process: Node,
    /// Head dimension D: elements of one query, key or value vector.
    pub head_dim: u32,
    /// On-chip operand width \[bits\].
    pub datapath_bits: u32,
    /// Admission and ordering of work.
    pub controller: Controller,
    /// Off-chip memory.
    pub memory: Memory,
    /// Address generation, crossbars and their FIFOs.
    pub qkv_fetcher: QkvFetcher,
    /// From DRAM widths to the datapath width.
    pub bitwidth_converter: BitwidthConverter,
    /// Key buffer.
    pub key_sram: LineSram,
    /// Value buffer.
    pub value_sram: LineSram,
    /// Query times key.
    pub qk_array: QkArray,
    /// Softmax pipeline.
    pub softmax: Softmax,
    /// Progressive-quantization decision.
    pub quant_decision: QuantDecision,
    /// Local-value top-k engine.
    pub topk_value: TopK,
    /// Token and head top-k engine.
    pub topk_token: TopK,
    /// Probability times value.
    pub pv_array: PvArray,
}

/// What a user may set.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    name: String,
    clock_hz: u64,
    process: Node,
    head_dim: u32,
    datapath_bits: u32,
    controller: controller::Raw,
    memory: memory::Raw,
    qkv_fetcher: qkv_fetcher::Raw,
    bitwidth_converter: bitwidth_converter::Raw,
    key_sram: line_sram::Raw,
    value_sram: line_sram::Raw,
    qk_array: qk_array::Raw,
    softmax: softmax::Raw,
    quant_decision: quant_decision::Raw,
    topk_value: topk::Raw,
    topk_token: topk::Raw,
    pv_array: pv_array::Raw,
}

const FIELDS: &[Field] = &[
    Field::text("name"),
    Field::count("clock_hz", "Hz", 1_000_000, 10_000_000_000),
    Field::choice("process", Node::NAMES),
    // A power of two because the adder tree is cut at this width.
    Field::power_of_two("head_dim", "elements", 2, 1 << 12),
    Field::count("datapath_bits", "bits", 2, 32),
];

/// Names, units and ranges of all values, in printing order.
pub static SCHEMA: Schema = Schema {
    sections: &[
        section("", FIELDS, &[]),
        section("controller", controller::FIELDS, &[]),
        section("memory", memory::FIELDS, &[]),
        section("qkv_fetcher", qkv_fetcher::FIELDS, &[]),
        section("bitwidth_converter", bitwidth_converter::FIELDS, &[]),
        section("key_sram", line_sram::FIELDS, line_sram::DERIVED),
        section("value_sram", line_sram::FIELDS, line_sram::DERIVED),
        section("qk_array", qk_array::FIELDS, qk_array::DERIVED),
        section("softmax", softmax::FIELDS, softmax::DERIVED),
        section("quant_decision", quant_decision::FIELDS, quant_decision::DERIVED),
        section("topk_value", topk::FIELDS, topk::DERIVED),
        section("topk_token", topk::FIELDS, topk::DERIVED),
        section("pv_array", pv_array::FIELDS, pv_array::DERIVED),
    ],
};

const fn section(
    name: &'static str,
    fields: &'static [Field],
    derived: &'static [Derived],
) -> Section {
    Section { name, fields, derived }
}

impl Record for Spatten {}

impl Spatten {
    /// The machine of a preset, unchanged.
    ///
    /// ```
    /// let machine = attelier_hw::spatten::Spatten::preset("spatten")?;
    /// assert_eq!(machine.qk_array.keys_per_line, 8);
    /// # Ok::<(), attelier_hw::diagnostic::Diagnostic>(())
    /// ```
    ///
    /// # Errors
    /// A name that no design has.
    pub fn preset(name: &str) -> Result<Self, Diagnostic> {
        Self::check(&config::load(name, None, &[])?)
    }

    /// Joins the values of a configuration: derives widths and depths, refuses what cannot be
    /// built.
    ///
    /// # Errors
    /// Values that contradict each other; the message points at the one set last.
    pub fn check(config: &Config) -> Result<Self, Diagnostic> {
        let raw: Raw = config.raw()?;
        let (head_dim, bits) = (raw.head_dim, raw.datapath_bits);
        let memory = memory::check(config, &raw.memory)?;
        let qk_array = qk_array::check(config, &raw.qk_array, head_dim)?;
        let pv_array = pv_array::check(config, &raw.pv_array, head_dim, &qk_array)?;
        let key = ("key_sram", &raw.key_sram);
        let group = raw.bitwidth_converter.lines_per_cycle;
        let array = ("qk_array", qk_array.multipliers);
        let key_sram = line_sram::check(config, key, array, bits, group)?;
        let value = ("value_sram", &raw.value_sram);
        let array = ("pv_array", pv_array.multipliers);
        let value_sram = line_sram::check(config, value, array, bits, group)?;
        let bitwidth_converter = bitwidth_converter::check(
            config,
            &raw.bitwidth_converter,
            [("key_sram", &key_sram), ("value_sram", &value_sram)],
        )?;
        let qkv_fetcher = qkv_fetcher::check(config, &raw.qkv_fetcher, &memory, &qk_array)?;
        let softmax = softmax::check(&raw.softmax, &qk_array);
        Ok(Self {
            name: raw.name,
            clock_hz: raw.clock_hz,
            process: raw.process,
            head_dim,
            datapath_bits: bits,
            controller: controller::check(&raw.controller),
            quant_decision: quant_decision::check(&raw.quant_decision, &softmax),
            topk_value: topk::check(config, "topk_value", &raw.topk_value, &softmax)?,
            topk_token: topk::check(config, "topk_token", &raw.topk_token, &softmax)?,
            memory,
            qkv_fetcher,
            bitwidth_converter,
            key_sram,
            value_sram,
            qk_array,
            softmax,
            pv_array,
        })
    }
}

/// Vectors of `head_dim` elements that the multipliers of one array take in one cycle.
fn vectors_per_line(
    config: &Config,
    array: &str,
    multipliers: u32,
    head_dim: u32,
) -> Result<u32, Diagnostic> {
    let vectors = multipliers / head_dim;
    if vectors.is_power_of_two() && vectors * head_dim == multipliers {
        return Ok(vectors);
    }
    // Both bounds come from the field tables, so that the doubled product stays below 2^32.
    let below = head_dim << vectors.max(1).ilog2();
    let near = match multipliers < head_dim {
        true => head_dim.to_string(),
        false => format!("{below} or {}", below * 2),
    };
    let path = format!("{array}.multipliers");
    Err(config.refuse(
        &[&path, "head_dim"],
        format!("{multipliers} multipliers do not serve vectors of {head_dim} elements"),
        format!("expected `{path}` to be a power-of-two multiple of `head_dim` = {head_dim}"),
        format!("set `{path}` to {near}"),
    ))
}
