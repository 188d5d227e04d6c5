//! The run loop.

use super::{FOREVER, clock::Cycle};

/// How time advances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Leap over cycles that repeat the one before.
    #[default]
    Jump,
    /// Evaluate every cycle.
    EveryCycle,
}

/// Something that can be simulated.
pub trait Machine {
    /// Evaluates and commits cycle `now`.
    fn tick(&mut self, now: Cycle);
    /// Cycles after `now` that may repeat it; [`FOREVER`] if nothing will ever change.
    fn steady(&self, now: Cycle) -> u64;
    /// Repeats cycle `now` at most `n` times; returns how often. Must not leap beyond the cycle in
    /// which the machine is done.
    fn leap(&mut self, now: Cycle, n: u64) -> u64;
    /// Cycles that were skipped because the machine would have repeated itself job by job; counters
    /// already include them. Called after cycle `now` has been evaluated.
    fn recur(&mut self, now: Cycle) -> u64 {
        let _ = now;
        0
    }
    /// Whether all work is finished.
    fn done(&self) -> bool;
}

/// The machine has work but will never move again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stuck {
    /// Last cycle in which something changed.
    pub at: Cycle,
}

/// Runs `machine` until it is done; `after` is called with the next cycle to evaluate, after each
/// evaluated cycle or leap. Returns the number of cycles.
///
/// # Errors
/// [`Stuck`] if the machine waits for something that cannot happen.
pub fn run<M: Machine>(
    machine: &mut M,
    mode: Mode,
    mut after: impl FnMut(&mut M, Cycle),
) -> Result<u64, Stuck> {
    let mut now = Cycle(0);
    let mut skipped = 0;
    loop {
        machine.tick(now);
        if machine.done() {
            after(machine, now + 1 + skipped);
            return Ok((now + 1 + skipped).0);
        }
        if mode == Mode::Jump {
            skipped += machine.recur(now);
        }
        let steady = machine.steady(now);
        if steady == FOREVER {
            return Err(Stuck { at: now });
        }
        let leapt = if mode == Mode::Jump && steady > 0 { machine.leap(now, steady) } else { 0 };
        now = now + leapt + 1;
        after(machine, now + skipped);
        if leapt > 0 && machine.done() {
            return Ok((now + skipped).0);
        }
    }
}
