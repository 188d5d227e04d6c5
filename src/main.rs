//! The `attelier` command.

use std::process::ExitCode;

use attelier::{cli::Cli, commands, exit};
use clap::Parser;

fn main() -> ExitCode {
    exit::code(commands::run(&Cli::parse()))
}
