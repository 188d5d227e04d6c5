//! CPUs and GPUs as a [`Machine`].

use anyhow::{Result, bail};
use attelier_hw::{config::Config, diagnostic::Diagnostic, platform::Platform};
use attelier_sim::{
    designs::platform::{energy, simulate_attention, simulate_decoding, simulate_image},
    energy::Energy,
    kernel::run::Mode,
    observe::Observer,
    result::RunResult,
};
use attelier_workloads::{Task, pruning::Pruning};

use super::Machine;
use crate::values::ValueRun;

/// The machine of a configuration.
pub fn build(config: &Config) -> Result<Box<dyn Machine>, Diagnostic> {
    Ok(Box::new(Platform::check(config)?))
}

impl Machine for Platform {
    fn peak_bytes_per_s(&self) -> f64 {
        Platform::peak_bytes_per_s(self)
    }

    fn simulate(
        &self,
        task: &Task,
        _mode: Mode,
        _seed: u64,
        observer: &mut dyn Observer,
    ) -> Result<RunResult> {
        Ok(match task {
            Task::Attention(workload) => simulate_attention(self, &workload.requests, observer),
            Task::Decoding(decoding) => simulate_decoding(self, decoding, observer),
            Task::Image(image) => simulate_image(self, image, observer),
        })
    }

    fn values<'a>(
        &'a self,
        _pruning: &Pruning,
        _layers: usize,
        _checks: bool,
    ) -> Result<Box<dyn ValueRun + 'a>> {
        bail!("`{}` is a model of time and has no numbers: expected a preset or a trace", self.name)
    }

    fn energy(&self, result: &RunResult) -> Option<Energy> {
        Some(energy(self, result))
    }
}
