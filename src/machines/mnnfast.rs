//! MnnFast as a [`Machine`].

use anyhow::Result;
use attelier_hw::{config::Config, diagnostic::Diagnostic, mnnfast::MnnFast};
use attelier_sim::{
    designs::mnnfast::{arithmetic::MnnFastArithmetic, energy, simulate, simulate_work},
    energy::Energy,
    kernel::run::Mode,
    observe::Observer,
    result::RunResult,
};
use attelier_workloads::{Task, pruning::Pruning};

use super::{
    Machine,
    heads::{Values, refuse_pruning, with_attention},
};
use crate::values::ValueRun;

/// The machine of a configuration.
pub fn build(config: &Config) -> Result<Box<dyn Machine>, Diagnostic> {
    Ok(Box::new(MnnFast::check(config)?))
}

impl Machine for MnnFast {
    fn peak_bytes_per_s(&self) -> f64 {
        f64::from(self.memory.bytes_per_cycle) * self.clock_hz as f64
    }

    fn simulate(
        &self,
        task: &Task,
        _mode: Mode,
        seed: u64,
        observer: &mut dyn Observer,
    ) -> Result<RunResult> {
        with_attention(&self.name, task, |requests| Ok(simulate(self, requests, seed, observer)))
    }

    fn values<'a>(
        &'a self,
        pruning: &Pruning,
        layers: usize,
        checks: bool,
    ) -> Result<Box<dyn ValueRun + 'a>> {
        refuse_pruning(&self.name, pruning)?;
        let time =
            |work: &[_], observer: &mut dyn Observer| Ok(simulate_work(self, work, observer));
        Ok(Box::new(Values::new(MnnFastArithmetic::new(self), layers, checks, time)))
    }

    fn energy(&self, result: &RunResult) -> Option<Energy> {
        Some(energy(self, result))
    }
}
