//! What an exploration leaves behind: a row for each point, as CSV, as JSON Lines and in print.

use std::io::Write;

use anyhow::{Context, Result, ensure};
use indexmap::IndexMap;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    Outcome, Status, Sweep, choice,
    expression::lookup,
    point::Space,
    spec::{Objective, Sited, Spec},
};
use crate::table::{
    Align::{self, Left, Right},
    grouped, significant, table,
};

/// Results that every table of points has.
pub const COLUMNS: [&str; 11] = [
    "cycles",
    "seconds",
    "ops_executed",
    "ops_dense",
    "traffic.total_bytes",
    "dram.read_bytes",
    "dram.write_bytes",
    "dram.row_hit_rate",
    "energy_j.total",
    "power_w",
    "area_mm2",
];

/// Columns of every table of points that are no results.
pub const FIXED: [&str; 5] = ["point", "status", "front", "reason", "command"];

/// Most rows of the front in print; the files have all.
const PRINTED: usize = 40;

/// One point.
#[derive(Debug, Serialize)]
pub struct Row<'a> {
    /// Its number, from 0.
    pub point: usize,
    /// Values on the axes.
    pub set: Map<String, Value>,
    /// What became of it.
    pub status: Status,
    /// Why, unless all is well.
    pub reason: Option<&'a str>,
    /// Whether it is on the Pareto front.
    pub front: bool,
    /// The command that simulates it alone.
    pub command: String,
    /// The result of that command, if there is one.
    pub result: Option<Value>,
    /// Its objectives by name.
    pub objectives: IndexMap<&'a str, Goal<'a>>,
}

/// An objective of a point and where it is to go.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Goal<'a> {
    /// It is to be small.
    Min(&'a Value),
    /// It is to be large.
    Max(&'a Value),
}

impl Goal<'_> {
    /// Its number; null where it is not known.
    pub fn value(&self) -> &Value {
        match self {
            Self::Min(value) | Self::Max(value) => value,
        }
    }
}

/// An exploration that has been done.
pub struct Explored<'a> {
    /// Its description.
    pub spec: &'a Spec,
    /// Its points.
    pub space: &'a Space<'a>,
    /// What became of them.
    pub sweep: &'a Sweep,
}

impl<'a> Explored<'a> {
    /// A row for each point, in their order, made one at a time: all results together may not fit the
    /// memory. `records` gives the results in that order.
    pub fn rows(
        &self,
        records: impl Iterator<Item = Result<Option<String>>>,
    ) -> impl Iterator<Item = Result<Row<'a>>> {
        let Self { spec, space, sweep } = *self;
        let points = sweep.outcomes.iter().enumerate().zip(records);
        points.map(move |((point, outcome), record)| {
            let mut row = row(spec, space, sweep, point, outcome);
            let result: Option<Value> = record?
                .as_deref()
                .map(serde_json::from_str)
                .transpose()
                .context("a stored result is damaged")?;
            row.result = result.map(|mut result| {
                if let Value::Object(result) = &mut result {
                    result.insert("command".to_owned(), row.command.clone().into());
                }
                result
            });
            Ok(row)
        })
    }

    /// The point of the front that is chosen: number `wanted`, or else the one that gives up least.
    ///
    /// # Errors
    /// A number that is not on the front.
    pub fn choice(&self, wanted: Option<usize>) -> Result<Option<usize>> {
        let Self { spec, sweep, .. } = self;
        if let Some(wanted) = wanted {
            ensure!(
                sweep.front.binary_search(&wanted).is_ok(),
                "point {wanted} is not on the front: expected one of {}",
                some_of(&sweep.front)
            );
            return Ok(Some(wanted));
        }
        let costs: Vec<Vec<f64>> =
            sweep.front.iter().filter_map(|&point| sweep.outcomes[point].costs(spec)).collect();
        Ok(choice::compromise(&costs).map(|place| sweep.front[place]))
    }
}

/// The row of a point without its result.
fn row<'a>(
    spec: &'a Spec,
    space: &Space<'_>,
    sweep: &Sweep,
    point: usize,
    outcome: &'a Outcome,
) -> Row<'a> {
    let Outcome { genes, status, reason, objectives, .. } = outcome;
    let own = space.assignments(genes).into_iter();
    let goal = |(objective, value): (&'a Sited<Objective>, &'a Value)| {
        let Objective { name, maximise, .. } = &objective.part;
        (name.as_str(), if *maximise { Goal::Max(value) } else { Goal::Min(value) })
    };
    Row {
        point,
        set: own.map(|(path, value)| (path.to_owned(), value.into())).collect(),
        status: *status,
        reason: reason.as_deref(),
        front: sweep.front.binary_search(&point).is_ok(),
        command: space.command(genes),
        result: None,
        objectives: spec.objectives.iter().zip(objectives).map(goal).collect(),
    }
}

/// The first numbers of a list.
fn some_of(numbers: &[usize]) -> String {
    const MOST: usize = 12;
    let shown: Vec<String> = numbers.iter().take(MOST).map(usize::to_string).collect();
    let more = if numbers.len() > MOST { ", ..." } else { "" };
    shown.join(", ") + more
}

/// Names of the results that a table has besides the objectives.
pub fn usual_results(spec: &Spec) -> Vec<&'static str> {
    let objectives = objectives(spec);
    let is_objective = |name: &&str| objectives.iter().any(|part| part.name == **name);
    COLUMNS.into_iter().filter(|name| !is_objective(name)).collect()
}

/// A table of points as CSV: axes, objectives, usual results, and the command.
pub struct CsvTable<'a, W: Write> {
    paths: Vec<&'a str>,
    objectives: Vec<&'a Objective>,
    usual: Vec<&'static str>,
    writer: csv::Writer<W>,
}

impl<'a, W: Write> CsvTable<'a, W> {
    /// Writes the names of the columns.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn new(spec: &'a Spec, writer: W) -> Result<Self> {
        let paths: Vec<&str> = axis_paths(spec);
        let objectives = objectives(spec);
        let names: Vec<&str> = objectives.iter().map(|part| part.name.as_str()).collect();
        let usual = usual_results(spec);
        let mut writer = csv::Writer::from_writer(writer);
        let head =
            [&["point"], &paths[..], &["status", "front"], &names, &usual, &["reason", "command"]];
        writer.write_record(head.concat())?;
        Ok(Self { paths, objectives, usual, writer })
    }

    /// Writes a row.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write(&mut self, row: &Row<'_>) -> Result<()> {
        let mut cells = vec![row.point.to_string()];
        let set = |path: &&str| row.set.get(*path).map_or_else(String::new, cell);
        cells.extend(self.paths.iter().map(set));
        cells.extend([cell(&serde_json::to_value(row.status)?), row.front.to_string()]);
        let objective = |part: &&Objective| {
            row.objectives
                .get(part.name.as_str())
                .map_or_else(String::new, |goal| cell(goal.value()))
        };
        cells.extend(self.objectives.iter().map(objective));
        let result = |name: &&str| {
            let value = row.result.as_ref().and_then(|result| lookup(result, name));
            value.map_or_else(String::new, cell)
        };
        cells.extend(self.usual.iter().map(result));
        cells.extend([row.reason.unwrap_or_default().to_owned(), row.command.clone()]);
        Ok(self.writer.write_record(cells)?)
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn finish(mut self) -> Result<()> {
        Ok(self.writer.flush()?)
    }
}

/// What is printed: how many points became what, the front, and the commands of its points.
/// `asked` says that the user chose the point.
pub fn text(explored: &Explored<'_>, chosen: Option<usize>, asked: bool) -> String {
    let Explored { spec, space, sweep } = *explored;
    let points = &sweep.outcomes;
    let count = |status| points.iter().filter(|outcome| outcome.status == status).count();
    let mut text =
        format!("{} on {}: {} points", spec.design, space.workload, grouped(points.len() as u64));
    for (status, words) in [
        (Status::Ok, "meet all constraints"),
        (Status::Infeasible, "break a constraint by their result"),
        (Status::Excluded, "break a constraint and were not simulated"),
        (Status::Failed, "failed"),
    ] {
        if count(status) > 0 {
            text += &format!(", {} {words}", grouped(count(status) as u64));
        }
    }
    text += &format!("; {} results from the cache\n", grouped(sweep.cached as u64));
    let failed = points.iter().enumerate().find(|(_, outcome)| outcome.status == Status::Failed);
    if let Some((point, outcome)) = failed {
        let reason = outcome.reason.as_deref().unwrap_or_default();
        text += &format!("first failure, point {point}: {reason}\n");
    }
    let row = |&point: &usize| row(spec, space, sweep, point, &points[point]);
    let shown: Vec<Row<'_>> = sweep.front.iter().take(PRINTED).map(row).collect();
    if shown.is_empty() {
        return text + "No point meets all constraints: there is no front.\n";
    }
    let all = sweep.front.len();
    text += &format!("\nPareto front, {} points\n", grouped(all as u64));
    let objectives = spec.objectives.iter().map(|objective| &objective.part);
    let is_beside = |part: &&Objective| spec.axes.iter().all(|axis| axis.name() != part.name);
    let objectives: Vec<&Objective> = objectives.filter(is_beside).collect();
    let heads: Vec<String> = objectives
        .iter()
        .map(|part| format!("{} ({})", part.name, if part.maximise { "max" } else { "min" }))
        .collect();
    let axes = spec.axes.iter().map(|axis| (axis.name(), Right));
    let heads = heads.iter().map(|head| (head.as_str(), Right));
    let columns: Vec<(&str, Align)> =
        [("point", Left)].into_iter().chain(axes).chain(heads).collect();
    text += &table(
        &columns,
        shown.iter().map(|row| {
            let axes = spec
                .axes
                .iter()
                .map(|axis| row.set.get(axis.name()).map_or_else(String::new, cell));
            let point = [row.point.to_string()].into_iter();
            let numbers =
                objectives.iter().filter_map(|part| row.objectives.get(part.name.as_str()));
            point.chain(axes).chain(numbers.map(|goal| readable(goal.value()))).collect()
        }),
    );
    if all > shown.len() {
        text += &format!("  and {} more in front.csv\n", grouped((all - shown.len()) as u64));
    }
    text.push('\n');
    for row in &shown {
        text += &format!("{}: {}\n", row.point, row.command);
    }
    if let Some(chosen) = chosen {
        let why = if asked { "as asked" } else { "nearest to the best in everything" };
        text += &format!("\nChosen, {why}: point {chosen}\n");
    }
    text
}

/// Parameters on the axes.
pub fn axis_paths(spec: &Spec) -> Vec<&str> {
    spec.axes.iter().flat_map(|axis| &axis.paths).map(String::as_str).collect()
}

/// Objectives that are not on an axis already.
pub fn objectives(spec: &Spec) -> Vec<&Objective> {
    let paths = axis_paths(spec);
    let all = spec.objectives.iter().map(|objective| &objective.part);
    all.filter(|objective| !paths.contains(&objective.name.as_str())).collect()
}

/// A value as text, without the quotes of JSON; nothing where it is not known.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

/// A number for people.
fn readable(value: &Value) -> String {
    match (value.as_u64(), value.as_f64()) {
        (Some(whole), _) => grouped(whole),
        (None, Some(number)) if (1e-2..1e6).contains(&number.abs()) => significant(number),
        (None, Some(number)) => format!("{number:.3e}"),
        (None, None) => cell(value),
    }
}
