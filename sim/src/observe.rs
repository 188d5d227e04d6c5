//! What a run tells an onlooker: unit states for waveforms, job spans for timelines, progress.
//!
//! The simulator performs no input or output; writers of VCD or timeline files implement
//! [`Observer`]. Calls come in order of `cycle`. Both simulation modes make the same calls.

/// What a unit does in one cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum UnitState {
    /// Nothing to do.
    Idle,
    /// Moves or computes a beat.
    Busy,
    /// Has work but waits for its input.
    Starved,
    /// Has a beat but nowhere to put it.
    Blocked,
}

/// An onlooker of a run.
pub trait Observer {
    /// Called once before cycle 0 with the units in design order and the core clock.
    fn begin(&mut self, units: &[&str], clock_hz: u64) {
        let _ = (units, clock_hz);
    }
    /// Unit `unit` (index into `units`) enters `state` at `cycle` and works on `job` (an index that
    /// counts up from 0), if any.
    fn state(&mut self, cycle: u64, unit: usize, state: UnitState, job: Option<u64>) {
        let _ = (cycle, unit, state, job);
    }
    /// Unit `unit` worked on `what` (for instance `L3 H5 keys`) in cycles `start..end`.
    fn span(&mut self, unit: usize, what: &str, start: u64, end: u64) {
        let _ = (unit, what, start, end);
    }
    /// `done` of `total` jobs have finished.
    fn progress(&mut self, cycle: u64, done: u64, total: u64) {
        let _ = (cycle, done, total);
    }
    /// Called once after the last cycle.
    fn end(&mut self, cycle: u64) {
        let _ = cycle;
    }
    /// Whether `state` and `span` are wanted; a run is faster without them.
    fn wants_events(&self) -> bool {
        true
    }
}

/// Nobody looks.
pub struct Nobody;
impl Observer for Nobody {
    fn wants_events(&self) -> bool {
        false
    }
}
