//! `attelier list`: what exists, one line each.

use anyhow::{Context, Result};
use attelier_dram::Device;
use attelier_hw::designs::DESIGNS;
use attelier_workloads::task;
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::write_document;
use crate::{
    cli::Common,
    exit::Verdict,
    figures::FIGURES,
    output,
    table::{Align::Left, table},
};

/// What to list.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// One kind only [default: all]
    pub kind: Option<Kind>,
}

/// Kinds of things with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Machines.
    Designs,
    /// Workload presets.
    Workloads,
    /// DRAM devices.
    Devices,
    /// Published figures that can be reproduced.
    Figures,
}

/// One line of a list.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// Name on the command line.
    pub name: String,
    /// One line about it.
    pub summary: String,
}

#[derive(Serialize)]
struct Rows {
    rows: Vec<Entry>,
}

/// Runs the command.
pub fn run(args: &ListArgs, common: &Common) -> Result<Verdict> {
    let kinds = args.kind.map_or_else(|| Kind::value_variants().to_vec(), |kind| vec![kind]);
    let mut rows = Vec::new();
    let mut texts = Vec::new();
    for kind in kinds {
        let entries = entries(kind)?;
        let cells = entries.iter().map(|entry| vec![entry.name.clone(), entry.summary.clone()]);
        let title = match kind {
            Kind::Designs => "design",
            Kind::Workloads => "workload",
            Kind::Devices => "device",
            Kind::Figures => "figure",
        };
        texts.push(table(&[(title, Left), ("what it is", Left)], cells));
        rows.extend(entries);
    }
    write_document(common.json.as_deref(), "attelier-list-1", &Rows { rows })?;
    output::print(&texts.join("\n"))?;
    Ok(Verdict::Passed)
}

/// Everything of one kind, in the order of its registry.
fn entries(kind: Kind) -> Result<Vec<Entry>> {
    let entry = |name: String, summary: String| Entry { kind, name, summary };
    Ok(match kind {
        Kind::Designs => {
            let designs = DESIGNS.iter();
            designs.map(|design| entry(design.name.into(), design.summary.into())).collect()
        }
        Kind::Workloads => {
            let presets = task::list()?.into_iter();
            presets
                .map(|preset| {
                    let mark = if preset.assumed { " (partly assumed)" } else { "" };
                    entry(preset.name, preset.description + mark)
                })
                .collect()
        }
        Kind::Devices => Device::names()
            .map(|name| {
                let device = Device::builtin(name).with_context(|| format!("device `{name}`"))?;
                Ok(entry(device.name, device.description))
            })
            .collect::<Result<_>>()?,
        Kind::Figures => FIGURES
            .iter()
            .map(|figure| entry(format!("{} {}", figure.paper, figure.name), figure.summary.into()))
            .collect(),
    })
}
