//! `attelier cosim`: hardware compared with the simulator, cycle by cycle.

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::write_document;
use crate::{
    cli::{Common, Overrides},
    cosim::{self, Options, Plan, Row, Unit, Witness},
    exit::Verdict,
    machines, output,
    table::{Align, grouped, table, with_prefix},
};

/// What to compare, and with whom.
#[derive(Debug, Args)]
pub struct CosimArgs {
    /// Design, unit of the default design, or DESIGN/UNIT
    #[arg(value_name = "DESIGN or UNIT", default_value = machines::DEFAULT_DESIGN)]
    pub target: String,
    /// Witnesses beside the model
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        value_name = "WITNESS,...",
        default_value = "native,icarus,verilator"
    )]
    pub with: Vec<Witness>,
    /// Random beats per unit
    #[arg(long, value_name = "N", default_value_t = 100_000,
          value_parser = clap::value_parser!(u64).range(1..))]
    pub beats: u64,
    /// Random beats per unit for Icarus, which is much slower
    #[arg(long, value_name = "N", default_value_t = 2_000,
          value_parser = clap::value_parser!(u64).range(1..))]
    pub icarus_beats: u64,
    /// How the design departs from its preset
    #[command(flatten)]
    pub overrides: Overrides,
}

#[derive(Serialize)]
struct Outcome<'a> {
    design: &'a str,
    config_hash: String,
    seed: u64,
    rows: &'a [Row],
}

/// Runs the command.
pub fn run(args: &CosimArgs, common: &Common) -> Result<Verdict> {
    let selection = cosim::select(&args.target, &args.overrides)?;
    let mut with = args.with.clone();
    with.sort_unstable();
    with.dedup();
    let plan = Plan { beats: args.beats, seed: common.seed };
    let options = Options { with, plan, icarus_beats: args.icarus_beats };
    let named = selection.units.len() == 1;
    let left_out = |unit: &dyn Unit| unit.left_out().filter(|_| !named);
    let rows: Vec<Row> = selection
        .units
        .iter()
        .filter(|unit| left_out(&***unit).is_none())
        .map(|unit| cosim::compare(&**unit, &options))
        .collect::<Result<_>>()?;
    let result = Outcome {
        design: selection.design,
        config_hash: selection.config_hash,
        seed: common.seed,
        rows: &rows,
    };
    write_document(common.json.as_deref(), "attelier-cosim-1", &result)?;
    output::print(&text(&rows))?;
    for unit in &selection.units {
        if let Some(reason) = left_out(&**unit) {
            output::print(&format!("{} is left out: {reason}\n", unit.name()))?;
        }
    }
    Ok(if rows.iter().all(Row::passed) { Verdict::Passed } else { Verdict::CheckFailed })
}

/// The rows as a table, then what is wrong.
fn text(rows: &[Row]) -> String {
    use Align::{Left, Right};
    let columns = [
        ("unit", Left),
        ("parameters", Left),
        ("witnesses", Left),
        ("vectors", Right),
        ("cycles", Right),
        ("signals", Right),
        ("mismatches", Right),
        ("undefined", Right),
        ("mutants caught", Right),
        ("native", Right),
        ("Verilator", Right),
    ];
    let speed = |speed: Option<f64>| speed.map_or("-".into(), |speed| with_prefix(speed, "Hz"));
    let cells = rows.iter().map(|row| {
        vec![
            row.unit.clone(),
            row.parameters.clone(),
            row.witnesses.join(" "),
            grouped(row.vectors),
            grouped(row.cycles),
            grouped(row.signals as u64),
            grouped(row.mismatches),
            row.undefined.map_or("-".into(), grouped),
            format!("{} of {}", row.mutants_caught, row.mutants),
            speed(row.native_cycles_per_second),
            speed(row.verilator_cycles_per_second),
        ]
    });
    let mut text = table(&columns, cells);
    for row in rows {
        if let Some(stimulus) = &row.stimulus {
            text.push_str(&format!("{}: {stimulus}\n", row.unit));
        }
        for fault in &row.faults {
            text.push_str(&format!("{}: {fault}\n", row.unit));
        }
        if row.compared == 0 {
            text.push_str(&format!("{}: nothing was compared\n", row.unit));
        }
    }
    text
}
