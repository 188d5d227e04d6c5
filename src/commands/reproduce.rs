//! `attelier reproduce`: published figures and tables beside ours.

use anyhow::{Result, bail};
use attelier_workloads::suggest::nearest;
use clap::Args;
use serde::Serialize;

use super::document;
use crate::{
    cli::Common,
    exit::Verdict,
    figures::{FIGURES, Figure, Row},
    observers::progress::Progress,
    output::{self, OutputFile},
    table::bullets,
};

/// Which figures.
#[derive(Debug, Args)]
pub struct ReproduceArgs {
    /// Paper [default: all]; see `attelier list figures`
    pub paper: Option<String>,
    /// Figure of that paper [default: all]
    pub figure: Option<String>,
}

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
    let mut all = Reproduced { seed: common.seed, rows: Vec::new(), notes: Vec::new() };
    let mut text = String::new();
    for Figure { paper, name, summary, reproduce } in figures {
        let outcome = reproduce(common.seed, &mut Progress::new())?;
        let notes = bullets(&outcome.notes);
        text += &format!("{paper} {name}: {summary}\n\n{}Notes\n{notes}", outcome.text);
        all.rows.extend(outcome.rows);
        all.notes.extend(outcome.notes);
    }
    if let Some(file) = file {
        file.commit_json(&document("attelier-reproduce-1", &all))?;
    }
    output::print(&text)?;
    Ok(Verdict::Passed)
}

fn chosen(args: &ReproduceArgs) -> Result<Vec<&'static Figure>> {
    let fits = |wanted: &Option<String>, name| wanted.as_ref().is_none_or(|wanted| wanted == name);
    let figures: Vec<_> = FIGURES
        .iter()
        .filter(|figure| fits(&args.paper, figure.paper) && fits(&args.figure, figure.name))
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
