//! Project automation, run as `cargo xtask COMMAND`.
#![allow(clippy::print_stdout, reason = "a terminal tool: its output is its purpose")]

mod fit;
mod packages;
mod python;
mod shared;
mod steps;
mod studies;
mod tally;
mod validation;

use std::{env, process::ExitCode};

const USAGE: &str = "\
Usage: cargo xtask COMMAND

  test [--require-all]   format check, lints, documentation, doc tests, all tests
                         --require-all: a missing tool or missing data is a failure, not a printed line
  python                 make the Python that tests compare models with, in target/python
  fit-scores [--write]   fit the synthetic attention scores to MiniLM and print how well they agree
                         --write: rewrite the committed parameters and measurements
  studies                explore the ready-made spaces and redraw the figures of docs/studies
  validation [--check]   make every published figure again and rewrite the tables of docs/validation.md
                         --check: compare them instead
  bless                  rewrite the snapshots that the tests compare with; review the diff";

/// Turns a missing tool or missing data from a printed line into a failure; tests read it too.
const REQUIRE_ALL: &str = "ATTELIER_REQUIRE_ALL";

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let required = env::var_os(REQUIRE_ALL).is_some_and(|value| value == "1");
    match args[..] {
        ["test"] => steps::test(required),
        ["test", "--require-all"] => steps::test(true),
        ["python"] if python::provide() => ExitCode::SUCCESS,
        ["python"] => ExitCode::FAILURE,
        ["fit-scores"] => fit::fit_scores(false),
        ["fit-scores", "--write"] => fit::fit_scores(true),
        ["studies"] => studies::draw(),
        ["validation"] => validation::fill(false),
        ["validation", "--check"] => validation::fill(true),
        ["bless"] => steps::bless(),
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}
