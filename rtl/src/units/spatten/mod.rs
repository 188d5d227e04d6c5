//! Units of SpAtten.

pub mod zero_eliminator;
