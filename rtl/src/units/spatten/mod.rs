//! SpAtten's units (Wang, Zhang, Han; HPCA 2021), one file per unit.
//!
//! Each function takes the checked record of the whole machine and returns the module. Bits are those
//! of `docs/designs/spatten-arithmetic.md`, cycles those of `docs/designs/spatten.md`; a record whose
//! latencies are too short for the stages is refused.
//!
//! Rows travel on streams with one port per lane: `tdata_0` and so on, `tkeep` for the lanes that
//! hold a key, `tlast` for the last row of a pass.

pub mod bitonic_select;
mod bitwidth_converter;
pub mod comparator_array;
mod controller;
mod core;
mod hardware;
mod importance;
pub mod lfsr;
mod line_slots;
mod line_sram;
pub(super) mod parts;
mod pv_array;
mod qk_array;
mod qkv_fetcher;
mod quant_decision;
mod query_buffer;
pub mod quick_select;
pub mod radix_select;
pub(super) mod ring;
pub mod row_aligner;
pub mod row_buffer;
mod sizes;
mod softmax;
mod top;
pub mod topk_filter;
pub mod topk_step;
pub mod topk_token;
pub mod topk_value;
mod widths;
pub mod zero_eliminator;

pub use self::{
    bitwidth_converter::{Format, bitwidth_converter, formats},
    controller::{JobField, controller, job_fields},
    core::{PIVOT_SEED, spatten_core},
    hardware::{counted_as, hardware},
    importance::{head_importance, token_importance},
    line_slots::{key_slots, value_slots},
    line_sram::{key_sram, segments, value_sram},
    pv_array::pv_array,
    qk_array::qk_array,
    qkv_fetcher::qkv_fetcher,
    quant_decision::quant_decision,
    query_buffer::query_buffer,
    sizes::{ADDRESS_BITS, ID_BITS, Sizes},
    softmax::softmax,
    top::{ENABLE, FIRST_FIELD, QUEUED_JOBS, spatten, submit_register},
};

/// Places of an output queue beyond the stages of the pipeline before it: a registered handshake
/// needs two to pass one row per cycle.
const HANDSHAKE: u32 = 2;
