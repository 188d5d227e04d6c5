//! `attelier man`: manual pages.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, CommandFactory};
use clap_mangen::Man;

use crate::{
    cli::Cli,
    exit::Verdict,
    output::{self, OutputFolder},
};

/// Where to.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Folder to make: `attelier.1` and a page per command; it must not exist or be empty
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// A folder that cannot be written.
pub fn run(args: &ManArgs) -> Result<Verdict> {
    let folder = OutputFolder::create(&args.output)?;
    let mut root = Cli::command().disable_help_subcommand(true);
    root.build();
    let pages = write(&folder, &root)?;
    folder.commit()?;
    output::print(&format!(
        "{pages} pages: man -l {}\n",
        args.output.join("attelier.1").display()
    ))?;
    Ok(Verdict::Passed)
}

/// Writes the page of a command and those of its subcommands; how many.
fn write(folder: &OutputFolder, command: &clap::Command) -> Result<usize> {
    // A built command is called `attelier-run`, and so is its page.
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    let mut page = folder.file(&format!("{name}.1"))?;
    // Without a date, so that the same version writes the same bytes.
    Man::new(command.clone()).date("").render(&mut page)?;
    std::io::Write::flush(&mut page)?;
    let subcommands = command.get_subcommands().filter(|command| !command.is_hide_set());
    subcommands.map(|command| write(folder, command)).sum::<Result<usize>>().map(|pages| pages + 1)
}
