//! Cells and memories of a whole machine, unit by unit.
//!
//! Units stand alone here, as in the comparison with the simulator; registers that join them in `spatten_core` are
//! not in it.

use std::sync::Arc;

use attelier_hw::{
    spatten::{Spatten, TopK},
    technology::{Hardware, Unit},
};

use super::{
    PIVOT_SEED, controller, head_importance, key_slots, key_sram, pv_array, qk_array, qkv_fetcher,
    quant_decision, query_buffer, quick_select::QuickSelect, softmax, token_importance,
    topk_token::TopKToken, topk_value::TopKValue, value_slots, value_sram,
};
use crate::{Error, estimate::cells::inventory, ir::Module};

/// Width of an importance accumulator \[bits\].
const IMPORTANCE_BITS: u32 = 32;

/// The units of a machine. `qkv_fetcher` holds the bit-width converter.
///
/// A top-k engine of fewer comparators than it takes elements per cycle cannot be built. It is counted as one that
/// takes as many as it compares, at least two ([`counted_as`]): the memories and comparators are the same, only the
/// registers before the buffer are narrower.
///
/// # Errors
/// Parameters that the hardware cannot be built for.
pub fn hardware(params: &Spatten) -> Result<Hardware, Error> {
    type Build = fn(&Spatten) -> Result<Arc<Module>, Error>;
    const UNITS: [(&str, Build); 15] = [
        ("controller", controller),
        ("qkv_fetcher", qkv_fetcher),
        ("key_slots", key_slots),
        ("key_sram", key_sram),
        ("value_slots", value_slots),
        ("value_sram", value_sram),
        ("query_buffer", query_buffer),
        ("qk_array", qk_array),
        ("softmax", softmax),
        ("quant_decision", quant_decision),
        ("token_importance", token_importance),
        ("topk_value", topk_value),
        ("topk_token", topk_token),
        ("pv_array", pv_array),
        ("head_importance", head_importance),
    ];
    let units = UNITS.iter().map(|(name, build)| {
        let counted = inventory(&*build(params)?);
        let memories = counted.memories.into_iter().collect();
        Ok(Unit { name, cells: counted.cells, memories })
    });
    Ok(Hardware { node: params.process, units: units.collect::<Result<_, Error>>()? })
}

/// Comparators per array and elements per cycle with which a top-k engine is counted.
pub fn counted_as(params: &TopK) -> (u32, u32) {
    let parallelism = params.parallelism.max(2);
    (parallelism, params.lanes.min(parallelism))
}

fn engine(params: &TopK, width: u32) -> QuickSelect {
    QuickSelect {
        lanes: counted_as(params).0,
        width,
        capacity: params.capacity,
        round_overhead: params.round_overhead_cycles,
        seed: PIVOT_SEED,
    }
}

fn topk_value(params: &Spatten) -> Result<Arc<Module>, Error> {
    let engine = engine(&params.topk_value, params.datapath_bits);
    TopKValue { engine, lanes: counted_as(&params.topk_value).1 }.module()
}

fn topk_token(params: &Spatten) -> Result<Arc<Module>, Error> {
    let engine = engine(&params.topk_token, IMPORTANCE_BITS);
    TopKToken { engine, lanes: counted_as(&params.topk_token).1 }.module()
}
