//! Where the numbers come from that decide what the machine does.
//!
//! The planner asks for importances, because they say which keys a job has; the machine asks for
//! probabilities when a pass gets to the unit that looks at them. [`SeededValues`] answers for
//! workloads that carry only counts, [`OperandValues`] computes from stored operands.

mod image;
mod operands;
mod seeded;

use std::ops::Range;

use attelier_workloads::request::Request;

use crate::units::qkv_fetcher::Command;

pub use image::Image;
pub use operands::{Comparison, OperandValues, RecordedImportance};
pub use seeded::{SCORE_DEVIATION, SeededRows, SeededValues};

/// One query of one request, in its first or second computation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PassId {
    /// Job number.
    pub job: u32,
    /// Head inside the job.
    pub head: u8,
    /// Query inside the head.
    pub query: u32,
    /// Whether the LSBs of the keys take part.
    pub with_lsb: bool,
}

/// Importances, asked for when jobs are planned.
pub trait Importance {
    /// Whether probabilities are real, so that the machine can find out itself which passes are
    /// flat. Otherwise the workload tells.
    fn decides(&self) -> bool;
    /// Start value of the pivot generator.
    fn pivot_seed(&self) -> u16;
    /// Cumulative importance of the `n` candidate tokens after request number `at`.
    fn of_tokens(&self, at: usize, request: &Request, n: usize) -> Vec<u64>;
    /// Cumulative importance of the `n` heads of the layer that request number `at` ends.
    fn of_heads(&self, at: usize, request: &Request, n: usize) -> Vec<u64>;
    /// Something to choose `request.keys` of `n` tokens by, where a workload does not say by which
    /// selection it lost the others.
    fn unexplained(&self, at: usize, request: &Request, n: usize) -> Vec<u64>;
}

/// Probabilities, asked for while the machine runs.
pub trait Probabilities {
    /// Whether jobs that look alike do the same, so that the machine may leap over them. Real
    /// values must all be seen.
    fn repeats(&self) -> bool;
    /// These transactions of a fetch have arrived.
    fn arrived(&mut self, _command: &Command, _transactions: Range<u64>) {}
    /// Probabilities of the keys of a pass, unsigned fractions of one data path word.
    fn row(&mut self, pass: PassId) -> &[u16];
    /// Whether all of them are below the threshold of the request.
    fn is_flat(&mut self, pass: PassId) -> bool;
    /// Local value pruning keeps these positions among the keys.
    fn keep(&mut self, pass: PassId, kept: &[u32]);
    /// The pass leaves the PxV array.
    fn finish(&mut self, pass: PassId);
}
