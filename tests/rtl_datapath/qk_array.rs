//! `qk_array`: orders, lines and queries come at random, rows leave at random.

use std::collections::VecDeque;
use std::sync::Arc;

use attelier_hw::spatten::Spatten;
use attelier_rtl::ir::Module;
use attelier_sim::datapath::qk_array::score;
use attelier_sim::kernel::activity::EventLog;
use attelier_sim::kernel::clock::Cycle;
use attelier_sim::kernel::fifo::Fifo;
use attelier_sim::kernel::stream::Stream;
use attelier_sim::units::Pass;
use attelier_sim::units::line_sram::{LineSram, Plane};
use attelier_sim::units::qk_array::{QkArray, QkOrder};

use super::dut::{Chance, Counts, Dut, lanes};

/// An order with what it computes on.
#[derive(Clone)]
struct Work {
    order: QkOrder,
    query: Vec<i32>,
    last_keep: i64,
}

pub fn run(machine: &Spatten, rtl: &Arc<Module>, beats: u64, seed: u64) -> Result<Counts, String> {
    let (head_dim, bits) = (machine.head_dim, machine.datapath_bits);
    let keys = machine.qk_array.keys_per_line;
    let mut chance = Chance::new(seed);
    let mut dut = Dut::new(rtl);
    let mut model = QkArray::new(&machine.qk_array);
    let mut orders: Fifo<QkOrder> = Fifo::new(2);
    let mut buffer = LineSram::new(machine.key_sram.lines);
    let mut scores: Stream<Pass> = Stream::new(machine.qk_array.latency_cycles + 2);
    let mut log = EventLog::default();
    let (mut queries, mut tickets) = (0, 0);
    let mut waiting: VecDeque<Work> = VecDeque::new();
    let mut current: Option<Work> = None;
    let mut row = 0;
    let mut filling: VecDeque<(u64, u32)> = VecDeque::new();
    let mut expected: VecDeque<(Vec<i64>, i64, bool)> = VecDeque::new();
    let mut line: Vec<Vec<i32>> = vec![];
    let mut now = Cycle(0);

    while dut.counts.beats < beats {
        chance.next_cycle();
        scores.begin();
        if line.is_empty() {
            line = (0..keys).map(|_| chance.words(head_dim, bits)).collect();
        }
        for (lane, key) in line.drain(..).enumerate() {
            dut.set_words(&format!("line_key_{lane}"), &key, bits);
        }

        // The order at hand, as the controller would answer for it.
        let front = orders.front().is_some();
        let offered = waiting.front().filter(|_| front).cloned();
        dut.set("s_order_tvalid", front);
        let offer = |dut: &mut Dut, rows: u32, keep: i64| {
            dut.set("s_order_rows", rows);
            dut.set("s_order_last_keep", keep);
        };
        match &offered {
            Some(work) => offer(&mut dut, work.order.rows, work.last_keep),
            None => offer(&mut dut, chance.below(9), i64::from(chance.below(1 << keys.min(8)))),
        }
        let at_hand = current.clone().or_else(|| offered.clone());
        let filled = at_hand.as_ref().map_or(chance.below(9), |work| {
            buffer.filled(work.order.slot, Plane::Msb)
        });
        dut.set("lines_filled", filled);
        let known = at_hand.as_ref().map_or(chance.happens(3), |w| queries >= w.order.query_ticket);
        dut.set("query_valid", known);
        let garbage = chance.words(head_dim, bits);
        let query = at_hand.as_ref().filter(|_| known).map_or(&garbage, |work| &work.query);
        dut.set_words("query", query, bits);
        let ready = chance.happens(0);
        dut.set("m_axis_tready", ready);

        // One cycle of the model.
        let (visible, before) = (scores.level() > 0, model.activity.counts().1);
        if visible && ready {
            scores.pop();
        }
        let open = current.is_none();
        model.tick(now, &mut orders, &buffer, queries, &mut scores, &mut log);
        let read = model.activity.counts().1 > before;
        if open && front {
            current = waiting.pop_front();
            assert!(orders.front().map(|order| order.slot) != current.as_ref().map(|w| w.order.slot));
        }

        dut.expect("s_order_tready", open)?;
        dut.expect("line_read", read)?;
        dut.expect("line_row", row)?;
        dut.expect("m_axis_tvalid", visible)?;
        if visible {
            let (scores, keep, last) = &expected[0];
            for (lane, score) in scores.iter().enumerate() {
                dut.expect(&format!("m_axis_tdata_{lane}"), *score)?;
            }
            dut.expect("m_axis_tkeep", *keep)?;
            dut.expect("m_axis_tlast", *last)?;
            if ready {
                expected.pop_front();
                dut.counts.beats += 1;
            }
        }
        if let (true, Some(work)) = (read, &current) {
            line = (0..keys).map(|_| chance.words(head_dim, bits)).collect();
            let scores = line.iter().map(|key| score(&work.query, key)).collect();
            row += 1;
            let last = row == work.order.rows;
            expected.push_back((scores, if last { work.last_keep } else { lanes(keys) }, last));
            if last {
                buffer.release(work.order.slot);
                current = None;
                row = 0;
            }
        }

        // New orders, lines and queries.
        let rows = 1 + chance.below(machine.key_sram.lines.min(9));
        if chance.happens(1) && orders.can_push() && buffer.can_allocate(rows) {
            let slot = buffer.allocate(rows);
            buffer.expect(slot, rows);
            filling.push_back((slot, rows));
            tickets += 1;
            let pass = Pass { job: slot as u32, head: 0, attempt: 0, query: 0 };
            let order = QkOrder { pass, slot, needs_lsb: false, rows, query_ticket: tickets };
            orders.push(order);
            let query = chance.words(head_dim, bits);
            waiting.push_back(Work { order, query, last_keep: lanes(1 + chance.below(keys)) });
        }
        if let (true, Some((slot, missing))) = (chance.happens(2), filling.front_mut()) {
            let groups = (1 + chance.below(2)).min(*missing);
            buffer.fill(*slot, Plane::Msb, groups);
            *missing -= groups;
            if *missing == 0 {
                filling.pop_front();
            }
        }
        if chance.happens(3) && queries < tickets {
            queries += 1;
        }
        scores.commit();
        orders.commit();
        buffer.commit();
        dut.step();
        now = now + 1;
    }
    Ok(dut.counts)
}
