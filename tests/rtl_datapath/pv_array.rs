//! `pv_array`: rows of probabilities meet lines of values; a pass gives one output.

use std::collections::VecDeque;
use std::sync::Arc;

use attelier_hw::spatten::Spatten;
use attelier_rtl::ir::Module;
use attelier_sim::datapath::pv_array::{accumulate, round};
use attelier_sim::kernel::activity::EventLog;
use attelier_sim::kernel::clock::Cycle;
use attelier_sim::kernel::fifo::Fifo;
use attelier_sim::kernel::stream::Stream;
use attelier_sim::units::Pass;
use attelier_sim::units::line_sram::LineSram;
use attelier_sim::units::pv_array::{PvArray, Source};
use rand::RngExt;

use super::dut::{Chance, Counts, Dut};

struct Row {
    data: Vec<u16>,
    last: bool,
}

/// Probabilities: random, all at the largest, or zero.
fn probabilities(chance: &mut Chance, count: u32, bits: u32, kind: u32) -> Vec<u16> {
    let largest = (1u32 << bits) - 1;
    let one = |chance: &mut Chance| match kind {
        0 => largest,
        1 => 0,
        _ => chance.random.random_range(0..=largest),
    };
    (0..count).map(|_| one(chance) as u16).collect()
}

pub fn run(machine: &Spatten, rtl: &Arc<Module>, beats: u64, seed: u64) -> Result<Counts, String> {
    let (head_dim, bits) = (machine.head_dim, machine.datapath_bits);
    let width = machine.pv_array.values_per_line;
    let longest = machine.softmax.fifo_depth;
    let mut chance = Chance::new(seed);
    let mut dut = Dut::new(rtl);
    let mut model = PvArray::new(&machine.pv_array);
    let mut rows: Stream<Pass> = Stream::new(machine.pv_array.fifo_depth);
    let mut values = LineSram::new(machine.value_sram.lines);
    let slot = values.allocate(1);
    let mut finished: Fifo<Pass> = Fifo::unbounded();
    let mut log = EventLog::default();
    let (mut passes, mut row, mut count, mut kind) = (0, 0, 1, 2);
    let mut inside: VecDeque<Row> = VecDeque::new();
    let mut sums = vec![0i64; head_dim as usize];
    let mut expected: VecDeque<Vec<i32>> = VecDeque::new();
    let mut line: Vec<Vec<i32>> = vec![];
    let mut now = Cycle(0);

    while dut.counts.beats < beats {
        chance.next_cycle();
        rows.begin();
        if line.is_empty() {
            line = (0..width).map(|_| chance.words(head_dim, bits)).collect();
        }
        for (lane, value) in line.drain(..).enumerate() {
            dut.set_words(&format!("line_value_{lane}"), &value, bits);
        }
        let offers = chance.happens(0);
        let data = probabilities(&mut chance, width, bits, kind);
        dut.set("s_axis_tvalid", offers);
        dut.set("s_axis_tlast", row + 1 == count);
        for (lane, probability) in data.iter().enumerate() {
            dut.set(&format!("s_axis_tdata_{lane}"), *probability);
        }
        let has_line = chance.happens(1);
        dut.set("line_valid", has_line);

        let done = finished.pop();
        let room = rows.can_push();
        let visible = rows.level() > 0;
        let source = |_| has_line.then_some(Source { slot, all_rows: Some(0) });
        model.tick(now, &mut rows, &values, source, &mut finished, &mut log);
        let read = rows.popped();

        dut.expect("s_axis_tready", room)?;
        dut.expect("row_valid", visible)?;
        if visible {
            dut.expect("row_last", inside[0].last)?;
        }
        dut.expect("line_read", read)?;
        dut.expect("output_valid", done.is_some())?;
        if done.is_some() {
            let words = expected.pop_front().unwrap();
            for (element, word) in words.into_iter().enumerate() {
                dut.expect(&format!("output_word_{element}"), word)?;
            }
        }
        if read {
            dut.counts.beats += 1;
            line = (0..width).map(|_| chance.words(head_dim, bits)).collect();
            let row = inside.pop_front().unwrap();
            for (probability, value) in row.data.iter().zip(&line) {
                accumulate(&mut sums, *probability, value);
            }
            if row.last {
                let words = sums.iter().map(|sum| round(*sum, bits)).collect();
                expected.push_back(words);
                sums.fill(0);
            }
        }
        if offers && room {
            let pass = Pass { job: passes, head: 0, attempt: 0, query: 0 };
            rows.push_beat(pass, row, count);
            inside.push_back(Row { data, last: row + 1 == count });
            row += 1;
            if row == count {
                (row, passes) = (0, passes + 1);
                let most = if chance.below(16) == 0 { longest } else { longest.min(12) };
                count = 1 + chance.below(most);
                kind = chance.below(5);
            }
        }
        rows.commit();
        finished.commit();
        values.commit();
        dut.step();
        now = now + 1;
    }
    Ok(dut.counts)
}
