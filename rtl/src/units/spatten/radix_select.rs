//! Radix select: the k-th largest element by histograms of its digits, the highest digit first.
//!
//! An alternative to [quick-select](super::quick_select) behind the same ports. Every pass streams
//! all elements, counts those that share the digits known so far by their next digit, and takes the digit
//! in which the wanted rank lies. Nothing is moved and nothing is random: the cycles depend on the number of
//! elements alone, `digits * (ceil(elements / lanes) + 2) + 1`.

use std::sync::Arc;

use super::quick_select::{QuickSelect, fit};
use crate::{Error, ModuleBuilder, Signal, bits::index_width, ir::Module};

/// A radix select engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RadixSelect {
    /// Elements per cycle; a power of two from 2 to 64.
    pub lanes: u32,
    /// Width of an element \[bits\], unsigned, a multiple of the digit's.
    pub width: u32,
    /// Most elements, a multiple of `lanes`, from `2 * lanes` on.
    pub capacity: u32,
    /// Width of a digit \[bits\], 1 to 4.
    pub digit_bits: u32,
}

impl RadixSelect {
    /// Cycles from the start to the end.
    pub fn cycles(&self, elements: u64) -> u64 {
        let digits = u64::from(self.width / self.digit_bits.max(1));
        digits * (elements.div_ceil(self.lanes.max(1).into()) + 2) + 1
    }

    /// The module, with the ports of [`QuickSelect::module`].
    ///
    /// # Errors
    /// Parameters outside their range.
    pub fn module(&self) -> Result<Arc<Module>, Error> {
        let Self { lanes, width, capacity, digit_bits } = *self;
        let shape = QuickSelect { lanes, width, capacity, round_overhead: 3, seed: 1 };
        shape.check("radix_select")?;
        if !(1..=4).contains(&digit_bits) || !width.is_multiple_of(digit_bits) || width == 0 {
            let expected = "1 to 4 bits, a divisor of the element width";
            return Err(Error::parameter("radix_select", "digit_bits", digit_bits, expected));
        }
        let (count_width, row_width) = (shape.count_width(), shape.row_width());
        let lane_width = index_width(lanes.into());
        let digits = width / digit_bits;
        let m = ModuleBuilder::new("radix_select");
        m.doc("Radix select: the k-th largest of the elements of a buffer, and how many equal elements");
        m.doc("belong to the k largest. Every pass counts the candidates by their next digit.");
        m.parameter("lanes", lanes);
        m.parameter("element width", width);
        m.parameter("capacity", capacity);
        m.parameter("digit width", digit_bits);
        m.latency(format!("{digits} * (ceil(elements / {lanes}) + 2) + 1 cycles"));
        let start = m.input("start", 1).comment("begin; only while idle");
        let elements = m.input("elements", count_width).comment("number of elements, not 0");
        let rank = m.input("rank", count_width).comment("k, from 1 to the number of elements");
        let row_data = m.inputs("row", lanes, width);

        m.section("Passes: ask for all rows, wait for the last one, decide.");
        let asking = m.register("asking", 1);
        let deciding = m.register("deciding", 1);
        let last_digit = m.forward("last_digit", 1);
        let row = m.register("row", row_width);
        let count = m.pipe_when("count", &start, &elements);
        let full =
            count.extend(count_width + 1) + m.constant(u64::from(lanes) - 1, count_width + 1);
        let full = m.wire("rounded_up", &full);
        m.discard(&full);
        let rows = m.wire("rows", &full.bits(lane_width..count_width + 1));
        let is_last = m.wire("is_last", &(row.extend(rows.width()) + 1).eq(&rows));
        let pass_begins = m.wire("pass_begins", &(&start | (&deciding & !&last_digit)));
        let asks_last = m.wire("asks_last", &(&asking & &is_last));
        m.update(&asking, &pass_begins | (&asking & !&is_last));
        m.update(&row, (&asking & !&is_last).gate(&(&row + 1)));
        let reading = m.pipe_reset("reading", &asking);
        let last_read = m.pipe_reset("last_read", &asks_last);
        m.update(&deciding, &last_read);

        m.section("Digits that are known: those above the marked one.");
        // One bit per digit, the lowest digit in bit 0; a bit moves down with every pass.
        let marks: Vec<Signal> =
            (0..digits).map(|digit| m.register(format!("at_digit_{digit}"), 1)).collect();
        for digit in 0..digits as usize {
            let shifted = match marks.get(digit + 1) {
                Some(above) => start.mux(&m.constant(0, 1), above),
                None => start.clone(),
            };
            m.update_when(&marks[digit], &(&start | &deciding), &shifted);
        }
        m.drive(&last_digit, &marks[0]);
        let known: Vec<Signal> =
            (0..digits).map(|digit| m.register(format!("digit_{digit}"), digit_bits)).collect();

        m.section("Histogram of the next digit.");
        let tail = m.wire("tail", &count.bits(0..lane_width));
        let whole_row = m.wire("whole_row", &(!&last_read | !tail.any()));
        let digit_of = |element: &Signal, digit: u32| {
            element.bits(digit * digit_bits..(digit + 1) * digit_bits)
        };
        let mut next_digit: Vec<Signal> = Vec::new();
        let mut candidate: Vec<Signal> = Vec::new();
        for (element, lane) in row_data.iter().zip(0..) {
            let lane: u32 = lane;
            let there = match lane + 1 == lanes {
                true => &reading & &whole_row,
                false => &reading & (&whole_row | tail.gt(u64::from(lane))),
            };
            // A digit matches, or it is not known yet: the marked one and those below it.
            let mut unknown = m.constant(0, 1);
            let mut matches = vec![there];
            for digit in (0..digits).rev() {
                unknown = &unknown | &marks[digit as usize];
                let same = digit_of(element, digit).eq(&known[digit as usize]);
                matches.push(&unknown | same);
            }
            candidate.push(m.wire(format!("is_candidate_{lane}"), &m.all_of(&matches)));
            let mut chosen = digit_of(element, 0);
            for digit in 1..digits {
                chosen = marks[digit as usize].mux(&digit_of(element, digit), &chosen);
            }
            next_digit.push(m.wire(format!("next_digit_{lane}"), &chosen));
        }
        let bins = 1u64 << digit_bits;
        let counts: Vec<Signal> = (0..bins)
            .map(|bin| {
                let hits: Vec<Signal> = next_digit
                    .iter()
                    .zip(&candidate)
                    .map(|(digit, candidate)| candidate & digit.eq(bin))
                    .collect();
                let hits = sum(&m, &format!("bin_{bin}"), hits);
                let counter = m.register(format!("bin_{bin}"), count_width);
                let more = &counter + fit(&m, &hits, count_width);
                m.update(&counter, pass_begins.mux(&m.constant(0, count_width), &more));
                counter
            })
            .collect();

        m.section("Decision: the bin in which the rank lies, counted from the highest.");
        let wanted = m.register("wanted", count_width).comment("Rank among the candidates.");
        let mut above = m.constant(0, count_width);
        let mut arms: Vec<(Signal, Signal)> = Vec::new();
        for bin in (0..bins).rev() {
            let up_to = m.wire(format!("up_to_bin_{bin}"), &(&above + &counts[bin as usize]));
            let within = m.wire(format!("is_in_bin_{bin}"), &wanted.le(&up_to));
            arms.push((within, above));
            above = up_to;
        }
        let mut digit = m.constant(0, digit_bits);
        let mut larger = arms[arms.len() - 1].1.clone();
        for (bin, (within, above)) in (1..bins).zip(arms.iter().rev().skip(1)) {
            digit = within.mux(&m.constant(bin, digit_bits), &digit);
            larger = within.mux(above, &larger);
        }
        m.discard(&arms[arms.len() - 1].0);
        m.discard(&above);
        let digit = m.wire("digit_found", &digit);
        let larger = m.wire("larger_than_digit", &larger);
        m.update_when(&wanted, &(&start | &deciding), start.mux(&rank, &wanted - &larger));
        for (known, mark) in known.iter().zip(&marks) {
            m.update_when(known, &(&deciding & mark), &digit);
        }

        m.section("Results.");
        let ends = m.wire("ends", &(&deciding & &last_digit));
        m.output_for("row_address", &row, "row of the buffer that `row_*` shows one cycle later");
        m.output_for("last_cycle", &ends, "a round ends; row_address is not needed in this cycle");
        m.output_for("done", &m.pipe_reset("finished", &ends), "threshold and equals are found");
        m.output_for("threshold", &m.pack(&known), "the k-th largest element");
        m.output_for("equals", &wanted, "elements equal to it that belong to the k largest");
        m.finish()
    }
}

/// Number of bits that are set, by a tree of adders.
pub(super) fn sum(m: &ModuleBuilder, name: &str, bits: Vec<Signal>) -> Signal {
    let mut sums = bits;
    let mut level = 0;
    while sums.len() > 1 {
        let pairs = sums.chunks(2).enumerate();
        sums = pairs
            .map(|(at, pair)| {
                m.wire(format!("{name}_level_{level}_{at}"), &pair[0].add_full(&pair[1]))
            })
            .collect();
        level += 1;
    }
    sums.swap_remove(0)
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_pcg::Pcg64Mcg;

    use super::{super::quick_select::tests::select, *};
    use crate::{Design, Simulator};

    #[test]
    fn finds_what_sorting_finds_in_the_stated_cycles() {
        for (lanes, width, digit_bits) in [(2u32, 6u32, 1u32), (4, 6, 2), (16, 6, 3), (4, 8, 4)] {
            let unit = RadixSelect { lanes, width, capacity: 8 * lanes, digit_bits };
            let design = Design::new([&unit.module().unwrap()]).unwrap();
            let mut simulator = Simulator::new(&design, "radix_select").unwrap();
            simulator.reset();
            let mut random = Pcg64Mcg::seed_from_u64(u64::from(lanes + digit_bits));
            for _ in 0..60 {
                let count = random.random_range(1..=u64::from(8 * lanes));
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
    fn digits_must_divide_the_width() {
        let legal = RadixSelect { lanes: 4, width: 12, capacity: 64, digit_bits: 4 };
        for digit_bits in 1..=4 {
            let built = RadixSelect { digit_bits, ..legal.clone() }.module();
            assert!(built.is_ok(), "{digit_bits}: {:?}", built.err());
        }
        for (unit, expected) in [
            (RadixSelect { digit_bits: 0, ..legal.clone() }, "digit_bits = 0"),
            (RadixSelect { digit_bits: 5, ..legal.clone() }, "digit_bits = 5"),
            (RadixSelect { width: 13, ..legal.clone() }, "digit_bits = 4"),
            (RadixSelect { lanes: 3, ..legal }, "parallelism = 3"),
        ] {
            let text = unit.module().unwrap_err().to_string();
            assert!(text.contains(expected), "{text}");
        }
    }
}
