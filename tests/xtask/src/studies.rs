//! Draws the figures of the studies again: explores the ready-made spaces.

use std::{
    env, fs, io,
    path::Path,
    process::{Command, ExitCode},
};

/// Names of the spaces in `workloads/explore`.
const SPACES: [&str; 3] = ["pim-gpt", "edge-moe", "spatten"];
/// Figures of each that the pages show.
const FIGURES: [&str; 2] = ["front", "sensitivity"];

/// Explores each space and copies its figures; what was explored before comes from its cache.
pub fn draw() -> ExitCode {
    for space in SPACES {
        if let Err(reason) = study(space) {
            println!("missing  the figures of `{space}`: {reason}");
            return ExitCode::FAILURE;
        }
        println!("ok       {space}");
    }
    ExitCode::SUCCESS
}

fn study(space: &str) -> Result<(), String> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = repository.join("target/studies").join(space);
    let explain = |error: io::Error| error.to_string();
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(explain(error)),
        _ => {}
    }
    fs::create_dir_all(repository.join("target/studies")).map_err(explain)?;
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .current_dir(&repository)
        .args(["run", "--quiet", "--release", "--package", "attelier", "--", "explore"])
        .arg(format!("workloads/explore/{space}.toml"))
        .arg("-o")
        .arg(&folder)
        .status()
        .map_err(|error| format!("cargo does not start: {error}"))?;
    if !status.success() {
        return Err("the exploration failed: see above".to_owned());
    }
    for figure in FIGURES {
        let to = repository.join(format!("docs/figures/explore-{space}-{figure}.svg"));
        fs::copy(folder.join(format!("{figure}.svg")), to).map_err(explain)?;
    }
    Ok(())
}
