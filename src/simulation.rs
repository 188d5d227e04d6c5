//! Simulating counts: what `attelier run` does with a preset or a trace, and `attelier explore` for
//! every point.

use anyhow::Result;
use attelier_sim::{kernel::run::Mode, observe::Observer, result::RunResult};
use attelier_workloads::Task;

use crate::{
    machines::Machine,
    published,
    report::{Identity, Report},
    workload,
};

/// A task known from counts alone, with what identifies it.
pub struct Counts {
    /// What is to be done.
    pub task: Task,
    /// Hash of it.
    pub hash: blake3::Hash,
    /// Seed of its draws, if it has any.
    pub seed: Option<u64>,
}

impl Counts {
    /// Loads the preset or the file `name` with its knobs; see [`workload::task`].
    ///
    /// # Errors
    /// As [`workload::task`].
    pub fn load(name: &str, knobs: &[&str], seed: u64) -> Result<Self> {
        let task = workload::task(name, knobs, seed)?;
        let hash = task.content_hash();
        Ok(Self { task, hash, seed: workload::seed(name, knobs, seed)? })
    }
}

/// A machine under the name of its design.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// Name of the design.
    pub design: &'static str,
    /// The machine.
    pub machine: &'a dyn Machine,
    /// What departs from the design as published, as a user would type it.
    pub changes: &'a [String],
}

impl Subject<'_> {
    /// Simulates counts; `command` is the command line that asked for it.
    ///
    /// # Errors
    /// A task that the machine refuses.
    pub fn simulate(
        self,
        counts: &Counts,
        command: String,
        mode: Mode,
        seed: u64,
        observer: &mut dyn Observer,
    ) -> Result<Report> {
        let task = &counts.task;
        let result = self.machine.simulate(task, mode, seed, observer)?;
        let report = self.report(task.name(), counts.hash, &result, |identity| {
            identity.started_by(command, seed).with_workload_seed(counts.seed)
        });
        let beside = match task {
            Task::Attention(workload) => published::beside(self.design, workload, &report),
            Task::Decoding(_) => Vec::new(),
            Task::Image(_) => published::beside_image(self.design, &report),
        };
        Ok(report.beside(beside).noting(about(task)))
    }

    /// The report of a result, with area, energy and what departs from the design.
    pub fn report(
        self,
        workload: &str,
        hash: blake3::Hash,
        result: &RunResult,
        identity: impl FnOnce(Identity) -> Identity,
    ) -> Report {
        let machine = self.machine;
        let hash = hash.to_hex();
        let named = Identity::new(self.design, &machine.config_hash(), workload, &hash);
        let changed = (!self.changes.is_empty())
            .then(|| format!("not the published preset: {}", self.changes.join(", ")));
        Report::new(identity(named), result, machine.peak_bytes_per_s())
            .with_areas(machine.areas_mm2())
            .with_energy(machine.energy(result), machine.known_energy(result))
            .noting(changed)
    }
}

/// Where a workload comes from, and what of it no source states.
pub fn about(workload: &Task) -> Vec<String> {
    let (provenance, assumptions) = (workload.provenance(), workload.assumptions());
    let source = (!provenance.is_empty()).then(|| format!("workload: {provenance}"));
    let assumed = assumptions.iter().map(|text| format!("workload, assumed: {text}"));
    source.into_iter().chain(assumed).collect()
}
