//! Calls one after the other or beside each other, and what they amount to.

use std::collections::BTreeMap;

use attelier_hw::edge_moe::EdgeMoe;

use super::dataflow::{Call, memory_floor};
use super::units::{STREAMS, UNITS};
use crate::kernel::run::Mode;
use crate::observe::Observer;
use crate::result::{Phase, Stream, UnitReport};

/// A run under way.
pub struct Timeline<'a> {
    machine: &'a EdgeMoe,
    mode: Mode,
    observer: &'a mut dyn Observer,
    now: u64,
    phases: Vec<Phase>,
    busy: [u64; UNITS.len()],
    beats: [u64; UNITS.len()],
    bytes: [[u64; 2]; STREAMS.len()],
    transactions: [u64; 2],
    /// Lengths of calls that were simulated before; calls that are equal take equally long.
    known: BTreeMap<Call, u64>,
}

/// What calls amount to.
pub struct Totals {
    /// Cycles.
    pub cycles: u64,
    /// Cycles by operation.
    pub phases: Vec<Phase>,
    /// Activity of units.
    pub units: Vec<UnitReport>,
    /// Bytes by port and direction.
    pub streams: Vec<Stream>,
    /// Bursts read and written.
    pub transactions: [u64; 2],
}

impl<'a> Timeline<'a> {
    /// Cycle 0. With [`Mode::EveryCycle`] every call is simulated, also those that were met before.
    pub fn new(machine: &'a EdgeMoe, mode: Mode, observer: &'a mut dyn Observer) -> Self {
        observer.begin(&UNITS, machine.clock_hz);
        Self {
            machine,
            mode,
            observer,
            now: 0,
            phases: Vec::new(),
            busy: [0; UNITS.len()],
            beats: [0; UNITS.len()],
            bytes: [[0; 2]; STREAMS.len()],
            transactions: [0; 2],
            known: BTreeMap::new(),
        }
    }

    /// Calls one after the other.
    pub fn in_turn(&mut self, phase: &'static str, what: &str, calls: &[Call]) {
        self.beside(phase, what, calls, &[]);
    }

    /// Two rows of calls beside each other; both are over before anything else starts.
    pub fn beside(&mut self, phase: &'static str, what: &str, first: &[Call], second: &[Call]) {
        let start = self.now;
        let ends = [first, second].map(|calls| self.row(what, calls, start));
        let bytes = first.iter().chain(second).map(Call::bytes).fold(0, u64::saturating_add);
        let floor = start.saturating_add(memory_floor(self.machine, bytes));
        self.now = ends[0].max(ends[1]).max(floor);
        let cycles = self.now - start;
        match self.phases.iter_mut().find(|known| known.name == phase) {
            Some(known) => known.cycles += cycles,
            None => self.phases.push(Phase { name: phase, cycles }),
        }
    }

    /// `done` of `total` layers are over.
    pub fn progress(&mut self, done: u64, total: u64) {
        self.observer.progress(self.now, done, total);
    }

    /// The end of the run.
    pub fn finish(self) -> Totals {
        self.observer.end(self.now);
        let cycles = self.now;
        let unit = |(index, name): (usize, &'static str)| UnitReport {
            name,
            busy_cycles: self.busy[index].min(cycles),
            starved_cycles: 0,
            blocked_cycles: 0,
            beats: self.beats[index],
        };
        let stream = |(names, bytes): ([&'static str; 2], [u64; 2])| {
            [false, true].map(|write| Stream {
                name: names[usize::from(write)],
                bytes: bytes[usize::from(write)],
                write,
            })
        };
        Totals {
            cycles,
            phases: self.phases,
            units: UNITS.into_iter().enumerate().map(unit).collect(),
            streams: STREAMS.into_iter().zip(self.bytes).flat_map(stream).collect(),
            transactions: self.transactions,
        }
    }

    /// One row of calls from `start`; its end.
    fn row(&mut self, what: &str, calls: &[Call], start: u64) -> u64 {
        let mut end = start;
        for call in calls {
            let cycles = self.cycles(call);
            if self.observer.wants_events() {
                self.observer.span(call.unit.index(), what, end, end.saturating_add(cycles));
            }
            end = end.saturating_add(cycles);
            self.count(call);
        }
        end
    }

    fn cycles(&mut self, call: &Call) -> u64 {
        if self.mode == Mode::EveryCycle {
            return call.cycles(self.machine);
        }
        if let Some(&cycles) = self.known.get(call) {
            return cycles;
        }
        let cycles = call.cycles(self.machine);
        self.known.insert(call.clone(), cycles);
        cycles
    }

    fn count(&mut self, call: &Call) {
        let port = &self.machine.port;
        for process in &call.processes {
            let index = process.unit.index();
            self.beats[index] += process.iterations;
            let busy = match process.access {
                None => process.interval,
                Some(access) => {
                    let direction = usize::from(access.write);
                    let bytes = process.iterations.saturating_mul(access.bytes.into());
                    self.bytes[access.port as usize][direction] += bytes;
                    let burst = u64::from(port.burst_words) * u64::from(port.word_bytes);
                    self.transactions[direction] += bytes.div_ceil(burst);
                    port.cycles(access.bytes)
                }
            };
            self.busy[index] = self.busy[index].saturating_add(process.iterations * busy);
        }
    }
}
