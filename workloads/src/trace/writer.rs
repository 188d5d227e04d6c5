//! Streaming writer of the trace format.

use std::io::Write;

use super::{Content, Header, MAX_LINE, MAX_TENSOR_LINE, Record, record};
use crate::error::{Problem, TraceError};
use crate::{Checker, Fault, Workload};

/// Writes a header, then record after record; what it writes, [`super::TraceReader`] reads back.
pub struct TraceWriter<W: Write> {
    file: String,
    inner: W,
    header: Header,
    checker: Checker,
}

impl<W: Write> TraceWriter<W> {
    /// Writes the header. `file` names the target in errors.
    ///
    /// # Errors
    /// A header that a reader would refuse, or a failed write.
    pub fn new(file: &str, inner: W, header: Header) -> Result<TraceWriter<W>, TraceError> {
        let promised = header.requests;
        if !(1..=crate::limits::REQUESTS).contains(&promised) {
            let fault = Fault {
                field: "requests",
                found: promised.to_string(),
                expected: format!("a whole number from 1 to {}", crate::limits::REQUESTS),
            };
            return Err(TraceError::new(fault.into(), file));
        }
        let line = record::header_line(&header);
        let checker = Checker::default();
        let mut writer = TraceWriter { file: file.to_owned(), inner, header, checker };
        writer.put(line, MAX_LINE)?;
        Ok(writer)
    }

    /// Writes one record.
    ///
    /// # Errors
    /// A request out of order or out of bounds, tensors where the header promises none or the
    /// other way round, or a failed write.
    pub fn write(&mut self, record: &Record) -> Result<(), TraceError> {
        let line = self.checker.count() + 2;
        let refuse = |fault: Fault| TraceError::new(fault.into(), &self.file).at_line(line);
        self.checker.accept(&record.request).map_err(refuse)?;
        let limit = match (&record.tensors, self.header.content) {
            (None, Content::Counts) => MAX_LINE,
            (Some(tensors), Content::Tensors) => {
                record::shapes(&record.request, tensors).map_err(refuse)?;
                MAX_TENSOR_LINE
            }
            (tensors, content) => {
                let found = if tensors.is_some() { "present" } else { "absent" };
                let expected = format!("the opposite, for a trace of {content:?}");
                return Err(refuse(Fault { field: "tensors", found: found.into(), expected }));
            }
        };
        self.put(record::record_line(record), limit)
    }

    /// Flushes and gives the target back.
    ///
    /// # Errors
    /// Fewer or more records than the header promises, or a failed write.
    pub fn finish(mut self) -> Result<W, TraceError> {
        let (written, promised) = (self.checker.count(), self.header.requests);
        if written != promised {
            let problem = Problem::Cut {
                at: format!("after {written} requests"),
                expected: format!("{promised}, as its header says"),
            };
            return Err(TraceError::new(problem, &self.file));
        }
        self.inner.flush().map_err(|source| self.failure(source))?;
        Ok(self.inner)
    }

    fn put(&mut self, line: serde_json::Result<String>, limit: usize) -> Result<(), TraceError> {
        let mut line = line.map_err(|error| self.failure(error.into()))?;
        if line.len() > limit {
            return Err(TraceError::new(Problem::LineTooLong { limit }, &self.file));
        }
        line.push('\n');
        self.inner.write_all(line.as_bytes()).map_err(|source| self.failure(source))
    }

    fn failure(&self, source: std::io::Error) -> TraceError {
        TraceError::new(Problem::Io { action: "write", source }, &self.file)
    }
}

/// Writes a whole workload as a trace of counts and gives the target back.
///
/// # Errors
/// A workload that does not pass [`Workload::check`], or a failed write.
pub fn write_workload<W: Write>(
    file: &str,
    inner: W,
    workload: &Workload,
) -> Result<W, TraceError> {
    let header = Header {
        content: Content::Counts,
        name: workload.name.clone(),
        model: workload.model.clone(),
        description: workload.description.clone(),
        provenance: workload.provenance.clone(),
        assumptions: workload.assumptions.clone(),
        requests: workload.requests.len() as u64,
    };
    let mut writer = TraceWriter::new(file, inner, header)?;
    for request in &workload.requests {
        writer.write(&Record::from(request.clone()))?;
    }
    writer.finish()
}
