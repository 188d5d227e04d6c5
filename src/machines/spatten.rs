//! SpAtten as a [`Machine`].

use anyhow::{Context, Result};
use attelier_hw::{
    config::Config,
    diagnostic::Diagnostic,
    record::Record,
    spatten::{MemoryKind, Spatten},
};
use attelier_sim::{
    designs::spatten::{Options, simulate},
    energy::{self, Energy},
    kernel::run::Mode,
    observe::Observer,
    result::RunResult,
    units::dram_memory,
};
use attelier_workloads::Workload;

use super::Machine;

/// The machine of a configuration.
pub fn build(config: &Config) -> Result<Box<dyn Machine>, Diagnostic> {
    Ok(Box::new(Spatten::check(config)?))
}

impl Machine for Spatten {
    fn config_hash(&self) -> String {
        Record::config_hash(self)
    }

    fn show(&self, config: &Config) -> String {
        Record::show(self, config)
    }

    fn peak_bytes_per_s(&self) -> f64 {
        let per_cycle = f64::from(self.memory.channels) * f64::from(self.memory.transaction_bytes);
        let core = per_cycle * self.clock_hz as f64;
        match self.memory.kind {
            MemoryKind::Ideal => core,
            MemoryKind::Hbm2 => core.min(dram_memory::peak_bytes_per_s(self.memory.channels)),
        }
    }

    fn simulate(
        &self,
        workload: &Workload,
        mode: Mode,
        seed: u64,
        observer: &mut dyn Observer,
    ) -> Result<RunResult> {
        let options = Options { seed, mode, order: None };
        simulate(self, &workload.requests, options, observer)
            .with_context(|| format!("cannot run `{}` on `{}`", workload.name, self.name))
    }

    fn energy(&self, result: &RunResult) -> Energy {
        energy::spatten(self, result)
    }
}
