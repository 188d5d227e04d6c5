//! PIM-GPT as a [`Machine`].

use anyhow::{Context, Result, bail};
use attelier_hw::{config::Config, diagnostic::Diagnostic, pim_gpt::PimGpt};
use attelier_sim::{
    designs::pim_gpt::{energy, functional::Functional, simulate},
    energy::Energy,
    kernel::run::Mode,
    observe::Observer,
    result::RunResult,
};
use attelier_workloads::{Task, model::Gpt, pruning::Pruning};

use super::Machine;
use crate::values::ValueRun;

/// The machine of a configuration.
pub fn build(config: &Config) -> Result<Box<dyn Machine>, Diagnostic> {
    Ok(Box::new(PimGpt::check(config)?))
}

impl Machine for PimGpt {
    fn peak_bytes_per_s(&self) -> f64 {
        self.memory.peak_bytes_per_s as f64
    }

    fn simulate(
        &self,
        task: &Task,
        mode: Mode,
        _seed: u64,
        observer: &mut dyn Observer,
    ) -> Result<RunResult> {
        let Task::Decoding(decoding) = task else {
            bail!(
                "`{}` generates tokens with a whole model, and `{}` is {}: expected a model such as \
                 `gpt2-xl`, or the `config.json` of one",
                self.name,
                task.name(),
                task.kind()
            );
        };
        simulate(self, decoding, mode, observer)
            .with_context(|| format!("cannot run `{}` on `{}`", decoding.name, self.name))
    }

    fn values<'a>(
        &'a self,
        _pruning: &Pruning,
        _layers: usize,
        _checks: bool,
    ) -> Result<Box<dyn ValueRun + 'a>> {
        bail!("`{}` computes whole models, not attention alone: expected a model folder", self.name)
    }

    fn computes_models(&self) -> bool {
        true
    }

    fn functional<'a, 'm>(&self, model: &'a Gpt<'m>, checks: bool) -> Option<Functional<'a, 'm>> {
        Some(Functional::new(self, model, checks))
    }

    fn energy(&self, result: &RunResult) -> Option<Energy> {
        Some(energy::energy(self, result))
    }

    fn areas_mm2(&self) -> Vec<(&'static str, f64)> {
        // As published; the area of the units in the banks is not.
        vec![("asic", f64::from(self.energy.asic_um2) * 1e-6)]
    }
}
