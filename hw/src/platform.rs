//! CPUs and GPUs as a roofline with an overhead per operator: checked parameter records.
//!
//! An operator takes the longer of its arithmetic and its memory traffic, and an overhead that stands for
//! launch and framework. Of each platform one number is calibrated on one published point, named in
//! `[calibration]`; all else is predicted.

use serde::{Deserialize, Serialize};

use crate::config::{self, Config};
use crate::diagnostic::Diagnostic;
use crate::record::Record;
use crate::schema::{Field, Schema, Section};

/// A CPU or GPU that runs a model operator by operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Platform {
    /// Name of the preset it started from.
    pub name: String,
    /// Arithmetic.
    pub compute: Compute,
    /// Memory.
    pub memory: Memory,
    /// Overhead of one operator of each class \[ns\].
    pub overhead_ns: Overheads,
    /// Power over that of the idle platform \[mW\].
    pub dynamic_mw: u32,
    /// What one number was calibrated on.
    pub calibration: Calibration,
}

/// Arithmetic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compute {
    /// Peak \[MFLOP/s\].
    pub peak_mflops: u64,
    /// What matrix products reach of it, in thousandths.
    pub efficiency_permille: u32,
}

/// Memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// Peak \[MB/s\].
    pub peak_mb_per_s: u64,
    /// What operators reach of it, in thousandths.
    pub efficiency_permille: u32,
    /// Bytes of an element \[B\].
    pub element_bytes: u32,
}

/// Overhead of one operator \[ns\].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overheads {
    /// Product of matrices.
    pub product: u32,
    /// Softmax.
    pub softmax: u32,
    /// Normalization.
    pub norm: u32,
    /// Function of each element, also addition and scaling.
    pub elementwise: u32,
    /// Copy, concatenation, transposition.
    pub movement: u32,
}

/// What one number was calibrated on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Path of the number; `none` where nothing was calibrated.
    pub parameter: String,
    /// Workload whose time is met.
    pub workload: String,
    /// That time \[us\].
    pub time_us: u64,
}

const fn time(key: &'static str) -> Field {
    Field::count(key, "ns", 0, 4_000_000_000)
}

/// Names, units and ranges of all values, in printing order.
pub static SCHEMA: Schema = Schema {
    sections: &[
        section("", &[Field::text("name"), Field::count("dynamic_mw", "mW", 0, 4_000_000_000)]),
        section(
            "compute",
            &[
                Field::count("peak_mflops", "MFLOP/s", 1, 1 << 50),
                Field::count("efficiency_permille", "peak / 1000", 1, 1000),
            ],
        ),
        section(
            "memory",
            &[
                Field::count("peak_mb_per_s", "MB/s", 1, 1 << 40),
                Field::count("efficiency_permille", "peak / 1000", 1, 1000),
                Field::count("element_bytes", "B", 1, 16),
            ],
        ),
        section(
            "overhead_ns",
            &[
                time("product"),
                time("softmax"),
                time("norm"),
                time("elementwise"),
                time("movement"),
            ],
        ),
        section(
            "calibration",
            &[
                Field::text("parameter"),
                Field::text("workload"),
                Field::count("time_us", "us", 0, 1 << 50),
            ],
        ),
    ],
};

const fn section(name: &'static str, fields: &'static [Field]) -> Section {
    Section { name, fields, derived: &[] }
}

impl Record for Platform {}

impl Platform {
    /// The platform of a preset, unchanged.
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

    /// Time of arithmetic \[ns\].
    pub fn compute_ns(&self, flops: u64) -> f64 {
        let rate = self.compute.peak_mflops as f64 * f64::from(self.compute.efficiency_permille);
        // MFLOP/s / 1000 = FLOP/ms, and a millisecond has 10^6 ns.
        flops as f64 / rate * 1e6
    }

    /// Time of memory traffic \[ns\].
    pub fn memory_ns(&self, elements: u64) -> f64 {
        let bytes = elements as f64 * f64::from(self.memory.element_bytes);
        let rate = self.memory.peak_mb_per_s as f64 * f64::from(self.memory.efficiency_permille);
        bytes / rate * 1e6
    }

    /// Bandwidth that the memory offers \[B/s\].
    pub fn peak_bytes_per_s(&self) -> f64 {
        self.memory.peak_mb_per_s as f64 * 1e6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 12.15 TFLOP/s at 80 %: 9.72 GFLOP take a millisecond. 547.7 GB/s at 85 %: 465.545 MB do.
    #[test]
    fn rates_are_peak_times_efficiency() {
        let titan = Platform::preset("titan-xp").unwrap();
        assert!((titan.compute_ns(9_720_000_000) - 1e6).abs() < 1e-3);
        assert!((titan.memory_ns(465_545_000 / 4) - 1e6).abs() < 10.0);
    }
}
