//! Token and head importance accumulators: adders beside the critical path that never stall it.

use crate::kernel::activity::Activity;
use crate::observe::UnitState;

/// Adds one row of probabilities, or one attention output, per cycle.
#[derive(Debug, Clone)]
pub struct Importance {
    /// Counters.
    pub activity: Activity,
    /// Job of the beat seen in this cycle.
    seen: Option<u64>,
}

impl Importance {
    /// An accumulator called `name`.
    pub fn new(name: &'static str) -> Self {
        Self { activity: Activity::new(name), seen: None }
    }

    /// A beat of `job` passes in this cycle.
    pub fn see(&mut self, job: Option<u64>) {
        self.seen = job;
    }

    /// Ends the cycle.
    pub fn tick(&mut self) {
        match self.seen.take() {
            Some(job) => self.activity.record(UnitState::Busy, 1, Some(job)),
            None => self.activity.record(UnitState::Idle, 0, None),
        }
    }
}
