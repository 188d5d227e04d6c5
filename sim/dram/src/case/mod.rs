//! Cases: a parameter file and a request trace in, commands and completions out.
//!
//! The format is the one of the golden data set: `params.json` gives organisation, timing or
//! constraint table, mapping, policy and refresh; `requests.csv` gives `arrival,op,address`.
//! Everything comes from these two; nothing depends on a case's name.

mod params;
mod requests;
mod run;

#[cfg(feature = "files")]
mod files;

#[cfg(feature = "files")]
pub use files::{load, load_requests, run_case};
pub use params::CaseParams;
pub use requests::{TraceRequest, read_requests};
pub use run::{CaseResult, Injection, Served, run, run_into};
