//! What an exploration leaves behind: a row for each point, as CSV, as JSON Lines and in print.

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    Outcome, Status, Sweep,
    expression::lookup,
    point::Space,
    spec::{Objective, Spec},
};
use crate::table::{
    Align::{self, Left, Right},
    grouped, significant, table,
};

/// Results that every table of points has.
const COLUMNS: [&str; 11] = [
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
    /// Objectives, in the order of the description.
    #[serde(skip)]
    objectives: &'a [Value],
}

/// A row for each point, in their order.
///
/// # Errors
/// A stored result that is no JSON.
pub fn rows<'a>(space: &Space<'_>, sweep: &'a Sweep) -> Result<Vec<Row<'a>>> {
    let row = |(point, outcome): (usize, &'a Outcome)| {
        let command = space.command(point);
        let mut result: Option<Value> = outcome
            .record
            .as_deref()
            .map(serde_json::from_str)
            .transpose()
            .context("a stored result is damaged")?;
        if let Some(Value::Object(result)) = &mut result {
            result.insert("command".to_owned(), command.clone().into());
        }
        let own = space.assignments(point).into_iter();
        let Outcome { status, reason, objectives, .. } = outcome;
        Ok(Row {
            point,
            set: own.map(|(path, value)| (path.to_owned(), value.into())).collect(),
            status: *status,
            reason: reason.as_deref(),
            front: sweep.front.binary_search(&point).is_ok(),
            command,
            result,
            objectives,
        })
    };
    sweep.outcomes.iter().enumerate().map(row).collect()
}

/// The rows as JSON, one on each line.
///
/// # Errors
/// None in practice: every row has a JSON form.
pub fn json_lines(rows: &[Row<'_>]) -> Result<String> {
    let mut text = String::new();
    for row in rows {
        text += &serde_json::to_string(row).context("a row has no JSON form")?;
        text.push('\n');
    }
    Ok(text)
}

/// The rows as CSV: axes, objectives, usual results, and the command.
///
/// # Errors
/// None in practice: the text is written to memory.
pub fn csv<'a, 'b: 'a>(spec: &Spec, rows: impl IntoIterator<Item = &'a Row<'b>>) -> Result<String> {
    let paths: Vec<&str> = axis_paths(spec);
    let places = objectives(spec);
    let objectives: Vec<&str> = places.iter().map(|(_, part)| part.name.as_str()).collect();
    let usual: Vec<&str> = COLUMNS.into_iter().filter(|name| !objectives.contains(name)).collect();
    let mut writer = csv::Writer::from_writer(Vec::new());
    let head =
        [&["point"], &paths[..], &["status", "front"], &objectives, &usual, &["reason", "command"]];
    writer.write_record(head.concat())?;
    for row in rows {
        let mut cells = vec![row.point.to_string()];
        cells.extend(paths.iter().map(|path| row.set.get(*path).map_or_else(String::new, cell)));
        cells.extend([cell(&serde_json::to_value(row.status)?), row.front.to_string()]);
        let objective =
            |(place, _): &(usize, _)| row.objectives.get(*place).map_or_else(String::new, cell);
        cells.extend(places.iter().map(objective));
        let result = |name: &&str| {
            row.result
                .as_ref()
                .and_then(|result| lookup(result, name))
                .map_or_else(String::new, cell)
        };
        cells.extend(usual.iter().map(result));
        cells.extend([row.reason.unwrap_or_default().to_owned(), row.command.clone()]);
        writer.write_record(cells)?;
    }
    let bytes = writer.into_inner().context("a text in memory takes every write")?;
    String::from_utf8(bytes).context("all cells are text")
}

/// What is printed: how many points became what, the front, and the commands of its points.
pub fn text(spec: &Spec, sweep: &Sweep, rows: &[Row<'_>], workload: &str) -> String {
    let count = |status| rows.iter().filter(|row| row.status == status).count();
    let mut text = format!("{} on {workload}: {} points", spec.design, grouped(rows.len() as u64));
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
    if let Some(row) = rows.iter().find(|row| row.status == Status::Failed) {
        text +=
            &format!("first failure, point {}: {}\n", row.point, row.reason.unwrap_or_default());
    }
    let front: Vec<&Row<'_>> = rows.iter().filter(|row| row.front).collect();
    if front.is_empty() {
        return text + "No point meets all constraints: there is no front.\n";
    }
    let shown = &front[..front.len().min(PRINTED)];
    text += &format!("\nPareto front, {} points\n", grouped(front.len() as u64));
    let objectives = objectives(spec);
    let heads: Vec<String> = objectives
        .iter()
        .map(|(_, part)| format!("{} ({})", part.name, if part.maximise { "max" } else { "min" }))
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
            let numbers = objectives.iter().filter_map(|(place, _)| row.objectives.get(*place));
            point.chain(axes).chain(numbers.map(readable)).collect()
        }),
    );
    if front.len() > shown.len() {
        text +=
            &format!("  and {} more in front.csv\n", grouped((front.len() - shown.len()) as u64));
    }
    text.push('\n');
    for row in shown {
        text += &format!("{}: {}\n", row.point, row.command);
    }
    text
}

fn axis_paths(spec: &Spec) -> Vec<&str> {
    spec.axes.iter().flat_map(|axis| &axis.paths).map(String::as_str).collect()
}

/// Objectives that are not on an axis already, with their places in the list.
fn objectives(spec: &Spec) -> Vec<(usize, &Objective)> {
    let paths = axis_paths(spec);
    let all = spec.objectives.iter().map(|objective| &objective.part).enumerate();
    all.filter(|(_, objective)| !paths.contains(&objective.name.as_str())).collect()
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
