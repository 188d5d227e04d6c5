//! Streaming reader of the trace format.

use std::io::Read;

use super::fields::Context;
use super::{Content, Header, MAX_LINE, MAX_TENSOR_LINE, Record, record};
use crate::error::{Problem, TraceError};
use crate::lines::Lines;
use crate::{Checker, Workload};

/// Iterates over the records of a trace; holds one line at a time.
///
/// After the first error it ends. A trace that stops before the number of requests its header
/// promises gives an error, not a silent end.
///
/// ```
/// use attelier_workloads::trace::{TraceReader, write_workload};
///
/// let workload = attelier_workloads::load("gpt2-small/wikitext2").unwrap();
/// let bytes = write_workload("small.jsonl", Vec::new(), &workload).unwrap();
/// let reader = TraceReader::new("small.jsonl", &bytes[..]).unwrap();
/// assert_eq!(reader.header().requests, 4608);
/// assert_eq!(reader.map(|record| record.unwrap().request).collect::<Vec<_>>(), workload.requests);
/// ```
pub struct TraceReader<'r> {
    lines: Lines<'r>,
    header: Header,
    checker: Checker,
    ended: bool,
}

impl<'r> TraceReader<'r> {
    /// Reads the header. `file` names the source in errors; gzip is recognised by its first bytes.
    ///
    /// # Errors
    /// Anything that is not a header of a known version.
    pub fn new(file: &str, reader: impl Read + 'r) -> Result<TraceReader<'r>, TraceError> {
        TraceReader::from_lines(Lines::new(file, reader, MAX_LINE)?)
    }

    pub(crate) fn from_lines(mut lines: Lines<'r>) -> Result<TraceReader<'r>, TraceError> {
        let file = lines.file().to_owned();
        let header = match lines.next_line()? {
            Some(line) => {
                record::header(Context { file: &file, line: line.number, text: line.text })?
            }
            None => return Err(TraceError::new(Problem::Empty, &file)),
        };
        if header.content == Content::Tensors {
            lines.set_limit(MAX_TENSOR_LINE);
        }
        Ok(TraceReader { lines, header, checker: Checker::default(), ended: false })
    }

    /// The first line.
    pub fn header(&self) -> &Header {
        &self.header
    }

    fn read(&mut self) -> Result<Option<Record>, TraceError> {
        let file = self.lines.file().to_owned();
        let read = self.checker.count();
        let promised = self.header.requests;
        let Some(line) = self.lines.next_line()? else {
            if read == promised {
                return Ok(None);
            }
            let problem = Problem::Cut {
                at: format!("after {read} requests"),
                expected: format!("{promised}, as its header says"),
            };
            return Err(TraceError::new(problem, &file).at_line(self.lines.number()));
        };
        let context = Context { file: &file, line: line.number, text: line.text };
        if read == promised {
            let problem = Problem::Syntax {
                what: "a line too many".to_owned(),
                expected: format!("{promised} requests, as the header says"),
            };
            return Err(context.error(problem, 0));
        }
        record::record(context, self.header.content, &mut self.checker).map(Some)
    }
}

impl Iterator for TraceReader<'_> {
    type Item = Result<Record, TraceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.read().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

/// Reads a whole trace into memory; tensors are checked and dropped.
///
/// # Errors
/// The first line that breaks the format.
pub fn read_workload(file: &str, reader: impl Read) -> Result<Workload, TraceError> {
    collect(TraceReader::new(file, reader)?)
}

pub(crate) fn collect(reader: TraceReader<'_>) -> Result<Workload, TraceError> {
    let header = reader.header().clone();
    // The vector grows with what is read, not with what the header promises.
    let requests = reader.map(|record| Ok(record?.request)).collect::<Result<_, TraceError>>()?;
    Ok(Workload {
        name: header.name,
        model: header.model,
        description: header.description,
        provenance: header.provenance,
        assumptions: header.assumptions,
        requests,
    })
}
