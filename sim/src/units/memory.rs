//! What the fetcher needs of a memory, and the ideal one.

use crate::kernel::{FOREVER, clock::Cycle, snapshot::Snapshot};
use crate::result::DramCounts;

/// Transactions of one fetcher row: bit `l` stands for lane `l`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// Row number, counted from reset.
    pub row: u64,
    /// Lanes.
    pub lanes: u64,
}

/// A memory of several channels that answers read transactions of fixed size.
pub trait Memory {
    /// Channels that take a transaction in cycle `now`; bit `c` stands for channel `c`.
    fn ready(&self, now: Cycle) -> u64;
    /// Reads for the lanes of `grant`, at most one per channel and cycle. `address` gives the byte
    /// address of a lane's transaction.
    fn issue(&mut self, now: Cycle, grant: Grant, address: &dyn Fn(u32) -> u64);
    /// The next transactions whose data arrive in cycle `now`.
    fn arrival(&mut self, now: Cycle) -> Option<Grant>;
    /// Cycles after `now` in which no data arrive, whatever is issued meanwhile.
    fn quiet(&self, now: Cycle) -> u64;
    /// Whether no transaction is outstanding.
    fn is_idle(&self) -> bool;
    /// Ends the run with cycle `end`; returns what the DRAM did, if the memory models one.
    fn finish(&mut self, end: Cycle) -> Option<DramCounts> {
        let _ = end;
        None
    }
    /// Writes the state; rows count from `first_row`. A memory whose timing depends on more than
    /// channels and cycles is irregular.
    fn snapshot(&self, first_row: u64, to: &mut Snapshot) {
        let _ = first_row;
        to.irregular();
    }
}

/// Fixed latency, one transaction per channel and cycle.
#[derive(Debug, Clone)]
pub struct IdealMemory {
    channels: u64,
    latency: u64,
    /// Grants in flight, a ring: `head..tail` are in use.
    ring: Vec<(Cycle, Grant)>,
    head: usize,
    tail: usize,
}

impl IdealMemory {
    /// A memory of `channels` channels that answers after `latency` cycles.
    pub fn new(channels: u32, latency: u32) -> Self {
        assert!((1..=64).contains(&channels), "1 to 64 channels");
        Self {
            channels: u64::MAX >> (64 - channels),
            latency: u64::from(latency.max(1)),
            ring: vec![(Cycle(0), Grant { row: 0, lanes: 0 }); 64],
            head: 0,
            tail: 0,
        }
    }

    fn at(&self, position: usize) -> usize {
        position & (self.ring.len() - 1)
    }

    /// Doubles the ring.
    #[cold]
    fn grow(&mut self) {
        let used = (self.head..self.tail).map(|position| self.ring[self.at(position)]);
        let mut ring: Vec<_> = used.collect();
        (self.head, self.tail) = (0, ring.len());
        ring.resize(2 * self.ring.len(), (Cycle(0), Grant { row: 0, lanes: 0 }));
        self.ring = ring;
    }
}

impl Memory for IdealMemory {
    #[inline]
    fn ready(&self, _now: Cycle) -> u64 {
        self.channels
    }

    #[inline]
    fn issue(&mut self, now: Cycle, grant: Grant, _address: &dyn Fn(u32) -> u64) {
        if self.tail - self.head == self.ring.len() {
            self.grow();
        }
        let at = self.at(self.tail);
        self.ring[at] = (now + self.latency, grant);
        self.tail += 1;
    }

    #[inline]
    fn arrival(&mut self, now: Cycle) -> Option<Grant> {
        let (due, grant) = self.ring[self.at(self.head)];
        if self.head == self.tail || due > now {
            return None;
        }
        self.head += 1;
        Some(grant)
    }

    fn quiet(&self, now: Cycle) -> u64 {
        if self.is_idle() {
            return FOREVER;
        }
        self.ring[self.at(self.head)].0.since(now).saturating_sub(1)
    }

    fn is_idle(&self) -> bool {
        self.head == self.tail
    }

    fn snapshot(&self, first_row: u64, to: &mut Snapshot) {
        to.length(self.tail - self.head);
        for position in self.head..self.tail {
            let (due, grant) = self.ring[self.at(position)];
            to.cycle(due);
            to.put(grant.row - first_row);
            to.put(grant.lanes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_is_answered_once_after_the_latency() {
        let mut memory = IdealMemory::new(4, 500);
        let mut answered = vec![];
        for cycle in 0..1000 {
            if cycle < 300 {
                let grant = Grant { row: cycle, lanes: 15 };
                memory.issue(Cycle(cycle), grant, &|_| 0);
            }
            while let Some(grant) = memory.arrival(Cycle(cycle)) {
                answered.push((cycle, grant.row));
            }
        }
        let expected: Vec<_> = (0..300).map(|row| (row + 500, row)).collect();
        assert_eq!(answered, expected);
        assert!(memory.is_idle());
    }
}
