//! QxK array: one line of keys per cycle against the broadcast query.
//!
//! The adder tree is split so that one line gives `multipliers / head_dim` scores. Scores leave
//! `latency_cycles` after the line is read; a place in the output buffer is reserved on entry.

use attelier_hw::spatten::QkArray as Params;

use super::Pass;
use super::line_sram::{LineSram, Plane};
use crate::kernel::FOREVER;
use crate::kernel::activity::{Activity, EventLog, Span};
use crate::kernel::clock::Cycle;
use crate::kernel::fifo::Fifo;
use crate::kernel::packet_pipe::{PacketPipe, credit_steady};
use crate::kernel::snapshot::Snapshot;
use crate::kernel::stream::Stream;
use crate::observe::UnitState;

/// Order to compute one pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QkOrder {
    /// The pass.
    pub pass: Pass,
    /// Slot of its keys.
    pub slot: u64,
    /// Whether it computes with the key LSBs.
    pub needs_lsb: bool,
    /// Rows of scores: groups of keys.
    pub rows: u32,
    /// Query vectors that must have arrived since reset.
    pub query_ticket: u64,
}

impl QkOrder {
    /// Writes the order; slots count from `first_slot`, `queries` have come.
    pub fn snapshot(&self, first_slot: u64, queries: u64, to: &mut Snapshot) {
        let Self { pass, slot, needs_lsb, rows, query_ticket } = self;
        pass.snapshot(to);
        to.put(slot - first_slot);
        to.put(*needs_lsb);
        to.put(*rows);
        to.put(query_ticket.saturating_sub(queries));
    }

    /// Rows whose keys are in the buffer, with all the bits this pass needs.
    fn filled(&self, keys: &LineSram) -> u32 {
        let msb = keys.filled(self.slot, Plane::Msb);
        if self.needs_lsb {
            msb.min(keys.filled(self.slot, Plane::lsb(self.pass.head)))
        } else {
            msb
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Current {
    order: QkOrder,
    next_row: u32,
    start: Cycle,
}

/// What the last cycle was like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Did {
    Nothing,
    Read,
    WaitForInput,
    WaitForRoom,
}

/// The array.
#[derive(Debug, Clone)]
pub struct QkArray {
    /// Counters; a beat is one line.
    pub activity: Activity,
    pipe: PacketPipe<Pass>,
    current: Option<Current>,
    did: Did,
}

impl QkArray {
    /// An array with these parameters.
    pub fn new(params: &Params) -> Self {
        Self {
            activity: Activity::new("qk_array"),
            pipe: PacketPipe::new(params.latency_cycles),
            current: None,
            did: Did::Nothing,
        }
    }

    fn occupied(&self, scores: &Stream<Pass>) -> u64 {
        u64::from(scores.level()) + self.pipe.in_flight()
    }

    fn has_room(&self, scores: &Stream<Pass>) -> bool {
        self.occupied(scores) < u64::from(scores.depth())
    }

    /// Evaluates cycle `now`. `queries` counts the query vectors that have arrived.
    pub fn tick(
        &mut self,
        now: Cycle,
        orders: &mut Fifo<QkOrder>,
        keys: &LineSram,
        queries: u64,
        scores: &mut Stream<Pass>,
        log: &mut EventLog,
    ) {
        let room = self.has_room(scores);
        if let Some(beat) = self.pipe.leave(now) {
            scores.push_beat(beat.header, beat.index, beat.beats);
        }
        if self.current.is_none() {
            self.current = orders.pop().map(|order| Current { order, next_row: 0, start: now });
        }
        let Some(Current { order, next_row, start }) = self.current else {
            self.did = Did::Nothing;
            self.activity.record(UnitState::Idle, 0, None);
            return;
        };
        let ready = queries >= order.query_ticket && order.filled(keys) > next_row;
        let (did, state, beats) = match (ready, room) {
            (false, _) => (Did::WaitForInput, UnitState::Starved, 0),
            (true, false) => (Did::WaitForRoom, UnitState::Blocked, 0),
            (true, true) => (Did::Read, UnitState::Busy, 1),
        };
        self.did = did;
        self.activity.record(state, beats, order.pass.job_id());
        if did != Did::Read {
            return;
        }
        let start = if next_row == 0 { now } else { start };
        self.pipe.enter(now, order.pass, next_row, order.rows);
        self.current = Some(Current { order, next_row: next_row + 1, start });
        if next_row + 1 == order.rows {
            let what = if order.pass.attempt == 0 { "QxK" } else { "QxK again" };
            log.add(Span { unit: "qk_array", what, job: order.pass.job, start, end: now + 1 });
            self.current = None;
        }
    }

    /// Cycles after `now` that repeat it as long as the inputs do ([`QkArray::input_holds`]).
    pub fn steady(&self, now: Cycle, orders: &Fifo<QkOrder>, scores: &Stream<Pass>) -> u64 {
        let room = self.has_room(scores);
        let own = match (self.did, &self.current) {
            (Did::Nothing, None) if orders.is_empty() => FOREVER,
            (Did::WaitForInput, Some(_)) => FOREVER,
            (Did::WaitForRoom, Some(_)) if !room => FOREVER,
            (Did::Read, Some(current)) if room => {
                let left = u64::from(current.order.rows - current.next_row) - 1;
                let depth = u64::from(scores.depth());
                left.min(credit_steady(depth, self.occupied(scores), true, scores.popped()))
            }
            _ => 0,
        };
        own.min(self.pipe.steady(now))
    }

    /// Cycles, after `leapt` repeated ones, for which the inputs still are as they were: lines
    /// enough to go on reading, or none to wake up for.
    pub fn input_holds(&self, leapt: u64, keys: &LineSram, queries: u64) -> u64 {
        let Some(Current { order, next_row, .. }) = self.current else { return FOREVER };
        let filled = u64::from(order.filled(keys));
        let next_row = u64::from(next_row);
        let ready = queries >= order.query_ticket && filled > next_row;
        match self.did {
            Did::Read => filled.saturating_sub(next_row + leapt),
            Did::WaitForInput if ready => 0,
            _ => FOREVER,
        }
    }

    /// Writes the state between two cycles; slots count from `first_slot`, `queries` have come.
    pub fn snapshot(&self, first_slot: u64, queries: u64, to: &mut Snapshot) {
        self.pipe.snapshot(to, Pass::snapshot);
        to.put(self.current.is_some());
        if let Some(Current { order, next_row, start: _ }) = &self.current {
            order.snapshot(first_slot, queries, to);
            to.put(*next_row);
        }
    }

    /// Repeats cycle `now` `n` times.
    pub fn leap(&mut self, now: Cycle, n: u64) {
        self.activity.leap(n);
        self.pipe.leap(now, n);
        if let (Did::Read, Some(current)) = (self.did, &mut self.current) {
            current.next_row += u32::try_from(n).expect("a leap ends inside the pass");
        }
    }
}
