//! GELU: ReLU minus a table with interpolation.

use std::sync::Arc;

use attelier_hw::edge_moe::{
    Sizes,
    formats::FEATURE,
    tables::{GELU_DELTA, GELU_STEP_BITS},
};

use crate::{
    Error, ModuleBuilder, Signal,
    bits::index_width,
    ir::Module,
    units::spatten::parts::{delay, within},
};

/// Cycles from a feature to its GELU.
pub const GELU_CYCLES: u32 = 3;
/// Width of a table entry \[bits\].
const ENTRY_BITS: u32 = 20;

/// The module `gelu`: a `gelu_lane` for each output of a block.
///
/// # Errors
/// Fewer than two outputs or more than 64.
pub fn gelu(sizes: &Sizes) -> Result<Arc<Module>, Error> {
    let name = "gelu";
    let lanes = within(name, "block_outputs", sizes.block_outputs, 2..65, "2 to 64")?;
    let lane = gelu_lane()?;
    let m = ModuleBuilder::new(name);
    m.doc(
        "GELU of the outputs of a block where `with_gelu`, and the outputs themselves otherwise.",
    );
    m.parameter("LANES", lanes);
    m.latency(format!("{GELU_CYCLES} cycles: entries, interpolation, difference"));
    let with_gelu = m.input("with_gelu", 1);
    let features = m.inputs("x", lanes, FEATURE.bits);
    let results: Vec<Signal> = (0..)
        .zip(&features)
        .map(|(at, x): (u32, _)| {
            let instance = m.instance(format!("lane_{at}"), &lane);
            instance.input("with_gelu", &with_gelu).input("x", x);
            instance.output("y")
        })
        .collect();
    m.outputs("y", &results);
    m.finish()
}

/// GELU of one feature.
pub(super) fn gelu_lane() -> Result<Arc<Module>, Error> {
    let rest_bits = FEATURE.fraction - GELU_STEP_BITS;
    let intervals = GELU_DELTA.len() as u64 - 1;
    let index_bits = index_width(intervals);
    let m = ModuleBuilder::new("gelu_lane");
    m.doc("GELU(x) = ReLU(x) - delta(|x|). Between two entries of its table delta is interpolated; beyond the");
    m.doc("last one it is 0.");
    m.latency(format!("{GELU_CYCLES} cycles: entries, interpolation, difference"));
    let with_gelu = m.input("with_gelu", 1);
    let x = m.input("x", FEATURE.bits);

    m.section("entries on both sides of |x|");
    let negated = m.wire("negated", &(m.constant(0, FEATURE.bits) - &x));
    let magnitude = m.wire("magnitude", &x.msb().mux(&negated, &x));
    let index = magnitude.bits(rest_bits..FEATURE.bits);
    let is_near = m.wire("is_near", &(index.lt(intervals) & &with_gelu));
    let index = m.wire("index", &index.bits(0..index_bits));
    // Of two entries that follow each other one is even and one is odd: half a table for each, instead of a
    // whole one for each side.
    let entry = |entry: &i32| m.constant(entry.unsigned_abs().into(), ENTRY_BITS);
    let even: Vec<Signal> = GELU_DELTA.iter().step_by(2).map(entry).collect();
    let odd: Vec<Signal> = GELU_DELTA.iter().skip(1).step_by(2).map(entry).collect();
    let (is_odd, odd_at) = (index.bit(0), index.bits(1..index_bits));
    let even_bits = index_width(even.len() as u64);
    let even_at = m.wire("even_at", &(odd_at.extend(even_bits) + is_odd.extend(even_bits)));
    let even = m.wire("even_entry", &m.select(&even_at, &even));
    let odd = m.wire("odd_entry", &m.select(&odd_at, &odd));
    let (below, above) = (is_odd.mux(&odd, &even), is_odd.mux(&even, &odd));
    let below = m.pipe("entry_below", &is_near.gate(&below));
    let above = m.pipe("entry_above", &is_near.gate(&above));
    let rest = m.pipe("rest", &magnitude.bits(0..rest_bits));

    m.section("interpolation");
    let slope = m.wire("slope", &above.sub_full(&below));
    let product = m.wire("product", &slope.mul(&rest.extend(rest_bits + 1).as_signed()));
    m.discard(&product);
    let width = ENTRY_BITS + 1;
    let change = m.pipe("change", &product.bits(rest_bits..rest_bits + width));
    let start = delay(&m, "start", &below, 1);

    m.section("difference");
    let with_gelu = delay(&m, "with_gelu", &with_gelu, 2);
    let x = delay(&m, "x", &x, 2);
    let passes = m.wire("passes", &(!&x.msb() | !with_gelu));
    let delta = m.wire("delta", &(start.extend(width) + &change).as_signed().extend(FEATURE.bits));
    let y = m.pipe("result", &(passes.gate(&x) - delta.as_unsigned()));
    m.output("y", &y);
    m.finish()
}
