//! Softmax: scale, exponential and sum; then division and requantisation.
//!
//! A row of scores passes scale and exponential, is parked in a FIFO and added up. When the sum of
//! the pass is ready, the parked rows stream through divider and quantiser while the next pass
//! fills the FIFO behind them (SpAtten section IV-E; stage latencies as in the released model).

use std::collections::VecDeque;

use attelier_hw::spatten::Softmax as Params;

use super::Pass;
use crate::kernel::FOREVER;
use crate::kernel::activity::{Activity, EventLog, Span};
use crate::kernel::clock::Cycle;
use crate::kernel::packet_pipe::{PacketPipe, credit_steady};
use crate::kernel::snapshot::Snapshot;
use crate::kernel::stream::Stream;
use crate::observe::UnitState;

/// A pass whose exponentials are parked, at least partly.
#[derive(Debug, Clone, Copy)]
struct Parked {
    pass: Pass,
    rows: u32,
    divided: u32,
    /// Cycle from which the sum can be used, once the last exponential is known.
    sum_ready: Option<Cycle>,
}

/// The pipeline.
#[derive(Debug, Clone)]
pub struct Softmax {
    /// Counters; a beat is one row entering or leaving the FIFO.
    pub activity: Activity,
    fifo_depth: u64,
    accumulate: u64,
    exponential: PacketPipe<Pass>,
    divide: PacketPipe<Pass>,
    parked_rows: u64,
    parked: VecDeque<Parked>,
    /// Rows of the pass that is entering.
    entering: Option<u32>,
    starts: VecDeque<Cycle>,
    saw_scores: bool,
    entered: bool,
    divided: bool,
    parked_one: bool,
}

impl Softmax {
    /// A pipeline with these parameters.
    pub fn new(params: &Params) -> Self {
        Self {
            activity: Activity::new("softmax"),
            fifo_depth: u64::from(params.fifo_depth),
            accumulate: u64::from(params.accumulate_cycles),
            exponential: PacketPipe::new(params.scale_cycles + params.exp_cycles),
            divide: PacketPipe::new(params.divide_cycles + params.quantise_cycles),
            parked_rows: 0,
            parked: VecDeque::new(),
            entering: None,
            starts: VecDeque::new(),
            saw_scores: false,
            entered: false,
            divided: false,
            parked_one: false,
        }
    }

    fn occupied(&self) -> u64 {
        self.parked_rows + self.exponential.in_flight()
    }

    fn can_divide(&self, now: Cycle, probabilities: &Stream<Pass>) -> bool {
        self.sum_is_ready(now)
            && self.parked_rows > 0
            && self.output_occupied(probabilities) < u64::from(probabilities.depth())
    }

    fn sum_is_ready(&self, now: Cycle) -> bool {
        self.parked.front().is_some_and(|front| front.sum_ready.is_some_and(|at| at <= now))
    }

    fn output_occupied(&self, probabilities: &Stream<Pass>) -> u64 {
        u64::from(probabilities.level()) + self.divide.in_flight()
    }

    /// Evaluates cycle `now`.
    pub fn tick(
        &mut self,
        now: Cycle,
        scores: &mut Stream<Pass>,
        probabilities: &mut Stream<Pass>,
        log: &mut EventLog,
    ) {
        let room = self.occupied() < self.fifo_depth;
        let can_divide = self.can_divide(now, probabilities);
        self.leave(now, probabilities, log);
        self.divided = can_divide;
        if can_divide {
            let front = self.parked.front_mut().expect("a ready sum belongs to a pass");
            self.divide.enter(now, front.pass, front.divided, front.rows);
            front.divided += 1;
            self.parked_rows -= 1;
            if front.divided == front.rows {
                self.parked.pop_front();
            }
        }
        self.park(now);
        let front = scores.front().map(|(pass, _)| pass);
        self.saw_scores = front.is_some();
        self.entered = room && self.saw_scores;
        if self.entered {
            self.enter(now, scores);
        }
        self.record(front);
    }

    fn leave(&mut self, now: Cycle, probabilities: &mut Stream<Pass>, log: &mut EventLog) {
        let Some(beat) = self.divide.leave(now) else { return };
        probabilities.push_beat(beat.header, beat.index, beat.beats);
        if beat.is_last() {
            let start = self.starts.pop_front().expect("every pass has entered");
            let job = beat.header.job;
            log.add(Span { unit: "softmax", what: "softmax", job, start, end: now + 1 });
        }
    }

    fn park(&mut self, now: Cycle) {
        let beat = self.exponential.leave(now);
        self.parked_one = beat.is_some();
        let Some(beat) = beat else { return };
        self.parked_rows += 1;
        if beat.index == 0 {
            let (pass, rows) = (beat.header, beat.beats);
            self.parked.push_back(Parked { pass, rows, divided: 0, sum_ready: None });
        }
        if beat.is_last() {
            let last = self.parked.back_mut().expect("the pass was parked with its first row");
            last.sum_ready = Some(now + self.accumulate);
        }
    }

    fn enter(&mut self, now: Cycle, scores: &mut Stream<Pass>) {
        let (pass, left) = scores.front().expect("a visible row has a header");
        let rows = *self.entering.get_or_insert(left);
        if left == rows {
            self.starts.push_back(now);
        }
        self.exponential.enter(now, pass, rows - left, rows);
        if scores.pop() {
            self.entering = None;
        }
    }

    /// Records the cycle; `front` is the pass whose scores were visible in it.
    fn record(&mut self, front: Option<Pass>) {
        let job = self.parked.front().map(|parked| parked.pass).or(front);
        let job = job.and_then(|pass| pass.job_id());
        let beats = u64::from(self.entered) + u64::from(self.divided);
        let work = self.occupied() > 0 || self.divide.in_flight() > 0;
        let state = if beats > 0 {
            UnitState::Busy
        } else if self.saw_scores {
            UnitState::Blocked
        } else if work {
            UnitState::Starved
        } else {
            UnitState::Idle
        };
        self.activity.record(state, beats, job);
    }

    /// Cycles after `now` that repeat it as long as its streams do.
    pub fn steady(&self, now: Cycle, scores: &Stream<Pass>, probabilities: &Stream<Pass>) -> u64 {
        self.exponential
            .steady(now)
            .min(self.divide.steady(now))
            .min(self.steady_entry(scores))
            .min(self.steady_division(now, probabilities))
    }

    fn steady_entry(&self, scores: &Stream<Pass>) -> u64 {
        let room = self.occupied() < self.fifo_depth;
        if self.entered {
            // The end of a packet is bounded by the stream; the next packet starts in a tick.
            if self.entering.is_none() || !room || scores.level() == 0 {
                return 0;
            }
            return credit_steady(self.fifo_depth, self.occupied(), true, self.divided);
        }
        let sees_scores = scores.level() > 0;
        if sees_scores != self.saw_scores || (room && sees_scores) { 0 } else { FOREVER }
    }

    fn steady_division(&self, now: Cycle, probabilities: &Stream<Pass>) -> u64 {
        let could = self.can_divide(now + 1, probabilities);
        if self.divided != could {
            return 0;
        }
        let Some(front) = self.parked.front() else { return FOREVER };
        if self.divided {
            if front.divided == 0 {
                return 0;
            }
            let rows = if self.parked_one { FOREVER } else { self.parked_rows };
            let depth = u64::from(probabilities.depth());
            let occupied = self.output_occupied(probabilities);
            return rows.min(u64::from(front.rows - front.divided) - 1).min(credit_steady(
                depth,
                occupied,
                true,
                probabilities.popped(),
            ));
        }
        match front.sum_ready {
            Some(at) if at > now => at.since(now) - 1,
            _ => FOREVER,
        }
    }

    /// Writes the state between two cycles.
    pub fn snapshot(&self, to: &mut Snapshot) {
        self.exponential.snapshot(to, Pass::snapshot);
        self.divide.snapshot(to, Pass::snapshot);
        to.put(self.parked_rows);
        to.put(self.entering.unwrap_or(0));
        to.length(self.parked.len());
        for Parked { pass, rows, divided, sum_ready } in &self.parked {
            pass.snapshot(to);
            to.put(*rows);
            to.put(*divided);
            to.maybe_cycle(*sum_ready);
        }
    }

    /// Repeats cycle `now` `n` times.
    pub fn leap(&mut self, now: Cycle, n: u64) {
        self.activity.leap(n);
        self.exponential.leap(now, n);
        self.divide.leap(now, n);
        if self.parked_one {
            self.parked_rows += n;
        }
        if self.divided {
            self.parked_rows -= n;
            let front = self.parked.front_mut().expect("a division belongs to a pass");
            front.divided += u32::try_from(n).expect("a leap ends inside the pass");
        }
    }
}
