//! Results that are a table.

use anyhow::{Context, Result, anyhow, bail};
use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Content, exploration::Exploration, kind::Kind};

/// A table and where it comes from.
#[derive(Debug)]
pub struct Rows {
    /// Which command wrote it.
    pub kind: Kind,
    /// Version, command and whatever else stands beside the rows.
    pub about: IndexMap<String, Value>,
    /// Columns of each row, in the order of the document; those of an inner object as `outer.inner`.
    pub rows: Vec<IndexMap<String, Value>>,
    /// What a reader must know.
    pub notes: Vec<String>,
    /// The document as it was written.
    pub value: Value,
}

/// A document with rows, before its columns are checked.
#[derive(Debug, Deserialize)]
pub struct RawRows {
    rows: Vec<IndexMap<String, Value>>,
    #[serde(default)]
    notes: Vec<String>,
    #[serde(flatten)]
    about: IndexMap<String, Value>,
}

/// Columns that a table of this kind cannot do without; the first ones name a row.
fn needed(kind: Kind) -> (&'static [&'static str], &'static [&'static str]) {
    match kind {
        Kind::Cosim => {
            (&["unit"], &["vectors", "cycles", "mismatches", "mutants", "mutants_caught"])
        }
        Kind::Synth => (&["unit"], &["lut", "ff", "dsp", "bram", "estimate.lut", "estimate.ff"]),
        Kind::Reproduce => (&["paper", "item"], &["published", "ours", "deviation"]),
        Kind::Fidelity => (&["sweep", "point"], &["cycles", "dram_bytes", "energy_j"]),
        Kind::Rtl => (&["unit"], &["lines"]),
        Kind::Run | Kind::Explore | Kind::Show => (&[], &[]),
    }
}

impl Rows {
    /// Checks the columns of a table.
    ///
    /// # Errors
    /// A column that is missing, or that is no number where one is expected: which one, in which row.
    pub fn new(kind: Kind, raw: RawRows, value: Value) -> Result<Self> {
        let rows: Vec<_> = raw.rows.into_iter().map(flat).collect();
        let (names, numbers) = needed(kind);
        for (number, row) in (1..).zip(&rows) {
            let place = |column: &str| format!("`{}`, row {number}, `{column}`", kind.schema());
            for column in names {
                match row.get(*column) {
                    Some(Value::String(_)) => {}
                    Some(other) => bail!("{} is {}: expected a text", place(column), short(other)),
                    None => bail!("{} is missing: expected a text", place(column)),
                }
            }
            for column in numbers {
                match row.get(*column) {
                    Some(Value::Number(_)) => {}
                    // What cannot be compared has one number alone.
                    Some(Value::Null) if kind == Kind::Reproduce => {}
                    // Yosys was left out.
                    Some(Value::Null)
                        if kind == Kind::Synth && !column.starts_with("estimate.") => {}
                    Some(other) => {
                        bail!("{} is {}: expected a number", place(column), short(other))
                    }
                    None => bail!("{} is missing: expected a number", place(column)),
                }
            }
        }
        Ok(Self { kind, about: raw.about, rows, notes: raw.notes, value })
    }

    /// A text beside the rows.
    pub fn about(&self, name: &str) -> Option<&str> {
        self.about.get(name).and_then(Value::as_str)
    }

    /// What tells a row from the others, such as its unit.
    pub fn name(&self, row: &IndexMap<String, Value>) -> String {
        let parts = needed(self.kind).0.iter().filter_map(|column| row.get(*column)?.as_str());
        parts.collect::<Vec<_>>().join(", ")
    }

    /// Columns that name a row.
    pub fn names(&self) -> &'static [&'static str] {
        needed(self.kind).0
    }
}

/// A value in a message: as it is when short, by its kind when not.
fn short(value: &Value) -> String {
    match value {
        Value::Object(_) => "an object".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        other => other.to_string().chars().take(40).collect(),
    }
}

/// The row with the fields of inner objects as columns of their own.
fn flat(row: IndexMap<String, Value>) -> IndexMap<String, Value> {
    let mut columns = IndexMap::new();
    for (name, value) in row {
        match value {
            Value::Object(inner) => {
                columns
                    .extend(inner.into_iter().map(|(key, value)| (format!("{name}.{key}"), value)));
            }
            value => {
                columns.insert(name, value);
            }
        }
    }
    columns
}

/// Reads a table as CSV; its header says which command wrote it.
///
/// # Errors
/// A header of no such table, a damaged row.
pub fn from_csv(bytes: &[u8]) -> Result<Content> {
    let mut reader = csv::Reader::from_reader(bytes);
    let head = reader.headers().context("this is no CSV")?.clone();
    let has = |names: &[&str]| names.iter().all(|name| head.iter().any(|cell| cell == *name));
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| anyhow!("a row is damaged: {error}"))?;
        let row = head.iter().zip(&record);
        rows.push(row.map(|(name, cell)| (name.to_owned(), cell.to_owned())).collect());
    }
    if has(&["point", "status", "front", "command"]) {
        return Ok(Exploration::from_table(rows)?.into());
    }
    let kinds = [Kind::Reproduce, Kind::Fidelity];
    let kind = kinds.into_iter().find(|kind| {
        let (names, numbers) = needed(*kind);
        has(names) && has(numbers)
    });
    let Some(kind) = kind else {
        bail!(
            "its columns are {}: expected those of an exploration (point, status, front, command), of \
             published numbers (paper, item, published, ours, deviation) or of fidelity (sweep, point, \
             cycles, dram_bytes, energy_j)",
            head.iter().take(8).map(short_cell).collect::<Vec<_>>().join(", ")
        );
    };
    let names = needed(kind).0;
    let typed = |row: IndexMap<String, String>| -> IndexMap<String, Value> {
        let cell = |(name, cell): (String, String)| {
            let value = if names.contains(&name.as_str()) { cell.into() } else { number(cell) };
            (name, value)
        };
        row.into_iter().map(cell).collect()
    };
    let rows: Vec<IndexMap<String, Value>> = rows.into_iter().map(typed).collect();
    let objects: Vec<Map<String, Value>> =
        rows.iter().map(|row| row.clone().into_iter().collect()).collect();
    let value = json!({ "schema": kind.schema(), "rows": objects });
    let raw = RawRows { rows, notes: Vec::new(), about: IndexMap::new() };
    Ok(Content::Rows(Rows::new(kind, raw, value)?))
}

fn short_cell(cell: &str) -> String {
    format!("`{}`", cell.chars().take(40).collect::<String>())
}

/// A cell as a number where it is one; an empty one is not known.
pub(super) fn number(cell: String) -> Value {
    if cell.is_empty() {
        return Value::Null;
    }
    match serde_json::from_str(&cell) {
        Ok(value @ (Value::Number(_) | Value::Bool(_))) => value,
        _ => cell.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(content: Content) -> Rows {
        match content {
            Content::Rows(rows) => rows,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_table_is_known_by_its_header() {
        let text = "paper,item,published,ours,deviation\np,\"a, b\",2,1.5,-0.25\n";
        let table = rows(from_csv(text.as_bytes()).unwrap());
        assert_eq!(table.kind, Kind::Reproduce);
        assert_eq!(table.name(&table.rows[0]), "p, a, b");
        assert_eq!(table.rows[0]["ours"], json!(1.5));
        let text = "sweep,point,cycles,dram_bytes,energy_j,flat_share\nbits,12,7,8,1e-3,\n";
        let table = rows(from_csv(text.as_bytes()).unwrap());
        assert_eq!(
            (&table.rows[0]["point"], &table.rows[0]["flat_share"]),
            (&json!("12"), &json!(null))
        );
        let message = from_csv(b"a,b\n1,2\n").unwrap_err().to_string();
        assert!(message.starts_with("its columns are `a`, `b`: expected"), "{message}");
    }

    #[test]
    fn inner_objects_become_columns() {
        let row = IndexMap::from([("a".to_owned(), json!(1)), ("b".to_owned(), json!({"c": 2}))]);
        let names: Vec<String> = flat(row).into_keys().collect();
        assert_eq!(names, ["a", "b.c"]);
    }
}
