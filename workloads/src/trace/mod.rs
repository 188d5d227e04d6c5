//! Our trace format: JSON Lines, one request per line, plain or gzip.
//!
//! The first line is a [`Header`], every further line one [`Record`]. The format is specified in
//! `docs/trace-format.md`. [`TraceReader`] and [`TraceWriter`] work line by line over any
//! [`std::io::Read`] and [`std::io::Write`]; memory is bounded by one line.

mod fields;
mod reader;
mod record;
mod writer;

use std::collections::BTreeMap;

use crate::{Request, Tensor};

pub(crate) use reader::collect;
pub use reader::{TraceReader, read_workload};
pub use writer::{TraceWriter, write_workload};

/// `format` of every header.
pub const FORMAT: &str = "attelier-trace";
/// Version this crate reads and writes.
pub const VERSION: u32 = 1;
/// Longest header, and longest line of a trace that carries counts only \[bytes\].
pub const MAX_LINE: usize = 1 << 16;
/// Longest line of a trace that carries tensors \[bytes\].
pub const MAX_TENSOR_LINE: usize = 1 << 28;

/// What a trace carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Content {
    /// Counts only.
    Counts,
    /// Counts, and the tensors of every request.
    Tensors,
}

/// First line of a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// What the lines carry.
    pub content: Content,
    /// Name of the workload.
    pub name: String,
    /// Model whose attention this is.
    pub model: String,
    /// One line for listings.
    pub description: String,
    /// Where the counts come from.
    pub provenance: String,
    /// What no source states, with reasons.
    pub assumptions: Vec<String>,
    /// Lines that follow. A file with fewer was cut.
    pub requests: u64,
}

/// Tensors of one request by name.
///
/// `q` [queries, head_dim], `k` and `v` [tokens, head_dim] are always there, with `keys` to
/// `sentence_length` tokens; further names are free.
pub type Tensors = BTreeMap<String, Tensor>;

/// One line of a trace.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Its counts.
    pub request: Request,
    /// Its values, in a trace with [`Content::Tensors`].
    pub tensors: Option<Tensors>,
}

impl From<Request> for Record {
    fn from(request: Request) -> Record {
        Record { request, tensors: None }
    }
}
