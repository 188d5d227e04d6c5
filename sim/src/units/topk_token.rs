//! Token and head top-k engine: which tokens, or heads, the next layers keep.
//!
//! It reads the importance accumulators in place: quick-select rounds, then one filter pass that
//! yields the surviving indices in order (SpAtten sections III-A, III-B, IV-B). Token and head
//! pruning share the engine.

use crate::kernel::FOREVER;
use crate::kernel::activity::{Activity, EventLog, Span};
use crate::kernel::clock::Cycle;
use crate::kernel::fifo::Fifo;
use crate::observe::UnitState;

/// One selection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenSelection {
    /// Job that waits for it.
    pub job: u32,
    /// What is selected, for observers.
    pub what: &'static str,
    /// Cycles of rounds and filter pass.
    pub cycles: u64,
}

/// The engine.
#[derive(Debug, Clone)]
pub struct TopKToken {
    /// Counters; a beat is one finished selection.
    pub activity: Activity,
    running: Option<(TokenSelection, Cycle, Cycle)>,
    changed: bool,
}

impl Default for TopKToken {
    fn default() -> Self {
        Self { activity: Activity::new("topk_token"), running: None, changed: false }
    }
}

impl TopKToken {
    /// Whether no selection is running.
    pub fn is_idle(&self) -> bool {
        self.running.is_none()
    }

    /// Evaluates cycle `now`; finished jobs go to `finished`.
    pub fn tick(
        &mut self,
        now: Cycle,
        orders: &mut Fifo<TokenSelection>,
        finished: &mut Fifo<u32>,
        log: &mut EventLog,
    ) {
        self.changed = false;
        if self.running.is_none()
            && let Some(order) = orders.pop()
        {
            self.running = Some((order, now, now + order.cycles.max(1)));
            self.changed = true;
        }
        let Some((order, start, until)) = self.running else {
            self.activity.record(UnitState::Idle, 0, None);
            return;
        };
        let ends = now + 1 == until;
        self.activity.record(UnitState::Busy, u64::from(ends), Some(u64::from(order.job)));
        if ends {
            finished.push(order.job);
            let TokenSelection { job, what, .. } = order;
            log.add(Span { unit: "topk_token", what, job, start, end: until });
            self.running = None;
            self.changed = true;
        }
    }

    /// Cycles after `now` that repeat it.
    pub fn steady(&self, now: Cycle, orders: &Fifo<TokenSelection>) -> u64 {
        match &self.running {
            _ if self.changed => 0,
            Some((_, _, until)) => until.since(now).saturating_sub(2),
            None if orders.is_empty() => FOREVER,
            None => 0,
        }
    }

    /// Repeats a cycle `n` times.
    pub fn leap(&mut self, n: u64) {
        self.activity.leap(n);
    }
}
