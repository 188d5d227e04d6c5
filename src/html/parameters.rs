//! Parameters of a design on the page.

use super::block::{Block, Cell, Table};
use crate::documents::{
    Document, Shown,
    parameters::{self, Parameter},
};

/// The parameters behind a result, or why they are not known.
pub fn block(design: &str, config_hash: &str, command: &str, documents: &[Document]) -> Block {
    let title = "Parameters";
    match parameters::of(design, config_hash, command, documents) {
        Ok(parameters) => table(title, &parameters, true),
        Err(reason) => Block::Notes { title: title.to_owned(), items: vec![reason] },
    }
}

/// The parameters of a document of `attelier show`.
pub fn of_shown(shown: &Shown) -> Block {
    table(&format!("Parameters, {}", shown.config_hash), &parameters::read(&shown.toml), false)
}

fn table(title: &str, parameters: &[Parameter], folded: bool) -> Block {
    let rows = parameters.iter().map(|parameter| {
        let Parameter { path, value, unit, source } = parameter;
        let number = value.replace('_', "").parse::<f64>().ok().filter(|n| n.is_finite());
        let value = match number {
            Some(number) => Cell::keyed(value.clone(), number),
            None => Cell::text(value.trim_matches('"')),
        };
        let unit = if matches!(unit.as_str(), "text" | "flag") { "" } else { unit };
        vec![Cell::text(path), value, Cell::text(unit), Cell::text(source)]
    });
    let table = Table::new(title).text("parameter").number("value").text("unit").text("source");
    let table = table.rows(rows);
    Block::Table(if folded { table.folded() } else { table })
}
