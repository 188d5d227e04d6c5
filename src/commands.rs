//! Subcommands, one module each.

pub mod compare;
pub mod completions;
pub mod cosim;
pub mod dram;
pub mod explore;
pub mod fidelity;
pub mod list;
pub mod man;
pub mod report;
pub mod reproduce;
pub mod rtl;
pub mod run;
pub mod show;
pub mod synth;
pub mod trace;

use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use crate::{
    cli::{Cli, Command, command_line},
    exit::Verdict,
    output::write_json,
};

/// Runs the command that the arguments name.
pub fn run(cli: &Cli) -> Result<Verdict> {
    match &cli.command {
        Command::Run(args) => run::run(args, &cli.common),
        Command::List(args) => list::run(args, &cli.common),
        Command::Show(args) => show::run(args, &cli.common),
        Command::Reproduce(args) => reproduce::run(args, &cli.common),
        Command::Rtl(args) => rtl::run(args, &cli.common),
        Command::Cosim(args) => cosim::run(args, &cli.common),
        Command::Synth(args) => synth::run(args, &cli.common),
        Command::Dram(args) => dram::run(args, &cli.common),
        Command::Explore(args) => explore::run(args, &cli.common),
        Command::Fidelity(args) => fidelity::run(args, &cli.common),
        Command::Compare(args) => compare::run(args, &cli.common),
        Command::Report(args) => report::run(args, &cli.common),
        Command::Trace(args) => trace::run(args, &cli.common),
        Command::Completions(args) => completions::run(args),
        Command::Man(args) => man::run(args),
    }
}

/// A JSON result other than that of a simulation: kind and origin, then `body`.
#[derive(Serialize)]
struct Document<'a, T> {
    schema: &'a str,
    version: &'static str,
    command: String,
    #[serde(flatten)]
    body: &'a T,
}

/// Writes `body` as the result of kind `schema`, if a file is wanted.
fn write_document(path: Option<&Path>, schema: &str, body: &impl Serialize) -> Result<()> {
    let Some(path) = path else { return Ok(()) };
    write_json(path, &document(schema, body))
}

/// `body` as the result of kind `schema`.
fn document<'a, T: Serialize>(schema: &'a str, body: &'a T) -> Document<'a, T> {
    Document { schema, version: env!("CARGO_PKG_VERSION"), command: command_line(), body }
}
