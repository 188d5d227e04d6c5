//! `attelier completions`: a script for a shell.

use anyhow::Result;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::{cli::Cli, exit::Verdict, output};

/// For which shell.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// Shell; for bash: `source <(attelier completions bash)`
    pub shell: Shell,
}

/// Runs the command.
///
/// # Errors
/// An output that cannot be written.
pub fn run(args: &CompletionsArgs) -> Result<Verdict> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "attelier", &mut script);
    output::print(&String::from_utf8(script)?)?;
    Ok(Verdict::Passed)
}
