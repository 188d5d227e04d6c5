//! Rows in two passes: beats come and are kept, then they are read back once something of all of them
//! is known.

use std::collections::BTreeMap;

/// Numbers of the lanes in one cycle, from lane 0 on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beat<T> {
    /// As many as there are lanes; the last beat of a row may have fewer.
    pub numbers: Vec<T>,
    /// The row ends.
    pub last: bool,
}

/// Cycles of a tree over some lanes, with a register per level.
pub(super) fn sum_cycles(lanes: usize) -> u64 {
    u64::from(lanes.max(1).ilog2())
}

/// The row under way, and what later cycles show.
#[derive(Debug, Clone)]
pub(super) struct RowPasses<T, S> {
    row: Vec<T>,
    cycle: u64,
    /// First cycle in which the input is open again.
    opens: u64,
    later: BTreeMap<u64, S>,
}

impl<T: Clone, S: Default + Clone> RowPasses<T, S> {
    pub fn new() -> Self {
        Self { row: Vec::new(), cycle: 0, opens: 0, later: BTreeMap::new() }
    }

    pub fn is_ready(&self) -> bool {
        self.cycle >= self.opens
    }

    /// What shows in this cycle.
    pub fn shown(&mut self) -> S {
        self.later.remove(&self.cycle).unwrap_or_default()
    }

    /// Takes a beat; returns the row when it is complete.
    pub fn take(&mut self, beat: Option<Beat<T>>) -> Option<Vec<T>> {
        let beat = beat.filter(|_| self.is_ready())?;
        self.row.extend(beat.numbers);
        beat.last.then(|| std::mem::take(&mut self.row))
    }

    /// Shows something so many cycles after this one.
    pub fn show(&mut self, cycles: u64, what: impl FnOnce(&mut S)) {
        what(self.later.entry(self.cycle + cycles).or_default());
    }

    /// Closes the input from the next cycle on, up to so many cycles after this one.
    pub fn close(&mut self, cycles: u64) {
        self.opens = self.cycle + cycles;
    }

    /// The next cycle.
    pub fn advance(&mut self) {
        self.cycle += 1;
    }
}
