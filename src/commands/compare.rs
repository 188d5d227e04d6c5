//! `attelier compare`: results of one command side by side.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::write_document;
use crate::{cli::Common, comparison::Comparison, documents::Document, exit::Verdict, output};

/// Which results.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// JSON results of one command: run, cosim, synth, reproduce, fidelity or rtl; the first is what the
    /// others are related to
    #[arg(required = true, num_args = 2.., value_name = "RESULT")]
    pub results: Vec<PathBuf>,
}

/// Runs the command.
pub fn run(args: &CompareArgs, common: &Common) -> Result<Verdict> {
    let inputs: Vec<_> = args.results.iter().map(|path| Some(path.as_path())).collect();
    output::check_paths(&[common.json.as_deref()], &inputs)?;
    let documents: Vec<Document> =
        args.results.iter().map(|path| Document::read(path)).collect::<Result<_>>()?;
    let comparison = Comparison::of(&documents)?;
    write_document(common.json.as_deref(), "attelier-compare-1", &comparison)?;
    let warnings = comparison.warnings.iter().map(|warning| format!("warning: {warning}\n"));
    output::print(&(warnings.collect::<String>() + &comparison.text()))?;
    Ok(Verdict::Passed)
}
