//! `attelier run`: simulate a workload on a design.

use std::{io, path::PathBuf};

use anyhow::Result;
use attelier_sim::{observe::Observer, result::RunResult};
use clap::Args;

use super::not_available;
use crate::{
    cli::{Common, Overrides, command_line},
    exit::Verdict,
    observers::{Many, perfetto::PerfettoWriter, progress::Progress, vcd::VcdWriter},
    output::{self, OutputFile},
    report::{Identity, Report},
};

/// What to simulate, and what to record of it.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Design [default: spatten]; see `attelier list designs`
    pub design: Option<String>,
    /// Workload preset or trace file [default: that of the design]
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
#[derive(Debug)]
pub struct Job {
    design: String,
    /// Canonical text of all parameters.
    config: String,
    workload: String,
    workload_hash: String,
    peak_bytes_per_s: f64,
}

/// Runs the command.
pub fn run(args: &RunArgs, common: &Common) -> Result<Verdict> {
    let files = [&common.json, &args.vcd, &args.perfetto];
    output::check_distinct(files.into_iter().flatten().map(PathBuf::as_path))?;
    // Bad input is found before any file is touched, an unwritable file before the simulation.
    let job = Job::prepare(args)?;
    let open = |path: &Option<PathBuf>| path.as_deref().map(OutputFile::create).transpose();
    let json_file = open(&common.json)?;
    let mut vcd_file = open(&args.vcd)?;
    let mut perfetto_file = open(&args.perfetto)?;

    let mut progress = Progress::new();
    let mut vcd = vcd_file.as_mut().map(|file| VcdWriter::new(file, &job.design));
    let mut perfetto = perfetto_file.as_mut().map(|file| PerfettoWriter::new(file, &job.design));
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

    let identity = Identity::new(&job.design, &job.config, &job.workload, &job.workload_hash)
        .started_by(command_line(), common.seed);
    let report = Report::new(identity, &result, job.peak_bytes_per_s);
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
    fn prepare(_args: &RunArgs) -> Result<Self> {
        Err(not_available("simulation"))
    }

    /// Simulates.
    fn simulate(
        &self,
        _every_cycle: bool,
        _seed: u64,
        _observer: &mut dyn Observer,
    ) -> Result<RunResult> {
        Err(not_available("simulation"))
    }
}
