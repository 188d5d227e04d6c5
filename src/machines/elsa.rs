//! ELSA as a [`Machine`].

use anyhow::{Context, Result};
use attelier_hw::{config::Config, diagnostic::Diagnostic, elsa::Elsa};
use attelier_sim::{
    designs::{
        elsa::{arithmetic::ElsaArithmetic, energy, pipeline::Head, simulate, simulate_heads},
        heads::HeadWork,
    },
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
    Ok(Box::new(Elsa::check(config)?))
}

impl Machine for Elsa {
    /// A key and a value from each bank in every cycle: the memories are on the chip.
    fn peak_bytes_per_s(&self) -> f64 {
        let rows = 2 * u64::from(self.pipeline.banks);
        (rows * self.row_bytes()) as f64 * self.clock_hz as f64
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
        let arithmetic = ElsaArithmetic::new(self);
        let loads = arithmetic.loads();
        let time = move |work: &[HeadWork], observer: &mut dyn Observer| {
            // Loads come query by query in the order of the work.
            let mut loads = loads.take().into_iter();
            let head = |work: &HeadWork| {
                let busiest = loads.by_ref().take(work.queries.len()).collect();
                Head { work: work.clone(), busiest }
            };
            let heads: Vec<Head> = work.iter().map(head).collect();
            simulate_heads(self, &heads, observer)
                .with_context(|| format!("cannot run this on `{}`", self.name))
        };
        Ok(Box::new(Values::new(arithmetic, layers, checks, time)))
    }

    fn energy(&self, result: &RunResult) -> Option<Energy> {
        Some(energy::energy(self, result))
    }

    fn areas_mm2(&self) -> Vec<(&'static str, f64)> {
        let areas = self.area_um2.by_name();
        areas.map(|(name, area)| (name, f64::from(area) * 1e-6)).to_vec()
    }
}
