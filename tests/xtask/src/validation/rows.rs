//! The rows of one figure, as a table of the page.

use std::fmt::Write as _;

/// Most rows that are all shown; of a larger figure, those that sum up and those that are furthest away.
const MOST_ROWS: usize = 40;
/// How many of the latter.
const FURTHEST: usize = 10;

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
    /// Why it deviates or cannot be compared.
    why: String,
    /// What was simulated.
    note: String,
    /// Whether it sums up other rows.
    summary: bool,
}

impl Row {
    /// What stands below the table for it.
    fn words(&self) -> String {
        let parts = [self.why.as_str(), self.note.as_str()];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ")
    }
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
                why: cell(8).to_owned(),
                summary: cell(9) == "summary",
            });
        }
        Ok(Self { name, rows })
    }

    /// Rows that are off and give no reason; a note of what was simulated is none.
    pub fn unexplained(&self) -> Vec<String> {
        let silent = self.rows.iter().filter(|row| row.verdict == "off" && row.why.is_empty());
        silent.map(|row| format!("{}: {}", self.name, row.item)).collect()
    }

    /// The table in Markdown, with the notes of its rows below.
    pub fn markdown(&self) -> String {
        let mut text = self.summary();
        let shown = self.shown();
        let mut notes: Vec<String> = Vec::new();
        text.push_str("\n| | published | ours | unit | deviation | |\n|---|---|---|---|---|---|\n");
        for row in &shown {
            let words = row.words();
            let note = if words.is_empty() {
                String::new()
            } else {
                let at = notes.iter().position(|note| *note == words).unwrap_or_else(|| {
                    notes.push(words);
                    notes.len() - 1
                });
                format!(" ({})", at + 1)
            };
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
        for (at, note) in notes.iter().enumerate() {
            let _ = write!(text, "{}({}) {note}", if at == 0 { "\n" } else { "\\\n" }, at + 1);
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
        text
    }

    /// How many rows are how close.
    fn summary(&self) -> String {
        const VERDICTS: [&str; 5] =
            ["within 10 %", "within 25 %", "off", "not comparable", "ours alone"];
        let count = |verdict| self.rows.iter().filter(|row| row.verdict == verdict).count();
        let counts = VERDICTS.map(|verdict| (count(verdict), verdict));
        let counts: Vec<String> = counts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, verdict)| format!("{count} {verdict}"))
            .collect();
        let furthest = match self.rows.len() > MOST_ROWS {
            true => format!(
                "; shown are those that sum up and the {FURTHEST} furthest away; digest of all {}",
                self.digest()
            ),
            false => String::new(),
        };
        format!("{} rows: {}{furthest}.\n", self.rows.len(), counts.join(", "))
    }

    /// Changes with every row, shown or not: a short hash of names, verdicts, and values of three digits.
    fn digest(&self) -> String {
        let number =
            |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:.2e}"));
        let lines = self.rows.iter().map(|row| {
            let (published, ours) = (number(row.published), number(row.ours));
            format!("{}|{published}|{ours}|{}\n", row.item, row.verdict)
        });
        let text: String = lines.collect();
        blake3::hash(text.as_bytes()).to_hex().chars().take(8).collect()
    }

    /// All rows, or of a large figure those that sum up, then those that are furthest away, in factors.
    fn shown(&self) -> Vec<&Row> {
        if self.rows.len() <= MOST_ROWS {
            return self.rows.iter().collect();
        }
        let (mut shown, mut others): (Vec<&Row>, Vec<&Row>) =
            self.rows.iter().partition(|row| row.summary);
        let factor = |row: &Row| {
            row.deviation.map_or(0.0, |by| (1.0 + by).max(f64::MIN_POSITIVE).ln().abs())
        };
        // Sorting is stable: equal rows keep the order of the figure.
        others.sort_by(|a, b| factor(b).total_cmp(&factor(a)));
        shown.extend(others.into_iter().take(FURTHEST));
        shown
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

    const HEAD: &str = "paper,item,published,ours,unit,deviation,verdict,note,why,summary\n";
    const CSV: &str = "P,total,8.3,4.98,W,-0.4,off,30 runs,low,\n\
                       P,\"a, b\",2,,W,,not comparable,,,\n\
                       P,part,2,2.1,W,0.05,within 10 %,,low,\n\
                       P,trend,,7,%,,ours alone,30 runs,low,\n";

    fn read(lines: &str) -> Table {
        Table::read("p", "fig1", &format!("{HEAD}{lines}")).unwrap()
    }

    #[test]
    fn a_table_shows_every_row_and_each_reason_once() {
        let expected = "4 rows: 1 within 10 %, 1 off, 1 not comparable, 1 ours alone.\n\n\
            | | published | ours | unit | deviation | |\n|---|---|---|---|---|---|\n\
            | total | 8.3 | 4.98 | W | -40 % | off (1) |\n\
            | a, b | 2 | - | W | - | not comparable |\n\
            | part | 2 | 2.1 | W | +5 % | within 10 % (2) |\n\
            | trend | - | 7 | % | - | ours alone (1) |\n\n(1) low; 30 runs\\\n(2) low\n";
        assert_eq!(read(CSV).markdown(), expected);
        assert!(read(CSV).unexplained().is_empty());
    }

    /// A command line is no reason.
    #[test]
    fn a_row_that_is_off_without_a_reason_is_named_even_with_a_note() {
        let silent = CSV.replace("off,30 runs,low", "off,--set a=1,");
        assert_eq!(read(&silent).unexplained(), ["p fig1: total"]);
    }

    fn large() -> String {
        let mut text = String::new();
        for at in 50..100 {
            let by = f64::from(at) / 50.0;
            text += &format!("P,row {},1,{by},x,{},off,,n,\n", at - 50, by - 1.0);
        }
        // A fifth is further away than twice as much.
        text + "P,low,1,0.2,x,-0.8,off,,n,\nP,mean,1,1.01,x,0.01,within 10 %,,,summary\n"
    }

    #[test]
    fn a_large_figure_shows_what_sums_up_and_the_rows_that_are_furthest_away_in_factors() {
        let shown = read(&large()).markdown();
        let head = "52 rows: 1 within 10 %, 51 off; shown are those that sum up and the 10 furthest away; digest of all ";
        assert!(shown.starts_with(head), "{shown}");
        assert_eq!(shown.lines().filter(|line| line.starts_with("| row")).count(), 9);
        assert!(
            shown.contains("| mean | 1 | 1.01 |") && shown.find("| mean |") < shown.find("| low |")
        );
        assert!(shown.find("| low |") < shown.find("| row 49 |"));
    }

    #[test]
    fn a_row_that_is_not_shown_changes_the_page() {
        let page = read(&large()).markdown();
        let moved = large().replace("P,row 7,1,1.14,", "P,row 7,1,1.15,");
        assert!(!page.contains("row 7 ") && moved != large());
        assert_ne!(read(&moved).markdown(), page);
        // Below three digits nothing changes.
        let close = large().replace("P,row 7,1,1.14,", "P,row 7,1,1.1401,");
        assert!(close != large());
        assert_eq!(read(&close).markdown(), page);
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
