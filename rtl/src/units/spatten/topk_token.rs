//! Token and head top-k engine: which tokens, or heads, the next layers keep.
//!
//! It reads the importance accumulators in place: quick-select rounds, then one filter pass that
//! yields the surviving indices in order (SpAtten sections III-A, III-B, IV-B). Token and head
//! pruning share the engine.

use std::sync::Arc;

use super::{
    quick_select::{QuickSelect, fit},
    topk_filter::TopKFilter,
    zero_eliminator::ZeroEliminator,
};
use crate::{Error, ModuleBuilder, Signal, bits::index_width, ir::Module};

/// A token top-k engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopKToken {
    /// The rounds.
    pub engine: QuickSelect,
    /// Elements per cycle of the filter pass; a power of two, at most the lanes of the rounds.
    pub lanes: u32,
}

impl TopKToken {
    /// The module.
    ///
    /// An order is `s_order_valid`, `s_order_ready`, `s_order_elements`, `s_order_keep`. The
    /// accumulators are read through `row_address` and, one cycle later, `row_0`, ... Survivors leave
    /// as `m_index_valid`, `m_index_count` and `m_index_0`, ..., rows of 1 to `lanes` ascending
    /// indices that nobody may hold up. `finished` ends the order: in the cycle after its last one
    /// the next order is taken.
    ///
    /// # Errors
    /// Parameters outside their range.
    pub fn module(&self) -> Result<Arc<Module>, Error> {
        let Self { ref engine, lanes } = *self;
        engine.check("topk_token")?;
        if !lanes.is_power_of_two() || lanes > engine.lanes {
            let expected = "a power of two, at most the parallelism";
            return Err(Error::parameter("topk_token", "lanes", lanes, expected));
        }
        let QuickSelect { width, capacity, lanes: parallelism, .. } = *engine;
        let (count_width, row_width) = (engine.count_width(), engine.row_width());
        let step_width = index_width(u64::from(capacity / lanes) + 1);
        let group_bits = (parallelism / lanes).trailing_zeros();
        let m = ModuleBuilder::new("topk_token");
        m.doc(
            "Token and head top-k engine: quick-select rounds on the importance accumulators, then",
        );
        m.doc("one filter pass that yields the surviving indices in order.");
        m.parameter("parallelism", parallelism);
        m.parameter("lanes of the filter", lanes);
        m.parameter("element width", width);
        m.parameter("capacity", capacity);
        m.latency(format!("all rounds, then ceil(elements / {lanes}) cycles"));
        let valid = m.input("s_order_valid", 1);
        let elements = m.input("s_order_elements", count_width).comment("number of accumulators");
        let keep = m.input("s_order_keep", count_width).comment("how many survive");
        let row = m.inputs("row", parallelism, width);

        m.section("Order.");
        let running = m.register("running", 1);
        let filtering = m.register("filtering", 1);
        let ready = m.wire("ready", &!&running);
        let start = m.wire("start", &(&valid & &ready));
        let count = m.pipe_when("count", &start, &elements);

        m.section("Rounds.");
        let select = m.instance("select", &engine.module()?);
        select.input("start", &start).input("elements", &elements).input("rank", &keep);
        for (lane, element) in row.iter().enumerate() {
            select.input(&format!("row_{lane}"), element);
        }
        let done = select.output("done");

        m.section("Filter pass: its first step is in the cycle in which the rounds are done.");
        let active = m.wire("active", &(&done | &filtering));
        let step = m.register("step", step_width);
        let next_step = m.wire("next_step", &active.gate(&(&step + 1)));
        let rounded =
            count.extend(count_width + 1) + m.constant(u64::from(lanes) - 1, count_width + 1);
        let rounded = m.wire("rounded", &rounded);
        let lane_bits = lanes.trailing_zeros();
        m.discard(&rounded);
        let high = (lane_bits + step_width).min(count_width + 1);
        let steps = m.wire("steps", &rounded.bits(lane_bits..high).extend(step_width));
        let last = m.wire("last", &(&step + 1).eq(&steps));
        let ends = m.wire("ends", &(&active & &last));
        m.update(&step, (!&ends).gate(&next_step));
        m.update(&filtering, &active & !&last);
        m.update(&running, &start | (&running & !&ends));
        // In the last cycle of every round the row for a first step is asked for; the rounds need none.
        let asked = &next_step;
        let filter_row = fit(&m, &asked.bits(group_bits..step_width), row_width);
        let reads_filter = m.wire("reads_filter", &(&active | select.output("last_cycle")));
        let address =
            m.wire("address", &reads_filter.mux(&filter_row, select.output("row_address")));

        m.section("The elements of a step.");
        let chosen: Vec<Signal> = match group_bits {
            0 => row.clone(),
            _ => {
                let group = step.bits(0..group_bits);
                (0..lanes as usize)
                    .map(|lane| {
                        let choices: Vec<Signal> =
                            row.iter().skip(lane).step_by(lanes as usize).cloned().collect();
                        m.wire(format!("element_{lane}"), &m.select(&group, &choices))
                    })
                    .collect()
            }
        };
        let mask = m.pack(&lane_mask(&count, &active, &last, lanes));
        let filter = TopKFilter { lanes, width, count_width }.module()?;
        let filter = m.instance("filter", &filter);
        let equals = m.register_without_reset("equals", count_width);
        let equals_left = m.wire("equals_left", &done.mux(&select.output("equals"), &equals));
        m.update(&equals, filter.output("equals_after"));
        filter.input("threshold", select.output("threshold"));
        filter.input("equals_left", &equals_left).input("valid", &mask);
        for (lane, element) in chosen.iter().enumerate() {
            filter.input(&format!("s_data_{lane}"), element);
        }

        m.section("Surviving indices.");
        let indices =
            compact_indices(&m, "index", &filter.output("keep"), &step, lanes, count_width)?;
        m.output("s_order_ready", &ready);
        m.output_for("row_address", &address, "row that `row_*` shows one cycle later");
        m.output_for("m_index_valid", &indices.valid, "at least one index");
        m.output_for("m_index_count", &indices.count, "number of indices");
        m.outputs("m_index", &indices.lanes);
        m.output_for("finished", &ends, "last cycle of the order");
        m.finish()
    }
}

/// Surviving indices of a row.
pub(super) struct Indices {
    pub valid: Signal,
    pub count: Signal,
    /// The first `count` are meant.
    pub lanes: Vec<Signal>,
}

/// One bit per lane: the row is `active` and its element exists. Rows are full but for the last.
pub(super) fn lane_mask(
    elements: &Signal,
    active: &Signal,
    last: &Signal,
    lanes: u32,
) -> Vec<Signal> {
    let bits = lanes.trailing_zeros();
    if bits == 0 {
        return vec![active.clone()];
    }
    let tail = elements.bits(0..bits);
    let whole = !last | !tail.any();
    (0..lanes)
        .map(|lane| match lane + 1 == lanes {
            true => active & &whole,
            false => active & (&whole | tail.gt(u64::from(lane))),
        })
        .collect()
}

/// The kept lanes of row `row` as indices of elements, in wires that begin with `name`.
pub(super) fn compact_indices(
    m: &ModuleBuilder,
    name: &str,
    keep: &Signal,
    row: &Signal,
    lanes: u32,
    index_width: u32,
) -> Result<Indices, Error> {
    let bits = lanes.trailing_zeros();
    if bits == 0 {
        let index = m.wire(format!("{name}_0"), &fit(m, row, index_width));
        return Ok(Indices { valid: keep.clone(), count: keep.clone(), lanes: vec![index] });
    }
    let module = ZeroEliminator { name: "index_eliminator".into(), lanes, width: bits }.module()?;
    let eliminator = m.instance(format!("{name}_eliminator"), &module);
    eliminator.input("keep", keep);
    for lane in 0..lanes {
        eliminator.input(&format!("s_data_{lane}"), u64::from(lane));
    }
    let lanes = (0..lanes)
        .map(|lane| {
            let index = row.concat(&eliminator.output(&format!("m_data_{lane}")));
            m.wire(format!("{name}_{lane}"), &fit(m, &index, index_width))
        })
        .collect();
    Ok(Indices { valid: keep.any(), count: eliminator.output("count"), lanes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(parallelism: u32, lanes: u32) -> TopKToken {
        let capacity = 8 * parallelism;
        let engine =
            QuickSelect { lanes: parallelism, width: 32, capacity, round_overhead: 3, seed: 1 };
        TopKToken { engine, lanes }
    }

    #[test]
    fn the_filter_may_be_as_wide_as_the_comparator_arrays_or_narrower() {
        for (parallelism, lanes) in [(16, 16), (16, 8), (16, 2), (16, 1), (2, 2), (2, 1)] {
            let built = unit(parallelism, lanes).module();
            assert!(built.is_ok(), "{parallelism} {lanes}: {:?}", built.err());
        }
        assert!(unit(4, 8).module().is_err());
    }
}
