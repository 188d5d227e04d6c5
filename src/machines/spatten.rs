//! SpAtten as a [`Machine`].

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use anyhow::{Context, Result};
use attelier_hw::{
    config::Config,
    diagnostic::Diagnostic,
    record::Record,
    spatten::{MemoryKind, Spatten},
    technology::Hardware,
};
use attelier_rtl::units::spatten::{self, counted_as};
use attelier_sim::{
    designs::spatten::{
        Options,
        functional::{Functional, Recording},
        simulate, simulate_recording,
    },
    energy::{self, Energy},
    kernel::run::Mode,
    observe::Observer,
    result::RunResult,
    units::dram_memory,
};
use attelier_workloads::{Task, model::Attention, pruning::Pruning};
use ndarray::Array2;

use super::{Machine, heads::with_attention};
use crate::values::{Source, ValueResult, ValueRun};

/// The machine of a configuration.
pub fn build(config: &Config) -> Result<Box<dyn Machine>, Diagnostic> {
    Ok(Box::new(Spatten::check(config)?))
}

impl Machine for Spatten {
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
        task: &Task,
        mode: Mode,
        seed: u64,
        observer: &mut dyn Observer,
    ) -> Result<RunResult> {
        let options = Options { seed, mode, order: None };
        with_attention(&self.name, task, |requests| {
            Ok(simulate(self, requests, options, observer)?)
        })
    }

    fn values<'a>(
        &'a self,
        pruning: &Pruning,
        layers: usize,
        checks: bool,
    ) -> Result<Box<dyn ValueRun + 'a>> {
        let functional = Functional::new(self, pruning.clone(), layers, checks)?;
        Ok(Box::new(Values { machine: self, functional }))
    }

    /// Unknown where no hardware is generated: without clock, registers and leakage the sum would compare well with
    /// any that has them.
    fn energy(&self, result: &RunResult) -> Option<Energy> {
        let hardware = hardware(self)?;
        let mut energy = energy::spatten(self, result, Some(&hardware));
        for (name, engine) in [("topk_value", &self.topk_value), ("topk_token", &self.topk_token)] {
            let counted = counted_as(engine);
            if counted != (engine.parallelism, engine.lanes) {
                energy.notes.push(format!(
                    "energy and area of `{name}`: hardware of {} comparators for {} elements per cycle is not \
                     generated; it is counted as {} for {}",
                    engine.parallelism, engine.lanes, counted.0, counted.1
                ));
            }
        }
        Some(energy)
    }

    fn known_energy(&self, result: &RunResult) -> Option<Energy> {
        Some(energy::spatten(self, result, None))
    }

    fn areas_mm2(&self) -> Vec<(&'static str, f64)> {
        let hardware = hardware(self);
        let units = hardware.iter().flat_map(|hardware| {
            hardware.units.iter().map(|unit| (unit.name, unit.area(hardware.node).total() * 1e-6))
        });
        units.collect()
    }
}

/// Cells and memories of the machine, counted in its generated hardware; `None` for parameters that no hardware
/// is generated for. A machine is counted once, however often it runs.
pub fn hardware(machine: &Spatten) -> Option<Arc<Hardware>> {
    static COUNTED: LazyLock<Mutex<BTreeMap<String, Option<Arc<Hardware>>>>> =
        LazyLock::new(Mutex::default);
    let key = Record::config_hash(machine);
    let known = || COUNTED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(counted) = known().get(&key) {
        return counted.clone();
    }
    let counted = spatten::hardware(machine).ok().map(Arc::new);
    known().insert(key, counted.clone());
    counted
}

/// What the machine computes of `source`, without its cycles.
///
/// # Errors
/// What the model or the machine refuses.
pub fn record(machine: &Spatten, source: &Source, pruning: &Pruning) -> Result<Recording> {
    let functional = Functional::new(machine, pruning.clone(), source.layers(), false)?;
    let mut values = Values { machine, functional };
    source.compute(&mut values)?;
    Ok(values.functional.finish().0)
}

/// A run with real values.
struct Values<'a> {
    machine: &'a Spatten,
    functional: Functional<'a>,
}

impl ValueRun for Values<'_> {
    fn forget(&mut self) {
        self.functional.forget();
    }

    fn compare_with(&mut self, dense: Vec<Array2<f32>>) {
        self.functional.compare_with(dense);
    }

    fn as_attention(&mut self) -> &mut dyn Attention {
        &mut self.functional
    }

    fn simulate(
        self: Box<Self>,
        mode: Mode,
        seed: u64,
        observer: &mut dyn Observer,
    ) -> Result<ValueResult> {
        let (recording, layers) = self.functional.finish();
        let options = Options { seed, mode, order: None };
        let (result, comparison) = simulate_recording(self.machine, &recording, options, observer)
            .with_context(|| format!("cannot run this on `{}`", self.machine.name))?;
        let mut digest = blake3::Hasher::new();
        for word in recording.heads.iter().flat_map(|head| &head.outputs) {
            digest.update(&word.to_le_bytes());
        }
        let digest = digest.finalize().to_hex().to_string();
        let comparison = Some(comparison);
        Ok(ValueResult { result, requests: recording.requests, digest, comparison, layers })
    }
}
