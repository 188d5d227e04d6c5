//! Programs outside of Rust.

use std::{
    fs,
    io::{self, Write},
    path::Path,
    process::{Command, Stdio},
};

use thiserror::Error;

use crate::{Design, Error};

/// Why a witness outside of Rust gave no answer.
#[derive(Debug, Error)]
pub enum ToolError {
    /// The program is not installed.
    #[error("cannot run `{program}`: {error} (Debian package `{package}`)")]
    Missing {
        /// Program.
        program: &'static str,
        /// Where it comes from.
        package: &'static str,
        /// What the system says.
        error: io::Error,
    },
    /// The program objected.
    #[error("`{program}` failed:\n{output}")]
    Failed {
        /// Program.
        program: &'static str,
        /// What it wrote.
        output: String,
    },
    /// The program wrote something else than the bench makes it write.
    #[error("`{program}` wrote a line that its bench does not write: {line}")]
    Answer {
        /// Program.
        program: &'static str,
        /// The line.
        line: String,
    },
    /// Its files could not be written or read.
    #[error("cannot write the files of a bench: {0}")]
    Files(#[from] io::Error),
    /// The design is at fault.
    #[error(transparent)]
    Design(#[from] Error),
}

/// Debian package of a program.
fn package(program: &'static str) -> &'static str {
    match program {
        "verilator" => "verilator",
        "yosys" => "yosys",
        _ => "iverilog",
    }
}

/// Runs a program to its end and returns what it wrote to standard output. `feed` writes to its
/// standard input.
pub(super) fn run(
    program: &'static str,
    command: &mut Command,
    feed: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<String, ToolError> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| ToolError::Missing {
        program,
        package: package(program),
        error,
    })?;
    let fed = match child.stdin.take() {
        Some(stdin) => {
            let mut stdin = io::BufWriter::with_capacity(1 << 16, stdin);
            feed(&mut stdin).and_then(|()| stdin.flush())
        }
        None => Ok(()),
    };
    let output = child.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let output = text + &String::from_utf8_lossy(&output.stderr);
        return Err(ToolError::Failed { program, output });
    }
    fed?;
    Ok(text)
}

/// Writes the Verilog of a design into a folder; returns the file names, each after those of the
/// modules it instantiates.
pub(super) fn write_sources(design: &Design, folder: &Path) -> Result<Vec<String>, ToolError> {
    let mut names = Vec::new();
    for file in design.verilog() {
        fs::write(folder.join(&file.name), file.text)?;
        names.push(file.name);
    }
    Ok(names)
}
