//! `attelier fidelity`: what pruning and quantisation do to the result of a model, and what they
//! save.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context, Result, bail};
use attelier_sim::kernel::run::Mode;
use attelier_sim::observe::Nobody;
use clap::Args;
use rayon::prelude::*;
use serde::Serialize;

use super::document;
use crate::{
    cli::{Common, Overrides},
    exit::Verdict,
    machines::{self, Machine},
    observers::progress::Progress,
    output::{self, OutputFile},
    plot::{self, Chart, Line},
    published,
    report::{Checks, Progressive},
    table::{
        Align::{Left, Right},
        bullets, grouped, percent, table,
    },
    values::{self, Fidelity, Source, TextArgs},
    workload::split_sets,
};

/// Which model, which machine.
#[derive(Debug, Args)]
pub struct FidelityArgs {
    /// Design; see `attelier list designs`
    pub design: String,
    /// Model folder with `config.json`, `model.safetensors` and `tokenizer.json`
    pub model: String,
    /// Text for the model.
    #[command(flatten)]
    pub text: TextArgs,
    /// Departures from the preset, and knobs that hold for all points.
    #[command(flatten)]
    pub overrides: Overrides,
    /// Write the table as CSV
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// Write the plot as SVG
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
}

/// One axis of the study.
struct Sweep {
    /// Its name.
    name: &'static str,
    /// Name of the axis of its plot.
    axis: &'static str,
    /// Names of its points and the knobs that make them.
    points: &'static [(&'static str, &'static [&'static str])],
}

/// The sweeps; each starts where nothing is given up.
const SWEEPS: [Sweep; 3] = [
    Sweep {
        name: "tokens",
        axis: "share of tokens kept",
        points: &[
            ("1.0", &["token_keep=1"]),
            ("0.9", &["token_keep=0.9"]),
            ("0.8", &["token_keep=0.8"]),
            ("0.7", &["token_keep=0.7"]),
            ("0.6", &["token_keep=0.6"]),
            ("0.5", &["token_keep=0.5"]),
            ("0.4", &["token_keep=0.4"]),
            ("0.3", &["token_keep=0.3"]),
            ("0.2", &["token_keep=0.2"]),
        ],
    },
    Sweep {
        name: "heads",
        axis: "share of heads kept",
        points: &[
            ("1.0", &["head_keep=1"]),
            ("0.9", &["head_keep=0.9"]),
            ("0.8", &["head_keep=0.8"]),
            ("0.7", &["head_keep=0.7"]),
            ("0.6", &["head_keep=0.6"]),
            ("0.5", &["head_keep=0.5"]),
        ],
    },
    Sweep {
        name: "bits",
        axis: "bits of keys (MSB + LSB) and values",
        points: &[
            ("12", &["key_bits=12", "key_lsb_bits=0", "value_bits=12"]),
            ("8+4", &["key_bits=8", "key_lsb_bits=4", "value_bits=8"]),
            ("6+4", &["key_bits=6", "key_lsb_bits=4", "value_bits=6"]),
            ("4+4", &["key_bits=4", "key_lsb_bits=4", "value_bits=4"]),
        ],
    },
];

/// One point.
#[derive(Debug, Clone, Serialize)]
struct Row {
    sweep: &'static str,
    point: &'static str,
    cycles: u64,
    dram_bytes: u64,
    energy_j: f64,
    flat_share: Option<f64>,
    mismatches: u64,
    #[serde(flatten)]
    fidelity: Fidelity,
}

#[derive(Serialize)]
struct Study {
    design: String,
    model: String,
    inputs: u64,
    tokens: u64,
    published_lsb_share: f64,
    rows: Vec<Row>,
    /// What holds for some of the rows.
    notes: Vec<String>,
}

/// Runs the command.
pub fn run(args: &FidelityArgs, common: &Common) -> Result<Verdict> {
    let outputs = [&common.json, &args.csv, &args.svg].map(Option::as_deref);
    let read = values::files(&args.model);
    let options = [&args.overrides.config, &args.text.text].map(Option::as_deref);
    let inputs = read.iter().map(|path| Some(path.as_path())).chain(options);
    output::check_paths(&outputs, &inputs.collect::<Vec<_>>())?;
    let (knobs, set) = split_sets(&args.overrides.set);
    let overrides = Overrides { config: args.overrides.config.clone(), set };
    let loaded = machines::load(&args.design, &overrides)?;
    if !Path::new(&args.model).is_dir() {
        bail!("`{}` is no model folder", args.model);
    }
    let source = Source::open(&args.model, &args.text)?.context("a folder holds a model")?;
    let open = |path: &Option<PathBuf>| path.as_deref().map(OutputFile::create).transpose();
    let (json, csv, svg) = (open(&common.json)?, open(&args.csv)?, open(&args.svg)?);

    let (rows, notes) = sweep(loaded.machine.as_ref(), &source, &knobs, common.seed)?;
    let first = rows.first().context("there are points")?;
    let study = Study {
        design: args.design.clone(),
        model: source.name().to_owned(),
        inputs: first.fidelity.inputs,
        tokens: first.fidelity.tokens,
        published_lsb_share: published::value(
            "spatten",
            "headline",
            "all",
            "inputs that need LSBs",
        )? / 100.0,
        rows,
        notes,
    };
    if let Some(file) = csv {
        write_csv(file, &study.rows)?;
    }
    if let Some(mut file) = svg {
        let text = plot::svg(&charts(&study.rows))?;
        std::io::Write::write_all(&mut file, text.as_bytes())
            .map_err(|error| file.explain(error))?;
        file.commit()?;
    }
    if let Some(file) = json {
        file.commit_json(&document("attelier-fidelity-1", &study))?;
    }
    output::print(&text(&study))?;
    let wrong: u64 = study.rows.iter().map(|row| row.mismatches).sum();
    Ok(if wrong == 0 { Verdict::Passed } else { Verdict::CheckFailed })
}

/// Simulates every point of every sweep; also the notes of the machine that hold for wide operands.
fn sweep(
    machine: &dyn Machine,
    source: &Source,
    knobs: &[&str],
    seed: u64,
) -> Result<(Vec<Row>, Vec<String>)> {
    let points: Vec<_> = SWEEPS
        .iter()
        .flat_map(|sweep| sweep.points.iter().map(move |point| (sweep, point)))
        .collect();
    let total = points.len() as u64;
    let bar = Mutex::new((0u64, Progress::new()));
    let rows: Result<Vec<(Row, Vec<String>)>> = points
        .par_iter()
        .map(|(sweep, (point, own))| {
            let all: Vec<&str> = knobs.iter().copied().chain(own.iter().copied()).collect();
            let pruning = values::pruning(&all)?;
            let mut run = machine.values(&pruning, source.layers(), false)?;
            let fidelity = source.compute_with(run.as_mut(), &mut || {})?.unwrap_or_default();
            let values = run.simulate(Mode::Jump, seed, &mut Nobody)?;
            if let Ok(mut bar) = bar.lock() {
                bar.0 += 1;
                let done = bar.0;
                bar.1.update(done, total, "points", "");
            }
            let energy = machine.energy(&values.result);
            let energy = energy.context("energy of the machine is not modelled")?;
            let traffic = &values.result.traffic;
            let wide = |note: &String| note.contains("wider than 8 bits");
            let notes = values.result.notes.iter().filter(|note| wide(note)).cloned().collect();
            let row = Row {
                sweep: sweep.name,
                point,
                cycles: values.result.cycles,
                dram_bytes: traffic.query_bytes
                    + traffic.key_bytes
                    + traffic.key_lsb_bytes
                    + traffic.value_bytes,
                energy_j: energy.total(),
                flat_share: values.comparison.as_ref().and_then(|of| Progressive::of(of).share),
                mismatches: Checks::of(&values).mismatches.unwrap_or(0),
                fidelity,
            };
            Ok((row, notes))
        })
        .collect();
    if let Ok(mut bar) = bar.lock() {
        bar.1.finish();
    }
    let (rows, notes): (Vec<Row>, Vec<Vec<String>>) = rows?.into_iter().unzip();
    let mut notes = notes.concat();
    notes.sort();
    notes.dedup();
    Ok((rows, notes))
}

fn of<'a>(rows: &'a [Row], sweep: &Sweep) -> Vec<&'a Row> {
    rows.iter().filter(|row| row.sweep == sweep.name).collect()
}

/// Cosines above, cost below, a column per sweep.
fn charts(rows: &[Row]) -> [Vec<Chart>; 2] {
    let cosine = |sweep: &Sweep| {
        let rows = of(rows, sweep);
        let line = |name: &str, of: fn(&Row) -> f64| Line {
            name: name.to_owned(),
            y: rows.iter().map(|row| of(row)).collect(),
        };
        let embeddings = rows.iter().all(|row| row.fidelity.embedding_cosine_mean.is_some());
        let mut lines = Vec::new();
        if embeddings {
            let number = |cosine: Option<f64>| cosine.unwrap_or(0.0);
            lines.push(Line {
                name: "embedding, mean".to_owned(),
                y: rows.iter().map(|row| number(row.fidelity.embedding_cosine_mean)).collect(),
            });
            lines.push(Line {
                name: "embedding, least".to_owned(),
                y: rows.iter().map(|row| number(row.fidelity.embedding_cosine_min)).collect(),
            });
        }
        lines.push(line("outputs", |row| row.fidelity.output_cosine));
        chart(sweep, "Fidelity", "cosine to dense model", lines)
    };
    let cost = |sweep: &Sweep| {
        let rows = of(rows, sweep);
        let relative = |name: &str, of: fn(&Row) -> f64| {
            let first = rows.first().map_or(1.0, |row| of(row)).max(f64::MIN_POSITIVE);
            Line { name: name.to_owned(), y: rows.iter().map(|row| of(row) / first).collect() }
        };
        let lines = vec![
            relative("cycles", |row| row.cycles as f64),
            relative("DRAM bytes", |row| row.dram_bytes as f64),
            relative("energy", |row| row.energy_j),
        ];
        chart(sweep, "Cost", "relative to the first point", lines)
    };
    [SWEEPS.iter().map(cosine).collect(), SWEEPS.iter().map(cost).collect()]
}

fn chart(sweep: &Sweep, title: &str, y_label: &str, lines: Vec<Line>) -> Chart {
    Chart {
        title: format!("{title}: {}", sweep.name),
        x_label: sweep.axis.to_owned(),
        x: sweep.points.iter().map(|(name, _)| (*name).to_owned()).collect(),
        y_label: y_label.to_owned(),
        lines,
    }
}

fn write_csv(mut file: OutputFile, rows: &[Row]) -> Result<()> {
    let mut text = String::from(
        "sweep,point,cycles,dram_bytes,energy_j,flat_share,embedding_cosine_mean,\
         embedding_cosine_min,output_cosine,output_rms_error,tokens_kept\n",
    );
    let number = |number: Option<f64>| number.map_or(String::new(), |number| number.to_string());
    for row in rows {
        let cells = [
            row.sweep.to_owned(),
            row.point.to_owned(),
            row.cycles.to_string(),
            row.dram_bytes.to_string(),
            row.energy_j.to_string(),
            number(row.flat_share),
            number(row.fidelity.embedding_cosine_mean),
            number(row.fidelity.embedding_cosine_min),
            row.fidelity.output_cosine.to_string(),
            row.fidelity.output_rms_error.to_string(),
            row.fidelity.tokens_kept.to_string(),
        ];
        text += &cells.join(",");
        text.push('\n');
    }
    std::io::Write::write_all(&mut file, text.as_bytes()).map_err(|error| file.explain(error))?;
    file.commit()
}

fn text(study: &Study) -> String {
    let columns = [
        ("sweep", Left),
        ("point", Right),
        ("embedding mean", Right),
        ("least", Right),
        ("outputs", Right),
        ("tokens kept", Right),
        ("cycles", Right),
        ("DRAM bytes", Right),
        ("flat passes", Right),
    ];
    let cosine = |cosine: Option<f64>| cosine.map_or("-".to_owned(), |c| format!("{c:.5}"));
    let rows = study.rows.iter().map(|row| {
        let fidelity = &row.fidelity;
        vec![
            row.sweep.to_owned(),
            row.point.to_owned(),
            cosine(fidelity.embedding_cosine_mean),
            cosine(fidelity.embedding_cosine_min),
            cosine(Some(fidelity.output_cosine)),
            grouped(fidelity.tokens_kept),
            grouped(row.cycles),
            grouped(row.dram_bytes),
            percent(row.flat_share),
        ]
    });
    let Study { design, model, inputs, tokens, .. } = study;
    format!(
        "{design} on {model}: {} inputs, {} tokens; cosines to the dense model\n{}\
         SpAtten reports that {} of the inputs need their LSBs (section III-D, mean of its tasks).\n{}",
        grouped(*inputs),
        grouped(*tokens),
        table(&columns, rows),
        percent(Some(study.published_lsb_share)),
        bullets(&study.notes),
    )
}
