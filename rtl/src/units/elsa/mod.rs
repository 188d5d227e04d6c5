//! ELSA's units (Ham et al., ISCA 2021): the hash module and the candidate selection of a bank.
//!
//! The paper gives what they compute, their multipliers and their throughput; stages and widths inside are
//! our choice. Memories and queues around them are not built.

mod candidate;
mod hash;

pub use self::{candidate::elsa_candidate, hash::elsa_hash};
