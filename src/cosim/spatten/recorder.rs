//! Ideal memory that remembers what it was asked for, and answers in time.

use std::collections::VecDeque;

use attelier_hw::spatten::Spatten;
use attelier_sim::{
    kernel::clock::Cycle,
    units::memory::{Grant, IdealMemory, Memory},
};

/// The memory, as the simulator sees it.
pub struct Recorder {
    ideal: IdealMemory,
    /// Byte addresses in the order in which they were asked for.
    pub asked: Vec<u64>,
}

impl Recorder {
    /// The ideal memory of a machine.
    pub fn new(params: &Spatten) -> Self {
        let ideal = IdealMemory::new(params.memory.channels, params.memory.latency_cycles);
        Self { ideal, asked: Vec::new() }
    }
}

impl Memory for Recorder {
    fn ready(&self, now: Cycle) -> u64 {
        self.ideal.ready(now)
    }

    fn issue(&mut self, now: Cycle, grant: Grant, address: &dyn Fn(u32) -> u64) {
        let lanes = (0..64).filter(|lane| grant.lanes >> lane & 1 == 1);
        self.asked.extend(lanes.map(address));
        self.ideal.issue(now, grant, address);
    }

    fn arrival(&mut self, now: Cycle) -> Option<Grant> {
        self.ideal.arrival(now)
    }

    fn quiet(&self, now: Cycle) -> u64 {
        self.ideal.quiet(now)
    }

    fn is_idle(&self) -> bool {
        self.ideal.is_idle()
    }
}

/// The channels of the memory, as the hardware sees them.
pub struct Channels {
    count: usize,
    transaction_bytes: u64,
    /// What each channel answers in the coming cycles.
    answers: VecDeque<Vec<Option<u64>>>,
    /// Addresses of the recorder that have been seen.
    seen: usize,
}

impl Channels {
    /// The channels of a machine; nothing is under way.
    pub fn new(params: &Spatten) -> Self {
        let count = params.memory.channels as usize;
        let latency = params.memory.latency_cycles as usize;
        Self {
            count,
            transaction_bytes: params.memory.transaction_bytes.into(),
            answers: vec![vec![None; count]; latency].into(),
            seen: 0,
        }
    }

    /// Addresses whose data the channels give in this cycle.
    pub fn answered(&mut self) -> Vec<Option<u64>> {
        self.answers.pop_front().unwrap_or_default()
    }

    /// Addresses that the channels were asked for in this cycle.
    pub fn asked(&mut self, memory: &Recorder) -> Vec<Option<u64>> {
        let mut asked = vec![None; self.count];
        for address in &memory.asked[self.seen..] {
            asked[(address / self.transaction_bytes) as usize % self.count] = Some(*address);
        }
        self.seen = memory.asked.len();
        self.answers.push_back(asked.clone());
        asked
    }
}
