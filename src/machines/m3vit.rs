//! M3ViT's accelerator as a [`Machine`].

use anyhow::{Context, Result, bail};
use attelier_hw::{config::Config, diagnostic::Diagnostic, m3vit::M3vit};
use attelier_sim::{
    designs::m3vit::simulate, energy::Energy, kernel::run::Mode, observe::Observer,
    result::RunResult,
};
use attelier_workloads::{Task, pruning::Pruning};

use super::Machine;
use crate::values::ValueRun;

/// The machine of a configuration.
pub fn build(config: &Config) -> Result<Box<dyn Machine>, Diagnostic> {
    Ok(Box::new(M3vit::check(config)?))
}

impl Machine for M3vit {
    fn peak_bytes_per_s(&self) -> f64 {
        self.dram.peak_bytes_per_s as f64
    }

    fn simulate(
        &self,
        task: &Task,
        _mode: Mode,
        _seed: u64,
        observer: &mut dyn Observer,
    ) -> Result<RunResult> {
        let Task::Image(image) = task else {
            bail!(
                "`{}` computes images, and `{}` is {}: expected a workload such as \
                 `m3vit-small/nyud-v2`",
                self.name,
                task.name(),
                task.kind()
            );
        };
        simulate(self, image, observer)
            .with_context(|| format!("cannot run `{}` on `{}`", image.name, self.name))
    }

    fn values<'a>(
        &'a self,
        _pruning: &Pruning,
        _layers: usize,
        _checks: bool,
    ) -> Result<Box<dyn ValueRun + 'a>> {
        bail!("`{}` computes images, and its number formats are not published", self.name)
    }

    fn energy(&self, _result: &RunResult) -> Option<Energy> {
        None
    }
}
