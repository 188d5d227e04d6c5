//! `softmax`: passes of random length, scale and scores.

use std::collections::VecDeque;
use std::sync::Arc;

use attelier_hw::spatten::Spatten;
use attelier_rtl::ir::Module;
use attelier_sim::datapath::softmax::{Scale, softmax};
use attelier_sim::kernel::activity::EventLog;
use attelier_sim::kernel::clock::Cycle;
use attelier_sim::kernel::stream::Stream;
use attelier_sim::units::Pass;
use attelier_sim::units::softmax::Softmax;
use rand::RngExt;

use super::dut::{Chance, Counts, Dut, lanes};

/// One row on a stream; data of all lanes.
#[derive(Clone)]
pub struct Row {
    pub data: Vec<i64>,
    pub keep: i64,
    pub last: bool,
    pub scale: Scale,
    pub pass: Pass,
    pub rows: u32,
}

/// Scales from useful to extreme.
fn scale(chance: &mut Chance, score_bits: u32) -> Scale {
    match chance.below(8) {
        0 => Scale { mantissa: 0, shift: 0 },
        1 => Scale { mantissa: (1 << 17) - 1, shift: 0 },
        2 => Scale { mantissa: (1 << 17) - 1, shift: 63 },
        _ => {
            let spread = chance.random.random_range(0.0..16.0) - f64::from(score_bits);
            Scale::new(spread.exp2())
        }
    }
}

/// Scores that are random, equal, or at the extremes.
fn scores(chance: &mut Chance, count: u32, bits: u32) -> Vec<i64> {
    let limit = 1i64 << (bits - 1);
    let spread = chance.random.random_range(1..bits);
    let kind = chance.below(8);
    (0..count)
        .map(|_| match kind {
            0 => -limit,
            1 => limit - 1,
            2 => [-limit, 0, limit - 1][chance.below(3) as usize],
            _ => chance.random.random_range(-(1i64 << (spread - 1))..1i64 << (spread - 1)),
        })
        .collect()
}

pub fn run(machine: &Spatten, rtl: &Arc<Module>, beats: u64, seed: u64) -> Result<Counts, String> {
    let s = &machine.softmax;
    let width = s.lanes;
    let score_bits = 2 * machine.datapath_bits + machine.head_dim.ilog2();
    let mut chance = Chance::new(seed);
    let mut dut = Dut::new(rtl);
    let mut model = Softmax::new(s);
    let mut input: Stream<Pass> = Stream::new(3);
    let mut output: Stream<Pass> = Stream::new(s.divide_cycles + s.quantise_cycles + 2);
    let mut log = EventLog::default();
    let mut to_come: VecDeque<Row> = VecDeque::new();
    let mut inside: VecDeque<Row> = VecDeque::new();
    let mut expected: VecDeque<Row> = VecDeque::new();
    let mut passes = 0;
    let mut now = Cycle(0);

    while dut.counts.beats < beats {
        chance.next_cycle();
        input.begin();
        output.begin();
        let valid = input.level() > 0;
        dut.set("s_axis_tvalid", valid);
        let row = match inside.front().filter(|_| valid) {
            Some(row) => row.clone(),
            None => Row {
                data: scores(&mut chance, width, score_bits),
                keep: i64::from(chance.below(2)),
                last: chance.happens(2),
                scale: scale(&mut chance, score_bits),
                pass: Pass { job: 0, head: 0, attempt: 0, query: 0 },
                rows: 0,
            },
        };
        for (lane, score) in row.data.iter().enumerate() {
            dut.set(&format!("s_axis_tdata_{lane}"), *score);
        }
        dut.set("s_axis_tkeep", row.keep);
        dut.set("s_axis_tlast", row.last);
        dut.set("scale_mantissa", row.scale.mantissa);
        dut.set("scale_shift", row.scale.shift);
        let ready = chance.happens(0);
        dut.set("m_axis_tready", ready);

        let visible = output.level() > 0;
        if visible && ready {
            output.pop();
        }
        model.tick(now, &mut input, &mut output, &mut log);
        if valid {
            dut.expect("s_axis_tready", input.popped())?;
        }
        if input.popped() {
            inside.pop_front();
        }
        dut.expect("m_axis_tvalid", visible)?;
        if visible {
            let row = &expected[0];
            for (lane, probability) in row.data.iter().enumerate() {
                dut.expect(&format!("m_axis_tdata_{lane}"), *probability)?;
            }
            dut.expect("m_axis_tkeep", row.keep)?;
            dut.expect("m_axis_tlast", row.last)?;
            if ready {
                expected.pop_front();
                dut.counts.beats += 1;
            }
        }

        if to_come.is_empty() {
            let most = if chance.below(4) == 0 { s.fifo_depth } else { 4.min(s.fifo_depth) };
            let rows = 1 + chance.below(most);
            let keys = (rows - 1) * width + 1 + chance.below(width);
            let pass = Pass { job: passes, head: 0, attempt: 0, query: 0 };
            passes += 1;
            let scale = scale(&mut chance, score_bits);
            let all = scores(&mut chance, rows * width, score_bits);
            let mut probabilities: Vec<i64> =
                softmax(&all[..keys as usize], scale, width as usize, machine.datapath_bits)
                    .into_iter()
                    .map(i64::from)
                    .collect();
            probabilities.resize(all.len(), 0);
            let packed = |data: &[i64], row: u32| Row {
                data: data.to_vec(),
                keep: lanes((keys - row * width).min(width)),
                last: row + 1 == rows,
                scale,
                pass,
                rows,
            };
            to_come.extend((0..).zip(all.chunks(width as usize)).map(|(at, row)| packed(row, at)));
            let rows = (0..).zip(probabilities.chunks(width as usize));
            expected.extend(rows.map(|(at, row)| packed(row, at)));
        }
        if chance.happens(1) && input.can_push() {
            let row = to_come.pop_front().unwrap();
            let left = u32::try_from(to_come.len()).unwrap() + 1;
            input.push_beat(row.pass, row.rows - left, row.rows);
            inside.push_back(row);
        }
        input.commit();
        output.commit();
        dut.step();
        now = now + 1;
    }
    Ok(dut.counts)
}
