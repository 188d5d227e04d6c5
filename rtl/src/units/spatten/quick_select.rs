//! Quick-select engine: the k-th largest of the elements of a buffer, and how many equals of it to
//! keep (SpAtten section IV-B, algorithm 3, figure 9, with the one-based rank).
//!
//! A round takes `ceil(candidates / lanes) + round_overhead` cycles:
//!
//! | cycle | what happens |
//! |---|---|
//! | 0 | counts of the last round choose the side; the pivot's position goes to the memories |
//! | 1 | the pivot is read and kept; the first row is asked for |
//! | 2 ... | a row is compared with the pivot and compacted to either side |
//! | 3 ... | a row's smaller elements are appended to FIFO_L, the larger ones to FIFO_R |
//!
//! so that three cycles of a round overlap with nothing. FIFO_L and FIFO_R may be source and target of a
//! round at once: what is appended never reaches the row that is read.

use std::sync::Arc;

use super::{lfsr, lfsr::Lfsr, row_aligner::RowAligner, topk_step::TopKStep};
use crate::{
    Error, ModuleBuilder, Signal,
    bits::index_width,
    ir::{MemoryStyle, Module},
};

/// A quick-select engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuickSelect {
    /// Comparators of each array = elements per cycle; a power of two from 2 to 64.
    pub lanes: u32,
    /// Width of an element \[bits\], unsigned.
    pub width: u32,
    /// Most elements, a multiple of `lanes`, from `2 * lanes` on.
    pub capacity: u32,
    /// Fixed cycles of a round, at least [`LEAST_OVERHEAD`].
    pub round_overhead: u32,
    /// State of the pivot generator after the reset.
    pub seed: u16,
}

/// Read the pivot, compare, append: what a round needs beside its rows \[cycles\].
pub const LEAST_OVERHEAD: u32 = 3;

/// Where candidates are read.
#[derive(Debug, Clone, Copy)]
enum Source {
    Buffer = 0,
    Left = 1,
    Right = 2,
}

impl QuickSelect {
    /// Width of a number of elements \[bits\].
    pub fn count_width(&self) -> u32 {
        index_width(u64::from(self.capacity) + 1)
    }

    /// Width of the number of a row \[bits\].
    pub fn row_width(&self) -> u32 {
        index_width(u64::from(self.capacity / self.lanes.max(1)))
    }

    /// Refuses what cannot be built.
    pub(super) fn check(&self, module: &str) -> Result<(), Error> {
        let Self { lanes, capacity, round_overhead, .. } = *self;
        let refuse =
            |parameter, value, expected| Err(Error::parameter(module, parameter, value, expected));
        if !lanes.is_power_of_two() || !(2..=64).contains(&lanes) {
            return refuse("parallelism", lanes, "a power of two from 2 to 64");
        }
        if !capacity.is_multiple_of(lanes) || capacity / lanes < 2 || capacity > 1 << 16 {
            return refuse("capacity", capacity, "two or more whole rows, at most 65536 elements");
        }
        if !(LEAST_OVERHEAD..=256).contains(&round_overhead) {
            let expected = "3 to 256: a round reads its pivot, compares and appends";
            return refuse("round_overhead_cycles", round_overhead, expected);
        }
        Ok(())
    }

    /// The module.
    ///
    /// Inputs `start`, `elements`, `rank` (only while idle) and `row_0`, ..., the row of the buffer
    /// that `row_address` asked for one cycle before. Outputs `row_address`; `done` in the cycle in
    /// which `threshold` and `equals` are found, which is the sum of all rounds after the start; both
    /// stay until the next start. `last_cycle` marks the last cycle of a round, which asks for no row.
    ///
    /// # Errors
    /// Parameters outside their range.
    pub fn module(&self) -> Result<Arc<Module>, Error> {
        let Self { lanes, width, capacity, round_overhead, seed } = *self;
        self.check("quick_select")?;
        let (count_width, row_width) = (self.count_width(), self.row_width());
        let lane_width = index_width(lanes.into());
        let m = ModuleBuilder::new("quick_select");
        m.doc(
            "Quick-select engine: the k-th largest of the elements of a buffer, and how many equal",
        );
        m.doc("elements belong to the k largest. A round compares all candidates with a random pivot;");
        m.doc("smaller ones go to FIFO_L, larger ones to FIFO_R, equal ones are only counted.");
        m.parameter("lanes", lanes);
        m.parameter("element width", width);
        m.parameter("capacity", capacity);
        m.parameter("round overhead", round_overhead);
        m.parameter("seed", seed);
        m.latency(format!(
            "the sum of all rounds, ceil(candidates / {lanes}) + {round_overhead} cycles each"
        ));
        let start = m.input("start", 1).comment("begin; only while idle");
        let elements = m.input("elements", count_width).comment("number of elements, not 0");
        let rank = m.input("rank", count_width).comment("k, from 1 to the number of elements");
        let buffer_row = m.inputs("row", lanes, width);

        m.section("State of a round.");
        let deciding = m.register("deciding", 1).comment("The first cycle after a round.");
        let cycle_width = index_width(u64::from(capacity / lanes + round_overhead) + 1);
        let cycle = m.register("cycle", cycle_width).comment("Cycle of the round; 0 while idle.");
        let candidates = m.register("candidates", count_width);
        let wanted = m.register("wanted", count_width).comment("Rank among the candidates.");
        let source = m.register("source", 2).comment("0: buffer, 1: FIFO_L, 2: FIFO_R.");
        let left_count = m.register("left_count", count_width);
        let right_count = m.register("right_count", count_width);

        m.section("Decision: the next candidates, or the end.");
        let not_smaller = m.wire("not_smaller", &(&candidates - &left_count));
        let goes_right = m.wire("goes_right", &wanted.le(&right_count));
        let found = m.wire("found", &(!&goes_right & wanted.le(&not_smaller)));
        let next_round = m.wire("next_round", &(&start | (&deciding & !&found)));
        let side_count = goes_right.mux(&right_count, &left_count);
        let side_rank = goes_right.mux(&wanted, &wanted - &not_smaller);
        let round_count = m.wire("round_count", &start.mux(&elements, &side_count));
        let round_rank = m.wire("round_rank", &start.mux(&rank, &side_rank));
        let literal = |source: Source| m.constant(source as u64, 2);
        let side = goes_right.mux(&literal(Source::Right), literal(Source::Left));
        let round_source = m.wire("round_source", &start.mux(&literal(Source::Buffer), &side));
        m.update_when(&candidates, &next_round, &round_count);
        m.update_when(&wanted, &next_round, &round_rank);
        m.update_when(&source, &next_round, &round_source);

        m.section("Pivot position: (state * candidates) >> 16.");
        let generator = m.instance("pivot_generator", &Lfsr { seed }.module()?);
        generator.input("step", &next_round);
        let scaled = m.wire("scaled", &generator.output("next").mul(&round_count));
        m.discard(&scaled);
        let position = scaled.bits(lfsr::WIDTH..lfsr::WIDTH + lane_width + row_width);
        let pivot_lane = m.pipe("pivot_lane", &position.bits(0..lane_width));
        let pivot_row = position.bits(lane_width..lane_width + row_width);

        m.section("Rows: cycle 0 asks for the pivot's, the cycles after it for all.");
        let rows = m.register("rows", count_width).comment("Rows of candidates.");
        let full =
            round_count.extend(count_width + 1) + m.constant(u64::from(lanes) - 1, count_width + 1);
        let full = m.wire("rounded_up", &full);
        m.discard(&full);
        let whole = full.bits(lane_width..count_width + 1).extend(count_width);
        m.update_when(&rows, &next_round, &whole);
        let row = m.register("row", row_width + 1).comment("Row that is asked for.");
        let running = m.wire("running", &cycle.any());
        let rows_here = fit(&m, &rows, row_width + 1);
        let asks = m.wire("asks", &(&running & row.lt(&rows_here)));
        let advanced = asks.mux(&(&row + 1), &row);
        m.update(&row, next_round.mux(&m.constant(0, row_width + 1), &advanced));
        let address = m.wire("address", &running.mux(&row.bits(0..row_width), &pivot_row));
        m.discard(&row);
        let is_last = m.wire("is_last", &(&row + 1).eq(&rows_here));

        m.section("Cycle of the round.");
        let limit = rows.extend(cycle_width.max(count_width) + 1)
            + m.constant(u64::from(round_overhead) - 1, cycle_width.max(count_width) + 1);
        let ends = &running & cycle.extend(limit.width()).eq(m.wire("final_cycle", &limit));
        let ends = m.wire("ends", &ends);
        let counting = running.mux(&(&cycle + 1), &cycle);
        let next_cycle = next_round
            .mux(&m.constant(1, cycle_width), ends.mux(&m.constant(0, cycle_width), &counting));
        m.update(&cycle, &next_cycle);
        m.update(&deciding, &ends);

        m.section("FIFO_L and FIFO_R: one bank per lane, read in whole rows.");
        let fifo = |side: &str| -> (Vec<Signal>, Bank) {
            let write = Bank::new(&m, side, lanes, width, row_width);
            let reads = (0..lanes as usize)
                .map(|lane| {
                    let name = format!("fifo_{side}_{lane}");
                    let depth = capacity / lanes;
                    let memory = m.memory(&name, width, depth, MemoryStyle::Distributed);
                    memory.write(&write.address[lane], &write.data[lane], &write.enable[lane]);
                    memory.read_clocked(format!("{name}_shows"), &address)
                })
                .collect();
            (reads, write)
        };
        let (left_row, left_bank) = fifo("l");
        let (right_row, right_bank) = fifo("r");

        m.section("The row that was read.");
        let reading = m.pipe_reset("reading", &asks);
        let last_read = m.pipe("last_read", &is_last);
        let row_data: Vec<Signal> = (0..lanes as usize)
            .map(|lane| {
                let arms = [(1, &left_row[lane]), (2, &right_row[lane])];
                let choice = m.case(&source, arms, &buffer_row[lane]);
                m.wire(format!("candidate_{lane}"), &choice)
            })
            .collect();
        let pivot = m.register("pivot", width);
        let first = m.wire("reads_pivot", &cycle.eq(1));
        m.update_when(&pivot, &first, m.select(&pivot_lane, &row_data));
        let tail = m.wire("tail", &candidates.bits(0..lane_width));
        let whole_row = m.wire("whole_row", &(!&last_read | !tail.any()));
        let valid: Vec<Signal> = (0..u64::from(lanes))
            .map(|lane| {
                let within = if lane + 1 == u64::from(lanes) {
                    whole_row.clone()
                } else {
                    &whole_row | tail.gt(lane)
                };
                m.wire(format!("is_candidate_{lane}"), &(&reading & within))
            })
            .collect();

        m.section("Compare with the pivot and compact to either side.");
        let step = m.instance("step", &TopKStep { lanes, width }.module()?);
        step.input("pivot", &pivot).input("valid", m.pack(&valid));
        let aligner = RowAligner { name: "row_aligner".into(), lanes, width }.module()?;
        for (lane, data) in row_data.iter().enumerate() {
            step.input(&format!("s_data_{lane}"), data);
        }
        let sides =
            [("l", "smaller", &left_count, left_bank), ("r", "larger", &right_count, right_bank)];
        for (side, kind, count, bank) in sides {
            let appended = step.output(&format!("{kind}_count"));
            let new = m.pipe_reset(format!("append_count_{side}"), &appended);
            let align = m.instance(format!("align_{side}"), &aligner);
            align.input("count", &new).input("offset", count.bits(0..lane_width));
            let row_now = m.wire(
                format!("append_row_{side}"),
                &fit(&m, &count.bits(lane_width..count_width), row_width),
            );
            let row_next = m.wire(format!("append_next_row_{side}"), &(&row_now + 1));
            for lane in 0..lanes as usize {
                let data = step.output(&format!("{kind}_{lane}"));
                let data = m.pipe(format!("append_{side}_{lane}"), &data);
                align.input(&format!("s_data_{lane}"), &data);
            }
            for (lane, at) in (0..lanes).zip(0..) {
                let at: usize = at;
                let (writes, wraps) = (align.output("writes"), align.output("wraps"));
                m.drive(&bank.enable[at], writes.bit(lane));
                m.drive(&bank.address[at], wraps.bit(lane).mux(&row_next, &row_now));
                m.drive(&bank.data[at], align.output(&format!("m_data_{lane}")));
            }
            let sum = count + new.extend(count_width);
            let next = next_round.mux(&m.constant(0, count_width), &sum);
            m.update(count, &next);
        }

        m.section("Results.");
        m.output_for(
            "row_address",
            &address,
            "row of the buffer that `row_*` shows one cycle later",
        );
        let done = m.wire("finished", &(&deciding & &found));
        m.output_for("last_cycle", &ends, "a round ends; row_address is not needed in this cycle");
        m.output_for("done", &done, "threshold and equals are found");
        m.output_for("threshold", &pivot, "the k-th largest element");
        let equals = m.wire("equals_kept", &(&wanted - &right_count));
        m.output_for("equals", &equals, "elements equal to it that belong to the k largest");
        m.finish()
    }
}

/// What is written to the banks of a FIFO, driven after the banks are described.
struct Bank {
    enable: Vec<Signal>,
    address: Vec<Signal>,
    data: Vec<Signal>,
}

impl Bank {
    fn new(m: &ModuleBuilder, side: &str, lanes: u32, width: u32, row_width: u32) -> Self {
        let wires = |what: &str, width: u32| {
            (0..lanes).map(|lane| m.forward(format!("fifo_{side}_{what}_{lane}"), width)).collect()
        };
        Self {
            enable: wires("write", 1),
            address: wires("row", row_width),
            data: wires("data", width),
        }
    }
}

/// The signal, widened or cut; what is cut is zero wherever the result is used.
pub(super) fn fit(m: &ModuleBuilder, signal: &Signal, width: u32) -> Signal {
    if signal.width() <= width {
        return signal.extend(width);
    }
    m.discard(signal);
    signal.bits(0..width)
}

#[cfg(test)]
pub(super) mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_pcg::Pcg64Mcg;

    use super::*;
    use crate::{Design, Simulator};

    /// Threshold, equals to keep and cycles, with the elements in a buffer behind the engine.
    pub fn select(
        simulator: &mut Simulator,
        lanes: usize,
        values: &[u64],
        rank: u64,
    ) -> (u64, u64, u64) {
        simulator.set("elements", values.len() as u64).unwrap();
        simulator.set("rank", rank).unwrap();
        simulator.set("start", 1).unwrap();
        let begin = simulator.cycle();
        loop {
            if simulator.get("done").unwrap() == 1 {
                let cycles = simulator.cycle() - begin;
                let (value, equals) = ("threshold", "equals");
                return (simulator.get(value).unwrap(), simulator.get(equals).unwrap(), cycles);
            }
            let row = simulator.get("row_address").unwrap() as usize;
            simulator.step();
            simulator.set("start", 0).unwrap();
            for lane in 0..lanes {
                let element = values.get(row * lanes + lane).copied().unwrap_or(0);
                simulator.set(&format!("row_{lane}"), element).unwrap();
            }
            assert!(simulator.cycle() - begin < 100_000, "no end");
        }
    }

    #[test]
    fn finds_what_sorting_finds_in_at_least_the_cycles_of_one_round() {
        for lanes in [2u32, 4, 16] {
            let unit =
                QuickSelect { lanes, width: 6, capacity: 16 * lanes, round_overhead: 3, seed: 77 };
            let design = Design::new([&unit.module().unwrap()]).unwrap();
            let mut simulator = Simulator::new(&design, "quick_select").unwrap();
            simulator.reset();
            let mut random = Pcg64Mcg::seed_from_u64(u64::from(lanes));
            for _ in 0..60 {
                let count = random.random_range(1..=u64::from(16 * lanes));
                let bound = [2u64, 64][random.random_range(0..2)];
                let values: Vec<u64> = (0..count).map(|_| random.random_range(0..bound)).collect();
                let rank = random.random_range(1..=count);
                let (value, equals, cycles) = select(&mut simulator, lanes as usize, &values, rank);
                let mut sorted = values.clone();
                sorted.sort_unstable_by_key(|value| std::cmp::Reverse(*value));
                let expected = sorted[rank as usize - 1];
                let larger = values.iter().filter(|value| **value > expected).count() as u64;
                assert_eq!((value, equals), (expected, rank - larger), "{values:?} {rank}");
                assert!(cycles >= count.div_ceil(lanes.into()) + 3);
                simulator.step();
            }
        }
    }

    #[test]
    fn illegal_parameters_are_refused() {
        let legal = QuickSelect { lanes: 4, width: 8, capacity: 64, round_overhead: 3, seed: 1 };
        assert!(legal.module().is_ok());
        for (unit, expected) in [
            (QuickSelect { lanes: 6, ..legal.clone() }, "parallelism = 6"),
            (QuickSelect { capacity: 63, ..legal.clone() }, "capacity = 63"),
            (QuickSelect { capacity: 4, ..legal.clone() }, "capacity = 4"),
            (QuickSelect { round_overhead: 2, ..legal.clone() }, "round_overhead_cycles = 2"),
            (QuickSelect { seed: 0, ..legal.clone() }, "seed = 0"),
            (QuickSelect { width: 0, ..legal }, "0 bits wide"),
        ] {
            let text = unit.module().unwrap_err().to_string();
            assert!(text.contains(expected), "{text}");
        }
    }
}
