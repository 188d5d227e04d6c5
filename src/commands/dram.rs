//! `attelier dram`: run a DRAM case and write its commands.

use std::{fmt::Write as _, io::Write as _, path::PathBuf};

use anyhow::Result;
use attelier_dram::{
    case::{CaseResult, run_case},
    stats::Statistics,
    trace::write_csv,
};
use clap::Args;
use serde::Serialize;

use super::document;
use crate::{
    cli::Common,
    exit::Verdict,
    output::{self, OutputFile},
};

/// What to run, and where to write it.
#[derive(Debug, Args)]
pub struct DramArgs {
    /// Folder with `params.json` and `requests.csv` or `requests.csv.gz`
    #[arg(long, value_name = "DIR")]
    pub case: PathBuf,
    /// Write the commands (csv: cycle, command, address)
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Write when each request was taken and finished (csv)
    #[arg(long, value_name = "FILE")]
    pub completions: Option<PathBuf>,
}

/// What the memory did.
#[derive(Debug, Serialize)]
struct Summary {
    last_cycle: u64,
    requests: u64,
    commands: u64,
    reads: u64,
    writes: u64,
    row_hits: u64,
    row_misses: u64,
    row_conflicts: u64,
    /// Arrival in the controller to the end of the data, reads only [cycles]; `None` without reads.
    read_latency_mean: Option<f64>,
}

/// Runs the command.
pub fn run(args: &DramArgs, common: &Common) -> Result<Verdict> {
    let parts = ["params.json", "requests.csv", "requests.csv.gz"].map(|name| args.case.join(name));
    output::check_paths(
        &[Some(&args.output), args.completions.as_deref(), common.json.as_deref()],
        &parts.each_ref().map(|path| Some(path.as_path())),
    )?;
    let mut commands = OutputFile::create(&args.output)?;
    let mut completions = args.completions.as_deref().map(OutputFile::create).transpose()?;
    let json = common.json.as_deref().map(OutputFile::create).transpose()?;

    let (params, result) = run_case(&args.case)?;
    write_csv(&mut commands, &result.commands, &params.commands, &params.organization)
        .map_err(|error| commands.explain(error))?;
    if let Some(file) = &mut completions {
        let text = completions_csv(&result);
        file.write_all(text.as_bytes()).map_err(|error| file.explain(error))?;
    }
    let summary = Summary::of(&result);
    commands.commit()?;
    if let Some(file) = completions {
        file.commit()?;
    }
    if let Some(file) = json {
        file.commit_json(&document("attelier-dram-1", &summary))?;
    }
    output::print(&summary.text())?;
    Ok(Verdict::Passed)
}

/// One line per request, in trace order.
fn completions_csv(result: &CaseResult) -> String {
    let mut text = "index,accept,complete\n".to_owned();
    for (index, served) in result.served.iter().enumerate() {
        let line = writeln!(text, "{index},{},{}", served.accept, served.complete);
        line.expect("a String takes every write");
    }
    text
}

impl Summary {
    fn of(result: &CaseResult) -> Self {
        let mut all = Statistics::default();
        result.channels.iter().for_each(|channel| all.merge(channel.statistics()));
        Self {
            last_cycle: result.last_cycle,
            requests: result.served.len() as u64,
            commands: result.commands.len() as u64,
            reads: all.reads,
            writes: all.writes,
            row_hits: all.row_hits,
            row_misses: all.row_misses,
            row_conflicts: all.row_conflicts,
            read_latency_mean: (all.read_latency.count() > 0).then(|| all.read_latency.mean()),
        }
    }

    fn text(&self) -> String {
        let Self { last_cycle, requests, commands, row_hits, row_misses, row_conflicts, .. } = self;
        format!(
            "{requests} requests ({} reads, {} writes), {commands} commands, last cycle \
             {last_cycle}\n{row_hits} row hits, {row_misses} misses, {row_conflicts} conflicts\n",
            self.reads, self.writes
        )
    }
}
