//! Bitonic select: sorts all elements with Batcher's bitonic network, then reads the k-th.
//!
//! What the paper holds its engine against (SpAtten section V-B: a Batcher sorter), behind the ports of
//! [quick-select](super::quick_select) and with its bandwidth, one row per cycle. Rows are sorted on their
//! way into a memory of the unit. Blocks of rows are then merged, each time twice as large: the first pass
//! of a merge compares every row with its mirror image in the block, the passes after it with the row half
//! as far away each time, and behind the last one a network across the lanes finishes the row.

use std::sync::Arc;

use super::quick_select::{QuickSelect, fit};
use crate::{
    Error, ModuleBuilder, Signal,
    ir::{MemoryStyle, Module},
};

/// Cycles from the address of a row to its exchanged row: memory, partner, comparison.
const EXCHANGE: u32 = 3;

/// A bitonic select engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BitonicSelect {
    /// Elements per cycle; a power of two from 2 to 64.
    pub lanes: u32,
    /// Width of an element \[bits\], unsigned.
    pub width: u32,
    /// Most elements: `lanes` times a power of two, from `2 * lanes` on.
    pub capacity: u32,
}

/// Pairs of lanes that one level compares; the larger element goes to the first.
type Level = Vec<(usize, usize)>;

/// Levels that sort blocks of `size` lanes, side by side in `lanes`.
fn sorting_levels(lanes: usize, size: usize) -> Vec<Level> {
    let mut levels = Vec::new();
    let mut block = 2;
    while block <= size {
        let mirrored = |lane: usize| (lane, lane / block * block + block - 1 - lane % block);
        levels.push((0..lanes).map(mirrored).filter(|(a, b)| a < b).collect());
        levels.extend(merging_levels(lanes, block / 2));
        block *= 2;
    }
    levels
}

/// Levels that sort bitonic blocks of `size` lanes, side by side in `lanes`.
fn merging_levels(lanes: usize, size: usize) -> Vec<Level> {
    let distances = std::iter::successors(Some(size / 2), |distance| Some(distance / 2));
    distances
        .take_while(|distance| *distance > 0)
        .map(|distance| {
            (0..lanes).map(|lane| (lane, lane ^ distance)).filter(|(a, b)| a < b).collect()
        })
        .collect()
}

impl BitonicSelect {
    /// Comparators between two elements that the unit holds: of the networks and of the exchange.
    pub fn comparators(&self) -> usize {
        let lanes = self.lanes as usize;
        let levels = [sorting_levels(lanes, lanes / 2), merging_levels(lanes, lanes)].concat();
        levels.iter().map(Vec::len).sum::<usize>() + lanes
    }

    /// Levels of the sorting network of half a row.
    fn half_levels(&self) -> u64 {
        let doublings = u64::from(self.lanes.ilog2());
        doublings * (doublings - 1) / 2
    }

    /// Cycles from the start to the end.
    pub fn cycles(&self, elements: u64) -> u64 {
        let lanes = u64::from(self.lanes.max(2));
        let rows = elements.div_ceil(lanes).max(1).next_power_of_two();
        let (merges, levels) = (u64::from(rows.ilog2()), u64::from(lanes.ilog2()));
        let load = rows + 1 + self.half_levels() + levels;
        let exchanges = merges * (merges + 1) / 2 * (rows + u64::from(EXCHANGE));
        let (find, count) = (2, rows + 2);
        load + exchanges + merges * levels + find + count
    }

    /// The module, with the ports of [`QuickSelect::module`].
    ///
    /// # Errors
    /// Parameters outside their range.
    pub fn module(&self) -> Result<Arc<Module>, Error> {
        let Self { lanes, width, capacity } = *self;
        let shape = QuickSelect { lanes, width, capacity, round_overhead: 3, seed: 1 };
        shape.check("bitonic_select")?;
        if !capacity.is_power_of_two() {
            return Err(Error::parameter("bitonic_select", "capacity", capacity, "a power of two"));
        }
        let (count_width, row_width) = (shape.count_width(), shape.row_width());
        let (lane_bits, size) = (lanes.ilog2(), lanes as usize);
        let m = ModuleBuilder::new("bitonic_select");
        m.doc("Bitonic select: sorts the elements of a buffer with Batcher's bitonic network, largest first,");
        m.doc("then reads the k-th one and counts those larger than it.");
        m.parameter("lanes", lanes);
        m.parameter("element width", width);
        m.parameter("capacity", capacity);
        m.parameter("comparators", self.comparators());
        m.latency(format!(
            "{} cycles for {capacity} elements, fewer for half as many rows",
            self.cycles(capacity.into())
        ));
        let start = m.input("start", 1).comment("begin; only while idle");
        let elements = m.input("elements", count_width).comment("number of elements, not 0");
        let rank = m.input("rank", count_width).comment("k, from 1 to the number of elements");
        let buffer_row = m.inputs("row", lanes, width);

        m.section("What is to be sorted: as many rows as the next power of two.");
        let count = m.pipe_when("count", &start, &elements);
        let wanted = m.pipe_when("wanted", &start, &rank);
        // As many bits as the capacity but one needs: what the highest bit adds is a borrow.
        let but_one =
            |name: &str, number: &Signal| m.wire(name, &(number.bits(0..count_width - 1) - 1));
        let before_last = but_one("elements_but_one", &elements);
        m.discard(&before_last);
        let mut extent = before_last.bits(lane_bits..count_width - 1);
        let mut distance = 1;
        while distance < row_width {
            extent = &extent | extent.bits(distance..row_width).extend(row_width);
            distance *= 2;
        }
        let last_row = m.pipe_when("last_row", &start, &m.wire("extent", &extent));

        m.section("Passes: into the memory, merges, the k-th element, those larger.");
        let begins = m.forward("pass_begins", 1);
        let phase = |name: &str, text: &str| m.register(name, 1).comment(text);
        let loads = phase("loads", "Rows are sorted into the memory.");
        let merges = phase("merges", "Rows of a block exchange elements.");
        let finds = phase("finds", "The row with the k-th element is read.");
        let counts = phase("counts", "Elements larger than it are counted.");
        let asking = m.register("asking", 1);
        let row = m.register("row", row_width);
        let is_last = m.wire("is_last", &(&finds | row.eq(&last_row)));
        let goes_on = m.wire("goes_on", &(&asking & !&is_last));
        m.update(&asking, &begins | &goes_on);
        m.update(&row, goes_on.gate(&(&row + 1)));
        let reading = m.pipe_reset("reading", &asking);
        let last_read = m.pipe_reset("last_read", &(&asking & &is_last));

        m.section(
            "Merges: rows of a block but one, and rows below the distance of partners, as masks.",
        );
        let block = m.register("block_mask", row_width);
        let low = m.register("low_mask", row_width);
        let doubled = |mask: &Signal, bit: u64| match row_width {
            1 => m.constant(bit, 1),
            _ => mask.bits(0..row_width - 1).concat(&m.constant(bit, 1)),
        };
        let halved = |mask: &Signal| match row_width {
            1 => m.constant(0, 1),
            _ => mask.bits(1..row_width).extend(row_width),
        };
        let mirrors = m.wire("mirrors", &low.eq(halved(&block)));
        let finishes = m.wire("finishes_rows", &!low.any());
        let stride = m.wire("stride", &(doubled(&low, 1) & !&low));
        let flips = m.wire("flips", &mirrors.mux(&block, &stride));
        // The number of the pair with a zero inserted where partners differ.
        let first = match row_width {
            1 => m.constant(0, 1),
            _ => {
                let (pair, low) = (row.bits(1..row_width), low.bits(0..row_width - 1));
                let above = (&pair & !&low).concat(&m.constant(0, 1));
                (&pair & &low).extend(row_width) | above
            }
        };
        let first = m.wire("first_of_pair", &first);
        let partner = m.wire("partner", &row.bit(0).mux(&(&first ^ &flips), &first));
        let wanted_before = but_one("rank_but_one", &wanted);
        let rank_row = wanted_before.bits(lane_bits..count_width - 1);
        let address = merges.mux(&partner, finds.mux(&rank_row, &row));
        let address = m.wire("address", &address);

        m.section("Memory, one bank per lane.");
        let write = m.forward("write", 1);
        let write_row = m.forward("write_row", row_width);
        let mut stored = Vec::new();
        let mut written = Vec::new();
        for lane in 0..lanes {
            let name = format!("bank_{lane}");
            let bank = m.memory(&name, width, capacity / lanes, MemoryStyle::Distributed);
            let word = m.forward(format!("write_{lane}"), width);
            bank.write(&write_row, &word, &write);
            stored.push(bank.read_clocked(format!("{name}_shows"), &address));
            written.push(word);
        }

        m.section("Load: elements that are there; zero sorts behind all others.");
        let whole_rows = count.bits(lane_bits..count_width);
        let tail = m.wire("tail", &count.bits(0..lane_bits));
        let row_read = m.pipe("row_read", &row).extend(whole_rows.width());
        let is_whole = m.wire("is_whole", &row_read.lt(&whole_rows));
        let is_tail = m.wire("is_tail", &row_read.eq(&whole_rows));
        let there: Vec<Signal> = (0..u64::from(lanes))
            .zip(&buffer_row)
            .map(|(lane, element)| {
                let within = match lane + 1 == u64::from(lanes) {
                    true => is_whole.clone(),
                    false => &is_whole | (&is_tail & tail.gt(lane)),
                };
                m.wire(format!("loaded_{lane}"), &within.gate(element))
            })
            .collect();
        let halves = network(&m, "half", &sorting_levels(size, size / 2), there);
        let loaded = Token { valid: &reading & &loads, last: last_read.clone() };
        let loaded = loaded.delayed(&m, "load", self.half_levels());

        m.section("Exchange: the first of two rows waits for its partner.");
        let is_second = m.pipe("is_second", &row.bit(0));
        let waits: Vec<Signal> = stored
            .iter()
            .enumerate()
            .map(|(lane, word)| m.pipe_when(format!("waits_{lane}"), &!&is_second, word))
            .collect();
        let (mut larger, mut smaller) = (Vec::new(), Vec::new());
        for (lane, waiting) in waits.iter().enumerate() {
            let across = mirrors.mux(&stored[size - 1 - lane], &stored[lane]);
            let across = m.wire(format!("across_{lane}"), &across);
            let stays = m.wire(format!("stays_{lane}"), &waiting.ge(&across));
            larger.push(m.pipe(format!("larger_{lane}"), &stays.mux(waiting, &across)));
            smaller.push(m.wire(format!("smaller_{lane}"), &stays.mux(&across, waiting)));
        }
        let shows_larger = m.pipe("shows_larger", &is_second);
        let exchanged: Vec<Signal> = (0..size)
            .map(|lane| {
                let back = mirrors.mux(&smaller[size - 1 - lane], &smaller[lane]);
                let kept = m.pipe_when(format!("kept_{lane}"), &is_second, &back);
                m.wire(format!("exchanged_{lane}"), &shows_larger.mux(&larger[lane], &kept))
            })
            .collect();
        let exchanges = Token { valid: &reading & &merges, last: last_read.clone() };
        let exchanges = exchanges.delayed(&m, "exchange", u64::from(EXCHANGE) - 1);

        m.section("The last levels finish a row: two sorted halves, or a row of a finished merge.");
        let bitonic: Vec<Signal> = (0..size)
            .map(|lane| {
                // The upper half comes in reverse.
                let from = if lane < size / 2 { lane } else { size + size / 2 - 1 - lane };
                m.wire(format!("bitonic_{lane}"), &merges.mux(&exchanged[lane], &halves[from]))
            })
            .collect();
        let finished = network(&m, "merge", &merging_levels(size, size), bitonic);
        let enters = Token {
            valid: merges.mux(&(&exchanges.valid & &finishes), &loaded.valid),
            last: merges.mux(&exchanges.last, &loaded.last),
        };
        let leaves = enters.delayed(&m, "merge", lane_bits.into());

        m.section("What is written back, and where.");
        let direct = m.wire("writes_exchanged", &(&merges & !&finishes));
        m.drive(&write, direct.mux(&exchanges.valid, &leaves.valid));
        let pass_ends = m.wire("pass_ends", &(&write & direct.mux(&exchanges.last, &leaves.last)));
        let mut delayed = address;
        let mut at = Vec::new();
        let longest = 1 + self.half_levels() + u64::from(lane_bits);
        for cycle in 1..=longest.max(u64::from(EXCHANGE + lane_bits)) {
            delayed = m.pipe(format!("address_{cycle}"), &delayed);
            at.push(delayed.clone());
        }
        let after = |cycles: u64| &at[cycles as usize - 1];
        let merged =
            finishes.mux(after(u64::from(EXCHANGE + lane_bits)), after(u64::from(EXCHANGE)));
        m.drive(&write_row, merges.mux(&merged, after(longest)));
        for ((word, exchanged), finished) in written.iter().zip(&exchanged).zip(&finished) {
            m.drive(word, direct.mux(exchanged, finished));
        }

        m.section("The next pass.");
        let one_row = m.wire("is_one_row", &!last_row.any());
        let is_sorted = m.wire("is_sorted", &(&finishes & block.eq(&last_row)));
        let merge_ends = m.wire("merge_ends", &(&pass_ends & &merges));
        let load_ends = m.wire("load_ends", &(&pass_ends & &loads));
        let sorted = (&load_ends & &one_row) | (&merge_ends & &is_sorted);
        let sorted = m.wire("sorted", &sorted);
        let found = m.wire("found", &(&reading & &finds));
        let ends = m.wire("ends", &(&last_read & &counts));
        m.drive(&begins, &start | &pass_ends | &found);
        m.update(&loads, &start | (&loads & !&pass_ends));
        m.update(&merges, (&load_ends & !&one_row) | (&merges & !(&merge_ends & &is_sorted)));
        m.update(&finds, &sorted | (&finds & !&found));
        m.update(&counts, &found | (&counts & !&ends));
        let next_block = finishes.mux(&doubled(&block, 1), &block);
        let next_low = finishes.mux(&block, halved(&low));
        let first_block = m.constant(1, row_width);
        m.update_when(&block, &pass_ends, loads.mux(&first_block, &next_block));
        m.update_when(&low, &pass_ends, (!&loads).gate(&next_low));

        m.section("Results.");
        let lane = m.pipe("rank_lane", &wanted_before.bits(0..lane_bits));
        let threshold = m.pipe_when("threshold_found", &found, &m.select(&lane, &stored));
        let more: Vec<Signal> = stored.iter().map(|word| word.gt(&threshold)).collect();
        let more = fit(&m, &super::radix_select::sum(&m, "larger", more), count_width);
        let larger = m.register("larger_than_threshold", count_width);
        let adds = m.wire("adds", &(&reading & &counts));
        m.update(&larger, (!&start).gate(&adds.mux(&(&larger + more), &larger)));
        m.output_for("row_address", &row, "row of the buffer that `row_*` shows one cycle later");
        m.output_for("last_cycle", &ends, "a round ends; row_address is not needed in this cycle");
        m.output_for("done", &m.pipe_reset("finished", &ends), "threshold and equals are found");
        m.output_for("threshold", &threshold, "the k-th largest element");
        m.output_for(
            "equals",
            &(&wanted - &larger),
            "elements equal to it that belong to the k largest",
        );
        m.finish()
    }
}

/// What accompanies a row.
struct Token {
    valid: Signal,
    last: Signal,
}

impl Token {
    /// The same, some cycles later.
    fn delayed(self, m: &ModuleBuilder, name: &str, cycles: u64) -> Self {
        (0..cycles).fold(self, |token, cycle| Self {
            valid: m.pipe_reset(format!("{name}_valid_{cycle}"), &token.valid),
            last: m.pipe(format!("{name}_last_{cycle}"), &token.last),
        })
    }
}

/// A network of comparators, a register behind every level.
fn network(m: &ModuleBuilder, name: &str, levels: &[Level], row: Vec<Signal>) -> Vec<Signal> {
    let mut row = row;
    for (number, level) in levels.iter().enumerate() {
        let mut next = row.clone();
        for (a, b) in level {
            let (x, y) = (&row[*a], &row[*b]);
            let stays = m.wire(format!("{name}_{number}_stays_{a}"), &x.ge(y));
            next[*a] = m.pipe(format!("{name}_{number}_{a}"), &stays.mux(x, y));
            next[*b] = m.pipe(format!("{name}_{number}_{b}"), &stays.mux(y, x));
        }
        row = next;
    }
    row
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_pcg::Pcg64Mcg;

    use super::{super::quick_select::tests::select, *};
    use crate::{Design, Simulator};

    #[test]
    fn levels_sort_every_row_of_zeros_and_ones() {
        // A network that sorts all rows of zeros and ones sorts everything (Knuth, volume 3, 5.3.4).
        for lanes in [2usize, 4, 8, 16] {
            for bits in 0u32..1 << lanes {
                let mut row: Vec<u32> = (0..lanes).map(|lane| bits >> lane & 1).collect();
                for (a, b) in sorting_levels(lanes, lanes).into_iter().flatten() {
                    if row[a] < row[b] {
                        row.swap(a, b);
                    }
                }
                assert!(row.is_sorted_by(|a, b| a >= b), "{bits:b}");
            }
        }
    }

    #[test]
    fn finds_what_sorting_finds_in_the_stated_cycles() {
        for (lanes, width, rows) in [(2u32, 6u32, 2u32), (4, 6, 8), (16, 6, 4), (8, 9, 16)] {
            let unit = BitonicSelect { lanes, width, capacity: rows * lanes };
            let design = Design::new([&unit.module().unwrap()]).unwrap();
            let mut simulator = Simulator::new(&design, "bitonic_select").unwrap();
            simulator.reset();
            let mut random = Pcg64Mcg::seed_from_u64(u64::from(lanes));
            for _ in 0..80 {
                let count = random.random_range(1..=u64::from(rows * lanes));
                let bound = [2u64, 1 << width][random.random_range(0..2)];
                let values: Vec<u64> = (0..count).map(|_| random.random_range(0..bound)).collect();
                let rank = random.random_range(1..=count);
                let found = select(&mut simulator, lanes as usize, &values, rank);
                let mut sorted = values.clone();
                sorted.sort_unstable_by_key(|value| std::cmp::Reverse(*value));
                let value = sorted[rank as usize - 1];
                let larger = values.iter().filter(|other| **other > value).count() as u64;
                assert_eq!(found, (value, rank - larger, unit.cycles(count)), "{values:?} {rank}");
                simulator.step();
            }
        }
    }

    #[test]
    fn comparators_are_those_of_the_textbook() {
        // A bitonic network of n = 2^p elements has n p (p + 1) / 4 comparators; the two halves lack
        // the merge of the whole, which is counted apart, as is one comparator per lane to exchange.
        let unit = BitonicSelect { lanes: 16, width: 12, capacity: 1024 };
        assert_eq!(unit.comparators(), 16 * 4 * 5 / 4 + 16);
    }
}
