//! What a sweep leaves: tables, figures, and the Verilog of the chosen point.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use serde::{Serialize, Serializer, ser::SerializeSeq};

#[cfg(feature = "parquet")]
use crate::explore::parquet;
use crate::{
    cli::{Common, Overrides},
    commands::{document, rtl},
    cosim,
    documents::{Content, Document, exploration::Exploration},
    exit::Verdict,
    explore::{
        figures,
        report::{self, CsvTable, Explored},
        spec::Spec,
    },
    html,
    output::{self, OutputFile, OutputFolder},
    workload,
};

/// Results of all points, in their order.
pub type Records<'a> = Box<dyn Iterator<Item = Result<Option<String>>> + 'a>;

/// Beats of the test bench beside emitted Verilog.
const BEATS: u64 = 500;

/// Most points whose page is made unasked: it holds all results at once. `attelier report` makes one of more.
const MOST_ON_PAGE: usize = 2_000;

/// What becomes of the points.
#[derive(Debug, Clone, Args)]
pub struct Finish {
    /// Folder for `points.csv`, `points.jsonl`, `front.csv`, figures and a page; new or empty
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,
    /// The point of the front that figures ring and `--then` uses [default: the one nearest to the
    /// best in all objectives]
    #[arg(long, value_name = "POINT")]
    pub choose: Option<usize>,
    /// Write `points.parquet` too, the table of `points.csv` with types
    #[cfg(feature = "parquet")]
    #[arg(long)]
    pub parquet: bool,
    /// What to make of the chosen point, in the folder too
    #[arg(long, value_enum)]
    pub then: Option<Then>,
}

/// What to make of a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Then {
    /// The Verilog of all its units
    Rtl,
}

/// Places for the files of a sweep, which can be written.
pub struct Files<'a> {
    finish: &'a Finish,
    json: Option<&'a Path>,
}

impl Finish {
    /// Tries the places before the sweep, so that it is not done in vain. Nothing stays there: a sweep
    /// that is killed would leave it behind.
    ///
    /// # Errors
    /// A folder that cannot be made or is not empty; Verilog of a design that has none.
    pub fn prepare<'a>(&'a self, spec: &Spec, common: &'a Common) -> Result<Files<'a>> {
        if self.then == Some(Then::Rtl) {
            cosim::select(&spec.design, &Overrides::default())?;
        }
        let json = common.json.as_deref();
        drop((OutputFolder::create(&self.output)?, json.map(OutputFile::create).transpose()?));
        Ok(Files { finish: self, json })
    }

    /// As words of a command line.
    pub fn words(&self) -> Vec<String> {
        let mut words =
            vec![format!("-o {}", crate::cli::quoted(&self.output.display().to_string()))];
        #[cfg(feature = "parquet")]
        words.extend(self.parquet.then(|| "--parquet".to_owned()));
        words.extend(self.choose.map(|point| format!("--choose {point}")));
        words.extend(self.then.map(|Then::Rtl| "--then rtl".to_owned()));
        words
    }
}

impl Files<'_> {
    /// Writes them and prints the front.
    ///
    /// # Errors
    /// A choice that is not on the front; files that cannot be written.
    pub fn write<'r>(
        self,
        explored: &'r Explored<'r>,
        records: &'r dyn Fn() -> Result<Records<'r>>,
    ) -> Result<Verdict> {
        let Self { finish, json } = self;
        let folder = OutputFolder::create(&finish.output)?;
        let json = json.map(OutputFile::create).transpose()?;
        let chosen = explored.choice(finish.choose)?;
        tables(&folder, explored, records()?).map_err(|error| folder.explain(error))?;
        #[cfg(feature = "parquet")]
        if finish.parquet {
            let rows = explored.rows(records()?);
            parquet::write(explored.spec, rows, folder.file("points.parquet")?)
                .map_err(|error| folder.explain(error))?;
        }
        if let Some(chosen) = chosen {
            for (name, figure) in [
                ("front.svg", figures::front(explored, chosen)?),
                ("sensitivity.svg", figures::sensitivity(explored, chosen)?),
            ] {
                if let Some(text) = figure {
                    folder.write("", [(name, text.as_str())])?;
                }
            }
        }
        if explored.sweep.outcomes.len() <= MOST_ON_PAGE {
            let page = page(&folder)?;
            folder.write("", [("report.html", page.as_str())])?;
        }
        folder.commit()?;
        if let Some(file) = json {
            let Explored { spec, space, .. } = explored;
            let rows = Rows { explored, records };
            let body = Body {
                design: &spec.design,
                workload: &space.workload,
                seed: space.seed,
                chosen,
                rows,
            };
            file.commit_json(&document("attelier-explore-1", &body))?;
        }
        output::print(&report::text(explored, chosen, finish.choose.is_some()))?;
        // Last, for it may take minutes: what was explored is safe.
        if let (Some(Then::Rtl), Some(chosen)) = (finish.then, chosen) {
            let folder = OutputFolder::create(&finish.output.join("rtl"))?;
            emit(&folder, explored, chosen)
                .with_context(|| format!("the sweep is done; point {chosen} has no Verilog"))?;
            folder.commit()?;
        }
        Ok(if chosen.is_none() { Verdict::CheckFailed } else { Verdict::Passed })
    }
}

fn tables(folder: &OutputFolder, explored: &Explored<'_>, records: Records<'_>) -> Result<()> {
    let mut points = CsvTable::new(explored.spec, folder.file("points.csv")?)?;
    let mut front = CsvTable::new(explored.spec, folder.file("front.csv")?)?;
    let mut lines = folder.file("points.jsonl")?;
    for row in explored.rows(records) {
        let row = row?;
        points.write(&row)?;
        if row.front {
            front.write(&row)?;
        }
        writeln!(lines, "{}", serde_json::to_string(&row).context("a row has no JSON form")?)?;
    }
    points.finish()?;
    front.finish()?;
    Ok(lines.flush()?)
}

/// The page of the points that were written.
fn page(folder: &OutputFolder) -> Result<String> {
    let lines = folder.open("points.jsonl")?;
    let content = Content::Exploration(Box::new(Exploration::from_lines(lines)?));
    html::page(&[Document { file: "points.jsonl".to_owned(), content }])
}

/// Emits the Verilog of a point.
fn emit(folder: &OutputFolder, explored: &Explored<'_>, point: usize) -> Result<()> {
    let Explored { spec, space, sweep } = explored;
    let sets = space.sets(&sweep.outcomes[point].genes);
    let (_, set) = workload::split_sets(&sets);
    let words: Vec<String> =
        set.iter().map(|set| format!(" --set {}", crate::cli::quoted(set))).collect();
    let command = format!(
        "attelier rtl {} -o DIR --beats {BEATS} --seed {}{}",
        spec.design,
        space.seed,
        words.concat()
    );
    let selection = cosim::select(&spec.design, &Overrides { config: None, set })?;
    let plan = cosim::Plan { beats: BEATS, seed: space.seed };
    rtl::emit(&selection, plan, &command, folder)?;
    Ok(())
}

/// The result for machines.
#[derive(Serialize)]
struct Body<'a> {
    design: &'a str,
    workload: &'a str,
    seed: u64,
    chosen: Option<usize>,
    rows: Rows<'a>,
}

/// Rows that are made while they are written.
struct Rows<'a> {
    explored: &'a Explored<'a>,
    records: &'a dyn Fn() -> Result<Records<'a>>,
}

impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fail = |error: anyhow::Error| serde::ser::Error::custom(format!("{error:#}"));
        let mut sequence = serializer.serialize_seq(None)?;
        for row in self.explored.rows((self.records)().map_err(fail)?) {
            sequence.serialize_element(&row.map_err(fail)?)?;
        }
        sequence.end()
    }
}
