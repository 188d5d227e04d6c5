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

    /// Evaluates cycle `now`. `slot` gives the value slot of a job once it has one. A finished
    /// pass goes to `finished` and is returned.
    pub fn tick(
        &mut self,
        now: Cycle,
        rows: &mut Stream<Pass>,
        values: &LineSram,
        slot: impl Fn(u32) -> Option<u64>,
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
        let ready = slot(pass.job).is_some_and(|slot| values.filled(slot, Plane::Msb) > self.row);
        if !ready {
            self.did = Did::WaitForValues;
            self.activity.record(UnitState::Starved, 0, pass.job_id());
            return done;
        }
        self.did = Did::Read;
        self.activity.record(UnitState::Busy, 1, pass.job_id());
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
        slot: impl Fn(u32) -> Option<u64>,
    ) -> u64 {
        let Some(current) = self.current else { return FOREVER };
        let slot = slot(current.pass.job);
        let filled = u64::from(slot.map_or(0, |slot| values.filled(slot, Plane::Msb)));
        let row = u64::from(self.row);
        match self.did {
            Did::Read => filled.saturating_sub(row + leapt),
            Did::WaitForValues if filled > row => 0,
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
