//! Published numbers beside ours.

use super::block::{Block, Cell, Table};
use crate::documents::quantity;

/// One compared number.
pub struct Row<'a> {
    /// What is compared, in as many cells as there are names.
    pub names: Vec<&'a str>,
    /// The published number, where there is one.
    pub published: Option<f64>,
    /// Ours, where it can be told.
    pub ours: Option<f64>,
    /// Unit of both.
    pub unit: &'a str,
    /// Relative deviation of ours, where it means something.
    pub deviation: Option<f64>,
    /// Source, or what was simulated.
    pub remark: &'a str,
}

/// The rows as a table; none without rows.
pub fn table<'a>(
    title: &str,
    names: &[&str],
    remark: &str,
    rows: impl IntoIterator<Item = Row<'a>>,
) -> Option<Block> {
    let head = names.iter().fold(Table::new(title), |table, name| table.text(name));
    let rows = rows.into_iter().map(|row| {
        let text = |value: f64| format!("{} {}", quantity::number(value), row.unit);
        let unknown = || Cell::text("–");
        let number = |value| Cell::keyed(text(value), value);
        let mut cells: Vec<Cell> = row.names.iter().map(|name| Cell::text(*name)).collect();
        cells.push(row.published.map_or_else(unknown, number));
        cells.push(row.ours.map_or_else(unknown, number));
        cells.push(row.deviation.map_or_else(unknown, Cell::deviation));
        let both = row.published.zip(row.ours).zip(row.deviation);
        let bar = both.map(|((published, ours), deviation)| {
            let tip = format!(
                "{}: published {}, ours {}, {:+.1} %",
                row.names.join(", "),
                text(published),
                text(ours),
                deviation * 100.0
            );
            Cell::deviation_bar(deviation, tip)
        });
        cells.extend([bar.unwrap_or_else(unknown), Cell::text(row.remark)]);
        cells
    });
    head.number("published")
        .number("ours")
        .number("deviation")
        .bar("−100 % to +100 %")
        .text(remark)
        .rows(rows)
        .block()
}
