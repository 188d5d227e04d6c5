//! Importer for the csv traces released with SpAtten (HPCA 2021), plain or gzip.
//!
//! One row is one head of one layer of one generated token. The 17 columns are found by name and
//! may stand in any order; the last line names the training configuration and becomes the
//! provenance. `-1` means unquantised or off, whole numbers may be written `64.0`.
//!
//! The released traces are of decoders. A column of ours, `query_num`, says how many queries a row of an encoder has;
//! `-1` in it, or no such column, is a generated token.
//!
//! Rows are read one at a time; a line holds at most [`MAX_LINE`] bytes and a file at most
//! [`crate::limits::REQUESTS`] rows.

use std::io::Read;

use crate::error::{Problem, TraceError};
use crate::lines::{Line, Lines};
use crate::suggest::nearest;
use crate::{Checker, Phase, Request, Widths, Workload, limits};

/// Longest line \[bytes\].
pub const MAX_LINE: usize = 4096;

/// Columns of the released traces, in their order there.
pub const COLUMNS: [&str; 17] = [
    "iteration_id",
    "layer_id",
    "head_id",
    "embedding_length_D",
    "sentence_length_L",
    "key_fetch_num",
    "quant_key_bit",
    "quant_query_bit",
    "auto_requant_thres",
    "if_requant",
    "auto_requant_incre",
    "value_fetch_num",
    "quant_value_bit",
    "if_accumulate_importance",
    "if_rescale_previous_importance",
    "if_topk",
    "topk",
];

/// Column of ours: queries of a whole input, or -1 for a generated token.
pub const QUERIES: &str = "query_num";

/// Reads a released trace. `file` names the source in errors; `name` becomes the workload's name.
///
/// # Errors
/// A missing column, a value that is not what its column holds, a row or file that is cut, rows
/// out of order: with line and column, and what was expected.
pub fn read(file: &str, name: &str, reader: impl Read) -> Result<Workload, TraceError> {
    read_lines(Lines::new(file, reader, MAX_LINE)?, name)
}

pub(crate) fn read_lines(lines: Lines<'_>, name: &str) -> Result<Workload, TraceError> {
    read_at_most(limits::REQUESTS, lines, name)
}

fn read_at_most(most: u64, mut lines: Lines<'_>, name: &str) -> Result<Workload, TraceError> {
    lines.set_limit(MAX_LINE);
    let file = lines.file().to_owned();
    let columns = match lines.next_line()? {
        Some(line) => Columns::find(&file, line)?,
        None => return Err(TraceError::new(Problem::Empty, &file)),
    };
    let mut checker = Checker::default();
    let mut requests: Vec<Request> = Vec::new();
    let mut configuration = None;
    let mut cut_last = false;
    while let Some(line) = lines.next_line()? {
        let row = Row { file: &file, line, columns: &columns, cells: cells(line.text).collect() };
        if configuration.is_some() {
            let problem = Problem::Syntax {
                what: "a row after the configuration line".to_owned(),
                expected: "the end of the file".to_owned(),
            };
            return Err(row.error(problem, 0));
        }
        if let Some(text) = row.configuration() {
            configuration = Some(text);
            continue;
        }
        if checker.count() >= most {
            return Err(row.error(Problem::TooMany { limit: most }, 0));
        }
        let request = row.request()?;
        checker
            .accept(&request)
            .map_err(|fault| row.error_at(column_of(fault.field), fault.into()))?;
        requests.push(request);
        cut_last = !line.terminated;
    }
    if requests.is_empty() {
        let problem = Problem::Cut {
            at: "after its header".to_owned(),
            expected: "at least one row with a number in `iteration_id`".to_owned(),
        };
        return Err(TraceError::new(problem, &file).at_line(lines.number()));
    }
    if configuration.is_none() {
        ends_whole(&file, &lines, &requests, cut_last)?;
    }
    let provenance = match configuration {
        Some(text) => format!("SpAtten csv trace; training configuration {text}"),
        None => "SpAtten csv trace without a configuration line".to_owned(),
    };
    Ok(Workload {
        name: name.to_owned(),
        model: "unknown".to_owned(),
        description: format!("imported SpAtten trace, {} requests", requests.len()),
        provenance,
        assumptions: Vec::new(),
        requests,
    })
}

/// Without the configuration line nothing marks the end of a complete file, so look for signs of a
/// cut: a last row without its line break, or a last token with fewer layers than the first.
fn ends_whole(
    file: &str,
    lines: &Lines<'_>,
    requests: &[Request],
    cut_last: bool,
) -> Result<(), TraceError> {
    let last_layer = |iteration: u32| {
        requests.iter().filter(|r| r.iteration == iteration).map(|r| r.layer).max()
    };
    let ends = |at: &str, expected: &str| {
        let problem = Problem::Cut { at: at.to_owned(), expected: expected.to_owned() };
        TraceError::new(problem, file).at_line(lines.number())
    };
    if cut_last {
        return Err(ends("in a row without a line break", "a complete last row")
            .help("end the file with a line break if this row is complete"));
    }
    let (first, last) = (requests.first(), requests.last());
    if let (Some(first), Some(last)) = (first, last) {
        let whole = last_layer(first.iteration);
        if Some(last.layer) < whole {
            let expected =
                format!("layer {}, as in iteration {}", whole.unwrap_or(0), first.iteration);
            let at = format!("at iteration {}, layer {}", last.iteration, last.layer);
            return Err(ends(&at, &expected).help("the file was cut; get it again"));
        }
    }
    Ok(())
}

/// Position of each of [`COLUMNS`] in the file.
struct Columns {
    position: [usize; COLUMNS.len()],
    /// Of [`QUERIES`].
    queries: Option<usize>,
    count: usize,
}

impl Columns {
    fn find(file: &str, line: Line<'_>) -> Result<Columns, TraceError> {
        let names: Vec<&str> = cells(line.text).map(|(_, cell)| cell).collect();
        let mut position = [0; COLUMNS.len()];
        for (slot, wanted) in position.iter_mut().zip(COLUMNS) {
            let mut found = names.iter().enumerate().filter(|(_, name)| **name == wanted);
            let Some((index, _)) = found.next() else {
                let unknown = names.iter().copied().filter(|name| !COLUMNS.contains(name));
                let problem = Problem::MissingColumn { column: wanted };
                let near = nearest(wanted, unknown);
                let offset = near.and_then(|near| line.text.find(near)).unwrap_or(0);
                let error = TraceError::new(problem, file).at(line.number, line.text, offset);
                return Err(match near {
                    Some(near) => error.help(format!("the nearest column here is `{near}`")),
                    None => error,
                });
            };
            if let Some((again, _)) = found.next() {
                let offset = cells(line.text).nth(again).map_or(0, |(offset, _)| offset);
                let problem = Problem::DuplicateField { field: wanted.to_owned() };
                return Err(TraceError::new(problem, file).at(line.number, line.text, offset));
            }
            *slot = index;
        }
        let queries = names.iter().position(|name| *name == QUERIES);
        Ok(Columns { position, queries, count: names.len() })
    }
}

/// Cells of a line with their byte offsets; blanks and one pair of quotes are stripped.
fn cells(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut offset = 0;
    text.split(',').map(move |cell| {
        let start = offset;
        offset += cell.len() + 1;
        let trimmed = cell.trim();
        let lead = cell.len() - cell.trim_start().len();
        let bare = trimmed.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        (start + lead, bare.unwrap_or(trimmed))
    })
}

/// One line below the header.
struct Row<'a> {
    file: &'a str,
    line: Line<'a>,
    columns: &'a Columns,
    /// With their byte offsets.
    cells: Vec<(usize, &'a str)>,
}

impl Row<'_> {
    /// The configuration, if this line is one: text in the first cell and nothing in the others.
    fn configuration(&self) -> Option<String> {
        let mut cells = self.cells.iter().map(|(_, cell)| *cell);
        let first = cells.next()?;
        let text = first.starts_with(|c: char| c.is_alphabetic());
        let known = COLUMNS.contains(&first);
        (text && !known && cells.all(str::is_empty)).then(|| first.to_owned())
    }

    fn request(&self) -> Result<Request, TraceError> {
        let found = self.cells.len();
        if found != self.columns.count {
            return Err(self.wrong_count(found));
        }
        let requant_bits = self.optional("auto_requant_incre")?;
        let topk = self.optional("topk")?;
        let token_topk = match (self.flag("if_topk")?, topk) {
            (false, _) => None,
            (true, Some(kept)) => Some(kept),
            (true, None) => return Err(self.value_error("topk", "a whole number from 1")),
        };
        let queries = match self.columns.queries {
            Some(_) => self.optional(QUERIES)?,
            None => None,
        };
        Ok(Request {
            iteration: self.whole("iteration_id")?,
            layer: self.whole("layer_id")?,
            head: self.whole("head_id")?,
            phase: if queries.is_some() { Phase::Prefill } else { Phase::Decode },
            head_dim: self.whole("embedding_length_D")?,
            sentence_length: self.whole("sentence_length_L")?,
            queries: queries.unwrap_or(1),
            keys: self.whole("key_fetch_num")?,
            values: self.whole("value_fetch_num")?,
            widths: Widths {
                query: self.optional("quant_query_bit")?,
                key: self.optional("quant_key_bit")?,
                key_lsb: requant_bits.unwrap_or(0),
                value: self.optional("quant_value_bit")?,
            },
            requant_threshold: self.threshold()?,
            requant: self.flag("if_requant")?,
            accumulate_importance: self.flag("if_accumulate_importance")?,
            causal: false,
            rescale_importance: self.flag("if_rescale_previous_importance")?,
            token_topk,
        })
    }

    fn cell(&self, column: &'static str) -> (usize, &str) {
        let slot = COLUMNS.iter().position(|name| *name == column);
        let slot = slot.map(|slot| self.columns.position[slot]).or(self.columns.queries);
        slot.and_then(|slot| self.cells.get(slot).copied()).unwrap_or((0, ""))
    }

    fn whole(&self, column: &'static str) -> Result<u32, TraceError> {
        whole(self.cell(column).1)
            .ok_or_else(|| self.value_error(column, "a whole number from 0, like 64 or 64.0"))
    }

    /// A whole number, or `-1` for none.
    fn optional(&self, column: &'static str) -> Result<Option<u32>, TraceError> {
        match self.cell(column).1 {
            "-1" | "-1.0" => Ok(None),
            text => whole(text)
                .map(Some)
                .ok_or_else(|| self.value_error(column, "a whole number from 0, or -1 for none")),
        }
    }

    fn threshold(&self) -> Result<Option<f64>, TraceError> {
        let column = "auto_requant_thres";
        match self.cell(column).1 {
            "-1" | "-1.0" => Ok(None),
            text => match text.parse::<f64>() {
                Ok(value) if (0.0..=1.0).contains(&value) => Ok(Some(value)),
                _ => Err(self.value_error(column, "a probability from 0 to 1, or -1 for off")),
            },
        }
    }

    fn flag(&self, column: &'static str) -> Result<bool, TraceError> {
        match self.cell(column).1 {
            "True" | "true" => Ok(true),
            "False" | "false" => Ok(false),
            _ => Err(self.value_error(column, "True or False")),
        }
    }

    fn wrong_count(&self, found: usize) -> TraceError {
        let count = self.columns.count;
        let end = self.line.text.len();
        if found < count {
            let at = format!("after {found} of {count} cells of a row");
            let expected = format!("{count} cells, as in the header");
            let what = if self.line.terminated {
                Problem::Syntax { what: format!("the row has {found} cells"), expected }
            } else {
                Problem::Cut { at, expected }
            };
            let error = self.error(what, end);
            return if self.line.terminated { error } else { error.help("get the file again") };
        }
        let offset = self.cells.get(count).map_or(end, |(offset, _)| *offset);
        let what = format!("the row has {found} cells");
        self.error(
            Problem::Syntax { what, expected: format!("{count} cells, as in the header") },
            offset,
        )
    }

    fn value_error(&self, column: &'static str, expected: &str) -> TraceError {
        let text = self.cell(column).1;
        let found =
            if text.is_empty() { "empty".to_owned() } else { text.chars().take(40).collect() };
        let problem =
            Problem::Value { field: column.to_owned(), found, expected: expected.to_owned() };
        self.error_at(column, problem)
    }

    fn error_at(&self, column: &'static str, problem: Problem) -> TraceError {
        self.error(problem, self.cell(column).0)
    }

    fn error(&self, problem: Problem, offset: usize) -> TraceError {
        TraceError::new(problem, self.file).at(self.line.number, self.line.text, offset)
    }
}

/// `64` and `64.0`; nothing else.
fn whole(text: &str) -> Option<u32> {
    let digits = match text.split_once('.') {
        Some((digits, zeros)) if zeros.bytes().all(|byte| byte == b'0') => digits,
        Some(_) => return None,
        None => text,
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

/// Column that holds a field of [`Request`].
fn column_of(field: &str) -> &'static str {
    match field {
        "queries" => QUERIES,
        "layer" => "layer_id",
        "head" => "head_id",
        "head_dim" => "embedding_length_D",
        "sentence_length" => "sentence_length_L",
        "keys" => "key_fetch_num",
        "values" => "value_fetch_num",
        "query_bits" => "quant_query_bit",
        "key_bits" => "quant_key_bit",
        "key_lsb_bits" => "auto_requant_incre",
        "value_bits" => "quant_value_bit",
        "requant_threshold" => "auto_requant_thres",
        "requant" => "if_requant",
        "token_topk" => "topk",
        _ => "iteration_id",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_row_beyond_the_bound_is_refused_with_its_line() {
        let row =
            |head: u32| format!("0,0,{head},8,9,9,-1,-1,-1,False,-1,9,-1,False,False,False,-1");
        let text = format!("{}\n{}\n{}\n{}\n", COLUMNS.join(","), row(0), row(1), row(2));
        let read = |most| read_at_most(most, Lines::new("f", text.as_bytes(), MAX_LINE)?, "f");
        assert_eq!(read(3).unwrap().requests.len(), 3);
        let error = read(2).unwrap_err();
        assert!(matches!(error.problem, Problem::TooMany { limit: 2 }), "{error}");
        assert_eq!(error.place.line, Some(4));
    }

    #[test]
    fn a_column_of_ours_makes_rows_of_encoders() {
        let row = |queries: &str| {
            let header = format!("{},{QUERIES}", COLUMNS.join(","));
            let text = format!(
                "{header}\n0,0,0,8,9,9,-1,-1,-1,False,-1,9,-1,False,False,False,-1,{queries}\n"
            );
            read("f", "f", text.as_bytes()).map(|workload| workload.requests[0].clone())
        };
        let prefill = row("9").unwrap();
        assert_eq!((prefill.phase, prefill.queries), (Phase::Prefill, 9));
        let decode = row("-1").unwrap();
        assert_eq!((decode.phase, decode.queries), (Phase::Decode, 1));
        let error = row("two").unwrap_err().to_string();
        assert!(error.contains("`query_num` is two"), "{error}");
        let error = row("0").unwrap_err().to_string();
        assert!(error.contains("`queries` is 0"), "{error}");
    }
}
