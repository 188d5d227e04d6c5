//! `attelier explore`: many points of a design space, at once or in steps for many machines.

mod output;
mod steps;

use std::{
    fs::File,
    io::Read,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    thread,
};

use anyhow::{Context, Result, bail};
use attelier_hw::diagnostic::{MAX_TEXT_BYTES, SourceText};
use clap::{Args, Subcommand, ValueEnum};

use self::output::{Finish, Records};
use crate::{
    cli::Common,
    exit::Verdict,
    explore::{self, cache::Cache, point::Space, report::Explored, spec::Spec},
    output::check_paths,
    values::{Source, TextArgs},
    workload,
};

/// What to explore.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct ExploreArgs {
    /// One step of a sweep that several machines share
    #[command(subcommand)]
    step: Option<Step>,
    /// All of it at once
    #[command(flatten)]
    whole: Option<WholeArgs>,
    /// What becomes of the points
    #[command(flatten)]
    finish: Option<Finish>,
}

/// A sweep from its description to its front.
#[derive(Debug, Args)]
pub struct WholeArgs {
    /// Description of the space: design, workload, axes, constraints, objectives (see docs/explore.md)
    pub spec: PathBuf,
    /// Results kept between runs [default: `DIR.cache`]
    #[arg(long, value_name = "FILE", conflicts_with = "shards")]
    pub cache: Option<PathBuf>,
    /// Points simulated at the same time [default: one per processor]
    #[arg(long, value_name = "N")]
    pub jobs: Option<NonZeroUsize>,
    /// Where points are simulated; `slurm` plans in `DIR.plan`, submits, waits and merges
    #[arg(long, value_enum, default_value_t, requires_if("slurm", "shards"))]
    pub engine: Engine,
    /// Tasks of the job array; each should take a minute or more
    #[arg(long, value_name = "N")]
    pub shards: Option<NonZeroUsize>,
    /// An option for `sbatch`, such as `--partition=long`; may be given several times
    #[arg(long = "sbatch", value_name = "OPTION", allow_hyphen_values = true)]
    pub sbatch: Vec<String>,
}

/// Where points are simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Engine {
    /// Threads of this process
    #[default]
    Local,
    /// A job array of Slurm
    Slurm,
}

/// One step of a sweep.
#[derive(Debug, Subcommand)]
pub enum Step {
    /// Write down the points of a description, for shards to share
    Plan(steps::PlanArgs),
    /// Simulate one shard of a plan; run again after a kill, it goes on
    Run(steps::RunArgs),
    /// Join the parts of all shards: the same files as of a sweep at once
    Merge(steps::MergeArgs),
    /// Say which shards of a plan are done
    Status(steps::StatusArgs),
    /// Hand the shards that are not done to Slurm, and the merge after them
    Submit(steps::SubmitArgs),
}

/// Runs the command.
pub fn run(args: &ExploreArgs, common: &Common) -> Result<Verdict> {
    match &args.step {
        Some(Step::Plan(args)) => return steps::plan(args, common),
        Some(Step::Run(args)) => return steps::run(args, common),
        Some(Step::Merge(args)) => return steps::merge(args, common),
        Some(Step::Status(args)) => return steps::status(args, common),
        Some(Step::Submit(args)) => return steps::submit(args, common),
        None => {}
    }
    let (Some(whole), Some(finish)) = (&args.whole, &args.finish) else {
        bail!("expected a description of a space and `-o DIR`");
    };
    match whole.engine {
        Engine::Local => local(whole, finish, common),
        Engine::Slurm => steps::by_slurm(whole, finish, common),
    }
}

fn local(args: &WholeArgs, finish: &Finish, common: &Common) -> Result<Verdict> {
    let cache = args.cache.clone().unwrap_or_else(|| beside(&finish.output, ".cache"));
    check_paths(&[Some(cache.as_path()), common.json.as_deref()], &[Some(&args.spec)])?;
    let spec = read(&args.spec)?;
    let files = finish.prepare(&spec, common)?;
    let cache = Cache::open(&cache)?;
    let space = Space::new(&spec, common.seed)?;
    let sweep = explore::sweep(&spec, &space, &cache, jobs(args.jobs))?;
    let records = || -> Result<Records<'_>> {
        let keys = sweep.outcomes.iter().map(|outcome| outcome.key.as_ref());
        Ok(Box::new(keys.map(|key| key.map(|key| cache.expect(key)).transpose())))
    };
    files.write(&Explored { spec: &spec, space: &space, sweep: &sweep }, &records)
}

/// Threads to work on.
fn jobs(wanted: Option<NonZeroUsize>) -> usize {
    let processors = || thread::available_parallelism().map_or(1, NonZeroUsize::get);
    // More threads than this only wait for each other.
    wanted.map_or_else(processors, NonZeroUsize::get).min(1024)
}

/// A place beside an output folder: its name with an ending.
fn beside(folder: &Path, ending: &str) -> PathBuf {
    let mut name = folder.file_name().unwrap_or_default().to_owned();
    name.push(ending);
    folder.with_file_name(name)
}

/// Reads a description, not much more of it than one may have.
fn read(path: &Path) -> Result<Spec> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_TEXT_BYTES as u64 + 1).read_to_end(&mut bytes))
        .with_context(|| format!("cannot read the description `{}`", path.display()))?;
    let spec = Spec::read(SourceText::from_bytes(path.display().to_string(), &bytes)?)?;
    if let Some(name) = &spec.workload {
        check_counts(name)?;
    }
    Ok(spec)
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
