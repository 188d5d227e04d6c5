//! Progressive-quantization decision: are the probabilities of a pass flat enough to need the LSBs
//! of its keys?
//!
//! Rows wait in a FIFO while lane maxima are compared with the threshold. If all stay below it, the
//! rows are dropped and the pass is computed again with the LSBs; otherwise they go on. A pass
//! without threshold goes through as it comes (SpAtten sections III-D and IV-E).

use std::collections::VecDeque;

use attelier_hw::spatten::QuantDecision as Params;

use super::Pass;
use crate::kernel::FOREVER;
use crate::kernel::activity::Activity;
use crate::kernel::clock::Cycle;
use crate::kernel::fifo::Fifo;
use crate::kernel::snapshot::Snapshot;
use crate::kernel::stream::Stream;
use crate::observe::UnitState;

/// What the unit is asked to do with a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// No threshold: accept at once.
    Accept,
    /// Compare; the comparison will say whether the LSBs are needed.
    Compare {
        /// All lane maxima are below the threshold.
        needs_lsb: bool,
    },
}

/// Outcome for one pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// The pass.
    pub pass: Pass,
    /// Whether its probabilities are used.
    pub accepted: bool,
}

#[derive(Debug, Clone, Copy)]
struct Held {
    pass: Pass,
    rows: u32,
    entered: u32,
    left: u32,
    rule: Rule,
    verdict_at: Option<Cycle>,
    accepted: bool,
}

/// The decision unit.
#[derive(Debug, Clone)]
pub struct QuantDecision {
    /// Counters; a beat is one row entering the FIFO.
    pub activity: Activity,
    depth: u64,
    verdict_cycles: u64,
    held_rows: u64,
    held: VecDeque<Held>,
    saw_input: bool,
    took: bool,
    sent: bool,
    decided: bool,
}

impl QuantDecision {
    /// A unit with these parameters.
    pub fn new(params: &Params) -> Self {
        Self {
            activity: Activity::new("quant_decision"),
            depth: u64::from(params.fifo_depth),
            verdict_cycles: u64::from(params.verdict_cycles.max(1)),
            held_rows: 0,
            held: VecDeque::new(),
            saw_input: false,
            took: false,
            sent: false,
            decided: false,
        }
    }

    fn can_send(&self, rows: &Stream<Pass>) -> bool {
        let front = self.held.front();
        rows.can_push() && front.is_some_and(|front| front.accepted && front.left < front.entered)
    }

    fn due(&self, now: Cycle) -> bool {
        self.held.front().is_some_and(|front| front.verdict_at.is_some_and(|at| at <= now))
    }

    /// Evaluates cycle `now`. `rule` tells what to do with a pass that enters.
    pub fn tick(
        &mut self,
        now: Cycle,
        probabilities: &mut Stream<Pass>,
        rule: impl FnOnce(Pass) -> Rule,
        rows: &mut Stream<Pass>,
        verdicts: &mut Fifo<Verdict>,
    ) {
        let room = self.held_rows < self.depth;
        self.saw_input = probabilities.level() > 0;
        let can_send = self.can_send(rows);
        self.sent = can_send;
        self.decided = false;
        if can_send {
            self.send(rows);
        } else if self.due(now) {
            self.decide(verdicts);
        }
        self.took = room && self.saw_input;
        if self.took {
            self.take(now, probabilities, rule, verdicts);
        }
        self.record();
    }

    fn send(&mut self, rows: &mut Stream<Pass>) {
        let front = self.held.front_mut().expect("something can be sent");
        rows.push_beat(front.pass, front.left, front.rows);
        front.left += 1;
        self.held_rows -= 1;
        if front.left == front.rows {
            self.held.pop_front();
        }
    }

    fn decide(&mut self, verdicts: &mut Fifo<Verdict>) {
        self.decided = true;
        let front = self.held.front_mut().expect("a verdict is due");
        front.verdict_at = None;
        front.accepted = front.rule != Rule::Compare { needs_lsb: true };
        verdicts.push(Verdict { pass: front.pass, accepted: front.accepted });
        if !front.accepted {
            self.held_rows -= u64::from(front.rows);
            self.held.pop_front();
        }
    }

    fn take(
        &mut self,
        now: Cycle,
        probabilities: &mut Stream<Pass>,
        rule: impl FnOnce(Pass) -> Rule,
        verdicts: &mut Fifo<Verdict>,
    ) {
        let (pass, left) = probabilities.front().expect("a visible row has a header");
        if self.held.back().is_none_or(|held| held.entered == held.rows) {
            let rule = rule(pass);
            let accepted = rule == Rule::Accept;
            let held =
                Held { pass, rows: left, entered: 0, left: 0, rule, verdict_at: None, accepted };
            self.held.push_back(held);
        }
        let last = probabilities.pop();
        let held = self.held.back_mut().expect("the pass was added with its first row");
        held.entered += 1;
        self.held_rows += 1;
        if last {
            match held.rule {
                Rule::Accept => verdicts.push(Verdict { pass, accepted: true }),
                Rule::Compare { .. } => held.verdict_at = Some(now + self.verdict_cycles),
            }
        }
    }

    fn record(&mut self) {
        let job = self.held.front().and_then(|held| held.pass.job_id());
        let state = if self.took || self.sent || self.decided {
            UnitState::Busy
        } else if self.held.is_empty() {
            UnitState::Idle
        } else if self.held[0].accepted && self.held[0].left < self.held[0].entered {
            UnitState::Blocked
        } else {
            UnitState::Starved
        };
        self.activity.record(state, u64::from(self.took), job);
    }

    /// Cycles after `now` that repeat it as long as the streams do.
    pub fn steady(&self, now: Cycle, probabilities: &Stream<Pass>, rows: &Stream<Pass>) -> u64 {
        if self.decided || self.sent != self.can_send(rows) {
            return 0;
        }
        let sees_input = probabilities.level() > 0;
        let takes = self.held_rows < self.depth && sees_input;
        if self.took != takes || self.saw_input != sees_input {
            return 0;
        }
        let mut steady = FOREVER;
        if self.took {
            let back = self.held.back();
            match back {
                Some(back) if back.entered < back.rows => {
                    steady = steady.min(u64::from(back.rows - back.entered) - 1);
                }
                _ => return 0,
            }
            if !self.sent {
                steady = steady.min(self.depth - self.held_rows);
            }
        }
        let front = self.held.front();
        if self.sent {
            match front {
                Some(front) if front.left > 0 => {
                    steady = steady.min(u64::from(front.rows - front.left) - 1);
                    let follows = self.took && self.held.len() == 1;
                    if !follows {
                        steady = steady.min(u64::from(front.entered - front.left));
                    }
                }
                _ => return 0,
            }
        }
        match front.and_then(|front| front.verdict_at) {
            Some(at) => steady.min(at.since(now).saturating_sub(1)),
            None => steady,
        }
    }

    /// Writes the state between two cycles.
    pub fn snapshot(&self, to: &mut Snapshot) {
        to.put(self.held_rows);
        to.length(self.held.len());
        for Held { pass, rows, entered, left, rule, verdict_at, accepted } in &self.held {
            pass.snapshot(to);
            to.put(*rows);
            to.put(*entered);
            to.put(*left);
            to.put(*rule == Rule::Accept);
            to.put(*rule == Rule::Compare { needs_lsb: true });
            to.maybe_cycle(*verdict_at);
            to.put(*accepted);
        }
    }

    /// Repeats cycle `now` `n` times.
    pub fn leap(&mut self, n: u64) {
        self.activity.leap(n);
        let rows = u32::try_from(n).unwrap_or(u32::MAX);
        if self.took {
            self.held.back_mut().expect("rows enter a pass").entered += rows;
            self.held_rows += n;
        }
        if self.sent {
            self.held.front_mut().expect("rows leave a pass").left += rows;
            self.held_rows -= n;
        }
    }
}
