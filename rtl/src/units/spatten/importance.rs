//! Importance of tokens and heads: saturating sums in memories, beside the data path.
//!
//! A sum is read in the cycle in which its addend comes, and written in the next one. An addend that
//! follows at once to the same place takes the sum on its way to the memory.

use std::sync::Arc;

use attelier_hw::spatten::{
    Spatten,
    formats::{HEAD_IMPORTANCE_BITS, TOKEN_IMPORTANCE_BITS},
};

use super::{
    parts::{adder_tree, delay, history, power_of_two, within},
    widths::check_word,
};
use crate::{
    Error, ModuleBuilder, Signal,
    bits::{Bits, index_width},
    ir::{MemoryStyle, Module, Type},
};

/// Token importance: one `token_accumulator` per lane. Position `lanes * row + lane` of the keys of a
/// pass belongs to lane `lane` and place `row`.
///
/// # Errors
/// Lanes that are no power of two, or fewer places than lanes in the token engine.
pub fn token_importance(params: &Spatten) -> Result<Arc<Module>, Error> {
    let name = "token_importance";
    let word = check_word(name, params)?;
    let lanes = power_of_two(name, "softmax.lanes", params.softmax.lanes)?;
    let capacity = params.topk_token.capacity;
    let rows = within(name, "topk_token.capacity", capacity, lanes..1 << 24, "at least one row")?
        .div_ceil(lanes)
        .max(2);
    let accumulator = accumulator("token_accumulator", TOKEN_IMPORTANCE_BITS, word, rows)?;
    let row_bits = index_width(rows.into());

    let m = ModuleBuilder::new(name);
    m.doc("Cumulative importance of tokens: adds a row of probabilities per cycle. `add_fresh` forgets what");
    m.doc("a place held before. In a cycle without `add_valid`, `read_row` is read.");
    m.parameter("LANES", lanes);
    m.parameter("ROWS", rows);
    m.latency("read 1 cycle; it sees all rows added in the cycles before");
    let add_valid = m.input("add_valid", 1);
    let add_fresh = m.input("add_fresh", 1);
    let add_row = m.input("add_row", row_bits);
    let add_keep = m.input("add_keep", lanes);
    let probabilities = m.inputs("add_probability", lanes, word);
    let read_row = m.input("read_row", row_bits);
    let place = m.wire("place", &add_valid.mux(&add_row, &read_row));
    let sums: Vec<_> = probabilities
        .iter()
        .enumerate()
        .map(|(lane, probability)| {
            let keep = add_keep.bit(lane as u32);
            let instance = m.instance(format!("accumulator_{lane}"), &accumulator);
            instance
                .input("place", &place)
                .input("adds", &add_valid & &keep)
                .input("fresh", &add_fresh)
                .input("addend", probability);
            instance.output("sum")
        })
        .collect();
    m.outputs("importance", &sums);
    m.finish()
}

/// Head importance: magnitudes of an attention output, a tree, and one `head_accumulator`. It has a
/// place for as many heads as the token engine, which ranks them, holds elements.
///
/// # Errors
/// Fewer than two places.
pub fn head_importance(params: &Spatten) -> Result<Arc<Module>, Error> {
    let name = "head_importance";
    let word = check_word(name, params)?;
    let head_dim = power_of_two(name, "head_dim", params.head_dim)?;
    let heads = params.topk_token.capacity;
    within(name, "topk_token.capacity", heads, 2..1 << 24, "at least 2 heads")?;
    let levels = head_dim.ilog2();
    let accumulator = accumulator("head_accumulator", HEAD_IMPORTANCE_BITS, word + levels, heads)?;
    let head_bits = index_width(heads.into());

    let m = ModuleBuilder::new(name);
    m.doc("Cumulative importance of heads: adds the magnitudes of one attention output per cycle.");
    m.doc("`add_fresh` forgets what the head had before. `read_head` is read in a cycle in which no sum");
    m.doc("reaches the memory.");
    m.parameter("HEAD_DIM", head_dim);
    m.parameter("HEADS", heads);
    m.latency(format!(
        "{} cycles from an output to its sum (magnitude, {levels} tree levels); read 1 cycle",
        1 + levels
    ));
    let add_valid = m.input("add_valid", 1);
    let add_fresh = m.input("add_fresh", 1);
    let add_head = m.input("add_head", head_bits);
    let words = m.inputs("add_word", head_dim, Type::signed(word));
    let read_head = m.input("read_head", head_bits);

    m.section("magnitudes");
    let magnitudes = words
        .iter()
        .enumerate()
        .map(|(element, value)| {
            let plain = value.as_unsigned();
            let negated = m.wire(format!("negated_{element}"), &(!&plain + 1));
            m.pipe(format!("magnitude_{element}"), &value.msb().mux(&negated, &plain))
        })
        .collect();
    m.section("adder tree");
    let magnitude = adder_tree(&m, "sum", magnitudes);

    m.section("sum of the head");
    let cycles = 1 + levels;
    let adds = history(&m, "valid", &add_valid, cycles).swap_remove(cycles as usize);
    let fresh = delay(&m, "fresh", &add_fresh, cycles);
    let head = delay(&m, "head", &add_head, cycles);
    let place = m.wire("place", &adds.mux(&head, &read_head));
    let instance = m.instance("accumulator", &accumulator);
    instance
        .input("place", &place)
        .input("adds", &adds)
        .input("fresh", &fresh)
        .input("addend", &magnitude);
    m.output("importance", &instance.output("sum"));
    m.finish()
}

/// Saturating sums in a memory with one read and one write port.
fn accumulator(name: &str, bits: u32, addend_bits: u32, places: u32) -> Result<Arc<Module>, Error> {
    let m = ModuleBuilder::new(name);
    m.doc("Unsigned saturating sums. `sum` shows `place` as it was one cycle ago; where `adds`, `addend` is");
    m.doc("added to it, or takes its place if `fresh`.");
    m.parameter("SUM_BITS", bits);
    m.parameter("PLACES", places);
    m.latency("read 1 cycle, add 1 cycle more");
    let place_bits = index_width(places.into());
    let place = m.input("place", place_bits);
    let adds = m.input("adds", 1);
    let fresh = m.input("fresh", 1);
    let addend = m.input("addend", addend_bits);

    let adds = m.pipe_reset("adds_now", &adds);
    let fresh = m.pipe("fresh_now", &fresh);
    let addend = m.pipe("addend_now", &addend);
    let place_now = m.pipe("place_now", &place);
    m.section("the sum in the memory, or the one that was written as it was read");
    let total = m.forward("total", bits);
    let memory = m.memory("sums", bits, places, MemoryStyle::Block);
    memory.write(&place_now, &total, &adds);
    let stored = memory.read_clocked("stored", &place);
    let follows = m.pipe_reset("follows", &(&adds & place.eq(&place_now)));
    let written = m.pipe("written", &total);
    let sum = m.wire("sum_now", &follows.mux(&written, &stored));
    m.section("add and saturate");
    let kept: Signal = m.wire("kept", &(!&fresh).gate(&sum));
    let wide = m.wire("wide", &kept.add_full(&addend.extend(bits)));
    m.drive(&total, wide.msb().mux(&m.literal(Bits::ones(bits), false), wide.bits(0..bits)));
    m.output("sum", &sum);
    m.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Design, Simulator};

    #[test]
    fn sums_stay_at_their_largest_value() {
        let module = accumulator("narrow", 6, 5, 4).unwrap();
        let mut simulator =
            Simulator::new(&Design::new([&module]).unwrap(), module.name()).unwrap();
        simulator.reset();
        for (input, value) in [("place", 2), ("adds", 1), ("fresh", 0), ("addend", 27)] {
            simulator.set(input, value).unwrap();
        }
        let shown: Vec<u64> = (0..5)
            .map(|_| {
                simulator.step();
                simulator.get("sum").unwrap()
            })
            .collect();
        assert_eq!(shown, [0, 27, 54, 63, 63]);
    }
}
