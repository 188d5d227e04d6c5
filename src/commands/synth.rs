//! `attelier synth`: what Yosys makes of a unit for UltraScale+, beside our estimate; with `--area`, what it
//! takes on a chip.

mod area;

use anyhow::{Context, Result};
use attelier_rtl::{
    estimate::{Delays, Estimate, estimate},
    synthesis::{Cells, synthesise, yosys_version},
};
use clap::Args;
use serde::Serialize;

use super::write_document;
use crate::{
    cli::{Common, Overrides},
    cosim::select,
    exit::Verdict,
    output,
    table::{Align, grouped, table},
};

/// What to synthesise.
#[derive(Debug, Args)]
pub struct SynthArgs {
    /// Design, unit of the default design, or DESIGN/UNIT; `topk` is all units that begin so
    #[arg(value_name = "DESIGN or UNIT")]
    pub target: String,
    /// Area and leakage on a chip instead, from cells and memories of the hardware; needs no Yosys
    #[arg(long)]
    pub area: bool,
    /// How the design departs from its preset
    #[command(flatten)]
    pub overrides: Overrides,
}

/// One unit, as Yosys sees it and as estimated.
#[derive(Debug, Serialize)]
struct Row {
    unit: String,
    parameters: String,
    lut: u64,
    lutram: u64,
    carry4: u64,
    ff: u64,
    dsp: u64,
    /// RAMB18; a RAMB36 counts two.
    bram: u64,
    uram: u64,
    estimate: Estimated,
}

#[derive(Debug, Serialize)]
struct Estimated {
    lut: u64,
    lutram: u64,
    ff: u64,
    dsp: u64,
    bram: u64,
    uram: u64,
    levels: f64,
    ns: f64,
    fmax_mhz: f64,
}

impl Row {
    fn new(unit: String, parameters: String, cells: &Cells, ours: &Estimate) -> Self {
        Self {
            unit,
            parameters,
            lut: cells.lut,
            lutram: cells.lutram,
            carry4: cells.carry4,
            ff: cells.ff,
            dsp: cells.dsp,
            bram: cells.ramb18,
            uram: cells.uram,
            estimate: Estimated {
                lut: ours.lut,
                lutram: ours.lutram,
                ff: ours.ff,
                dsp: ours.dsp,
                bram: ours.ramb18,
                uram: ours.uram,
                levels: ours.path.levels,
                ns: ours.path.ns,
                fmax_mhz: 1e3 / ours.path.ns,
            },
        }
    }
}

#[derive(Serialize)]
struct Outcome<'a> {
    design: &'a str,
    config_hash: &'a str,
    tool: &'a str,
    rows: &'a [Row],
}

/// Runs the command.
pub fn run(args: &SynthArgs, common: &Common) -> Result<Verdict> {
    let selection = select(&args.target, &args.overrides)?;
    if args.area {
        return area::run(&selection, common);
    }
    let tool = yosys_version()?;
    let mut rows = Vec::new();
    for unit in &selection.units {
        let of = || format!("`{}` of `{}`", unit.name(), selection.design);
        let design = unit.design().with_context(of)?;
        let cells = synthesise(&design, unit.top()).with_context(of)?;
        let ours = estimate(&design, unit.top(), &Delays::default()).with_context(of)?;
        rows.push(Row::new(unit.name().to_owned(), unit.parameters(), &cells, &ours));
    }
    let outcome = Outcome {
        design: selection.design,
        config_hash: &selection.config_hash,
        tool: &tool,
        rows: &rows,
    };
    write_document(common.json.as_deref(), "attelier-synth-1", &outcome)?;
    output::print(&text(&tool, &rows))?;
    Ok(Verdict::Passed)
}

fn text(tool: &str, rows: &[Row]) -> String {
    use Align::{Left, Right};
    let columns = [
        ("unit", Left),
        ("parameters", Left),
        ("LUT", Right),
        ("estimate", Right),
        ("", Right),
        ("FF", Right),
        ("estimate", Right),
        ("DSP", Right),
        ("estimate", Right),
        ("RAMB18", Right),
        ("estimate", Right),
        ("estimated path", Right),
    ];
    let cells = rows.iter().map(|row| {
        let ours = &row.estimate;
        let (lut, estimated) = (row.lut + row.lutram, ours.lut + ours.lutram);
        let deviation = match lut {
            0 => "-".to_owned(),
            lut => format!("{:+.0} %", 100.0 * (estimated as f64 / lut as f64 - 1.0)),
        };
        vec![
            row.unit.clone(),
            row.parameters.clone(),
            grouped(lut),
            grouped(estimated),
            deviation,
            grouped(row.ff),
            grouped(ours.ff),
            grouped(row.dsp),
            grouped(ours.dsp),
            grouped(row.bram),
            grouped(ours.bram),
            format!("{:.2} ns, {:.0} MHz", ours.ns, ours.fmax_mhz),
        ]
    });
    let title = format!("{tool}, synth_xilinx -family xcup, flattened, beside our estimate\n");
    title + &table(&columns, cells)
}
