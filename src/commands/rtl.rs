//! `attelier rtl`: the Verilog of a design or unit, with all that other tools need beside it.

use std::path::PathBuf;

use anyhow::{Context, Result};
use attelier_rtl::{
    package::{About, package},
    verilog::SourceFile,
    witness::{Pins, TestBench},
};
use clap::Args;
use serde::Serialize;

use super::write_document;
use crate::{
    cli::{self, Common, Overrides},
    cosim::{Plan, Selection, Unit, select},
    exit::Verdict,
    output::{self, OutputFolder},
    table::{Align, grouped, table},
};

/// What to emit, and where.
#[derive(Debug, Args)]
pub struct RtlArgs {
    /// Design, unit of the default design, or DESIGN/UNIT; `topk` is all units that begin so
    #[arg(value_name = "DESIGN or UNIT")]
    pub target: String,
    /// Folder to make: one folder per unit in it; it must not exist or be empty
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,
    /// Beats that the test bench of each unit applies
    #[arg(long, value_name = "N", default_value_t = 500,
          value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub beats: u64,
    /// How the design departs from its preset
    #[command(flatten)]
    pub overrides: Overrides,
}

/// A unit that was emitted.
#[derive(Serialize)]
pub struct Row {
    unit: String,
    parameters: String,
    modules: usize,
    lines: usize,
    folder: String,
}

#[derive(Serialize)]
struct Outcome<'a> {
    rows: &'a [Row],
}

/// Runs the command.
pub fn run(args: &RtlArgs, common: &Common) -> Result<Verdict> {
    let folder = OutputFolder::create(&args.output)?;
    let selection = select(&args.target, &args.overrides)?;
    let plan = Plan { beats: args.beats, seed: common.seed };
    let rows = emit(&selection, plan, &command(args, common), &folder)?;
    folder.commit()?;
    write_document(common.json.as_deref(), "attelier-rtl-1", &Outcome { rows: &rows })?;
    output::print(&text(&rows))?;
    Ok(Verdict::Passed)
}

/// Emits units, each into a folder of its own in `folder`.
///
/// # Errors
/// A unit that cannot be built; a folder that cannot be written.
pub fn emit(
    selection: &Selection,
    plan: Plan,
    command: &str,
    folder: &OutputFolder,
) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for unit in &selection.units {
        let files = files(&**unit, selection, plan, command)?;
        let verilog = |file: &&SourceFile| file.name.ends_with(".v") && file.name != "bench.v";
        let sources = || files.iter().filter(verilog);
        rows.push(Row {
            unit: unit.name().to_owned(),
            parameters: unit.parameters(),
            modules: sources().count(),
            lines: sources().map(|file| file.text.lines().count()).sum(),
            folder: folder.path().join(unit.name()).display().to_string(),
        });
        let files = files.iter().map(|file| (file.name.as_str(), file.text.as_str()));
        folder.write(unit.name(), files)?;
    }
    Ok(rows)
}

fn files(
    unit: &dyn Unit,
    selection: &Selection,
    plan: Plan,
    command: &str,
) -> Result<Vec<SourceFile>> {
    let of = || format!("`{}` of `{}`", unit.name(), selection.design);
    let design = unit.design().with_context(of)?;
    let pins = Pins::of(design.module(unit.top())?);
    let bench = TestBench::new(&design, unit.top(), &mut *unit.vectors(&pins, plan))?;
    let about = About {
        top: unit.top(),
        parameters: &unit.parameters(),
        clock_hz: selection.clock_hz,
        command,
    };
    package(&design, &about, bench).with_context(of)
}

/// The command, without the places of this machine.
fn command(args: &RtlArgs, common: &Common) -> String {
    let mut words = vec!["attelier rtl".to_owned(), args.target.clone(), "-o DIR".to_owned()];
    words.push(format!("--beats {} --seed {}", args.beats, common.seed));
    words.extend(args.overrides.config.iter().map(|file| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        format!("--config {}", cli::quoted(&name))
    }));
    words.extend(args.overrides.set.iter().map(|set| format!("--set {}", cli::quoted(set))));
    words.join(" ")
}

fn text(rows: &[Row]) -> String {
    use Align::{Left, Right};
    let columns = [
        ("unit", Left),
        ("parameters", Left),
        ("modules", Right),
        ("lines", Right),
        ("folder", Left),
    ];
    let cells = rows.iter().map(|row| {
        vec![
            row.unit.clone(),
            row.parameters.clone(),
            grouped(row.modules as u64),
            grouped(row.lines as u64),
            row.folder.clone(),
        ]
    });
    table(&columns, cells)
        + "Each folder has a README.md that says how to simulate and synthesise it.\n"
}
