//! Address crossbar: which lane's oldest transaction gets a channel.
//!
//! Every lane keeps its order. A channel takes the oldest row's transaction that wants it, of one row
//! the lowest lane's. A lane's data FIFO bounds how far it may run ahead of the oldest row.

use std::sync::Arc;

use attelier_hw::spatten::Spatten;

use super::Rows;
use crate::{
    Error, ModuleBuilder, Signal,
    bits::index_width,
    ir::Module,
    units::spatten::{ring::Ring, sizes::Sizes},
};

/// A lane's oldest transaction.
struct Head {
    valid: Signal,
    row: Signal,
    address: Signal,
}

/// The crossbar.
pub(super) fn address_crossbar(
    params: &Spatten,
    sizes: &Sizes,
    rows: Rows,
) -> Result<Arc<Module>, Error> {
    let (lanes, channels) = (params.qkv_fetcher.lanes, params.memory.channels);
    let Rows { depth, number_bits, place_bits } = rows;
    let lane_bits = index_width(lanes.into());
    let unit_bits = sizes.unit_address_bits;
    let channel_bits = channels.ilog2();

    let m = ModuleBuilder::new("address_crossbar");
    m.doc("Address FIFOs of LANES lanes in front of CHANNELS channels; the lowest bits of an address name");
    m.doc("the channel. Rows are numbered; `oldest_row` has not left, `next_row` comes next.");
    m.doc("A channel that was offered a transaction keeps it until it takes it.");
    m.parameter("LANES", lanes);
    m.parameter("CHANNELS", channels);
    m.parameter("FIFO_DEPTH", depth);
    m.latency("a transaction is offered 1 cycle after its row was made");
    let row_valid = m.input("row_valid", 1);
    let row_count = m.input("row_count", index_width(u64::from(lanes) + 1));
    let addresses = m.inputs("row_address", lanes, unit_bits);
    let oldest_row = m.input("oldest_row", number_bits);
    let next_row = m.input("next_row", number_bits);
    let retires = m.input("retires", 1).comment("The oldest row leaves in this cycle.");
    let readies = m.inputs("ready", channels, 1);

    m.section("address FIFOs");
    let taken: Vec<Signal> = (0..lanes).map(|lane| m.forward(format!("taken_{lane}"), 1)).collect();
    let heads: Vec<Head> = (0..lanes as usize)
        .map(|lane| {
            let push = &row_valid & row_count.gt(lane as u64);
            let push = m.wire(format!("push_{lane}"), &push);
            let fifo = Ring::new(&m, format!("fifo_{lane}"), depth);
            let entry = m.wire(format!("entry_{lane}"), &next_row.concat(&addresses[lane]));
            let oldest = fifo.oldest(&m, &format!("head_{lane}"), &push, &entry);
            fifo.advance(&m, &push, &taken[lane]);
            Head {
                valid: fifo.has_item(&m),
                row: oldest.bits(unit_bits..unit_bits + number_bits),
                address: oldest.bits(0..unit_bits),
            }
        })
        .collect();

    m.section("which heads may go: their row's data have a place");
    let ages: Vec<Signal> = heads
        .iter()
        .enumerate()
        .map(|(lane, head)| m.wire(format!("distance_{lane}"), &(&head.row - &oldest_row)))
        .collect();
    let may: Vec<Signal> = heads
        .iter()
        .zip(&ages)
        .enumerate()
        .map(|(lane, (head, age))| {
            let has_place = age.lt(u64::from(depth)) | (age.eq(u64::from(depth)) & &retires);
            m.wire(format!("may_go_{lane}"), &(&head.valid & has_place))
        })
        .collect();
    // Of two lanes the lower one goes first unless the other one's row is older.
    let before = |lane: usize, other: usize| match lane < other {
        true => !ages[other].lt(&ages[lane]),
        false => ages[lane].lt(&ages[other]),
    };
    let first: Vec<Vec<Signal>> = (0..lanes as usize)
        .map(|lane| {
            (0..lanes as usize)
                .map(|other| match lane == other {
                    true => m.constant(1, 1),
                    false => m.wire(format!("lane_{lane}_before_{other}"), &before(lane, other)),
                })
                .collect()
        })
        .collect();

    let mut granted: Vec<Vec<Signal>> = Vec::new();
    let mut offers = Vec::new();
    for (channel, ready) in readies.iter().enumerate() {
        m.section(format!("channel {channel}"));
        let wants: Vec<Signal> = heads
            .iter()
            .zip(&may)
            .enumerate()
            .map(|(lane, (head, may))| {
                let here = match channel_bits {
                    0 => may.clone(),
                    bits => may & head.address.bits(0..bits).eq(channel as u64),
                };
                m.wire(format!("wants_{channel}_{lane}"), &here)
            })
            .collect();
        let kept = m.register(format!("kept_{channel}"), lanes).comment("Offered, not taken yet.");
        let is_kept = m.wire(format!("is_kept_{channel}"), &kept.any());
        let grants: Vec<Signal> = (0..lanes as usize)
            .map(|lane| {
                let others = (0..lanes as usize).filter(|other| *other != lane);
                let wins: Vec<Signal> =
                    others.map(|other| !&wants[other] | &first[lane][other]).collect();
                let wins = &wants[lane] & m.all_of(&wins);
                let grant = is_kept.mux(&kept.bit(lane as u32), wins);
                m.wire(format!("grant_{channel}_{lane}"), &grant)
            })
            .collect();
        let offer = m.wire(format!("offer_{channel}"), &m.any_of(&grants));
        m.update(&kept, (&offer & !ready).gate(&m.pack(&grants)));
        let gates: Vec<Signal> =
            heads.iter().zip(&grants).map(|(head, grant)| grant.gate(&head.address)).collect();
        let address = merged(&gates);
        let address = m.wire(format!("granted_address_{channel}"), &address);
        let lane =
            (0..lanes).map(|lane| grants[lane as usize].gate(&m.constant(lane.into(), lane_bits)));
        let lane = m.wire(format!("granted_lane_{channel}"), &merged(&lane.collect::<Vec<_>>()));
        let places: Vec<Signal> = heads
            .iter()
            .zip(&grants)
            .map(|(head, grant)| grant.gate(&head.row.bits(0..place_bits)))
            .collect();
        let place = m.wire(format!("granted_place_{channel}"), &merged(&places));
        offers.push((offer, address, lane, place));
        granted.push(grants);
    }

    m.section("a row has room unless a lane is full behind a head that stays");
    let oldest_possible = m.wire("oldest_possible", &(&next_row - u64::from(depth)));
    let mut blocks = Vec::new();
    for (lane, head) in heads.iter().enumerate() {
        let takes: Vec<Signal> =
            granted.iter().zip(&readies).map(|(grants, ready)| &grants[lane] & ready).collect();
        m.drive(&taken[lane], m.any_of(&takes));
        let is_oldest = &head.valid & head.row.eq(&oldest_possible);
        blocks.push(m.wire(format!("blocks_{lane}"), &(is_oldest & !&taken[lane])));
    }
    m.output("room", &!m.any_of(&blocks));
    for (channel, (offer, address, lane, place)) in offers.iter().enumerate() {
        m.output(format!("valid_{channel}"), offer);
        m.output(format!("address_{channel}"), address);
        m.output_for(format!("lane_{channel}"), lane, "Lane of the transaction.");
        m.output_for(format!("place_{channel}"), place, "Place of its data in the lane's FIFO.");
    }
    m.finish()
}

/// All values or-ed; at most one is not zero.
pub(super) fn merged(values: &[Signal]) -> Signal {
    match values {
        [only] => only.clone(),
        _ => {
            let (left, right) = values.split_at(values.len() / 2);
            merged(left) | merged(right)
        }
    }
}
