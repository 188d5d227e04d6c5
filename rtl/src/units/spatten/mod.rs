//! Units of SpAtten.

pub mod comparator_array;
pub mod lfsr;
pub mod quick_select;
pub mod radix_select;
pub mod row_aligner;
pub mod row_buffer;
pub mod topk_filter;
pub mod topk_token;
pub mod topk_value;
pub mod zero_eliminator;
