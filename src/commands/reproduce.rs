//! `attelier reproduce`: published figures and tables beside ours.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use attelier_workloads::suggest::nearest;
use clap::Args;
use serde::Serialize;

use super::document;
use crate::{
    cli::Common,
    exit::Verdict,
    figures::{FIGURES, Figure, Outcome, Row, files},
    observers::progress::Progress,
    output::{self, OutputFile, OutputFolder},
    table::bullets,
};

/// Which figures.
#[derive(Debug, Args)]
pub struct ReproduceArgs {
    /// Paper, or `all` [default: all]; see `attelier list figures`
    pub paper: Option<String>,
    /// Figure of that paper [default: all]
    pub figure: Option<String>,
    /// Write a table (csv) and a chart (SVG) of each figure, and an index, into a new folder
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
}

/// Stands for every paper.
const ALL: &str = "all";

#[derive(Serialize)]
struct Reproduced {
    seed: u64,
    rows: Vec<Row>,
    notes: Vec<String>,
}

/// Runs the command.
pub fn run(args: &ReproduceArgs, common: &Common) -> Result<Verdict> {
    let figures = chosen(args)?;
    // An unwritable file is found before the simulations.
    let file = common.json.as_deref().map(OutputFile::create).transpose()?;
    let folder = args.output.as_deref().map(OutputFolder::create).transpose()?;
    let mut made = Vec::new();
    let mut all = Reproduced { seed: common.seed, rows: Vec::new(), notes: Vec::new() };
    let mut text = String::new();
    for figure in figures {
        let Figure { paper, name, summary, reproduce } = figure;
        let outcome = reproduce(common.seed, &mut Progress::new())
            .with_context(|| format!("cannot reproduce {paper} {name}"))?;
        text += &format!("{paper} {name}: {summary}\n\n{}", outcome.text);
        if !outcome.notes.is_empty() {
            text += &format!("Notes\n{}\n", bullets(&outcome.notes));
        }
        all.rows.extend_from_slice(&outcome.rows);
        all.notes.extend_from_slice(&outcome.notes);
        made.push((figure, outcome));
    }
    if let Some(folder) = folder {
        write(&folder, &made, common.seed)?;
        folder.commit()?;
    }
    if let Some(file) = file {
        file.commit_json(&document("attelier-reproduce-1", &all))?;
    }
    output::print(&text)?;
    Ok(Verdict::Passed)
}

/// Writes the files of all figures.
fn write(folder: &OutputFolder, made: &[(&Figure, Outcome)], seed: u64) -> Result<()> {
    for (figure, outcome) in made {
        let table = files::csv(&outcome.rows)?;
        let chart = files::svg(figure, &outcome.rows, seed)?;
        let name = |ending: &str| format!("{}.{ending}", figure.name);
        let (csv, svg) = (name("csv"), name("svg"));
        folder.write(
            figure.paper,
            [(csv.as_str(), table.as_str()), (svg.as_str(), chart.as_str())],
        )?;
    }
    let all: Vec<(&Figure, &Outcome)> =
        made.iter().map(|(figure, outcome)| (*figure, outcome)).collect();
    folder.write("", [("index.md", files::index(&all).as_str())])
}

fn chosen(args: &ReproduceArgs) -> Result<Vec<&'static Figure>> {
    let fits = |wanted: &Option<String>, name| wanted.as_ref().is_none_or(|wanted| wanted == name);
    let paper = args.paper.clone().filter(|paper| paper != ALL);
    let figures: Vec<_> = FIGURES
        .iter()
        .filter(|figure| fits(&paper, figure.paper) && fits(&args.figure, figure.name))
        .collect();
    if figures.is_empty() {
        let wanted = [&args.paper, &args.figure].into_iter().flatten();
        let wanted: Vec<_> = wanted.map(String::as_str).collect();
        let known: Vec<_> =
            FIGURES.iter().map(|figure| format!("`{} {}`", figure.paper, figure.name)).collect();
        let wanted = wanted.join(" ");
        // What a user may have meant, by what may have been typed for it.
        let meant: Vec<(String, String)> = FIGURES
            .iter()
            .flat_map(|&Figure { paper, name, .. }| {
                let full = format!("{paper} {name}");
                [(paper.into(), paper.into()), (name.into(), full.clone()), (full.clone(), full)]
            })
            .collect();
        let near = nearest(&wanted, meant.iter().map(|(typed, _)| typed.as_str()));
        let near = near.and_then(|near| meant.iter().find(|(typed, _)| typed == near));
        let help = near.map_or(String::new(), |(_, meant)| format!("; did you mean `{meant}`?"));
        bail!("unknown figure `{wanted}`: expected one of {}{help}", known.join(", "));
    }
    Ok(figures)
}
