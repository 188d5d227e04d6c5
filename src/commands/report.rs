//! `attelier report`: results on one HTML page.

use std::{io::Write, path::PathBuf};

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::write_document;
use crate::{
    cli::Common,
    documents::Document,
    exit::Verdict,
    html,
    output::{self, OutputFile},
    table::grouped,
};

/// Which results.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// JSON results of run, explore, cosim, synth, reproduce, fidelity, show and rtl, timelines of `run
    /// --perfetto`, tables of explore and fidelity as CSV, folders of explore
    #[arg(required = true, value_name = "RESULT")]
    pub results: Vec<PathBuf>,
    /// The page; opens in any browser, without a network
    #[arg(short, long, value_name = "FILE.html")]
    pub output: PathBuf,
}

#[derive(Serialize)]
struct Written {
    page: String,
    bytes: u64,
    results: Vec<String>,
}

/// Runs the command.
pub fn run(args: &ReportArgs, common: &Common) -> Result<Verdict> {
    let outputs = [Some(args.output.as_path()), common.json.as_deref()];
    let inputs: Vec<_> = args.results.iter().map(|path| Some(path.as_path())).collect();
    output::check_paths(&outputs, &inputs)?;
    let documents: Vec<Document> =
        args.results.iter().map(|path| Document::read(path)).collect::<Result<_>>()?;
    let page = html::page(&documents)?;
    let mut file = OutputFile::create(&args.output)?;
    file.write_all(page.as_bytes()).map_err(|error| file.explain(error))?;
    file.commit()?;
    let written = Written {
        page: args.output.display().to_string(),
        bytes: page.len() as u64,
        results: documents.into_iter().map(|document| document.file).collect(),
    };
    write_document(common.json.as_deref(), "attelier-report-1", &written)?;
    let Written { page, bytes, results } = &written;
    output::print(&format!("{page}: {} results, {} bytes\n", results.len(), grouped(*bytes)))?;
    Ok(Verdict::Passed)
}
