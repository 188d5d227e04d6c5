//! `attelier run`: simulate a workload on a design.

use std::{io, path::PathBuf};

use anyhow::{Result, bail};
use attelier_sim::{kernel::run::Mode, observe::Observer, result::RunResult};
use attelier_workloads::Workload;
use clap::Args;

use crate::{
    cli::{Common, Overrides, command_line},
    exit::Verdict,
    machines::{self, Loaded},
    observers::{Many, perfetto::PerfettoWriter, progress::Progress, vcd::VcdWriter},
    output::{self, OutputFile},
    published,
    report::{Identity, Report},
    workload,
};

/// What to simulate, and what to record of it.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Design [default: spatten]; see `attelier list designs`
    pub design: Option<String>,
    /// Workload preset or trace file [default: that of the design]; a preset is changed with
    /// `--set workload.tokens=N`, `workload.context=N` and `workload.seed=N`
    pub workload: Option<String>,
    /// Departures from the preset.
    #[command(flatten)]
    pub overrides: Overrides,
    /// Write a waveform (value change dump, for GTKWave or Surfer)
    #[arg(long, value_name = "FILE")]
    pub vcd: Option<PathBuf>,
    /// Write a timeline (Chrome trace events, for ui.perfetto.dev)
    #[arg(long, value_name = "FILE")]
    pub perfetto: Option<PathBuf>,
    /// Evaluate every cycle instead of leaping over steady ones: slower, same result
    #[arg(long)]
    pub every_cycle: bool,
}

/// A checked machine and a checked workload.
struct Job {
    design: &'static str,
    loaded: Loaded,
    workload: Workload,
    /// Seed of the draws of the workload, if it has any.
    workload_seed: Option<u64>,
    /// What departs from design and workload as published.
    changes: Vec<String>,
}

/// Runs the command.
pub fn run(args: &RunArgs, common: &Common) -> Result<Verdict> {
    let outputs = [&common.json, &args.vcd, &args.perfetto].map(Option::as_deref);
    let trace = args.workload.as_deref().and_then(workload::file);
    output::check_paths(&outputs, &[args.overrides.config.as_deref(), trace])?;
    // Bad input is found before any file is touched, an unwritable file before the simulation.
    let job = Job::prepare(args, common.seed)?;
    let open = |path: &Option<PathBuf>| path.as_deref().map(OutputFile::create).transpose();
    let json_file = open(&common.json)?;
    let mut vcd_file = open(&args.vcd)?;
    let mut perfetto_file = open(&args.perfetto)?;

    let mut progress = Progress::new();
    let mut vcd = vcd_file.as_mut().map(|file| VcdWriter::new(file, job.design));
    let mut perfetto = perfetto_file.as_mut().map(|file| PerfettoWriter::new(file, job.design));
    let mut observers = Many::new();
    observers.add(&mut progress);
    if let Some(vcd) = &mut vcd {
        observers.add(vcd);
    }
    if let Some(perfetto) = &mut perfetto {
        observers.add(perfetto);
    }
    let result = job.simulate(args.every_cycle, common.seed, &mut observers)?;
    let vcd_outcome = vcd.map_or(Ok(()), VcdWriter::finish);
    let perfetto_outcome = perfetto.map_or(Ok(()), PerfettoWriter::finish);
    check(vcd_file.as_ref(), vcd_outcome)?;
    check(perfetto_file.as_ref(), perfetto_outcome)?;

    let report = job.report(&result, common.seed);
    if let Some(file) = json_file {
        file.commit_json(&report)?;
    }
    for file in [vcd_file, perfetto_file].into_iter().flatten() {
        file.commit()?;
    }
    output::print(&report.text())?;
    Ok(Verdict::Passed)
}

/// Explains a write error of a recording.
fn check(file: Option<&OutputFile>, outcome: io::Result<()>) -> Result<()> {
    outcome.map_err(|error| match file {
        Some(file) => file.explain(error),
        None => error.into(),
    })
}

impl Job {
    /// Loads and checks design and workload.
    fn prepare(args: &RunArgs, seed: u64) -> Result<Self> {
        let (knobs, set) = workload::split_sets(&args.overrides.set);
        let overrides = Overrides { config: args.overrides.config.clone(), set };
        let design = args.design.as_deref().unwrap_or(machines::DEFAULT_DESIGN);
        if args.workload.is_none() && workload::exists(design) {
            bail!(
                "`{design}` is a workload: name the design before it, as in `attelier run {} {design}`",
                machines::DEFAULT_DESIGN
            );
        }
        let loaded = machines::load(design, &overrides)?;
        let name = args.workload.as_deref().unwrap_or(loaded.default_workload);
        let workload = workload::load(name, &knobs, seed)?;
        let workload_seed = workload::seed(name, &knobs, seed)?;
        let file = args.overrides.config.iter().map(|file| format!("--config {}", file.display()));
        let sets = args.overrides.set.iter().map(|set| format!("--set {set}"));
        let changes = file.chain(sets).collect();
        let design = loaded.config.design().name;
        Ok(Self { design, loaded, workload, workload_seed, changes })
    }

    /// Simulates.
    fn simulate(
        &self,
        every_cycle: bool,
        seed: u64,
        observer: &mut dyn Observer,
    ) -> Result<RunResult> {
        let mode = if every_cycle { Mode::EveryCycle } else { Mode::Jump };
        self.loaded.machine.simulate(&self.workload, mode, seed, observer)
    }

    /// Everything there is to say about a run.
    fn report(&self, result: &RunResult, seed: u64) -> Report {
        let machine = &self.loaded.machine;
        let hash = self.workload.content_hash().to_hex();
        let identity =
            Identity::new(self.design, &machine.config_hash(), &self.workload.name, &hash)
                .started_by(command_line(), seed)
                .with_workload_seed(self.workload_seed);
        let report = Report::new(identity, result, machine.peak_bytes_per_s())
            .with_energy(machine.energy(result));
        let beside = published::beside(self.design, &self.workload, &report);
        let changed = (!self.changes.is_empty())
            .then(|| format!("not the published preset: {}", self.changes.join(", ")));
        report.beside(beside).noting(changed.into_iter().chain(self.about_workload()))
    }

    /// Where the workload comes from, and what of it no source states.
    fn about_workload(&self) -> Vec<String> {
        let Workload { provenance, assumptions, .. } = &self.workload;
        let source = (!provenance.is_empty()).then(|| format!("workload: {provenance}"));
        let assumed = assumptions.iter().map(|text| format!("workload, assumed: {text}"));
        source.into_iter().chain(assumed).collect()
    }
}
