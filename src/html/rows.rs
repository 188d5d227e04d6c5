//! Results that are a table, on the page.

use indexmap::IndexMap;
use serde_json::Value;

use super::{
    block::{Block, Cell, Fact, Table},
    deviations,
};
use crate::{
    documents::{kind::Kind, quantity, rows::Rows},
    table::percent,
};

type Row = IndexMap<String, Value>;

/// The parts of a table.
pub fn blocks(rows: &Rows) -> Vec<Block> {
    let mut blocks = vec![about(rows)];
    match rows.kind {
        Kind::Reproduce => blocks.extend(published(rows)),
        Kind::Fidelity => blocks.extend(fidelity(rows)),
        Kind::Synth => blocks.extend(synthesis(rows)),
        _ => {}
    }
    blocks.extend(whole(rows));
    let items = rows.notes.clone();
    if !items.is_empty() {
        blocks.push(Block::Notes { title: "Notes".to_owned(), items });
    }
    blocks
}

/// What stands beside the rows, and for comparisons of hardware the verdict.
fn about(rows: &Rows) -> Block {
    let fact = |(name, value): (&String, &Value)| match (name.as_str(), value) {
        ("schema", _) | (_, Value::Null | Value::Object(_) | Value::Array(_)) => None,
        ("command", Value::String(text)) => Some(Fact::code("Command", text)),
        ("config_hash", Value::String(text)) => Some(Fact::code("Parameters", text)),
        (name, Value::String(text)) => Some(Fact::new(&capital(name), text)),
        (name, value) => {
            let text =
                value.as_f64().map_or_else(|| value.to_string(), |n| quantity::text(name, n));
            Some(Fact::new(&capital(name), text))
        }
    };
    let mut facts: Vec<Fact> = rows.about.iter().filter_map(fact).collect();
    facts.insert(0, Fact::new("Rows", rows.rows.len().to_string()));
    if rows.kind == Kind::Cosim {
        facts.insert(0, Fact::new("Verdict", verdict(rows)));
    }
    // What takes a whole line stands after what does not.
    facts.sort_by_key(Fact::is_code);
    Block::Facts { title: "Summary".to_owned(), rows: facts }
}

fn verdict(rows: &Rows) -> String {
    let count = |row: &Row, name: &str| row.get(name).and_then(Value::as_f64).unwrap_or(0.0);
    let failed = |row: &&Row| {
        count(row, "mismatches") > 0.0
            || count(row, "undefined") > 0.0
            || row.get("compared").and_then(Value::as_u64) == Some(0)
            || count(row, "mutants_caught") < count(row, "mutants")
    };
    let failed: Vec<String> = rows.rows.iter().filter(failed).map(|row| rows.name(row)).collect();
    if failed.is_empty() {
        "passed: every output equal in every cycle, every mutant caught".to_owned()
    } else {
        format!("failed: {}", failed.join(", "))
    }
}

/// Published numbers beside ours, a table for each paper.
fn published(rows: &Rows) -> Vec<Block> {
    let mut papers: IndexMap<&str, Vec<deviations::Row<'_>>> = IndexMap::new();
    for row in &rows.rows {
        let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default();
        let number = |name: &str| row.get(name).and_then(Value::as_f64);
        papers.entry(text("paper")).or_default().push(deviations::Row {
            names: vec![text("item"), text("verdict")],
            published: number("published"),
            ours: number("ours"),
            unit: text("unit"),
            deviation: number("deviation"),
            remark: text("note"),
        });
    }
    let columns = ["number", "verdict"];
    let table = |(paper, rows)| deviations::table(paper, &columns, "simulated", rows);
    papers.into_iter().filter_map(table).collect()
}

/// Cosines and cost of each sweep.
fn fidelity(rows: &Rows) -> Vec<Block> {
    let mut sweeps: IndexMap<&str, Vec<&Row>> = IndexMap::new();
    for row in &rows.rows {
        let name = row.get("sweep").and_then(Value::as_str).unwrap_or_default();
        sweeps.entry(name).or_default().push(row);
    }
    sweeps.into_iter().filter_map(|(name, rows)| sweep(name, &rows)).collect()
}

fn sweep(name: &str, rows: &[&Row]) -> Option<Block> {
    let number = |row: &Row, name: &str| row.get(name).and_then(Value::as_f64);
    let cosine =
        |row: &Row| number(row, "embedding_cosine_mean").or_else(|| number(row, "output_cosine"));
    let first = *rows.first()?;
    let body = rows.iter().map(|row| {
        let point = row.get("point").and_then(Value::as_str).unwrap_or_default();
        let mut cells = vec![Cell::text(point)];
        let similar = cosine(row);
        let text =
            format!("{point}: cosine {}", similar.map_or("unknown".to_owned(), quantity::number));
        cells.push(similar.map_or_else(|| Cell::text("–"), |c| Cell::keyed(format!("{c:.5}"), c)));
        cells.push(Cell::bar([(similar.unwrap_or(0.0), "busy", text)]));
        for column in ["cycles", "dram_bytes", "energy_j"] {
            let relative = number(row, column).zip(number(first, column));
            let relative = relative.filter(|(_, first)| *first > 0.0).map(|(n, first)| n / first);
            cells.push(Cell::share(relative));
            let text = format!("{point}: {column} {} of the first point", percent(relative));
            cells.push(Cell::bar([(relative.unwrap_or(0.0), "blocked", text)]));
        }
        cells
    });
    Table::new(format!("Sweep over {name}"))
        .text("point")
        .number("cosine")
        .bar("to the dense model")
        .number("cycles")
        .bar("of the first")
        .number("DRAM bytes")
        .bar("of the first")
        .number("energy")
        .bar("of the first")
        .rows(body)
        .block()
}

/// Estimates beside cells.
fn synthesis(rows: &Rows) -> Option<Block> {
    let known = |row: &Row, name: &str| row.get(name).and_then(Value::as_f64);
    let number = |row: &Row, name: &str| known(row, name).unwrap_or(0.0);
    let compared: Vec<(String, Option<f64>, f64)> = rows
        .rows
        .iter()
        .map(|row| {
            // Without Yosys there are estimates alone.
            let cells = known(row, "lut").map(|lut| lut + number(row, "lutram"));
            (rows.name(row), cells, number(row, "estimate.lut") + number(row, "estimate.lutram"))
        })
        .collect();
    let body = compared.iter().map(|(name, cells, estimate)| {
        let deviation = cells.filter(|cells| *cells > 0.0).map(|cells| estimate / cells - 1.0);
        let found = cells.map_or("unknown".to_owned(), |cells| cells.to_string());
        let tip = format!("{name}: {found} LUT, estimated {estimate}");
        vec![
            Cell::text(name),
            Cell::number("lut", *cells),
            Cell::number("lut", Some(*estimate)),
            deviation.map_or_else(|| Cell::text("–"), Cell::deviation),
            Cell::deviation_bar(deviation.unwrap_or(0.0), tip),
        ]
    });
    Table::new("LUT: synthesised beside estimated")
        .text("unit")
        .number("synthesised")
        .number("estimated")
        .number("deviation")
        .bar("−100 % to +100 %")
        .rows(body)
        .block()
}

/// All columns as they stand in the document.
fn whole(rows: &Rows) -> Option<Block> {
    let mut columns: Vec<&String> = Vec::new();
    for row in &rows.rows {
        for name in row.keys().filter(|name| !columns.contains(name)).collect::<Vec<_>>() {
            columns.push(name);
        }
    }
    let numeric = |name: &str| {
        let mut values = rows.rows.iter().filter_map(|row| row.get(name)).filter(|v| !v.is_null());
        values.all(Value::is_number)
    };
    let mut table = Table::new("All columns");
    for &name in &columns {
        table = if numeric(name) { table.number(name) } else { table.text(name) };
    }
    let cell = |row: &Row, name: &str| match row.get(name) {
        None | Some(Value::Null) => Cell::text("–"),
        Some(Value::Number(value)) => Cell::number(name, value.as_f64()),
        Some(value) => Cell::text(words(value)),
    };
    let body = rows.rows.iter().map(|row| columns.iter().map(|name| cell(row, name)).collect());
    let table = table.rows(body.collect::<Vec<_>>());
    let folded = matches!(rows.kind, Kind::Reproduce | Kind::Fidelity | Kind::Synth);
    if folded { table.folded().block() } else { table.block() }
}

/// A value in words: a list with commas.
fn words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(words).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

fn capital(name: &str) -> String {
    let text = name.replace('_', " ");
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
