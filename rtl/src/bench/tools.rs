//! Programs outside: Verilog simulators, linter and synthesis.

use std::{
    fs::File,
    path::Path,
    process::{Command, Stdio},
};

use super::BenchError;

/// A Verilog simulator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// Icarus Verilog: interpreted, four states, starts at once.
    Icarus,
    /// Verilator: compiled, two states; a build takes seconds, so one holds many cases.
    Verilator,
}

impl Tool {
    /// Name for messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Icarus => "Icarus Verilog",
            Self::Verilator => "Verilator",
        }
    }

    /// The program that must be in `PATH`.
    pub fn program(self) -> &'static str {
        match self {
            Self::Icarus => "iverilog",
            Self::Verilator => "verilator",
        }
    }
}

/// Compiles and runs the bench in a folder; returns what it printed.
pub fn simulate(tool: Tool, folder: &Path, files: &[String]) -> Result<String, BenchError> {
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    match tool {
        Tool::Icarus => {
            let build = ["-g2005", "-Wall", "-s", "bench", "-o", "bench.vvp"];
            run("iverilog", folder, &[&build[..], &files].concat())?;
            run("vvp", folder, &["-n", "bench.vvp"])
        }
        Tool::Verilator => {
            // The bench is no product: only the modules are linted, elsewhere.
            let build = [
                "--binary",
                "-j",
                "2",
                "-Wno-lint",
                "-Wno-style",
                "-Wno-fatal",
                "--top-module",
                "bench",
            ];
            let fast = ["-O3", "--x-assign", "0", "-CFLAGS", "-O0"];
            run("verilator", folder, &[&build[..], &fast, &files].concat())?;
            run("./obj_dir/Vbench", folder, &[])
        }
    }
}

/// `verilator --lint-only -Wall` over files of a folder, without any waiver. Returns the warnings;
/// empty where there are none.
///
/// # Errors
/// Verilator does not start.
pub fn lint(folder: &Path, top: &str, files: &[String]) -> Result<String, BenchError> {
    let mut args = vec!["--lint-only", "-Wall", "--top-module", top];
    args.extend(files.iter().map(String::as_str));
    match run("verilator", folder, &args) {
        Ok(output) | Err(BenchError::Tool { output, .. }) => Ok(output),
        Err(error) => Err(error),
    }
}

/// Runs Yosys commands in a folder; returns what it printed.
///
/// # Errors
/// Yosys does not start, or a command fails; a failed proof is such a failure.
pub fn yosys(folder: &Path, commands: &str) -> Result<String, BenchError> {
    run("yosys", folder, &["-Q", "-T", "-p", commands])
}

/// Standard output and error of a program, in a file so that no pipe can fill up.
fn run(program: &'static str, folder: &Path, args: &[&str]) -> Result<String, BenchError> {
    let io = |source| BenchError::Io { what: format!("running {program}"), source };
    let log = tempfile::NamedTempFile::new().map_err(io)?;
    let writer = || -> std::io::Result<File> { log.as_file().try_clone() };
    let status = Command::new(program)
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(writer().map_err(io)?)
        .stderr(writer().map_err(io)?)
        .status()
        .map_err(io)?;
    let output = std::fs::read(log.path()).map_err(io)?;
    let output = String::from_utf8_lossy(&output).into_owned();
    if status.success() { Ok(output) } else { Err(BenchError::Tool { tool: program, output }) }
}
