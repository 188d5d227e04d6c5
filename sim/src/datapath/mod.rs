//! With which bits: the arithmetic of data paths, one file per unit.
//!
//! [`crate::units`] says in which cycle a beat moves, these functions say what it holds; nothing
//! here rounds but where the machine does.
//!
//! * SpAtten works on integers in the formats of [`attelier_hw::spatten::formats`];
//!   `docs/designs/spatten-arithmetic.md` derives the widths.
//! * PIM-GPT works on BF16 and FP32: [`bf16`], [`bf16_mac`], [`bf16_functions`].
//! * Edge-MoE works on 32-bit fixed-point numbers: [`fixed`], [`fixed_functions`], [`split_dot`].

pub mod bf16;
pub mod bf16_functions;
pub mod bf16_mac;
pub mod bitwidth_converter;
pub mod fixed;
pub mod fixed_functions;
pub mod importance;
pub mod pv_array;
pub mod qk_array;
pub mod quant_decision;
pub mod quantise;
pub mod softmax;
pub mod split_dot;
