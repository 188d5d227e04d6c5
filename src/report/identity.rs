//! What ran: enough to run it again.

use serde::Serialize;

/// Names, hashes and seed of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Identity {
    /// Kind and version of the file.
    pub schema: &'static str,
    /// Version of this program; a change of simulated numbers raises it.
    pub version: &'static str,
    /// Design.
    pub design: String,
    /// Workload.
    pub workload: String,
    /// Seed of the run.
    pub seed: u64,
    /// Seed of the draws of the workload; `None` for a trace, which has none.
    pub workload_seed: Option<u64>,
    /// Hash of all parameters of the design.
    pub config_hash: String,
    /// Hash of all requests of the workload.
    pub workload_hash: String,
    /// The command line.
    pub command: String,
}

impl Identity {
    /// The run of a design on a workload, each with its hash.
    pub fn new(design: &str, config_hash: &str, workload: &str, workload_hash: &str) -> Self {
        Self {
            schema: "attelier-run-1",
            version: env!("CARGO_PKG_VERSION"),
            design: design.to_owned(),
            workload: workload.to_owned(),
            seed: 0,
            workload_seed: None,
            config_hash: config_hash.to_owned(),
            workload_hash: workload_hash.to_owned(),
            command: String::new(),
        }
    }

    /// The same run with this seed, started by this command line.
    pub fn started_by(self, command: String, seed: u64) -> Self {
        Self { command, seed, ..self }
    }

    /// The same run, its workload drawn with this seed.
    pub fn with_workload_seed(self, workload_seed: Option<u64>) -> Self {
        Self { workload_seed, ..self }
    }
}
