//! `attelier synth`: what Yosys makes of a unit for UltraScale+, beside our estimate; the estimate of a whole
//! design beside what a board has; or with `--area`, what it takes on a chip.

mod area;

use anyhow::{Context, Error, Result, bail};
use attelier_hw::board::{Board, Resources};
use attelier_rtl::{
    estimate::{Delays, Estimate, estimate},
    synthesis::{Cells, synthesise, yosys_version},
};
use clap::Args;
use serde::Serialize;

use super::write_document;
use crate::{
    cli::{Common, Overrides},
    cosim::{Selection, select},
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
    /// Leave Yosys out; of a design that fits a board, print what all of it takes
    #[arg(long)]
    pub estimate: bool,
    /// Board that the whole design is compared with [default: the one of its preset]
    #[arg(long, value_name = "BOARD", requires = "estimate")]
    pub board: Option<String>,
    /// Area and leakage on a chip instead, from cells and memories of the hardware; needs no Yosys
    #[arg(long, conflicts_with = "estimate")]
    pub area: bool,
    /// How the design departs from its preset
    #[command(flatten)]
    pub overrides: Overrides,
}

/// One unit, as Yosys sees it, where it was run, and as estimated.
#[derive(Debug, Serialize)]
struct Row {
    unit: String,
    parameters: String,
    lut: Option<u64>,
    lutram: Option<u64>,
    carry4: Option<u64>,
    ff: Option<u64>,
    dsp: Option<u64>,
    /// RAMB18; a RAMB36 counts two.
    bram: Option<u64>,
    uram: Option<u64>,
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
    fn new(unit: String, parameters: String, cells: Option<Cells>, ours: &Estimate) -> Self {
        let of = |count: fn(&Cells) -> u64| cells.as_ref().map(count);
        Self {
            unit,
            parameters,
            lut: of(|cells| cells.lut),
            lutram: of(|cells| cells.lutram),
            carry4: of(|cells| cells.carry4),
            ff: of(|cells| cells.ff),
            dsp: of(|cells| cells.dsp),
            bram: of(|cells| cells.ramb18),
            uram: of(|cells| cells.uram),
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

/// A whole design beside a board.
#[derive(Debug, Serialize)]
struct Whole {
    units: &'static [&'static str],
    board: &'static str,
    device: &'static str,
    resources: Vec<Resource>,
}

#[derive(Debug, Serialize)]
struct Resource {
    name: &'static str,
    estimate: u64,
    board: u64,
}

impl Whole {
    /// All units of a design together.
    fn new(units: &'static [&'static str], board: &'static Board, rows: &[Row]) -> Self {
        let whole = rows.iter().filter(|row| units.contains(&row.unit.as_str()));
        let needed = whole.fold(Resources::default(), |sum, row| {
            let Estimated { lut, lutram, ff, dsp, bram, uram, .. } = row.estimate;
            sum.plus(&Resources { lut: lut.saturating_add(lutram), ff, dsp, ramb18: bram, uram })
        });
        let pairs = needed.counts().into_iter().zip(board.resources.counts());
        let resource = |((name, estimate), (_, board))| Resource { name, estimate, board };
        let resources = pairs.map(resource).collect();
        Self { units, board: board.name, device: board.device, resources }
    }

    fn lacking(&self) -> impl Iterator<Item = &Resource> {
        self.resources.iter().filter(|resource| resource.estimate > resource.board)
    }

    fn text(&self, design: &str) -> String {
        use Align::{Left, Right};
        let columns = [("resource", Left), ("estimate", Right), ("board", Right), ("", Right)];
        let cells = self.resources.iter().map(|Resource { name, estimate, board }| {
            let share = match board {
                0 => "-".to_owned(),
                _ => format!("{:.1} %", 100.0 * *estimate as f64 / *board as f64),
            };
            vec![(*name).to_owned(), grouped(*estimate), grouped(*board), share]
        });
        let mut text = format!("\n`{design}` on {} ({})\n", self.board, self.device);
        text.push_str(&table(&columns, cells));
        for Resource { name, estimate, board } in self.lacking() {
            let (estimate, board) = (grouped(*estimate), grouped(*board));
            text.push_str(&format!("does not fit: {estimate} {name}, and the board has {board}\n"));
        }
        text
    }
}

#[derive(Serialize)]
struct Outcome<'a> {
    design: &'a str,
    config_hash: &'a str,
    tool: Option<&'a str>,
    rows: &'a [Row],
    #[serde(skip_serializing_if = "Option::is_none")]
    whole: Option<&'a Whole>,
}

/// Runs the command.
pub fn run(args: &SynthArgs, common: &Common) -> Result<Verdict> {
    let selection = select(&args.target, &args.overrides)?;
    if args.area {
        return area::run(&selection, common);
    }
    let tool = if args.estimate { None } else { Some(yosys_version()?) };
    let board = board(args, &selection)?;
    let mut rows = Vec::new();
    for unit in &selection.units {
        let of = || format!("`{}` of `{}`", unit.name(), selection.design);
        let design = unit.design().with_context(of)?;
        let synthesised = tool.is_some().then(|| synthesise(&design, unit.top()));
        let cells = synthesised.transpose().with_context(of)?;
        let ours = estimate(&design, unit.top(), &Delays::default()).with_context(of)?;
        rows.push(Row::new(unit.name().to_owned(), unit.parameters(), cells, &ours));
    }
    let whole = board.map(|board| Whole::new(selection.whole, board, &rows));
    let outcome = Outcome {
        design: selection.design,
        config_hash: &selection.config_hash,
        tool: tool.as_deref(),
        rows: &rows,
        whole: whole.as_ref(),
    };
    write_document(common.json.as_deref(), "attelier-synth-1", &outcome)?;
    output::print(&text(tool.as_deref(), &rows))?;
    if let Some(whole) = &whole {
        output::print(&whole.text(selection.design))?;
    }
    let fits = whole.is_none_or(|whole| whole.lacking().next().is_none());
    Ok(if fits { Verdict::Passed } else { Verdict::CheckFailed })
}

/// The board that the selection is compared with; none if it is not a whole design.
fn board(args: &SynthArgs, selection: &Selection) -> Result<Option<&'static Board>> {
    let names = || selection.units.iter().map(|unit| unit.name());
    let is_whole = !selection.whole.is_empty()
        && selection.whole.iter().all(|part| names().any(|name| name == *part));
    let Some(name) = args.board.as_deref().or(selection.board.filter(|_| args.estimate)) else {
        return Ok(None);
    };
    if !is_whole && args.board.is_some() {
        bail!(
            "`--board` is for a design of which all units are known, and `{}` is none: expected `edge-moe` \
             or `edge-moe-zcu104`",
            args.target
        );
    }
    let board = Board::find(name).map_err(Error::msg)?;
    Ok(is_whole.then_some(board))
}

fn text(tool: Option<&str>, rows: &[Row]) -> String {
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
        ("URAM", Right),
        ("estimate", Right),
        ("estimated path", Right),
    ];
    let cells = rows.iter().map(|row| {
        let ours = &row.estimate;
        let (lut, estimated) =
            (row.lut.zip(row.lutram).map(|(a, b)| a + b), ours.lut + ours.lutram);
        let deviation = match lut {
            None | Some(0) => "-".to_owned(),
            Some(lut) => format!("{:+.0} %", 100.0 * (estimated as f64 / lut as f64 - 1.0)),
        };
        let count = |count: Option<u64>| count.map_or("-".to_owned(), grouped);
        vec![
            row.unit.clone(),
            row.parameters.clone(),
            count(lut),
            grouped(estimated),
            deviation,
            count(row.ff),
            grouped(ours.ff),
            count(row.dsp),
            grouped(ours.dsp),
            count(row.bram),
            grouped(ours.bram),
            count(row.uram),
            grouped(ours.uram),
            format!("{:.2} ns, {:.0} MHz", ours.ns, ours.fmax_mhz),
        ]
    });
    let title = match tool {
        Some(tool) => {
            format!("{tool}, synth_xilinx -family xcup, flattened, beside our estimate\n")
        }
        None => "our estimate for UltraScale+\n".to_owned(),
    };
    title + &table(&columns, cells)
}
