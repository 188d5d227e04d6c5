//! Data crossbar: what the channels answer goes to the lanes that asked, and leaves row by row.
//!
//! Every channel answers in order, so it remembers who asked. Data of a lane may arrive in any order;
//! a row leaves, in order, when all its lanes have their data.

use std::sync::Arc;

use attelier_hw::spatten::Spatten;

use super::{Rows, address_crossbar::merged};
use crate::{
    Error, ModuleBuilder, Signal,
    bits::index_width,
    ir::{MemoryStyle, Module},
    units::spatten::ring::Ring,
};

/// The crossbar.
pub(super) fn data_crossbar(params: &Spatten, rows: Rows) -> Result<Arc<Module>, Error> {
    let (lanes, channels) = (params.qkv_fetcher.lanes, params.memory.channels);
    let Rows { depth, number_bits, place_bits } = rows;
    let unit_bits = 8 * params.memory.transaction_bytes;
    let lane_bits = index_width(lanes.into());
    let count_bits = index_width(u64::from(lanes) + 1);

    let m = ModuleBuilder::new("data_crossbar");
    m.doc("Data FIFOs of LANES lanes behind CHANNELS channels. `taken_C` says that channel C has taken the");
    m.doc("transaction of lane `lane_C` whose data belong to place `place_C`; channels answer in order.");
    m.doc("Where two channels answer to one lane at once, the lower one goes first.");
    m.parameter("LANES", lanes);
    m.parameter("CHANNELS", channels);
    m.parameter("FIFO_DEPTH", depth);
    m.latency("a row can leave 1 cycle after its last data came");
    let row_valid = m.input("row_valid", 1);
    let row_count = m.input("row_count", count_bits);
    let row_last = m.input("row_last", 1);
    let asked: Vec<[Signal; 3]> = (0..channels)
        .map(|channel| {
            [
                m.input(format!("taken_{channel}"), 1),
                m.input(format!("lane_{channel}"), lane_bits),
                m.input(format!("place_{channel}"), place_bits),
            ]
        })
        .collect();
    let answers: Vec<[Signal; 2]> = (0..channels)
        .map(|channel| {
            [
                m.input(format!("data_valid_{channel}"), 1),
                m.input(format!("data_{channel}"), unit_bits),
            ]
        })
        .collect();
    let out_ready = m.input("out_ready", 1);

    m.section("rows under way");
    let retires = m.forward("leaves", 1);
    let ring = Ring::new(&m, "rows", 2 * depth);
    let oldest_count = ring.oldest(&m, "oldest_count", &row_valid, &row_count);
    let oldest_last = ring.oldest(&m, "oldest_last", &row_valid, &row_last);
    let has_row = ring.has_item(&m);
    ring.advance(&m, &row_valid, &retires);
    let place = m.wire("oldest_place", &ring.read.bits(0..place_bits));

    m.section("who asked, channel by channel");
    let mut targets = Vec::new();
    let mut accepts: Vec<Signal> = Vec::new();
    for (channel, ([taken, lane, place], [valid, _])) in asked.iter().zip(&answers).enumerate() {
        let queue = Ring::new(&m, format!("asked_{channel}"), lanes * depth);
        let entry = m.wire(format!("asks_{channel}"), &lane.concat(place));
        let oldest = queue.oldest(&m, &format!("answered_{channel}"), taken, &entry);
        let lane = oldest.bits(place_bits..place_bits + lane_bits);
        let place = oldest.bits(0..place_bits);
        let blocked: Vec<Signal> = targets
            .iter()
            .zip(&answers)
            .map(|((other, _), [valid, _]): (&(Signal, Signal), _)| valid & other.eq(&lane))
            .collect();
        let ready = m.wire(format!("may_accept_{channel}"), &!m.any_of(&blocked));
        let accept = m.wire(format!("accept_{channel}"), &(valid & &ready));
        queue.advance(&m, taken, &accept);
        m.output(format!("data_ready_{channel}"), &ready);
        targets.push((lane, place));
        accepts.push(accept);
    }

    let mut there = Vec::new();
    let mut data = Vec::new();
    for lane in 0..lanes {
        m.section(format!("data FIFO of lane {lane}"));
        let comes: Vec<Signal> = targets
            .iter()
            .zip(&accepts)
            .enumerate()
            .map(|(channel, ((target, _), accept))| {
                let here = accept & target.eq(u64::from(lane));
                m.wire(format!("comes_{lane}_from_{channel}"), &here)
            })
            .collect();
        let writes = m.wire(format!("writes_{lane}"), &m.any_of(&comes));
        let gated = |values: Vec<&Signal>| {
            let gates: Vec<Signal> =
                comes.iter().zip(values).map(|(comes, value)| comes.gate(value)).collect();
            merged(&gates)
        };
        let at = gated(targets.iter().map(|(_, place)| place).collect());
        let at = m.wire(format!("written_place_{lane}"), &at);
        let unit = gated(answers.iter().map(|[_, data]| data).collect());
        let unit = m.wire(format!("written_data_{lane}"), &unit);
        let memory =
            m.memory(format!("lane_{lane}_memory"), unit_bits, depth, MemoryStyle::Distributed);
        memory.write(&at, &unit, &writes);
        data.push(memory.read(format!("unit_{lane}"), &place));
        let one = m.constant(1, depth);
        let sets = writes.gate(&(&one << &at));
        let clears = retires.gate(&(&one << &place));
        let arrived = m.register(format!("arrived_{lane}"), depth).comment("Places with data.");
        m.update(&arrived, (&arrived | sets) & !clears);
        let shifted = m.wire(format!("arrived_from_oldest_{lane}"), &(&arrived >> &place));
        m.discard(&shifted);
        let is_absent = oldest_count.le(u64::from(lane));
        there.push(m.wire(format!("is_there_{lane}"), &(shifted.bit(0) | is_absent)));
    }

    m.section("the oldest row leaves when it is complete");
    let all = m.all_of(&there);
    let complete = m.wire("complete", &(&has_row & all));
    m.drive(&retires, &complete & &out_ready);
    m.output_for("oldest_row", &ring.read, "Number of the oldest row.");
    m.output_for("next_row", &ring.write, "Number of the next row.");
    m.output_for("retires", &retires, "The oldest row leaves in this cycle.");
    m.output("out_valid", &complete);
    m.output("out_count", &oldest_count);
    m.output_for("out_last", &oldest_last, "It ends its command.");
    m.outputs("out_data", &data);
    m.output_for("idle", &!&has_row, "No row is under way.");
    debug_assert_eq!(ring.pointer_bits(), number_bits, "rows are numbered by the ring");
    m.finish()
}
