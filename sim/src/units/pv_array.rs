//! Probability x value array: one line of values per cycle, accumulated over the rows of a pass.
//!
//! The same multipliers and tree as QxK, split into one short tree per output element; results
//! leave when the last row of a pass has been accumulated.

use attelier_hw::spatten::PvArray as Params;

use super::Pass;
use super::line_sram::{LineSram, Plane};
use crate::kernel::FOREVER;
use crate::kernel::activity::{Activity, EventLog, Span};
use crate::kernel::clock::Cycle;
use crate::kernel::fifo::Fifo;
use crate::kernel::packet_pipe::PacketPipe;
use crate::kernel::snapshot::Snapshot;
use crate::kernel::stream::Stream;
use crate::observe::UnitState;

#[derive(Debug, Clone, Copy)]
struct Current {
    pass: Pass,
    rows: u32,
    start: Cycle,
}

/// Where the values of a job are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// Slot of the value buffer.
    pub slot: u64,
    /// Rows of the whole job, if rows are dropped in place: a kept row can be anywhere, so the
    /// array waits until all have come. `None` if rows follow each other.
    pub all_rows: Option<u32>,
}

impl Source {
    /// Whether the values of row number `row` of a pass are in the buffer.
    fn has(&self, row: u32, values: &LineSram) -> bool {
        values.filled(self.slot, Plane::Msb) >= self.all_rows.unwrap_or(row + 1)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Did {
    Nothing,
    Read,
    WaitForValues,
}

/// The array.
#[derive(Debug, Clone)]
pub struct PvArray {
    /// Counters; a beat is one line.
    pub activity: Activity,
    pipe: PacketPipe<Pass>,
    current: Option<Current>,
    did: Did,
    /// Row that is read next.
    row: u32,
    finished: bool,
}

impl PvArray {
    /// An array with these parameters.
    pub fn new(params: &Params) -> Self {
        Self {
            activity: Activity::new("pv_array"),
            pipe: PacketPipe::new(params.latency_cycles),
            current: None,
            did: Did::Nothing,
            row: 0,
            finished: false,
        }
    }

    /// Evaluates cycle `now`. `source` tells where the values of a job are once they have a place;
    /// the last row of a pass waits while its output has no place (`has_room`). A finished pass goes
    /// to `finished` and is returned.
    pub fn tick(
        &mut self,
        now: Cycle,
        rows: &mut Stream<Pass>,
        (values, has_room): (&LineSram, bool),
        source: impl Fn(u32) -> Option<Source>,
        finished: &mut Fifo<Pass>,
        log: &mut EventLog,
    ) -> Option<Pass> {
        let done = self.pipe.leave(now).filter(|beat| beat.is_last()).map(|beat| beat.header);
        self.finished = done.is_some();
        if let Some(pass) = done {
            finished.push(pass);
        }
        let Some((pass, left)) = rows.front() else {
            let state = if self.current.is_some() { UnitState::Starved } else { UnitState::Idle };
            let job = self.current.and_then(|current| current.pass.job_id());
            self.did = Did::Nothing;
            self.activity.record(state, 0, job);
            return done;
        };
        let current = *self.current.get_or_insert(Current { pass, rows: left, start: now });
        self.row = current.rows - left;
        let ready = source(pass.job).is_some_and(|source| source.has(self.row, values));
        if !ready || (left == 1 && !has_room) {
            self.did = Did::WaitForValues;
            self.activity.record(UnitState::Starved, 0, pass.job_id());
            return done;
        }
        self.did = Did::Read;
        self.activity.record(UnitState::Busy, 1, pass.job_id());
        let current = Current { start: if self.row == 0 { now } else { current.start }, ..current };
        self.current = Some(current);
        self.pipe.enter(now, pass, self.row, current.rows);
        self.row += 1;
        if rows.pop() {
            let Current { start, .. } = current;
            log.add(Span { unit: "pv_array", what: "PxV", job: pass.job, start, end: now + 1 });
            self.current = None;
        }
        done
    }

    /// Cycles after `now` that repeat it as long as the inputs do ([`PvArray::input_holds`]).
    pub fn steady(&self, now: Cycle, rows: &Stream<Pass>) -> u64 {
        let own = match (self.did, &self.current) {
            _ if self.finished => 0,
            (Did::Nothing, _) if rows.level() == 0 => FOREVER,
            (Did::Read, Some(_)) if rows.level() > 0 => FOREVER,
            (Did::WaitForValues, Some(_)) => FOREVER,
            _ => 0,
        };
        own.min(self.pipe.steady(now))
    }

    /// Cycles, after `leapt` repeated ones, for which the values still are as they were.
    pub fn input_holds(
        &self,
        leapt: u64,
        values: &LineSram,
        source: impl Fn(u32) -> Option<Source>,
    ) -> u64 {
        let Some(current) = self.current else { return FOREVER };
        let source = source(current.pass.job);
        let ready = source.is_some_and(|source| source.has(self.row, values));
        match (self.did, source) {
            (Did::Read, Some(Source { slot, all_rows: None })) => {
                let filled = u64::from(values.filled(slot, Plane::Msb));
                filled.saturating_sub(u64::from(self.row) + leapt)
            }
            (Did::WaitForValues, _) if ready => 0,
            _ => FOREVER,
        }
    }

    /// Writes the state between two cycles.
    pub fn snapshot(&self, to: &mut Snapshot) {
        self.pipe.snapshot(to, Pass::snapshot);
        to.put(self.current.is_some());
        if let Some(Current { pass, rows, start: _ }) = self.current {
            pass.snapshot(to);
            to.put(rows);
        }
    }

    /// Repeats cycle `now` `n` times.
    pub fn leap(&mut self, now: Cycle, n: u64) {
        self.activity.leap(n);
        self.pipe.leap(now, n);
        if self.did == Did::Read {
            self.row += u32::try_from(n).expect("a leap ends inside the pass");
        }
    }
}
