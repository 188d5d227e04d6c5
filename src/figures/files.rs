//! Figures as files: a table and a chart for each, and an index of all.

use std::fmt::Write as _;

use anyhow::Result;

use super::{Closeness, Figure, Outcome, Row};
use crate::plot::{Pairs, pairs_svg};

/// Most numbers of one panel of a chart.
const MOST_ROWS: usize = 60;

/// Rows as csv.
///
/// # Errors
/// None that a writer into memory has.
pub fn csv(rows: &[Row]) -> Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record([
        "paper",
        "item",
        "published",
        "ours",
        "unit",
        "deviation",
        "verdict",
        "note",
        "why",
        "summary",
    ])?;
    let number = |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
    for row in rows {
        writer.write_record([
            row.paper,
            &row.item,
            &number(row.published),
            &number(row.ours),
            &row.unit,
            &number(row.deviation),
            row.verdict.text(),
            &row.note,
            &row.why,
            if row.summary { "summary" } else { "" },
        ])?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}

/// Rows as a chart with a panel for each unit; says with which command and version it was made.
///
/// # Errors
/// Numbers that are not finite.
pub fn svg(figure: &Figure, rows: &[Row], seed: u64) -> Result<String> {
    let mut panels: Vec<Pairs> = Vec::new();
    for row in rows {
        let point = (row.item.clone(), row.published, row.ours);
        let fits = |panel: &&mut Pairs| panel.unit == row.unit && panel.points.len() < MOST_ROWS;
        match panels.iter_mut().find(fits) {
            Some(panel) => panel.points.push(point),
            None => panels.push(Pairs {
                title: format!("{} {}: {}", figure.paper, figure.name, figure.summary),
                unit: row.unit.clone(),
                points: vec![point],
            }),
        }
    }
    let svg = pairs_svg(&panels)?;
    let caption = format!(
        "<!-- attelier {}, attelier reproduce {} {}, seed {seed} -->\n",
        env!("CARGO_PKG_VERSION"),
        figure.paper,
        figure.name
    );
    Ok(caption + &svg)
}

/// How many rows of each figure are how close, and what is missing, as text.
pub fn index(figures: &[(&Figure, &Outcome)]) -> String {
    let mut text = String::from("# Published figures and tables, ours beside theirs\n\n");
    let kinds = [
        Closeness::Tenth,
        Closeness::Quarter,
        Closeness::Off,
        Closeness::NotComparable,
        Closeness::Alone,
    ];
    let heads = kinds.map(Closeness::text).join(" | ");
    let mut line = |text_line: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{text_line}");
    };
    line(format!("| figure | rows | {heads} |"));
    line(format!("|---|---|{}", "---|".repeat(kinds.len())));
    for (figure, outcome) in figures {
        let count = |kind| outcome.rows.iter().filter(|row| row.verdict == kind).count();
        let counts = kinds.map(|kind| count(kind).to_string()).join(" | ");
        let name = format!("{} {}", figure.paper, figure.name);
        line(format!("| {name} | {} | {counts} |", outcome.rows.len()));
    }
    line("\n## Published, but not readable here\n".to_owned());
    let mut papers: Vec<&str> = figures.iter().map(|(figure, _)| figure.paper).collect();
    papers.dedup();
    for paper in papers {
        for missing in crate::published::missing(paper) {
            line(format!("* {paper} {}: {} ({})", missing.figure, missing.what, missing.why));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{figures::FIGURES, published};

    fn rows() -> Vec<Row> {
        let of = |item| published::find("spatten", "table2", item, "power").unwrap();
        vec![
            Row::beside(of("total"), 8.0, "a reason").with_note("a, \"quoted\" note").summing_up(),
            Row::not_comparable(of("DRAM"), None, "why"),
        ]
    }

    #[test]
    fn a_table_reads_back_with_empty_cells_for_what_is_unknown() {
        let text = csv(&rows()).unwrap();
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let lines: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>().unwrap();
        assert_eq!((&lines[0][2], &lines[0][3], &lines[0][7]), ("8.3", "8", "a, \"quoted\" note"));
        assert_eq!((&lines[0][8], &lines[0][9]), ("a reason", "summary"));
        assert_eq!((&lines[1][7], &lines[1][8], &lines[1][9]), ("", "why", ""));
        assert_eq!((&lines[1][3], &lines[1][5], &lines[1][6]), ("", "", "not comparable"));
    }

    #[test]
    fn an_index_counts_verdicts_and_names_what_is_missing() {
        let outcome = Outcome::of(rows(), Vec::new());
        let text = index(&[(&FIGURES[0], &outcome)]);
        assert!(text.contains("| spatten fig19 | 2 | 1 | 0 | 0 | 1 | 0 |"), "{text}");
        assert!(text.contains("* spatten fig7: "), "{text}");
        assert!(svg(&FIGURES[0], &outcome.rows, 3).unwrap().contains(", seed 3"));
    }
}
