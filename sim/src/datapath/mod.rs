//! With which bits: the arithmetic of SpAtten's data path, one file per unit.
//!
//! [`crate::units`] says in which cycle a beat moves, these functions say what it holds. All of them
//! work on integers in the formats of [`attelier_hw::spatten::formats`]; nothing here rounds but
//! where the machine does. `docs/designs/spatten-arithmetic.md` derives the widths.

pub mod bitwidth_converter;
pub mod importance;
pub mod pv_array;
pub mod qk_array;
pub mod quant_decision;
pub mod quantise;
pub mod softmax;
