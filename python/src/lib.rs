//! The workshop as a Python module.
//!
//! Functions take and return text, JSON where it has structure: `attelier/__init__.py` makes dictionaries and
//! NumPy arrays of it. Whatever a command of the same name refuses is a `ValueError` with its message.

use std::path::Path;

use anyhow::{Context, Result, bail};
use attelier::{
    cli::{Cli, Command},
    commands,
    explore::{self, cache::Cache, point::Space, report::Explored, spec::Spec},
    workload,
};
use attelier_hw::diagnostic::SourceText;
use attelier_workloads::Task;
use clap::Parser;
use pyo3::{exceptions::PyValueError, prelude::*};

/// The result of `attelier run`, as its `--json` writes it.
fn run_json(design: &str, workload: Option<&str>, set: &[String], seed: u64) -> Result<String> {
    let seed = seed.to_string();
    let mut words = vec!["attelier", "run", "--seed", &seed];
    words.extend(set.iter().flat_map(|set| ["--set", set]));
    words.extend(["--", design]);
    words.extend(workload);
    let cli = Cli::try_parse_from(words)?;
    let Command::Run(args) = &cli.command else { bail!("expected a run") };
    let report = commands::run::report(args, &cli.common)?;
    Ok(serde_json::to_string(&report)?)
}

/// The points of a description, as `points.jsonl` has them, one JSON object per line.
fn explore_jsonl(
    name: &str,
    spec: &str,
    seed: u64,
    cache: Option<&Path>,
    jobs: usize,
) -> Result<String> {
    let spec = Spec::read(SourceText::new(name, spec))?;
    let folder = tempfile::tempdir().context("there is no place for results")?;
    let own = folder.path().join("results.cache");
    let cache = Cache::open(cache.unwrap_or(&own))?;
    let space = Space::new(&spec, seed)?;
    let sweep = explore::sweep(&spec, &space, &cache, jobs)?;
    let keys = sweep.outcomes.iter().map(|outcome| outcome.key.as_ref());
    let records = keys.map(|key| key.map(|key| cache.expect(key)).transpose());
    let explored = Explored { spec: &spec, space: &space, sweep: &sweep };
    let mut lines = String::new();
    for row in explored.rows(records) {
        lines += &serde_json::to_string(&row?)?;
        lines.push('\n');
    }
    Ok(lines)
}

/// The attention requests of a workload, as a trace of counts has them, one JSON object per line.
fn trace_jsonl(name: &str, set: &[String], seed: u64) -> Result<String> {
    let set: Vec<&str> = set.iter().map(String::as_str).collect();
    let task = workload::task(name, &set, seed)?;
    let Task::Attention(workload) = task else {
        bail!("`{name}` is {}: expected attention requests", task.kind());
    };
    let mut lines = String::new();
    for request in &workload.requests {
        lines += &serde_json::to_string(request)?;
        lines.push('\n');
    }
    Ok(lines)
}

fn value_error(error: anyhow::Error) -> PyErr {
    PyValueError::new_err(format!("{error:#}"))
}

#[pyfunction]
fn run(
    py: Python<'_>,
    design: &str,
    workload: Option<&str>,
    set: Vec<String>,
    seed: u64,
) -> PyResult<String> {
    py.detach(|| run_json(design, workload, &set, seed)).map_err(value_error)
}

#[pyfunction]
fn explore_points(
    py: Python<'_>,
    name: &str,
    spec: &str,
    seed: u64,
    cache: Option<std::path::PathBuf>,
    jobs: usize,
) -> PyResult<String> {
    py.detach(|| explore_jsonl(name, spec, seed, cache.as_deref(), jobs)).map_err(value_error)
}

#[pyfunction]
fn trace(py: Python<'_>, workload: &str, set: Vec<String>, seed: u64) -> PyResult<String> {
    py.detach(|| trace_jsonl(workload, &set, seed)).map_err(value_error)
}

#[pymodule]
fn _attelier(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_function(wrap_pyfunction!(run, module)?)?;
    module.add_function(wrap_pyfunction!(explore_points, module)?)?;
    module.add_function(wrap_pyfunction!(trace, module)?)
}
