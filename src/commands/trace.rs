//! `attelier trace`: extract, convert and summarise attention traces.

mod extract;

use std::{
    io::BufWriter,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use attelier_workloads::{Summary, Workload, open, summarise, trace::write_workload};
use clap::{Args, Subcommand};
use flate2::{Compression, write::GzEncoder};

use super::write_document;
use crate::{
    cli::Common,
    exit::Verdict,
    output::{self, OutputFile},
    workload,
};
use extract::ExtractArgs;

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
        /// The trace file to write, compressed if its name ends in `.gz`
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
    },
    /// Run a Hugging Face model on a text and write the operands of its attention
    Extract(ExtractArgs),
    /// Summarise a trace file, a SpAtten csv or a workload preset
    Show {
        /// File or preset name
        trace: String,
    },
}

/// Runs the command.
pub fn run(args: &TraceArgs, common: &Common) -> Result<Verdict> {
    let summary = match &args.action {
        TraceAction::Import { file, output } => {
            let outputs = [common.json.as_deref(), Some(output.as_path())];
            output::check_paths(&outputs, &[Some(file.as_path())])?;
            let target = OutputFile::create(output)?;
            import(file, output, target)?
        }
        TraceAction::Extract(args) => extract::run(args, common)?,
        TraceAction::Show { trace } => {
            output::check_paths(&[common.json.as_deref()], &[workload::file(trace)])?;
            summarise(&workload::load(trace, &[], common.seed)?)?
        }
    };
    write_document(common.json.as_deref(), "attelier-trace-1", &summary)?;
    output::print(&summary.to_string())?;
    Ok(Verdict::Passed)
}

/// Converts `csv` into `target`, which is committed only when all of it could be read.
fn import(csv: &Path, output: &Path, target: OutputFile) -> Result<Summary> {
    let workload = open(csv)?;
    let summary = summarise(&workload)?;
    write(&workload, output, target)
        .with_context(|| format!("cannot write `{}`", output.display()))?;
    Ok(summary)
}

fn write(workload: &Workload, output: &Path, target: OutputFile) -> Result<()> {
    let shown = output.display().to_string();
    let target = if output.extension().is_some_and(|extension| extension == "gz") {
        let encoder = BufWriter::new(GzEncoder::new(target, Compression::default()));
        let encoder = write_workload(&shown, encoder, workload)?;
        encoder.into_inner().map_err(std::io::IntoInnerError::into_error)?.finish()?
    } else {
        write_workload(&shown, target, workload)?
    };
    target.commit()
}
