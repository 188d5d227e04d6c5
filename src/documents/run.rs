//! The result of a simulation.

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::Value;

/// A result of `attelier run --json`; fields as documented in [`crate::report::Report`].
#[derive(Debug, Deserialize)]
#[allow(missing_docs, reason = "they are those of the report")]
pub struct Run {
    pub version: String,
    pub design: String,
    pub workload: String,
    pub seed: u64,
    pub config_hash: String,
    pub workload_hash: String,
    pub command: String,
    pub cycles: u64,
    pub clock_hz: u64,
    pub seconds: f64,
    pub throughput: Throughput,
    pub traffic: Traffic,
    pub dram: IndexMap<String, Option<f64>>,
    pub energy_j: IndexMap<String, Option<f64>>,
    pub power_w: Option<f64>,
    pub area_mm2: Option<f64>,
    pub units: IndexMap<String, Unit>,
    pub admission: Option<IndexMap<String, u64>>,
    pub phases: IndexMap<String, u64>,
    pub bound: Option<Bound>,
    pub checks: IndexMap<String, Value>,
    pub fidelity: Option<IndexMap<String, Value>>,
    pub published: Vec<Published>,
    pub notes: Vec<String>,
    /// The document as it was written.
    #[serde(skip)]
    pub value: Value,
}

/// Operations per second.
#[derive(Debug, Deserialize)]
#[allow(missing_docs, reason = "they are those of the report")]
pub struct Throughput {
    pub executed_ops_per_s: Option<f64>,
    pub dense_ops_per_s: Option<f64>,
}

/// Bytes between machine and memory.
#[derive(Debug, Deserialize)]
#[allow(missing_docs, reason = "they are those of the report")]
pub struct Traffic {
    pub query_bytes: u64,
    pub key_bytes: u64,
    pub key_lsb_bytes: u64,
    pub value_bytes: u64,
    pub streams: IndexMap<String, u64>,
    pub total_bytes: u64,
    pub bytes_per_s: Option<f64>,
    pub peak_bytes_per_s: f64,
    pub utilisation: Option<f64>,
}

/// Activity of a unit.
#[derive(Debug, Deserialize)]
#[allow(missing_docs, reason = "they are those of the report")]
pub struct Unit {
    pub busy_cycles: u64,
    pub utilisation: Option<f64>,
    pub starved_cycles: u64,
    pub blocked_cycles: u64,
    pub beats: u64,
}

/// What limits the run.
#[derive(Debug, Deserialize)]
#[allow(missing_docs, reason = "they are those of the report")]
pub struct Bound {
    pub kind: String,
    pub unit: String,
    pub utilisation: f64,
}

/// A published number beside ours.
#[derive(Debug, Deserialize)]
#[allow(missing_docs, reason = "they are those of the report")]
pub struct Published {
    pub item: String,
    pub published: f64,
    pub ours: f64,
    pub unit: String,
    pub deviation: f64,
    pub source: String,
}

impl Traffic {
    /// Bytes of each stream that has any, by name [B].
    pub fn by_stream(&self) -> Vec<(&str, u64)> {
        let attention = [
            ("query_bytes", self.query_bytes),
            ("key_bytes", self.key_bytes),
            ("key_lsb_bytes", self.key_lsb_bytes),
            ("value_bytes", self.value_bytes),
        ];
        let others = self.streams.iter().map(|(name, bytes)| (name.as_str(), *bytes));
        let all = attention.into_iter().chain(others);
        all.filter(|(_, bytes)| *bytes > 0).map(|(name, bytes)| (stream(name), bytes)).collect()
    }
}

fn stream(name: &str) -> &str {
    name.strip_suffix("_bytes").unwrap_or(name)
}
