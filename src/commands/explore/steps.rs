//! The steps of a sweep that several machines share.

use std::{num::NonZeroUsize, path::PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::Serialize;

use super::{
    WholeArgs, beside, jobs,
    output::{Finish, Records},
    read,
};
use crate::{
    cli::Common,
    commands::write_document,
    exit::Verdict,
    explore::{
        Sweep,
        part::{self, Parts, Shard},
        plan::{self, Plan},
        point::Space,
        report::Explored,
        slurm::Jobs,
    },
    output,
    table::{
        Align::{Left, Right},
        grouped, table,
    },
};

/// What to plan.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// Description of the space
    pub spec: PathBuf,
    /// Folder of the plan; new or empty
    #[arg(short, long, value_name = "PLAN")]
    pub output: PathBuf,
}

/// Which part of a plan to simulate.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Folder of the plan
    pub plan: PathBuf,
    /// Which of how many equal parts, such as 0/4 to 3/4
    #[arg(long, value_name = "K/N")]
    pub shard: Shard,
    /// Points simulated at the same time [default: one per processor]
    #[arg(long, value_name = "N")]
    pub jobs: Option<NonZeroUsize>,
}

/// What to join.
#[derive(Debug, Args)]
pub struct MergeArgs {
    /// Folder of the plan
    pub plan: PathBuf,
    /// What becomes of the points
    #[command(flatten)]
    pub finish: Finish,
}

/// What to look at.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Folder of the plan
    pub plan: PathBuf,
}

/// What to hand to Slurm.
#[derive(Debug, Args)]
pub struct SubmitArgs {
    /// Folder of the plan
    pub plan: PathBuf,
    /// Tasks of the job array; each should take a minute or more
    #[arg(long, value_name = "N")]
    pub shards: NonZeroUsize,
    /// What becomes of the points
    #[command(flatten)]
    pub finish: Finish,
    /// An option for `sbatch`, such as `--partition=long`; may be given several times
    #[arg(long = "sbatch", value_name = "OPTION", allow_hyphen_values = true)]
    pub sbatch: Vec<String>,
    /// Return when all jobs have ended
    #[arg(long)]
    pub wait: bool,
}

/// Writes a plan.
pub fn plan(args: &PlanArgs, common: &Common) -> Result<Verdict> {
    output::check_paths(&[common.json.as_deref()], &[Some(&args.spec)])?;
    let points = plan::write(&args.output, &read(&args.spec)?, common.seed)?;
    #[derive(Serialize)]
    struct Planned {
        points: usize,
    }
    write_document(common.json.as_deref(), "attelier-explore-plan-1", &Planned { points })?;
    let place = args.output.display();
    output::print(&format!(
        "planned {} points in {place}\nnext: attelier explore run {place} --shard 0/N\n",
        grouped(points as u64)
    ))?;
    Ok(Verdict::Passed)
}

/// Simulates a shard.
pub fn run(args: &RunArgs, common: &Common) -> Result<Verdict> {
    let done = part::run(&Plan::read(&args.plan)?, args.shard, jobs(args.jobs))?;
    write_document(common.json.as_deref(), "attelier-explore-run-1", &done)?;
    let points = grouped(done.points as u64);
    output::print(&match done.before {
        true => format!("shard {}: done before, {points} points\n", args.shard),
        false => {
            let cached = grouped(done.cached as u64);
            format!("shard {}: {points} points, {cached} from an earlier run\n", args.shard)
        }
    })?;
    Ok(Verdict::Passed)
}

/// Joins parts.
pub fn merge(args: &MergeArgs, common: &Common) -> Result<Verdict> {
    let plan = Plan::read(&args.plan)?;
    let files = args.finish.prepare(&plan.spec, common)?;
    let space = Space::new(&plan.spec, plan.seed)?;
    let parts = Parts::find(&plan)?;
    let sweep = Sweep::new(&plan.spec, parts.outcomes()?, 0)?;
    let records = || -> Result<Records<'_>> { Ok(Box::new(parts.records()?)) };
    files.write(&Explored { spec: &plan.spec, space: &space, sweep: &sweep }, &records)
}

/// Says what is done.
pub fn status(args: &StatusArgs, common: &Common) -> Result<Verdict> {
    #[derive(Serialize)]
    struct Row {
        of: usize,
        shard: usize,
        state: &'static str,
        results: u64,
    }
    #[derive(Serialize)]
    struct Status {
        points: usize,
        rows: Vec<Row>,
    }
    let plan = Plan::read(&args.plan)?;
    let mut rows = Vec::new();
    for (of, numbers) in part::present(&plan)? {
        let points = |shard: usize| plan.len().saturating_sub(shard).div_ceil(of) as u64;
        let done = |shard| Row { of, shard, state: "done", results: points(shard) };
        rows.extend(numbers.into_iter().map(done));
    }
    for (shard, results) in part::under_way(&plan)? {
        rows.push(Row { of: shard.of, shard: shard.number, state: "under way", results });
    }
    for shard in part::damaged(&plan)? {
        let is_it = |row: &&mut Row| (row.of, row.shard) == (shard.of, shard.number);
        if let Some(row) = rows.iter_mut().find(is_it) {
            (row.state, row.results) = ("damaged", 0);
        }
    }
    // With parts of one number of shards it is known which are missing.
    if let [of] = part::present(&plan)?.into_keys().collect::<Vec<_>>()[..] {
        let begun: Vec<usize> =
            rows.iter().filter(|row| row.of == of).map(|row| row.shard).collect();
        let missing = (0..of).filter(|shard| !begun.contains(shard));
        rows.extend(missing.map(|shard| Row { of, shard, state: "missing", results: 0 }));
    }
    rows.sort_by_key(|row| (row.of, row.shard));
    let columns = [("of", Right), ("shard", Right), ("state", Left), ("points", Right)];
    let cells = rows.iter().map(|row| {
        let number = |number: usize| grouped(number as u64);
        vec![number(row.of), number(row.shard), row.state.to_owned(), grouped(row.results)]
    });
    let text = match rows.is_empty() {
        true => "no shard has begun\n".to_owned(),
        false => table(&columns, cells.collect::<Vec<_>>()),
    };
    let text = format!("{} points\n{text}", grouped(plan.len() as u64));
    let status = Status { points: plan.len(), rows };
    write_document(common.json.as_deref(), "attelier-explore-status-1", &status)?;
    output::print(&text)?;
    Ok(Verdict::Passed)
}

/// Hands shards to Slurm.
pub fn submit(args: &SubmitArgs, common: &Common) -> Result<Verdict> {
    let plan = Plan::read(&args.plan)?;
    if common.json.is_some() {
        bail!(
            "`--json` has no meaning here: the merge runs elsewhere; `attelier explore merge` takes it"
        );
    }
    // Refuses a folder that the merge would refuse an hour later.
    args.finish.prepare(&plan.spec, common)?;
    let jobs = Jobs {
        plan: &plan,
        shards: args.shards.get(),
        merge: args.finish.words(),
        options: &args.sbatch,
    };
    let submitted = jobs.submit(args.wait).with_context(|| again(args))?;
    let mut text = match &submitted.array {
        Some(array) => {
            format!("job array {array}: {} of {} shards\n", submitted.shards.len(), args.shards)
        }
        None => "all shards are done\n".to_owned(),
    };
    text += &format!("job {}: merge into {}\n", submitted.merge, args.finish.output.display());
    output::print(&text)?;
    Ok(Verdict::Passed)
}

/// What to do when jobs have failed.
fn again(args: &SubmitArgs) -> String {
    format!(
        "the jobs did not all succeed: see `{}`, and submit again for the shards that are missing",
        args.plan.join("slurm").display()
    )
}

/// Plans, submits, waits and merges; a plan that is there already goes on.
pub fn by_slurm(args: &WholeArgs, finish: &Finish, common: &Common) -> Result<Verdict> {
    let shards = args.shards.context("`--engine slurm` needs `--shards N`")?;
    let folder = beside(&finish.output, ".plan");
    if !folder.join(plan::FILE).exists() {
        plan::write(&folder, &read(&args.spec)?, common.seed)?;
    }
    let spec = read(&args.spec)?;
    let known = Plan::read(&folder)?;
    if known.spec.source().text != spec.source().text || known.seed != common.seed {
        bail!(
            "`{}` is the plan of another description or seed: remove it, or name another output",
            folder.display()
        );
    }
    let submit = SubmitArgs {
        plan: folder,
        shards,
        finish: finish.clone(),
        sbatch: args.sbatch.clone(),
        wait: true,
    };
    self::submit(&submit, common)
}
