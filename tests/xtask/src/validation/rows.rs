//! The rows of one figure, as a table of the page.

use std::fmt::Write as _;

/// Most rows that are all shown; of a larger figure, those that are furthest away.
const MOST_ROWS: usize = 40;
/// How many of a larger figure.
const FURTHEST: usize = 10;
/// A row may be that far away without a word about it.
const UNEXPLAINED: f64 = 0.3;

/// A figure made again.
#[derive(Debug, PartialEq)]
pub struct Table {
    /// Paper and figure, as on the command line.
    pub name: String,
    rows: Vec<Row>,
}

#[derive(Debug, Clone, PartialEq)]
struct Row {
    item: String,
    published: Option<f64>,
    ours: Option<f64>,
    unit: String,
    deviation: Option<f64>,
    verdict: String,
    note: String,
}

impl Table {
    /// Reads the table that `attelier reproduce --output` wrote.
    pub fn read(paper: &str, figure: &str, text: &str) -> Result<Self, String> {
        let name = format!("{paper} {figure}");
        let mut rows = Vec::new();
        for record in csv::Reader::from_reader(text.as_bytes()).records() {
            let record = record.map_err(|error| format!("{name}: {error}"))?;
            let cell = |at: usize| record.get(at).unwrap_or_default();
            let number = |at: usize| match cell(at) {
                "" => Ok(None),
                text => {
                    text.parse().map(Some).map_err(|_| format!("{name}: `{text}` is no number"))
                }
            };
            rows.push(Row {
                item: cell(1).to_owned(),
                published: number(2)?,
                ours: number(3)?,
                unit: cell(4).to_owned(),
                deviation: number(5)?,
                verdict: cell(6).to_owned(),
                note: cell(7).to_owned(),
            });
        }
        Ok(Self { name, rows })
    }

    /// Rows that are far away and have no note.
    pub fn unexplained(&self) -> Vec<String> {
        let far = |row: &&Row| {
            row.verdict == "off" && row.deviation.is_some_and(|by| by.abs() > UNEXPLAINED)
        };
        let silent = self.rows.iter().filter(far).filter(|row| row.note.is_empty());
        silent.map(|row| format!("{}: {}", self.name, row.item)).collect()
    }

    /// The table in Markdown, with the notes of its rows below.
    pub fn markdown(&self) -> String {
        let mut text = self.summary();
        let shown = self.shown();
        let mut notes: Vec<&str> = Vec::new();
        text.push_str("\n| | published | ours | unit | deviation | |\n|---|---|---|---|---|---|\n");
        for row in &shown {
            let at = notes.iter().position(|note| *note == row.note).unwrap_or_else(|| {
                notes.push(&row.note);
                notes.len() - 1
            });
            let note = if row.note.is_empty() { String::new() } else { format!(" ({})", at + 1) };
            let shown = |number: Option<f64>| number.map_or("-".to_owned(), significant);
            let (published, ours) = (shown(row.published), shown(row.ours));
            let by = row.deviation.map_or("-".to_owned(), |by| format!("{:+.0} %", 100.0 * by));
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "| {} | {published} | {ours} | {} | {by} | {}{note} |",
                escaped(&row.item),
                escaped(&row.unit),
                row.verdict
            );
        }
        for (at, note) in notes.iter().enumerate().filter(|(_, note)| !note.is_empty()) {
            let _ = write!(text, "{}({}) {note}", if at == 0 { "\n" } else { "\\\n" }, at + 1);
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
        text
    }

    /// How many rows are how close.
    fn summary(&self) -> String {
        const VERDICTS: [&str; 6] = [
            "within 10 %",
            "within 25 %",
            "within the bound",
            "off",
            "not comparable",
            "ours alone",
        ];
        let count = |verdict| self.rows.iter().filter(|row| row.verdict == verdict).count();
        let counts = VERDICTS.map(|verdict| (count(verdict), verdict));
        let counts: Vec<String> = counts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, verdict)| format!("{count} {verdict}"))
            .collect();
        let furthest = match self.rows.len() > MOST_ROWS {
            true => format!("; the {FURTHEST} furthest away"),
            false => String::new(),
        };
        format!("{} rows: {}{furthest}.\n", self.rows.len(), counts.join(", "))
    }

    /// All rows, or those of a large figure that are furthest away, in factors.
    fn shown(&self) -> Vec<&Row> {
        let mut rows: Vec<&Row> = self.rows.iter().collect();
        if rows.len() > MOST_ROWS {
            let factor = |row: &Row| {
                row.deviation.map_or(0.0, |by| (1.0 + by).max(f64::MIN_POSITIVE).ln().abs())
            };
            // Sorting is stable: equal rows keep the order of the figure.
            rows.sort_by(|a, b| factor(b).total_cmp(&factor(a)));
            rows.truncate(FURTHEST);
        }
        rows
    }
}

/// Four significant digits, without an exponent and without zeros at the end.
fn significant(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    let places = (3 - value.abs().log10().floor() as i32).clamp(0, 12) as usize;
    let text = format!("{value:.places$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

fn escaped(text: &str) -> String {
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CSV: &str = "paper,item,published,ours,unit,deviation,verdict,note\n\
                       P,total,8.3,4.98,W,-0.4,off,low\n\
                       P,\"a, b\",2,,W,,not comparable,\n\
                       P,part,2,2.1,W,0.05,within 10 %,low\n\
                       P,trend,,7,%,,ours alone,\n";

    #[test]
    fn a_table_shows_every_row_and_each_note_once() {
        let table = Table::read("p", "fig1", CSV).unwrap();
        let expected = "4 rows: 1 within 10 %, 1 off, 1 not comparable, 1 ours alone.\n\n\
            | | published | ours | unit | deviation | |\n|---|---|---|---|---|---|\n\
            | total | 8.3 | 4.98 | W | -40 % | off (1) |\n\
            | a, b | 2 | - | W | - | not comparable |\n\
            | part | 2 | 2.1 | W | +5 % | within 10 % (1) |\n\
            | trend | - | 7 | % | - | ours alone |\n\n(1) low\n";
        assert_eq!(table.markdown(), expected);
        assert!(table.unexplained().is_empty());
    }

    #[test]
    fn a_row_far_away_without_a_note_is_named() {
        let silent = CSV.replace("off,low", "off,");
        let table = Table::read("p", "fig1", &silent).unwrap();
        assert_eq!(table.unexplained(), ["p fig1: total"]);
    }

    #[test]
    fn a_large_figure_shows_the_rows_that_are_furthest_away_in_factors() {
        let mut text = String::from("paper,item,published,ours,unit,deviation,verdict,note\n");
        for at in 0..50 {
            text += &format!("P,row {at},1,1,x,{},off,n\n", f64::from(at) / 50.0);
        }
        // A fifth is further away than twice as much.
        text += "P,low,1,0.2,x,-0.8,off,n\n";
        let shown = Table::read("p", "fig1", &text).unwrap().markdown();
        assert!(shown.starts_with("51 rows: 51 off; the 10 furthest away.\n"), "{shown}");
        assert_eq!(shown.lines().filter(|line| line.starts_with("| row")).count(), 9);
        assert!(shown.contains("| low |") && shown.find("| low |") < shown.find("| row 49 |"));
    }

    #[test]
    fn numbers_have_four_digits() {
        let of = |value| significant(value);
        assert_eq!(
            [of(18.712), of(0.012346), of(12345.6), of(2.0)],
            ["18.71", "0.01235", "12346", "2"]
        );
    }
}
