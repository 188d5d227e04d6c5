//! An exploration: its points as columns, which need far less space than a result for each.

use std::{collections::BTreeMap, io::BufRead};

use anyhow::{Result, anyhow, bail};
use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::rows::number;

/// Most points of one exploration.
const MOST_POINTS: usize = 250_000;

/// The points of a design space.
#[derive(Debug, Default)]
pub struct Exploration {
    /// Version and command, of a document that has them.
    pub about: BTreeMap<String, String>,
    /// Number of each point.
    pub numbers: Vec<u64>,
    /// Places of the points on the Pareto front.
    pub front: Vec<usize>,
    /// What became of each point.
    pub status: Column,
    /// Why, unless all is well.
    pub reason: Column,
    /// The command that simulates it alone.
    pub command: Column,
    /// Values on the axes, by parameter.
    pub set: IndexMap<String, Column>,
    /// Results, by dotted path.
    pub result: IndexMap<String, Column>,
    /// Objectives by name, and whether each is to be large; none of a table.
    pub objectives: IndexMap<String, (Column, bool)>,
}

/// One value for each point, the last ones left out where they are unknown.
#[derive(Debug, Default)]
pub struct Column {
    values: Vec<Value>,
}

/// A point as `points.jsonl` has it.
#[derive(Debug, Deserialize)]
struct Row {
    point: u64,
    set: Map<String, Value>,
    status: String,
    reason: Option<String>,
    front: bool,
    command: String,
    result: Option<Map<String, Value>>,
    #[serde(default)]
    objectives: IndexMap<String, Goal>,
}

/// An objective and where it is to go.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Goal {
    Min(Value),
    Max(Value),
}

/// The document of `attelier explore --json`.
#[derive(Debug, Deserialize)]
pub struct RawExploration {
    rows: Vec<Row>,
    #[serde(flatten)]
    about: BTreeMap<String, Value>,
}

impl Column {
    fn put(&mut self, place: usize, value: Value) {
        self.values.resize(place, Value::Null);
        self.values.push(value);
    }

    /// The value of a point.
    pub fn get(&self, place: usize) -> &Value {
        self.values.get(place).unwrap_or(&Value::Null)
    }

    /// The column in the form of least space: `{"every": value}` where all `points` agree,
    /// `{"values": [...], "index": [...]}` where values repeat, a list otherwise.
    pub fn compact(&self, points: usize) -> Value {
        let mut known: BTreeMap<String, usize> = BTreeMap::new();
        let mut distinct = Vec::new();
        let mut index = Vec::with_capacity(points);
        for place in 0..points {
            let value = self.get(place);
            let next = known.len();
            let found = *known.entry(value.to_string()).or_insert(next);
            if found == next {
                distinct.push(value.clone());
            }
            index.push(found);
        }
        match distinct.len() {
            1 => json!({ "every": distinct[0] }),
            count if count <= points / 2 => json!({ "values": distinct, "index": index }),
            _ => (0..points).map(|place| self.get(place).clone()).collect(),
        }
    }
}

impl Exploration {
    /// Reads points as JSON Lines.
    ///
    /// # Errors
    /// A line that is no point, with its number; no point at all.
    pub fn from_lines(reader: impl BufRead) -> Result<Self> {
        let mut points = Self::default();
        for (number, line) in (1..).zip(reader.lines()) {
            let line = line.map_err(|error| anyhow!("line {number}: {error}"))?;
            let row = serde_json::from_str(&line)
                .map_err(|error| anyhow!("line {number} is no point of an exploration: {error}"))?;
            points.push(row)?;
        }
        points.checked()
    }

    /// Takes over the document of `attelier explore --json`.
    ///
    /// # Errors
    /// No point at all, or too many.
    pub fn from_document(raw: RawExploration) -> Result<Self> {
        let text = |(name, value): (String, Value)| Some((name, value.as_str()?.to_owned()));
        let mut points =
            Self { about: raw.about.into_iter().filter_map(text).collect(), ..Self::default() };
        for row in raw.rows {
            points.push(row)?;
        }
        points.checked()
    }

    /// Takes over `points.csv` or `front.csv`: axes stand before the status, results behind it.
    ///
    /// # Errors
    /// A point without a number, no point at all.
    pub fn from_table(rows: Vec<IndexMap<String, String>>) -> Result<Self> {
        let mut points = Self::default();
        for (line, mut row) in (2..).zip(rows) {
            let mut take = |name: &str| row.shift_remove(name).unwrap_or_default();
            let point = take("point");
            let point = point.parse().map_err(|_| {
                anyhow!("line {line}, `point` is `{point}`: expected a whole number")
            })?;
            let (reason, command, front) = (take("reason"), take("command"), take("front"));
            let axes = row.get_index_of("status").unwrap_or(0);
            let mut set: Map<String, Value> = Map::new();
            let mut result: Map<String, Value> = Map::new();
            let mut status = String::new();
            for (place, (name, cell)) in row.into_iter().enumerate() {
                if place < axes {
                    set.insert(name, cell.into());
                } else if place == axes {
                    status = cell;
                } else {
                    result.insert(name, number(cell));
                }
            }
            let reason = Some(reason).filter(|reason| !reason.is_empty());
            let front = front == "true";
            let result = Some(result);
            let objectives = IndexMap::new();
            points.push(Row { point, set, status, reason, front, command, result, objectives })?;
        }
        points.checked()
    }

    /// Number of points.
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// A result that all points share, such as the design.
    pub fn shared(&self, name: &str) -> Option<String> {
        let column = self.result.get(name)?;
        let mut texts = (0..self.len()).filter_map(|place| column.get(place).as_str());
        let first = texts.next()?;
        texts.all(|text| text == first).then(|| first.to_owned())
    }

    /// How many points became this.
    pub fn count(&self, status: &str) -> usize {
        (0..self.len()).filter(|place| self.status.get(*place) == status).count()
    }

    /// The points in little space; `documents` of the page hold it.
    pub fn compact(&self) -> Value {
        let points = self.len();
        let all = |columns: &IndexMap<String, Column>| -> Map<String, Value> {
            columns.iter().map(|(name, column)| (name.clone(), column.compact(points))).collect()
        };
        let objectives = self.objectives.iter();
        let objectives: Map<String, Value> =
            objectives.map(|(name, (column, _))| (name.clone(), column.compact(points))).collect();
        json!({
            "about": self.about,
            "points": points,
            "point": self.numbers,
            "front": self.front,
            "status": self.status.compact(points),
            "reason": self.reason.compact(points),
            "command": self.command.compact(points),
            "set": all(&self.set),
            "result": all(&self.result),
            "objectives": objectives,
        })
    }

    fn push(&mut self, row: Row) -> Result<()> {
        let place = self.len();
        if place == MOST_POINTS {
            bail!("it has more than {MOST_POINTS} points: give `front.csv` instead");
        }
        if row.front {
            self.front.push(place);
        }
        self.numbers.push(row.point);
        self.status.put(place, row.status.into());
        self.reason.put(place, row.reason.into());
        self.command.put(place, row.command.into());
        for (name, value) in row.set {
            self.set.entry(name).or_default().put(place, number_of(value));
        }
        if let Some(result) = row.result {
            self.push_section("", result, place);
        }
        for (name, goal) in row.objectives {
            let (value, large) = match goal {
                Goal::Min(value) => (value, false),
                Goal::Max(value) => (value, true),
            };
            let (column, is_large) = self.objectives.entry(name).or_default();
            *is_large = large;
            column.put(place, value);
        }
        Ok(())
    }

    fn push_section(&mut self, prefix: &str, section: Map<String, Value>, place: usize) {
        for (key, value) in section {
            let path = if prefix.is_empty() { key } else { format!("{prefix}.{key}") };
            match value {
                Value::Object(inner) if !inner.is_empty() => {
                    self.push_section(&path, inner, place);
                }
                value => self.result.entry(path).or_default().put(place, value),
            }
        }
    }

    fn checked(self) -> Result<Self> {
        if self.is_empty() {
            bail!("there are no points in it");
        }
        Ok(self)
    }
}

/// A value on an axis, which a description writes as text, as the number that it is.
fn number_of(value: Value) -> Value {
    match value {
        Value::String(text) => number(text),
        value => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the page makes of a compact column.
    fn expand(column: &Value, place: usize) -> Value {
        match column {
            Value::Array(values) => values[place].clone(),
            column if column.get("every").is_some() => column["every"].clone(),
            column => {
                let index = column["index"][place].as_u64().unwrap();
                column["values"][usize::try_from(index).unwrap()].clone()
            }
        }
    }

    #[test]
    fn every_form_of_a_column_gives_its_values_back() {
        let cases = [
            vec![json!(1.5); 6],
            vec![json!(1), json!(2), json!(1), json!(null), json!(2), json!(1)],
            vec![json!("a"), json!("b"), json!([1, 2]), json!(4), json!(5.25), json!(null)],
        ];
        let mut forms = Vec::new();
        for values in cases {
            let mut column = Column::default();
            for (place, value) in values.iter().enumerate().filter(|(_, value)| !value.is_null()) {
                column.put(place, value.clone());
            }
            let compact = column.compact(values.len());
            forms.push((compact.is_array(), compact.get("every").is_some()));
            for (place, value) in values.iter().enumerate() {
                assert_eq!(expand(&compact, place), *value, "{compact}");
            }
        }
        assert_eq!(forms, [(false, true), (false, false), (true, false)]);
    }

    #[test]
    fn lines_and_tables_hold_the_same_points() {
        let lines = [
            json!({"point": 3, "set": {"a.b": "8"}, "status": "ok", "reason": null, "front": true,
                   "command": "x", "result": {"cycles": 7, "energy_j": {"total": 0.5}}}),
            json!({"point": 4, "set": {"a.b": "wide"}, "status": "failed", "reason": "no",
                   "front": false, "command": "y", "result": null}),
        ];
        let text = lines.map(|line| line.to_string()).join("\n");
        let lines = Exploration::from_lines(text.as_bytes()).unwrap();
        let table = "point,a.b,status,front,cycles,energy_j.total,reason,command\n\
                     3,8,ok,true,7,0.5,,x\n4,wide,failed,false,,,no,y\n";
        let super::super::Content::Exploration(table) =
            super::super::rows::from_csv(table.as_bytes()).unwrap()
        else {
            panic!("no exploration")
        };
        assert_eq!(lines.compact(), table.compact());
        assert_eq!(lines.compact()["set"]["a.b"], json!([8, "wide"]));
        assert_eq!(lines.compact()["result"]["energy_j.total"], json!([0.5, null]));
    }

    #[test]
    fn a_damaged_line_is_named() {
        let message =
            |text: &str| Exploration::from_lines(text.as_bytes()).unwrap_err().to_string();
        assert!(message("{\"point\": 1}").starts_with("line 1 is no point"));
        assert!(message("").contains("no points"));
    }
}
