//! `attelier cosim`: hardware compared with the simulator, cycle by cycle.

use std::path::Path;

use anyhow::{Result, bail};
use attelier_hw::{edge_moe::EdgeMoe, spatten::Spatten};
use attelier_workloads::{Knobs, pruning::Pruning};
use clap::Args;
use serde::Serialize;

use super::write_document;
use crate::{
    cli::{Common, Overrides},
    cosim::{
        self, Bench, Options, Plan, Real, Recorded, Recorder, Row, Selection, Unit, Witness,
        edge_moe::image::Image, spatten::requests::Requests,
    },
    exit::Verdict,
    machines, output,
    table::{Align, grouped, table, with_prefix},
    values::{self, ImageSource, Source, TextArgs},
    workload,
};

/// Sizes of the image that the hardware of Edge-MoE is made for.
const MODEL: &str = "m3vit-tiny/cityscapes";

/// What to compare, and with whom.
#[derive(Debug, Args)]
pub struct CosimArgs {
    /// Design, unit of the default design, or DESIGN/UNIT; `topk` is all units that begin so
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
    /// Model folder or trace with tensors: all beats of its requests follow the random ones. They are
    /// pruned as by default and, with `--set workload.token_keep=0.5` and the like, a second time as
    /// asked for; see `attelier run --help`. For `edge-moe` a folder with the tensors of an image: what
    /// crosses the units in its first two layers
    #[arg(long, value_name = "WORKLOAD")]
    pub workload: Option<String>,
    /// Text for models.
    #[command(flatten)]
    pub text: TextArgs,
    /// How the design departs from its preset
    #[command(flatten)]
    pub overrides: Overrides,
}

#[derive(Serialize)]
struct Outcome<'a> {
    design: &'a str,
    config_hash: String,
    seed: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    requests: Option<String>,
    rows: &'a [Row],
}

/// Runs the command.
pub fn run(args: &CosimArgs, common: &Common) -> Result<Verdict> {
    let (knobs, set) = workload::split_sets(&args.overrides.set);
    let overrides = Overrides { config: args.overrides.config.clone(), set };
    let selection = cosim::select(&args.target, &overrides)?;
    let recorded = recorded(args, &knobs, &selection, common.seed)?;
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
        .map(|unit| {
            let bench = Bench::new(&**unit)?;
            let mut row = bench.compare(&options)?;
            if let Some(recorded) = &recorded {
                row.real = Some(bench.compare_real(&options, &**recorded)?);
            }
            Ok(row)
        })
        .collect::<Result<_>>()?;
    let result = Outcome {
        design: selection.design,
        config_hash: selection.config_hash,
        seed: common.seed,
        requests: recorded.as_ref().map(|recorded| recorded.summary()),
        rows: &rows,
    };
    write_document(common.json.as_deref(), "attelier-cosim-1", &result)?;
    output::print(&text(&rows))?;
    if let Some(recorded) = &recorded {
        output::print(&text_of_real(&recorded.summary(), &rows))?;
    }
    for unit in &selection.units {
        if let Some(reason) = left_out(&**unit) {
            output::print(&format!("{} is left out: {reason}\n", unit.name()))?;
        }
    }
    Ok(if rows.iter().all(Row::passed) { Verdict::Passed } else { Verdict::CheckFailed })
}

/// The real work that the arguments ask for, if they do.
fn recorded(
    args: &CosimArgs,
    knobs: &[&str],
    selection: &Selection,
    seed: u64,
) -> Result<Option<Box<dyn Recorded>>> {
    let Some(name) = &args.workload else {
        let options = [
            (!knobs.is_empty(), "--set workload"),
            (args.text.text.is_some(), "--text"),
            (args.text.steps.is_some(), "--steps"),
        ];
        if let Some((_, option)) = options.iter().find(|(given, _)| *given) {
            bail!("`{option}` is for real requests: expected `--workload` with a model folder too");
        }
        return Ok(None);
    };
    Ok(Some(match &selection.records {
        Some(Recorder::Spatten(params)) => Box::new(requests(params, name, &args.text, knobs)?),
        Some(Recorder::EdgeMoe(machine)) => {
            Box::new(image(machine, name, &args.text, &workload::knobs(knobs, seed)?)?)
        }
        None => bail!(
            "real work is recorded for the units of SpAtten and Edge-MoE only: leave `--workload` out"
        ),
    }))
}

/// The requests of a model folder or a trace with tensors.
fn requests(params: &Spatten, name: &str, text: &TextArgs, knobs: &[&str]) -> Result<Requests> {
    let is_counts = workload::file(name).is_none() || workload::is_config(name);
    let source = if is_counts { None } else { Source::open(name, text)? };
    let Some(source) = source else {
        bail!(
            "`--workload {name}` has counts only: expected a model folder or a trace with tensors \
             (`attelier trace extract`)"
        );
    };
    let asked = values::pruning(knobs)?;
    let mut settings = vec![Pruning::default()];
    settings.extend(Some(asked).filter(|asked| *asked != Pruning::default()));
    let recordings = settings
        .iter()
        .map(|pruning| machines::spatten::record(params, &source, pruning))
        .collect::<Result<Vec<_>>>()?;
    Requests::new(params, &recordings)
}

/// The image of a folder.
fn image(machine: &EdgeMoe, name: &str, text: &TextArgs, knobs: &Knobs) -> Result<Image> {
    if text.text.is_some() || text.steps.is_some() {
        bail!("`--text` and `--steps` are for models that read text: leave them out for an image");
    }
    let folder = Path::new(name);
    let source = if folder.is_dir() { ImageSource::open(name, MODEL, knobs)? } else { None };
    let Some(source) = source else {
        bail!(
            "`--workload {name}` is no folder with the tensors of an image: expected `image.float32.bin` and \
             others as released with Edge-MoE"
        );
    };
    Image::record(machine, source.network(), source.task())
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

/// What real requests brought to each unit.
fn text_of_real(summary: &str, rows: &[Row]) -> String {
    use Align::{Left, Right};
    let columns = [
        ("unit", Left),
        ("real beats", Right),
        ("cycles", Right),
        ("of them Icarus", Right),
        ("compared", Right),
        ("mismatches", Right),
        ("undefined", Right),
        ("mutants caught", Right),
    ];
    let mut remarks = String::new();
    let mut cells = Vec::new();
    for row in rows {
        let count = |count: Option<u64>| count.map_or("-".into(), grouped);
        match &row.real {
            Some(Real::Compared {
                beats,
                cycles,
                compared,
                mismatches,
                icarus_beats,
                undefined,
                mutants,
                mutants_caught,
                faults,
            }) => {
                cells.push(vec![
                    row.unit.clone(),
                    grouped(*beats),
                    grouped(*cycles),
                    count(*icarus_beats),
                    grouped(*compared),
                    grouped(*mismatches),
                    count(*undefined),
                    format!("{mutants_caught} of {mutants}"),
                ]);
                for fault in faults {
                    remarks.push_str(&format!("{}: {fault}\n", row.unit));
                }
            }
            Some(Real::Nothing { reason }) => {
                remarks.push_str(&format!("{}: no real beats: {reason}\n", row.unit));
            }
            None => {}
        }
    }
    format!("\nreal requests, {summary}\n{}{remarks}", table(&columns, cells))
}
