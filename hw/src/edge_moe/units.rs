//! Arrays of multipliers and the softmax between them.

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::diagnostic::Diagnostic;
use crate::schema::Field;

/// Products of queries with keys, and of probabilities with values. Lanes are the features of a word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attention {
    /// Queries that are held while keys pass, p in the paper.
    pub queries: u32,
}

/// Softmax of one pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Softmax {
    /// From one update of a running sum to the next of the same sum \[cycles\].
    pub recurrence_cycles: u32,
}

/// The linear unit: a block of weights times a block of inputs in each cycle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Linear {
    /// Inputs of a block.
    pub inputs: u32,
    /// Outputs of a block.
    pub outputs: u32,
    /// Weights that each of two buffers holds.
    pub buffer_weights: u32,
    /// The second buffer lies in UltraRAM; otherwise both lie in block RAM. Changes no cycle.
    pub ultra_ram: bool,
    /// Units that share the multipliers where the unit is not unified.
    pub separate_units: u32,
}

pub(super) const ATTENTION_FIELDS: &[Field] = &[Field::count("queries", "queries", 1, 1 << 12)];

pub(super) const SOFTMAX_FIELDS: &[Field] =
    &[Field::count("recurrence_cycles", "cycles", 1, 1 << 16)];

pub(super) const LINEAR_FIELDS: &[Field] = &[
    Field::power_of_two("inputs", "inputs", 1, 1 << 12),
    Field::power_of_two("outputs", "outputs", 1, 1 << 12),
    Field::count("buffer_weights", "weights", 1, 1 << 30),
    Field::flag("ultra_ram"),
    Field::power_of_two("separate_units", "units", 1, 1 << 12),
];

pub(super) fn check(config: &Config, linear: &Linear) -> Result<(), Diagnostic> {
    if linear.separate_units <= linear.outputs {
        return Ok(());
    }
    Err(config.refuse(
        &["linear.separate_units", "linear.outputs"],
        format!("{} units cannot share {} outputs", linear.separate_units, linear.outputs),
        format!("expected at most {}, an output for each unit", linear.outputs),
        format!("set `linear.separate_units` to {}", linear.outputs),
    ))
}

impl Linear {
    /// Outputs of a block of one unit: fewer where several share the multipliers.
    pub fn unit_outputs(&self, unified: bool) -> u32 {
        if unified { self.outputs } else { self.outputs / self.separate_units }
    }
}
