//! Results of one kind side by side: every number beside that of the first result, and what differs in
//! the parameters behind them.

use anyhow::{Result, bail};
use indexmap::IndexMap;
use serde::Serialize;
use serde_json::Value;

use crate::{
    documents::{
        Content, Document,
        kind::Kind,
        parameters::{self, Parameter},
        quantity,
        rows::Rows,
        run::Run,
    },
    table::{Align, table},
};

/// Sections of a simulation that are compared, in the order of their importance.
const SECTIONS: [&str; 14] = [
    "cycles",
    "seconds",
    "ops_executed",
    "ops_dense",
    "throughput",
    "traffic",
    "dram",
    "energy_j",
    "power_w",
    "area_mm2",
    "units",
    "admission",
    "phases",
    "fidelity",
];

/// Results side by side.
#[derive(Debug, Serialize)]
pub struct Comparison {
    /// One for each result, in their order.
    rows: Vec<Row>,
    /// Parameters that are not the same everywhere.
    parameters: Vec<Difference>,
    /// What makes the numbers less comparable than they look.
    pub warnings: Vec<String>,
}

/// One result.
#[derive(Debug, Serialize)]
struct Row {
    file: String,
    design: Option<String>,
    workload: Option<String>,
    command: Option<String>,
    /// Its numbers by dotted path.
    results: IndexMap<String, f64>,
    /// The same, each divided by that of the first result; `null` where that is 0 or missing.
    ratios: IndexMap<String, Option<f64>>,
}

/// A parameter that is not the same everywhere.
#[derive(Debug, PartialEq, Serialize)]
struct Difference {
    path: String,
    unit: String,
    /// One for each result; `None` where the design has no such parameter.
    values: Vec<Option<String>>,
}

impl Comparison {
    /// Compares documents.
    ///
    /// # Errors
    /// Documents of different kinds, or of a kind that has no numbers to compare.
    pub fn of(documents: &[Document]) -> Result<Self> {
        let mut first = None;
        for document in documents {
            let kind = kind(document)?;
            let (expected, file) = *first.get_or_insert((kind, &document.file));
            if kind != expected {
                bail!(
                    "`{}` is a `{}` and `{file}` a `{}`: expected results of one command",
                    document.file,
                    kind.schema(),
                    expected.schema()
                );
            }
        }
        let mut rows: Vec<Row> = documents.iter().map(Row::of).collect();
        if let Some(reference) = rows.first().map(|row| row.results.clone()) {
            rows.iter_mut().for_each(|row| row.relate(&reference));
        }
        let mut warnings = warnings(documents);
        let parameters = differences(documents, &mut warnings);
        Ok(Self { rows, parameters, warnings })
    }

    /// The comparison for people.
    pub fn text(&self) -> String {
        use Align::{Left, Right};
        let mut text = String::new();
        for (number, row) in (1..).zip(&self.rows) {
            let what = [&row.design, &row.workload].into_iter().flatten();
            let what: Vec<&str> = what.map(String::as_str).collect();
            let what =
                if what.is_empty() { String::new() } else { format!(": {}", what.join(" on ")) };
            text += &format!("{number} is {}{what}\n", row.file);
        }
        let heads: Vec<String> = (1..=self.rows.len()).map(|number| number.to_string()).collect();
        let mut columns = vec![("result", Left)];
        for (place, head) in heads.iter().enumerate() {
            columns.push((head, Right));
            if place > 0 {
                columns.push(("to 1", Right));
            }
        }
        text.push('\n');
        text += &table(&columns, self.paths().into_iter().map(|path| self.line(path)));
        if !self.parameters.is_empty() {
            let mut columns = vec![("parameter that differs", Left), ("unit", Left)];
            columns.extend(heads.iter().map(|head| (head.as_str(), Right)));
            text.push('\n');
            text += &table(&columns, self.parameters.iter().map(Difference::cells));
        }
        text
    }

    /// Numbers worth a line: the shares of units without their cycles, nothing that is 0 everywhere.
    fn paths(&self) -> Vec<&str> {
        let mut paths: Vec<&str> = Vec::new();
        for row in &self.rows {
            for (path, value) in &row.results {
                let detail = path.starts_with("units.") && !path.ends_with(".utilisation");
                if *value != 0.0 && !detail && !paths.contains(&path.as_str()) {
                    paths.push(path);
                }
            }
        }
        // Within a section in the order in which the results have them.
        let section =
            |path: &str| SECTIONS.iter().position(|name| path.split('.').next() == Some(name));
        let place = |path: &str| self.rows.iter().find_map(|row| row.results.get_index_of(path));
        paths.sort_by_key(|path| (section(path), place(path)));
        paths
    }

    fn line(&self, path: &str) -> Vec<String> {
        let mut cells = vec![path.to_owned()];
        for (place, row) in self.rows.iter().enumerate() {
            let value = row.results.get(path).map(|value| quantity::text(path, *value));
            cells.push(value.unwrap_or_else(|| "-".to_owned()));
            if place > 0 {
                let ratio = row.ratios.get(path).copied().flatten();
                cells.push(ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.3}")));
            }
        }
        cells
    }
}

impl Row {
    fn of(document: &Document) -> Self {
        let mut row = Self {
            file: document.file.clone(),
            design: None,
            workload: None,
            command: None,
            results: IndexMap::new(),
            ratios: IndexMap::new(),
        };
        match &document.content {
            Content::Run(run) => {
                row.design = Some(run.design.clone());
                row.workload = Some(run.workload.clone());
                row.command = Some(run.command.clone());
                for section in SECTIONS {
                    if let Some(value) = run.value.get(section) {
                        row.gather(section, value);
                    }
                }
            }
            Content::Rows(rows) => {
                row.design = rows.about("design").map(str::to_owned);
                row.workload = rows.about("model").map(str::to_owned);
                row.command = rows.about("command").map(str::to_owned);
                for (name, column, value) in numbers(rows) {
                    row.results.insert(format!("{name}: {column}"), value);
                }
            }
            // Refused before.
            Content::Exploration(_) | Content::Parameters(_) | Content::Timeline(_) => {}
        }
        row
    }

    /// Adds all numbers of a section.
    fn gather(&mut self, path: &str, value: &Value) {
        match value {
            Value::Object(section) => {
                for (key, value) in section {
                    self.gather(&format!("{path}.{key}"), value);
                }
            }
            value => {
                self.results.extend(value.as_f64().map(|number| (path.to_owned(), number)));
            }
        }
    }

    fn relate(&mut self, reference: &IndexMap<String, f64>) {
        let ratio = |(path, value): (&String, &f64)| {
            let first = reference.get(path).filter(|first| **first != 0.0);
            (path.clone(), first.map(|first| value / first))
        };
        self.ratios = self.results.iter().map(ratio).collect();
    }
}

impl Difference {
    fn cells(&self) -> Vec<String> {
        let dash = || "-".to_owned();
        let values = self.values.iter().map(|value| value.clone().unwrap_or_else(dash));
        [self.path.clone(), self.unit.clone()].into_iter().chain(values).collect()
    }
}

/// The kind of a document that can be compared.
fn kind(document: &Document) -> Result<Kind> {
    let instead = match &document.content {
        Content::Run(_) => return Ok(Kind::Run),
        Content::Rows(rows) => return Ok(rows.kind),
        Content::Exploration(_) => {
            "an exploration: compare the results of two of its points, which their commands give"
        }
        Content::Parameters(_) => {
            "a list of parameters, which every comparison of results names where they differ"
        }
        Content::Timeline(_) => "a timeline: compare the results of the same runs",
    };
    bail!("`{}` is {instead}", document.file);
}

/// Numbers of a table with the names of row and column; speeds of the tools are no results.
fn numbers(rows: &Rows) -> Vec<(String, &str, f64)> {
    let mut numbers = Vec::new();
    for row in &rows.rows {
        let name = rows.name(row);
        let columns = row.iter().filter(|(column, _)| !column.ends_with("per_second"));
        numbers.extend(
            columns.filter_map(|(column, value)| {
                Some((name.clone(), column.as_str(), value.as_f64()?))
            }),
        );
    }
    numbers
}

/// What makes the numbers less comparable than they look.
fn warnings(documents: &[Document]) -> Vec<String> {
    let runs: Vec<&Run> = documents.iter().filter_map(run).collect();
    let mut warnings = Vec::new();
    let mut differ = |what: &str, of: &dyn Fn(&Run) -> String| {
        let mut texts: Vec<String> = runs.iter().map(|run| of(run)).collect();
        texts.dedup();
        if texts.len() > 1 {
            warnings.push(format!("{what} differ: {}", texts.join(", ")));
        }
        texts.len() > 1
    };
    let workloads = differ("workloads", &|run| run.workload.clone());
    let requests = |run: &Run| run.workload_hash.chars().take(16).collect();
    if !workloads {
        differ("requests of the same workload", &requests);
    }
    differ("versions of attelier", &|run| run.version.clone());
    warnings
}

/// Parameters that are not the same in all simulations, and knobs of their workloads.
fn differences(documents: &[Document], warnings: &mut Vec<String>) -> Vec<Difference> {
    let mut known: Vec<Vec<Parameter>> = Vec::new();
    for document in documents {
        let Some(run) = run(document) else { return Vec::new() };
        let mut all = parameters::knobs(&run.command);
        match parameters::of(&run.design, &run.config_hash, &run.command, documents) {
            Ok(parameters) => all.extend(parameters),
            Err(reason) => {
                warnings.push(format!("parameters of `{}` are not known: {reason}", document.file));
            }
        }
        known.push(all);
    }
    let mut units: IndexMap<&str, &str> = IndexMap::new();
    for parameter in known.iter().flatten() {
        units.entry(&parameter.path).or_insert(&parameter.unit);
    }
    let value = |all: &Vec<Parameter>, path: &str| {
        all.iter().find(|parameter| parameter.path == path).map(|found| found.value.clone())
    };
    let differences = units.into_iter().filter_map(|(path, unit)| {
        let values: Vec<Option<String>> = known.iter().map(|all| value(all, path)).collect();
        let same = values.windows(2).all(|pair| pair[0] == pair[1]);
        (!same).then(|| Difference { path: path.to_owned(), unit: unit.to_owned(), values })
    });
    differences.collect()
}

fn run(document: &Document) -> Option<&Run> {
    match &document.content {
        Content::Run(run) => Some(run),
        _ => None,
    }
}
