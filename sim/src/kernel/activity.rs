//! What a unit did: cycles per state and beats.

use super::clock::Cycle;
use crate::observe::UnitState;
use crate::result::UnitReport;

/// Cycles per state and beats of one unit.
pub type Counts = ([u64; 4], u64);

/// Counters of one unit, and its state in the last evaluated cycle.
#[derive(Debug, Clone)]
pub struct Activity {
    name: &'static str,
    cycles: [u64; 4],
    beats: u64,
    beats_now: u64,
    state: UnitState,
    job: Option<u64>,
}

impl Activity {
    /// Counters of the unit called `name`.
    pub fn new(name: &'static str) -> Self {
        Self { name, cycles: [0; 4], beats: 0, beats_now: 0, state: UnitState::Idle, job: None }
    }

    /// The unit's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Records the cycle: `beats` moved, in `state`, for `job`.
    pub fn record(&mut self, state: UnitState, beats: u64, job: Option<u64>) {
        self.cycles[state as usize] += 1;
        self.beats += beats;
        self.beats_now = beats;
        self.state = state;
        self.job = job;
    }

    /// State and job of the last evaluated cycle.
    pub fn state(&self) -> (UnitState, Option<u64>) {
        (self.state, self.job)
    }

    /// Repeats the last cycle `n` times.
    pub fn leap(&mut self, n: u64) {
        self.cycles[self.state as usize] += n;
        self.beats += n * self.beats_now;
    }

    /// Cycles per state and beats.
    pub fn counts(&self) -> Counts {
        (self.cycles, self.beats)
    }

    /// Repeats `n` times what was counted since `before`.
    pub fn repeat_since(&mut self, before: Counts, n: u64) {
        for (count, before) in self.cycles.iter_mut().zip(before.0) {
            *count += n * (*count - before);
        }
        self.beats += n * (self.beats - before.1);
    }

    /// The counters.
    pub fn report(&self) -> UnitReport {
        UnitReport {
            name: self.name,
            busy_cycles: self.cycles[UnitState::Busy as usize],
            starved_cycles: self.cycles[UnitState::Starved as usize],
            blocked_cycles: self.cycles[UnitState::Blocked as usize],
            beats: self.beats,
        }
    }
}

/// A finished piece of work of one unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Name of the unit.
    pub unit: &'static str,
    /// What it did.
    pub what: &'static str,
    /// For which job.
    pub job: u32,
    /// First cycle.
    pub start: Cycle,
    /// Cycle after the last.
    pub end: Cycle,
}

/// A unit enters a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateChange {
    /// First cycle of the state.
    pub cycle: Cycle,
    /// The unit's position among the machine's units.
    pub unit: usize,
    /// State.
    pub state: UnitState,
    /// Job it works on.
    pub job: Option<u64>,
}

/// Collects events for an onlooker, if there is one.
#[derive(Debug, Clone, Default)]
pub struct EventLog {
    /// Whether events are kept.
    pub enabled: bool,
    /// Spans since they were last taken.
    pub spans: Vec<Span>,
    /// State changes since they were last taken, in order of cycles.
    pub changes: Vec<StateChange>,
    states: Vec<(UnitState, Option<u64>)>,
}

impl EventLog {
    /// Notes the state of unit number `unit` in `cycle`, if it is new.
    pub fn note(&mut self, cycle: Cycle, unit: usize, activity: &Activity) {
        let (state, job) = activity.state();
        if self.states.len() <= unit {
            self.states.resize(unit + 1, (UnitState::Idle, None));
        }
        if self.states[unit] != (state, job) {
            self.states[unit] = (state, job);
            self.changes.push(StateChange { cycle, unit, state, job });
        }
    }

    /// Records a span.
    pub fn add(&mut self, span: Span) {
        if self.enabled {
            self.spans.push(span);
        }
    }
}
