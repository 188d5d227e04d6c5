//! Units of SpAtten, in the order of the data.

mod bitwidth_converter;
mod buffered;
mod comparator_array;
mod importance;
mod lfsr;
mod line_slots;
mod line_sram;
mod operands;
mod other_engines;
mod pv_array;
mod qk_array;
mod qkv_fetcher;
mod quant_decision;
mod quick_select;
mod recorder;
pub mod requests;
mod softmax;
pub mod top;
mod topk_step;
mod topk_token;
mod topk_value;
mod zero_eliminator;

use attelier_hw::spatten::Spatten;

use super::Unit;

/// Most multipliers of an array with which the whole machine is compared without being named: a
/// larger one takes hours under Icarus.
const MOST_MULTIPLIERS: u32 = 64;

/// Why a whole machine is left out, if it is.
fn too_large(params: &Spatten) -> Option<String> {
    (params.qk_array.multipliers > MOST_MULTIPLIERS).then(|| {
        format!(
            "it takes hours with more than {MOST_MULTIPLIERS} multipliers per array; name it, or compare \
             `spatten-small`"
        )
    })
}

/// The units of a machine with these parameters, then the machine itself.
pub fn units(params: &Spatten) -> Vec<Box<dyn Unit>> {
    vec![
        lfsr::unit(params),
        comparator_array::unit(params),
        zero_eliminator::unit(params),
        topk_step::unit(params),
        quick_select::unit(params),
        other_engines::radix(params),
        other_engines::bitonic(params),
        topk_value::unit(params),
        topk_token::unit(params),
        bitwidth_converter::unit(params),
        qkv_fetcher::unit(params),
        line_slots::keys(params),
        line_slots::values(params),
        line_sram::keys(params),
        line_sram::values(params),
        qk_array::unit(params),
        softmax::unit(params),
        quant_decision::unit(params),
        importance::token(params),
        pv_array::unit(params),
        importance::head(params),
        top::unit(params),
        top::with_bus(params),
    ]
}
