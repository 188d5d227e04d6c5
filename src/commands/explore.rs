//! `attelier explore`: many points of a design space.

use std::{
    fs::File,
    io::Read,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    thread,
};

use anyhow::{Context, Result, bail};
use attelier_hw::diagnostic::{MAX_TEXT_BYTES, SourceText};
use clap::Args;
use serde::Serialize;

use super::document;
use crate::{
    cli::Common,
    exit::Verdict,
    explore::{cache::Cache, point::Space, report, spec::Spec, sweep},
    output::{self, OutputFile, OutputFolder},
    values::{Source, TextArgs},
    workload,
};

/// What to explore.
#[derive(Debug, Args)]
pub struct ExploreArgs {
    /// Description of the space: design, workload, axes, constraints, objectives (see docs/explore.md)
    pub spec: PathBuf,
    /// Folder for `points.csv`, `points.jsonl` and `front.csv`; new or empty
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,
    /// Results kept between runs [default: `DIR.cache`]
    #[arg(long, value_name = "FILE")]
    pub cache: Option<PathBuf>,
    /// Points simulated at the same time [default: one per processor]
    #[arg(long, value_name = "N")]
    pub jobs: Option<NonZeroUsize>,
}

/// The result for machines.
#[derive(Serialize)]
struct Document<'a> {
    design: &'a str,
    workload: &'a str,
    seed: u64,
    rows: &'a [report::Row<'a>],
}

/// Runs the command.
pub fn run(args: &ExploreArgs, common: &Common) -> Result<Verdict> {
    let cache = args.cache.clone().unwrap_or_else(|| beside(&args.output));
    let outputs = [Some(cache.as_path()), common.json.as_deref()];
    output::check_paths(&outputs, &[Some(&args.spec)])?;
    let spec = Spec::read(read(&args.spec)?)?;
    if let Some(name) = &spec.workload {
        check_counts(name)?;
    }
    let folder = OutputFolder::create(&args.output)?;
    let json = common.json.as_deref().map(OutputFile::create).transpose()?;
    let cache = Cache::open(&cache)?;
    let space = Space::new(&spec, common.seed, &cache)?;

    let processors = || thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let sweep = sweep(&spec, &space, args.jobs.map_or_else(processors, NonZeroUsize::get))?;
    let rows = report::rows(&space, &sweep)?;
    let points = report::csv(&spec, &rows)?;
    let front = report::csv(&spec, rows.iter().filter(|row| row.front))?;
    let lines = report::json_lines(&rows)?;
    let files = [("points.csv", &points), ("front.csv", &front), ("points.jsonl", &lines)];
    folder.write("", files.map(|(name, text)| (name, text.as_str())))?;
    folder.commit()?;
    if let Some(file) = json {
        let body = Document {
            design: &spec.design,
            workload: &space.workload,
            seed: common.seed,
            rows: &rows,
        };
        file.commit_json(&document("attelier-explore-1", &body))?;
    }
    output::print(&report::text(&spec, &sweep, &rows, &space.workload))?;
    Ok(if sweep.front.is_empty() { Verdict::CheckFailed } else { Verdict::Passed })
}

/// The cache of an output folder: its name with an ending.
fn beside(folder: &Path) -> PathBuf {
    let mut name = folder.file_name().unwrap_or_default().to_owned();
    name.push(".cache");
    folder.with_file_name(name)
}

/// Reads a description, not much more of it than one may have.
fn read(path: &Path) -> Result<SourceText> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_TEXT_BYTES as u64 + 1).read_to_end(&mut bytes))
        .with_context(|| format!("cannot read the description `{}`", path.display()))?;
    Ok(SourceText::from_bytes(path.display().to_string(), &bytes)?)
}

/// Refuses a workload with real values, which a run would compute with.
fn check_counts(name: &str) -> Result<()> {
    let Some(path) = workload::file(name).filter(|_| !workload::is_config(name)) else {
        return Ok(());
    };
    if path.is_dir() || Source::open(name, &TextArgs::default())?.is_some() {
        bail!(
            "`{name}` has real values, and points are simulated from counts: expected a preset, a trace \
             without tensors or a `config.json` (`attelier fidelity` sweeps models)"
        );
    }
    Ok(())
}
