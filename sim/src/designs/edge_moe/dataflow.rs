//! Processes of a call, iteration by iteration.
//!
//! A call is a set of loops that run at the same time and hand their results on, as high-level
//! synthesis builds it. Iteration `j` of a loop starts one interval after the last one and not before
//! the loops ahead of it have done their share, `(j + 1) / iterations` of theirs. A loop that moves
//! data has a channel of a port for itself and starts an item when the last one is through.
//!
//! Refreshes of the memory stretch transfers evenly; their phase is not followed. Ignored: FIFOs that
//! are full, which move waiting from one loop to another and end no call later.

use attelier_hw::edge_moe::EdgeMoe;

use super::units::{Port, Unit};

/// Loops that run at the same time, each after those it depends on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    /// Unit that the call is named after.
    pub unit: Unit,
    /// Its loops.
    pub processes: Vec<Process>,
}

/// One loop.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    /// Unit that works.
    pub unit: Unit,
    /// Trip count of the whole nest.
    pub iterations: u64,
    /// From one iteration to the next \[cycles\].
    pub interval: u64,
    /// From the start of an iteration to its result, the port left out \[cycles\].
    pub latency: u64,
    /// Loops of the call that it takes data from.
    pub after: Vec<usize>,
    /// Memory that it reads or writes.
    pub access: Option<Access>,
}

/// What an iteration moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Access {
    /// Port.
    pub port: Port,
    /// Whether the data go to the memory.
    pub write: bool,
    /// Bytes of an iteration, in a row.
    pub bytes: u32,
}

/// Trip count of a loop nest, the outermost loop first.
pub fn nest(bounds: &[u32]) -> u64 {
    bounds.iter().fold(1, |product: u64, &bound| product.saturating_mul(bound.into()))
}

impl Process {
    /// A loop that computes: an iteration per cycle.
    pub fn compute(unit: Unit, iterations: u64) -> Self {
        Self { unit, iterations, interval: 1, latency: 1, after: Vec::new(), access: None }
    }

    /// A loop that reads `bytes` in each iteration.
    pub fn read(port: Port, iterations: u64, bytes: u32) -> Self {
        let access = Some(Access { port, write: false, bytes });
        Self { access, ..Self::compute(Unit::of(port), iterations) }
    }

    /// A loop that writes `bytes` in each iteration.
    pub fn write(port: Port, iterations: u64, bytes: u32) -> Self {
        let access = Some(Access { port, write: true, bytes });
        Self { access, ..Self::compute(Unit::of(port), iterations) }
    }

    /// The same loop with another interval.
    pub fn every(self, interval: u64) -> Self {
        Self { interval, ..self }
    }

    /// The same loop with another latency.
    pub fn taking(self, latency: u64) -> Self {
        Self { latency, ..self }
    }

    /// The same loop, with data from others.
    pub fn after(self, after: &[usize]) -> Self {
        Self { after: after.to_vec(), ..self }
    }
}

impl Call {
    /// A call of these loops.
    pub fn new(unit: Unit, processes: Vec<Process>) -> Self {
        Self { unit, processes }
    }

    /// Bytes that it moves.
    pub fn bytes(&self) -> u64 {
        let bytes = |process: &Process| {
            let bytes = process.access.map_or(0, |access| access.bytes);
            process.iterations.saturating_mul(bytes.into())
        };
        self.processes.iter().map(bytes).fold(0, u64::saturating_add)
    }

    /// Cycles from its start to its end.
    pub fn cycles(&self, machine: &EdgeMoe) -> u64 {
        let mut done: Vec<Vec<u64>> = Vec::with_capacity(self.processes.len());
        let mut end = 0;
        for process in &self.processes {
            let (times, last) = process.run(machine, &done);
            end = end.max(last);
            done.push(times);
        }
        end
    }
}

impl Process {
    /// When each iteration has its result, and when the loop ends.
    fn run(&self, machine: &EdgeMoe, done: &[Vec<u64>]) -> (Vec<u64>, u64) {
        let latency = u64::from(machine.port.latency_cycles);
        let item = self.access.map_or(0, |access| machine.port.cycles(access.bytes));
        let write = self.access.is_some_and(|access| access.write);
        let (asking, answering) = match self.access {
            None => (0, 0),
            Some(_) if write => (0, latency),
            Some(_) => (latency, 0),
        };
        let mut times = Vec::new();
        let mut opened = 0;
        let mut next = 0;
        for iteration in 0..self.iterations {
            let ready = self.after.iter().map(|&other| self.share(iteration, &done[other])).max();
            let mut start = next.max(ready.unwrap_or(0));
            if iteration == 0 && write {
                opened = start;
            }
            if self.access.is_some() {
                start = start.max(opened + stretched(machine, iteration.saturating_mul(item)));
            }
            next = start + self.interval.max(item);
            times.push(start + asking + item + self.latency);
        }
        let last = times.last().map_or(0, |last| last + answering);
        (times, last)
    }

    /// When another loop has done what iteration `iteration` of this one needs of it.
    fn share(&self, iteration: u64, other: &[u64]) -> u64 {
        let all = u128::from(self.iterations.max(1));
        let needed = (u128::from(iteration) + 1) * other.len() as u128;
        let needed = needed.div_ceil(all);
        // At most the length of `other`, because `iteration` is below `all`.
        needed.checked_sub(1).and_then(|last| other.get(last as usize)).copied().unwrap_or(0)
    }
}

/// Cycles of a transfer with the share of refreshes that falls into it.
pub fn stretched(machine: &EdgeMoe, cycles: u64) -> u64 {
    let interval = u128::from(machine.dram.refresh_interval_ns);
    let free = interval - u128::from(machine.dram.refresh_ns);
    u64::try_from(u128::from(cycles) * interval / free).unwrap_or(u64::MAX)
}

/// Fewest cycles in which the memory moves `bytes`.
pub fn memory_floor(machine: &EdgeMoe, bytes: u64) -> u64 {
    let cycles = u128::from(bytes) * u128::from(machine.clock_hz);
    let cycles = cycles.div_ceil(u128::from(machine.dram.peak_bytes_per_s));
    stretched(machine, u64::try_from(cycles).unwrap_or(u64::MAX))
}
