//! A3 as a [`Machine`].

use anyhow::{Context, Result};
use attelier_hw::{a3::A3, config::Config, diagnostic::Diagnostic};
use attelier_sim::{
    designs::a3::{arithmetic::A3Arithmetic, energy, simulate, simulate_work},
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
    Ok(Box::new(A3::check(config)?))
}

impl Machine for A3 {
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
        with_attention(&self.name, task, |requests| Ok(simulate(self, requests, seed, observer)?))
    }

    fn values<'a>(
        &'a self,
        pruning: &Pruning,
        layers: usize,
        checks: bool,
    ) -> Result<Box<dyn ValueRun + 'a>> {
        refuse_pruning(&self.name, pruning)?;
        let time = |work: &[_], observer: &mut dyn Observer| {
            simulate_work(self, work, observer)
                .with_context(|| format!("cannot run this on `{}`", self.name))
        };
        Ok(Box::new(Values::new(A3Arithmetic::new(self), layers, checks, time)))
    }

    fn energy(&self, result: &RunResult) -> Option<Energy> {
        Some(energy::energy(self, result))
    }

    fn areas_mm2(&self) -> Vec<(&'static str, f64)> {
        self.areas_um2().map(|(name, area)| (name, f64::from(area) * 1e-6)).collect()
    }
}
