//! Edge-MoE as a [`Machine`].

use anyhow::{Context, Result, bail};
use attelier_hw::{config::Config, diagnostic::Diagnostic, edge_moe::EdgeMoe};
use attelier_sim::{
    designs::edge_moe::{energy, functional, simulate},
    energy::Energy,
    kernel::run::Mode,
    observe::Observer,
    result::RunResult,
};
use attelier_workloads::{
    Task,
    pruning::Pruning,
    vision::{ImageTrace, Network},
};

use super::Machine;
use crate::values::ValueRun;

/// The machine of a configuration.
pub fn build(config: &Config) -> Result<Box<dyn Machine>, Diagnostic> {
    Ok(Box::new(EdgeMoe::check(config)?))
}

impl Machine for EdgeMoe {
    fn peak_bytes_per_s(&self) -> f64 {
        self.dram.peak_bytes_per_s as f64
    }

    fn simulate(
        &self,
        task: &Task,
        mode: Mode,
        _seed: u64,
        observer: &mut dyn Observer,
    ) -> Result<RunResult> {
        let Task::Image(image) = task else {
            bail!(
                "`{}` computes images, and `{}` is {}: expected a workload such as \
                 `m3vit-tiny/cityscapes`",
                self.name,
                task.name(),
                task.kind()
            );
        };
        simulate(self, image, mode, observer)
            .with_context(|| format!("cannot run `{}` on `{}`", image.name, self.name))
    }

    fn values<'a>(
        &'a self,
        _pruning: &Pruning,
        _layers: usize,
        _checks: bool,
    ) -> Result<Box<dyn ValueRun + 'a>> {
        bail!(
            "`{}` computes images, not attention alone: expected a preset or a folder with the \
             tensors of one",
            self.name
        )
    }

    fn computes_images(&self) -> bool {
        true
    }

    fn compute_image(&self, network: &Network, task: usize) -> Result<ImageTrace<f64>> {
        Ok(functional::to_real(&functional::compute(self, network, task)?))
    }

    fn energy(&self, _result: &RunResult) -> Option<Energy> {
        None
    }

    fn known_energy(&self, result: &RunResult) -> Option<Energy> {
        Some(energy::known(self, result))
    }
}
