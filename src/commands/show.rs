//! `attelier show`: the checked parameters of a design.

use anyhow::{Result, bail};
use attelier_hw::designs::DESIGNS;
use clap::Args;
use serde::Serialize;

use super::write_document;
use crate::{
    cli::{Common, Overrides},
    exit::Verdict,
    machines, output, workload,
};

/// Which design.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Design; see `attelier list designs`
    pub design: String,
    /// Departures from the preset.
    #[command(flatten)]
    pub overrides: Overrides,
}

#[derive(Serialize)]
struct Shown<'a> {
    design: &'a str,
    config_hash: String,
    toml: &'a str,
}

/// Runs the command.
pub fn run(args: &ShowArgs, common: &Common) -> Result<Verdict> {
    output::check_paths(&[common.json.as_deref()], &[args.overrides.config.as_deref()])?;
    let is_design = DESIGNS.iter().any(|design| design.name == args.design);
    if !is_design && workload::exists(&args.design) {
        let name = &args.design;
        bail!("`{name}` is a workload: `attelier trace show {name}` summarises it");
    }
    let loaded = machines::load(&args.design, &args.overrides)?;
    let config_hash = loaded.machine.config_hash();
    let toml = loaded.machine.show(&loaded.config);
    let shown = Shown { design: &args.design, config_hash, toml: &toml };
    write_document(common.json.as_deref(), "attelier-show-1", &shown)?;
    output::print(&toml)?;
    Ok(Verdict::Passed)
}
