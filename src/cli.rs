//! Arguments of the command line.

use std::{env, path::PathBuf};

use clap::{Args, Parser, Subcommand};

use crate::commands::{
    compare::CompareArgs, completions::CompletionsArgs, cosim::CosimArgs, dram::DramArgs,
    explore::ExploreArgs, fidelity::FidelityArgs, list::ListArgs, man::ManArgs, report::ReportArgs,
    reproduce::ReproduceArgs, rtl::RtlArgs, run::RunArgs, show::ShowArgs, synth::SynthArgs,
    trace::TraceArgs,
};

/// A workshop for attention accelerators.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub common: Common,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
pub struct Common {
    /// Write the result as JSON too
    #[arg(long, global = true, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Seed of everything drawn at random
    #[arg(long, global = true, value_name = "N", default_value_t = 0)]
    pub seed: u64,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Simulate a workload on a design
    Run(RunArgs),
    /// List what exists
    List(ListArgs),
    /// Print the checked parameters of a design as TOML, with units and sources
    Show(ShowArgs),
    /// Reproduce published figures: ours beside theirs
    Reproduce(ReproduceArgs),
    /// Emit the Verilog of a design or unit, with test bench, file list, constraint and estimate
    Rtl(RtlArgs),
    /// Compare hardware with the simulator, cycle by cycle
    Cosim(CosimArgs),
    /// Synthesise a unit with Yosys: cells beside our estimate
    Synth(SynthArgs),
    /// Sweep pruning and bits of a model on a design: fidelity and cost
    Fidelity(FidelityArgs),
    /// Simulate many points of a design space and name the best
    Explore(ExploreArgs),
    /// Run a DRAM case: requests in, commands out
    Dram(DramArgs),
    /// Put results of one command side by side, with ratios to the first
    Compare(CompareArgs),
    /// Write results as one HTML page that opens offline
    Report(ReportArgs),
    /// Convert and summarise attention traces
    Trace(TraceArgs),
    /// Print what a shell needs to complete commands and options
    Completions(CompletionsArgs),
    /// Write manual pages, one per command
    Man(ManArgs),
}

/// How a design departs from its preset.
#[derive(Debug, Default, Args)]
pub struct Overrides {
    /// Read parameters from a TOML file, on top of the preset
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Override one parameter, on top of the file; may be repeated
    #[arg(long, value_name = "PATH=VALUE", value_parser = assignment)]
    pub set: Vec<String>,
}

/// Refuses what the shell has taken apart; the rest is checked against the design.
fn assignment(text: &str) -> Result<String, String> {
    match text.contains('=') {
        true => Ok(text.to_owned()),
        false => {
            Err("expected `path=value` in one word, for example `key_sram.bytes=98304`".to_owned())
        }
    }
}

/// The command line as a user could type it again, without the folder of the program.
pub fn command_line() -> String {
    let args = env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned());
    let words: Vec<String> = args.map(|arg| quoted(&arg)).collect();
    [&["attelier".to_owned()], &words[..]].concat().join(" ")
}

/// The word as a shell would need it.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+./:,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_grammar_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn common_options_stand_before_or_after_the_command() {
        for args in [
            ["attelier", "--seed", "7", "--json", "o.json", "run"],
            ["attelier", "run", "--seed", "7", "--json", "o.json"],
        ] {
            let cli = Cli::parse_from(args);
            assert_eq!(cli.common.seed, 7);
            assert_eq!(cli.common.json, Some("o.json".into()));
        }
    }

    #[test]
    fn words_are_quoted_only_where_a_shell_needs_it() {
        assert_eq!(quoted("gpt2-small/wikitext2"), "gpt2-small/wikitext2");
        assert_eq!(quoted("topk_value.parallelism=8"), "topk_value.parallelism=8");
        assert_eq!(quoted("my trace's.csv"), r"'my trace'\''s.csv'");
        assert_eq!(quoted(""), "''");
    }
}
