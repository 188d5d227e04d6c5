//! A plan as jobs of Slurm: an array with a task for each shard that has no part yet, and a job that
//! merges the parts when all tasks have succeeded.
//!
//! Only `sbatch` is called, as a user would. Tasks are bundles of points, not points: a scheduler takes
//! a second for each task.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use super::{part, plan::Plan};
use crate::cli::quoted;

/// What is handed to Slurm.
pub struct Jobs<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// Number of shards.
    pub shards: usize,
    /// Options of `attelier explore merge`, the output folder among them.
    pub merge: Vec<String>,
    /// Options for `sbatch`, such as `--partition=long`.
    pub options: &'a [String],
}

/// What Slurm has taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submitted {
    /// Shards in the array.
    pub shards: Vec<usize>,
    /// Number of the array, unless every part is there.
    pub array: Option<String>,
    /// Number of the job that merges.
    pub merge: String,
}

impl Jobs<'_> {
    /// Shards without a part.
    ///
    /// # Errors
    /// Parts of another number of shards.
    pub fn pending(&self) -> Result<Vec<usize>> {
        let present = part::present(self.plan)?;
        if let Some(of) = present.keys().find(|&&of| of != self.shards) {
            bail!(
                "`{}` holds parts of {of} shards, and {} are asked for: name `--shards {of}`, or remove them",
                self.plan.folder.display(),
                self.shards
            );
        }
        let done = present.get(&self.shards).cloned().unwrap_or_default();
        Ok((0..self.shards).filter(|shard| !done.contains(shard)).collect())
    }

    /// Submits the array and the merge; with `wait`, returns when both have ended.
    ///
    /// # Errors
    /// A Slurm that is not there or refuses; jobs that fail while they are waited for.
    pub fn submit(&self, wait: bool) -> Result<Submitted> {
        let shards = self.pending()?;
        let folder = self.plan.folder.join("slurm");
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make `{}`", folder.display()))?;
        let array = (!shards.is_empty()).then(|| self.array(&folder, &shards)).transpose()?;
        let merge = self.merge(&folder, array.as_deref(), wait)?;
        Ok(Submitted { shards, array, merge })
    }

    fn array(&self, folder: &Path, shards: &[usize]) -> Result<String> {
        let script = script(
            folder,
            "shard.sh",
            &[
                "run".into(),
                quoted(&self.plan.folder.display().to_string()),
                format!("--shard \"$SLURM_ARRAY_TASK_ID/{}\"", self.shards),
                "--jobs \"${SLURM_CPUS_PER_TASK:-1}\"".into(),
            ],
        )?;
        let list: Vec<String> = shards.iter().map(usize::to_string).collect();
        let mut sbatch = self.sbatch("attelier-shard", &folder.join("shard-%a.txt"));
        sbatch.arg(format!("--array={}", list.join(",")));
        run(sbatch.arg(script))
    }

    fn merge(&self, folder: &Path, array: Option<&str>, wait: bool) -> Result<String> {
        let place = quoted(&self.plan.folder.display().to_string());
        let words = ["merge".to_owned(), place].into_iter().chain(self.merge.iter().cloned());
        let script = script(folder, "merge.sh", &words.collect::<Vec<_>>())?;
        let mut sbatch = self.sbatch("attelier-merge", &folder.join("merge.txt"));
        if let Some(array) = array {
            sbatch.arg(format!("--dependency=afterok:{array}"));
            // A shard that failed would leave the merge in the queue for ever.
            sbatch.arg("--kill-on-invalid-dep=yes");
        }
        if wait {
            sbatch.arg("--wait");
        }
        run(sbatch.arg(script))
    }

    fn sbatch(&self, name: &str, log: &Path) -> Command {
        let mut sbatch = Command::new("sbatch");
        let mut output = OsString::from("--output=");
        output.push(log);
        sbatch.arg("--parsable").arg(format!("--job-name={name}")).arg(output).args(self.options);
        sbatch
    }
}

/// Writes a script that calls this program.
fn script(folder: &Path, name: &str, words: &[String]) -> Result<PathBuf> {
    let program = env::current_exe().context("this program does not know its own path")?;
    let program = quoted(&program.display().to_string());
    let path = folder.join(name);
    let text = format!("#!/bin/sh\nexec {program} explore {}\n", words.join(" "));
    fs::write(&path, text).with_context(|| format!("cannot write `{}`", path.display()))?;
    Ok(path)
}

/// Runs `sbatch` and returns the number of the job.
fn run(sbatch: &mut Command) -> Result<String> {
    let line = || {
        let words = sbatch.get_args().map(OsStr::to_string_lossy);
        format!("sbatch {}", words.map(|word| quoted(&word)).collect::<Vec<_>>().join(" "))
    };
    let line = line();
    let output = sbatch.output().map_err(|error| match error.kind() {
        ErrorKind::NotFound => anyhow::anyhow!(
            "`sbatch` is not in PATH: expected a machine that submits to Slurm; \
             `--engine local` needs none, and shards can be run by hand (`attelier explore run`)"
        ),
        _ => anyhow::Error::from(error).context("`sbatch` does not start"),
    })?;
    let said = String::from_utf8_lossy(&output.stdout);
    let number = said.trim().split(';').next().unwrap_or_default().to_owned();
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        let reason = reason.trim();
        let reason = if reason.is_empty() { "a job failed or was cancelled" } else { reason };
        bail!("`{line}` ended with {}: {reason}", output.status);
    }
    Ok(number)
}
