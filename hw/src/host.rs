//! The machine that runs the program, measured: checked parameter records.

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::diagnostic::Diagnostic;
use crate::record::Record;
use crate::schema::{Field, Schema, Section};

/// How the machine that runs the program is measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// Name of the preset it started from.
    pub name: String,
    /// Runs before time is taken.
    pub warm_up_runs: u32,
    /// Runs whose time is taken.
    pub timed_runs: u32,
    /// Share of the shortest, and of the longest, times that is left out, in thousandths.
    pub trim_permille: u32,
    /// Bandwidth of its memory \[MB/s\].
    pub peak_mb_per_s: u64,
}

/// Names, units and ranges of all values, in printing order.
pub static SCHEMA: Schema = Schema {
    sections: &[Section {
        name: "",
        fields: &[
            Field::text("name"),
            Field::count("warm_up_runs", "runs", 0, 1 << 20),
            Field::count("timed_runs", "runs", 1, 1 << 20),
            Field::count("trim_permille", "runs / 1000", 0, 499),
            Field::count("peak_mb_per_s", "MB/s", 1, 1 << 40),
        ],
        derived: &[],
    }],
};

impl Record for Host {}

impl Host {
    /// The record of a configuration.
    ///
    /// # Errors
    /// A configuration of another design.
    pub fn check(config: &Config) -> Result<Self, Diagnostic> {
        config.raw()
    }
}
