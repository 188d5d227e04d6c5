//! What can be wrong with a trace, as data; the text is made when it is displayed.

use std::fmt;

use crate::Fault;

/// Characters of the offending line that an error shows.
const EXCERPT: usize = 120;

/// What is wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The operating system refused.
    #[error("cannot {action}: {source}")]
    Io {
        /// What was attempted, e.g. `open the file`.
        action: &'static str,
        /// The system's answer.
        source: std::io::Error,
    },
    /// Nothing in it.
    #[error("the file is empty: expected a trace header or a csv header")]
    Empty,
    /// Not text.
    #[error("this is a binary file ({reason}): expected UTF-8 text, plain or gzip")]
    Binary {
        /// What gave it away.
        reason: &'static str,
    },
    /// The compressed stream stops early or is damaged.
    #[error("the gzip stream is {state} after line {line}: expected a complete stream")]
    Gzip {
        /// `cut short` or `damaged`.
        state: &'static str,
        /// Last line that could still be read.
        line: u64,
    },
    /// A line beyond the bound of the format.
    #[error("the line is longer than {limit} bytes: expected one request per line")]
    LineTooLong {
        /// The bound \[bytes\].
        limit: usize,
    },
    /// More requests than a workload may hold.
    #[error("more than {limit} requests: expected at most that many, to keep memory bounded")]
    TooMany {
        /// The bound.
        limit: u64,
    },
    /// Text that does not follow the grammar of the format.
    #[error("{what}: expected {expected}")]
    Syntax {
        /// What was met.
        what: String,
        /// What belongs there.
        expected: String,
    },
    /// A format version this reader does not know.
    #[error("trace version {found}: expected version {expected}")]
    Version {
        /// Version in the header.
        found: String,
        /// Version this reader knows.
        expected: u32,
    },
    /// A field the format does not have.
    #[error("unknown field `{field}`: expected one of {expected}")]
    UnknownField {
        /// Its name.
        field: String,
        /// Names that exist here.
        expected: String,
    },
    /// The same field twice.
    #[error("field `{field}` is given twice: expected it once")]
    DuplicateField {
        /// Its name.
        field: String,
    },
    /// A field that must be there.
    #[error("field `{field}` is missing: expected {expected}")]
    MissingField {
        /// Its name.
        field: &'static str,
        /// What it should hold.
        expected: String,
    },
    /// A csv column that must be there.
    #[error("column `{column}` is missing: expected the 17 columns of a SpAtten trace")]
    MissingColumn {
        /// Its name.
        column: &'static str,
    },
    /// A value outside what its field may hold.
    #[error("`{field}` is {found}: expected {expected}")]
    Value {
        /// The field or column.
        field: String,
        /// What it holds.
        found: String,
        /// What it should hold.
        expected: String,
    },
    /// A file that stops before its end.
    #[error("the file ends {at}: expected {expected}")]
    Cut {
        /// Where it stops.
        at: String,
        /// What should follow.
        expected: String,
    },
}

/// Where it is wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// File, as the caller named it.
    pub file: String,
    /// Line, from 1.
    pub line: Option<u64>,
    /// Column in characters, from 1.
    pub column: Option<usize>,
    /// Part of the line around the column, at most 120 characters.
    pub excerpt: Option<String>,
    /// Character of the excerpt under which the caret stands, from 0.
    pub caret: usize,
    /// A suggestion.
    pub help: Option<String>,
}

/// A trace that cannot be read or written: what, where, and what to try.
#[derive(Debug)]
pub struct TraceError {
    /// What is wrong.
    pub problem: Problem,
    /// Where.
    pub place: Box<Place>,
}

impl TraceError {
    /// An error about a file as a whole.
    pub fn new(problem: Problem, file: &str) -> TraceError {
        let place = Place { file: file.to_owned(), ..Place::default() };
        TraceError { problem, place: Box::new(place) }
    }

    /// Adds the line number.
    pub fn at_line(mut self, line: u64) -> TraceError {
        self.place.line = Some(line);
        self
    }

    /// Adds the line and a caret under the byte `offset` of its `text`.
    pub fn at(mut self, line: u64, text: &str, offset: usize) -> TraceError {
        let before = text.char_indices().take_while(|(byte, _)| *byte < offset).count();
        // Keep a quarter of the window to the left of the caret when the line has to be cut.
        let length = text.chars().take(before + EXCERPT + 1).count();
        let first = if length <= EXCERPT { 0 } else { before.saturating_sub(EXCERPT / 4) };
        let mut excerpt: String = text.chars().skip(first).take(EXCERPT).map(printable).collect();
        if excerpt.trim().is_empty() {
            excerpt.clear();
        }
        self.place.line = Some(line);
        self.place.column = Some(before + 1);
        self.place.caret = before - first;
        self.place.excerpt = Some(excerpt);
        self
    }

    /// Adds a suggestion.
    pub fn help(mut self, help: impl Into<String>) -> TraceError {
        self.place.help = Some(help.into());
        self
    }

    /// Adds "did you mean", if there is a near miss.
    pub(crate) fn did_you_mean(self, near: Option<&str>) -> TraceError {
        match near {
            Some(near) => self.help(format!("did you mean `{near}`?")),
            None => self,
        }
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Problem {
        Problem::Value {
            field: fault.field.to_owned(),
            found: fault.found,
            expected: fault.expected,
        }
    }
}

fn printable(c: char) -> char {
    if c == '\t' {
        ' '
    } else if c.is_control() {
        '\u{fffd}'
    } else {
        c
    }
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = &*self.place;
        write!(f, "{}", place.file)?;
        if let Some(line) = place.line {
            write!(f, ":{line}")?;
        }
        if let Some(column) = place.column {
            write!(f, ":{column}")?;
        }
        write!(f, ": {}", self.problem)?;
        if let (Some(line), Some(excerpt)) = (place.line, &place.excerpt)
            && !excerpt.is_empty()
        {
            let margin = line.to_string();
            let blank = " ".repeat(margin.len());
            let indent = " ".repeat(place.caret);
            write!(f, "\n{margin} | {excerpt}\n{blank} | {indent}^")?;
        }
        if let Some(help) = &place.help {
            write!(f, "\n  help: {help}")?;
        }
        Ok(())
    }
}

// The text of the problem holds that of its cause already, so no `source` repeats it.
impl std::error::Error for TraceError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stays_under_its_field_in_a_line_that_is_cut() {
        let text = format!("{}X{}", "a".repeat(500), "b".repeat(500));
        let error = TraceError::new(Problem::Empty, "f").at(7, &text, 500);
        let shown = error.to_string();
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[0].split(": ").next(), Some("f:7:501"));
        assert_eq!(lines[1].len(), "7 | ".len() + EXCERPT);
        assert_eq!(lines[1].find('X'), lines[2].find('^'));
    }

    #[test]
    fn the_caret_counts_characters_not_bytes() {
        let error = TraceError::new(Problem::Empty, "f").at(1, "äöü!", "äöü".len());
        assert_eq!(error.place.caret, 3);
        assert_eq!(error.place.column, Some(4));
    }
}
