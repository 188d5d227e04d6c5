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

fn engine(params: &TopK, width: u32) -> QuickSelect {
    QuickSelect {
        lanes: params.parallelism,
        width,
        capacity: params.capacity,
        round_overhead: params.round_overhead_cycles,
        seed: PIVOT_SEED,
    }
}

fn topk_value(params: &Spatten) -> Result<Arc<Module>, Error> {
    let engine = engine(&params.topk_value, params.datapath_bits);
    TopKValue { engine, lanes: params.topk_value.lanes }.module()
}

fn topk_token(params: &Spatten) -> Result<Arc<Module>, Error> {
    let engine = engine(&params.topk_token, IMPORTANCE_BITS);
    TopKToken { engine, lanes: params.topk_token.lanes }.module()
}
