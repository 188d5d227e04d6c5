//! Units of ELSA (Ham et al., ISCA 2021): what they compute, and in which cycle it shows.

pub mod candidate;
pub mod hash;
