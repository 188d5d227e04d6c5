//! What the fetcher needs of a memory, and the ideal one.

use std::collections::VecDeque;

use crate::kernel::{FOREVER, clock::Cycle};

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
}

/// Fixed latency, one transaction per channel and cycle.
#[derive(Debug, Clone)]
pub struct IdealMemory {
    channels: u64,
    latency: u64,
    in_flight: VecDeque<(Cycle, Grant)>,
}

impl IdealMemory {
    /// A memory of `channels` channels that answers after `latency` cycles.
    pub fn new(channels: u32, latency: u32) -> Self {
        assert!((1..=64).contains(&channels), "1 to 64 channels");
        Self {
            channels: u64::MAX >> (64 - channels),
            latency: u64::from(latency.max(1)),
            in_flight: VecDeque::new(),
        }
    }
}

impl Memory for IdealMemory {
    fn ready(&self, _now: Cycle) -> u64 {
        self.channels
    }

    fn issue(&mut self, now: Cycle, grant: Grant, _address: &dyn Fn(u32) -> u64) {
        self.in_flight.push_back((now + self.latency, grant));
    }

    fn arrival(&mut self, now: Cycle) -> Option<Grant> {
        match self.in_flight.front() {
            Some(&(due, grant)) if due <= now => {
                self.in_flight.pop_front();
                Some(grant)
            }
            _ => None,
        }
    }

    fn quiet(&self, now: Cycle) -> u64 {
        self.in_flight.front().map_or(FOREVER, |(due, _)| due.since(now).saturating_sub(1))
    }

    fn is_idle(&self) -> bool {
        self.in_flight.is_empty()
    }
}
