//! `attelier trace`: convert and summarise attention traces.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Args, Subcommand};
use serde::Serialize;

use super::{not_available, write_document};
use crate::{
    cli::Common,
    exit::Verdict,
    output::{self, OutputFile},
};

/// What to do with traces.
#[derive(Debug, Args)]
pub struct TraceArgs {
    /// The action.
    #[command(subcommand)]
    pub action: TraceAction,
}

/// What to do with a trace.
#[derive(Debug, Subcommand)]
pub enum TraceAction {
    /// Convert a SpAtten csv (plain or gzip) to a trace file
    Import {
        /// The csv
        file: PathBuf,
        /// The trace file to write
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
    },
    /// Summarise a trace file, a SpAtten csv or a workload preset
    Show {
        /// File or preset name
        trace: String,
    },
}

/// What a trace amounts to.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// Name of the workload.
    pub workload: String,
    /// Hash of all requests.
    pub workload_hash: String,
    /// Requests.
    pub requests: u64,
    /// The summary for people.
    #[serde(skip)]
    pub text: String,
}

/// Runs the command.
pub fn run(args: &TraceArgs, common: &Common) -> Result<Verdict> {
    let summary = match &args.action {
        TraceAction::Import { file, output } => {
            let paths = common.json.iter().chain([output]).map(PathBuf::as_path);
            output::check_distinct(paths)?;
            let target = OutputFile::create(output)?;
            import(file, target)?
        }
        TraceAction::Show { trace } => summarise(trace)?,
    };
    write_document(common.json.as_deref(), "attelier-trace-1", &summary)?;
    output::print(&summary.text)?;
    Ok(Verdict::Passed)
}

/// Converts `csv` into `target`, which is committed only when all of it could be read.
fn import(_csv: &Path, _target: OutputFile) -> Result<Summary> {
    Err(not_available("trace import"))
}

/// Reads and summarises a trace.
fn summarise(_trace: &str) -> Result<Summary> {
    Err(not_available("trace show"))
}
