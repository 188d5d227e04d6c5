//! Q-K-V fetcher: addresses, the address and data crossbars, and their FIFOs.
//!
//! A command names vectors of one plane. The address generator turns it into rows of one
//! transaction per lane, lane `k` of row `j` being transaction `lanes * j + k`; a row enters the
//! lanes' address FIFOs when all of them have a place. The address crossbar connects each channel
//! with the oldest waiting lane head that wants it, so a channel gets at most one transaction per
//! cycle and a lane keeps its order. Data return into the lanes' data FIFOs; a row leaves through
//! the data crossbar, in order, when all its lanes are there. Commands of the four streams (query,
//! key, key LSB, value) are served one by one, round robin.
//!
//! Sources: SpAtten section IV-A, table I (32x16 and 16x32 crossbars, 64-deep FIFOs); row order and
//! vector split as in the released RTL's matrix fetcher. Destination space is reserved before a
//! command is given, so data never wait for it.

mod command;
mod crossbar;
mod rows;

use std::collections::VecDeque;
use std::ops::Range;

use attelier_hw::spatten::{Memory as MemoryParams, QkvFetcher as Params};

use self::crossbar::{grant_scattered, grant_sequential};
use self::rows::{Row, Rows};
use super::bitwidth_converter::{BitwidthConverter, Conversion, Delivery, Target};
use super::memory::{Grant, Memory};
use crate::kernel::FOREVER;
use crate::kernel::activity::{Activity, EventLog};
use crate::kernel::clock::Cycle;
use crate::kernel::fifo::Fifo;
use crate::kernel::snapshot::Snapshot;
use crate::observe::UnitState;
use crate::result::Traffic;

pub use self::command::{Command, Indices, StreamKind};

/// The fetcher.
#[derive(Debug, Clone)]
pub struct QkvFetcher<M> {
    /// Counters; a beat is one transaction.
    pub activity: Activity,
    /// Bytes and transactions so far.
    pub traffic: Traffic,
    /// The converter behind the data crossbar.
    pub converter: BitwidthConverter,
    memory: M,
    lanes: u32,
    channels: u32,
    transaction_bytes: u32,
    fifo_depth: u64,
    /// Commands wait here, one queue per stream.
    commands: [Fifo<Command>; StreamKind::COUNT],
    /// Commands in the queues.
    waiting: usize,
    queues_moved: bool,
    last_stream: usize,
    /// Next transaction of the newest command in `active`, if it has more.
    generating: Option<u64>,
    /// Commands with rows that have not left yet; the first one has number `first_command`.
    active: VecDeque<Command>,
    first_command: u64,
    rows: Rows,
    /// Channels of scattered rows; free blocks are reused.
    blocks: Vec<[u8; 64]>,
    free_blocks: Vec<u32>,
}

impl<M: Memory> QkvFetcher<M> {
    /// A fetcher with these parameters in front of `memory`.
    pub fn new(
        params: &Params,
        memory_params: &MemoryParams,
        converter: BitwidthConverter,
        memory: M,
    ) -> Self {
        Self {
            activity: Activity::new("qkv_fetcher"),
            traffic: Traffic::default(),
            converter,
            memory,
            lanes: params.lanes,
            channels: memory_params.channels,
            transaction_bytes: memory_params.transaction_bytes,
            fifo_depth: u64::from(params.fifo_depth),
            commands: std::array::from_fn(|_| Fifo::unbounded()),
            waiting: 0,
            queues_moved: false,
            last_stream: StreamKind::COUNT - 1,
            generating: None,
            active: VecDeque::new(),
            first_command: 0,
            rows: Rows::new(params.fifo_depth),
            blocks: Vec::new(),
            free_blocks: Vec::new(),
        }
    }

    /// Queues a command; it is visible in the next cycle.
    pub fn command(&mut self, command: Command) {
        self.queues_moved = true;
        self.waiting += 1;
        self.commands[command.kind as usize].push(command);
    }

    /// The memory.
    pub fn memory(&self) -> &M {
        &self.memory
    }

    /// The memory, to end a run.
    pub fn memory_mut(&mut self) -> &mut M {
        &mut self.memory
    }

    /// Whether nothing is queued, outstanding or buffered.
    pub fn is_idle(&self) -> bool {
        self.rows.is_empty()
            && self.generating.is_none()
            && self.waiting == 0
            && self.converter.is_idle()
    }

    /// Cycles after `now` in which the fetcher only waits for data, as it did in `now`.
    pub fn quiet(&self, now: Cycle) -> u64 {
        if self.rows.wait_for_issue() || self.generating.is_some() || self.waiting > 0 {
            return 0;
        }
        let state = |activity: &Activity| activity.state().0;
        let (own, converter) = (state(&self.activity), state(&self.converter.activity));
        if self.is_idle() && own == UnitState::Idle && converter == UnitState::Idle {
            return FOREVER;
        }
        let waits = own == UnitState::Starved
            && converter == UnitState::Starved
            && !self.rows.oldest_is_complete()
            && self.converter.available() == 0;
        if waits { self.memory.quiet(now) } else { 0 }
    }

    /// Repeats a quiet cycle `n` times.
    pub fn leap(&mut self, n: u64) {
        self.activity.leap(n);
        self.converter.activity.leap(n);
    }

    /// Writes the state between two cycles; `target` writes a target.
    pub fn snapshot(&self, to: &mut Snapshot, target: &impl Fn(Target, &mut Snapshot)) {
        let geometry = (self.transaction_bytes, self.channels);
        for queue in &self.commands {
            queue.snapshot(to, |command, to| command.snapshot(geometry, to, target));
        }
        to.length(self.active.len());
        self.active.iter().for_each(|command| command.snapshot(geometry, to, target));
        to.length(self.last_stream);
        to.put(self.generating.unwrap_or(u64::MAX));
        self.rows.snapshot(self.first_command, to);
        self.memory.snapshot(self.rows.oldest(), to);
        self.converter.snapshot(to, target);
    }

    /// Evaluates cycle `now`; returns what the converter writes. `seen` learns which transactions of
    /// which command pass the data crossbar.
    pub fn tick(
        &mut self,
        now: Cycle,
        log: &mut EventLog,
        seen: impl FnOnce(&Command, Range<u64>),
    ) -> Option<Delivery> {
        let delivery = self.converter.tick(now, log);
        let blocked = self.rows.oldest_is_complete() && !self.retire_row(seen);
        while let Some(grant) = self.memory.arrival(now) {
            self.rows.arrive(grant);
        }
        let issued = if self.rows.wait_for_issue() { self.issue(now) } else { 0 };
        let job = match self.active.front() {
            Some(command) if !self.rows.is_empty() => Some(u64::from(command.job)),
            _ => None,
        };
        let state = match job {
            _ if issued > 0 => UnitState::Busy,
            Some(_) if blocked => UnitState::Blocked,
            Some(_) => UnitState::Starved,
            None if self.generating.is_some() => UnitState::Busy,
            None => UnitState::Idle,
        };
        self.activity.record(state, u64::from(issued), job);
        self.generate_row(now);
        delivery
    }

    /// Ends the cycle.
    pub fn commit(&mut self) {
        if !self.queues_moved {
            return;
        }
        self.queues_moved = false;
        for queue in &mut self.commands {
            queue.commit();
        }
    }

    /// Data crossbar: hands the oldest, complete row over if the converter has room.
    fn retire_row(&mut self, seen: impl FnOnce(&Command, Range<u64>)) -> bool {
        if !self.converter.has_room(u64::from(self.lanes * self.transaction_bytes)) {
            return false;
        }
        let row = self.rows.retire();
        self.converter.accept(u64::from(row.count * self.transaction_bytes));
        let command = self.active.front().expect("a command is active until its last row");
        seen(command, row.first..row.first + u64::from(row.count));
        if row.scattered {
            self.free_blocks.push(row.channels);
        }
        if row.last {
            self.active.pop_front();
            self.first_command += 1;
        }
        true
    }

    /// Address crossbar: at most one transaction per channel, oldest lane heads first. A lane's
    /// data FIFO bounds how far it may run ahead of the oldest row.
    fn issue(&mut self, now: Cycle) -> u32 {
        let mut free = self.memory.ready(now);
        let mut older = 0u64;
        let mut issued = 0;
        for number in self.rows.issuable(self.fifo_depth) {
            let row = self.rows.get_mut(number);
            let heads = row.pending & !older;
            older |= row.pending;
            let granted = if row.scattered {
                grant_scattered(heads, &self.blocks[row.channels as usize], &mut free)
            } else {
                grant_sequential(heads, row.channels, self.lanes, self.channels, &mut free)
            };
            if granted != 0 {
                row.pending &= !granted;
                let count = granted.count_ones();
                issued += count;
                self.traffic.add(row.kind, count, self.transaction_bytes);
                let (active, bytes) = (&self.active, self.transaction_bytes);
                let (at, first) = ((row.command - self.first_command) as usize, row.first);
                let address = |lane| active[at].address(first + u64::from(lane), bytes);
                self.memory.issue(now, Grant { row: number, lanes: granted }, &address);
            }
            if free == 0 {
                break;
            }
        }
        self.rows.skip_issued();
        issued
    }

    /// Address generator: one row per cycle while every lane's FIFO has a place.
    fn generate_row(&mut self, now: Cycle) {
        if self.generating.is_none() {
            if self.waiting == 0 {
                return;
            }
            self.generating = self.next_command(now);
        }
        let Some(first) = self.generating else { return };
        if self.rows.waiting() >= self.fifo_depth {
            return;
        }
        let command = self.active.back().expect("the command is active while it is generated");
        let left = command.transactions(self.transaction_bytes) - first;
        let count = left.min(u64::from(self.lanes)) as u32;
        let last = left == u64::from(count);
        let (scattered, channels) = match command.indices {
            Indices::From(_) => {
                let address = command.address(first, self.transaction_bytes);
                let channel = address >> self.transaction_bytes.trailing_zeros();
                (false, (channel & u64::from(self.channels - 1)) as u32)
            }
            Indices::List(_) => {
                let block = self.free_blocks.pop().unwrap_or(self.blocks.len() as u32);
                if block as usize == self.blocks.len() {
                    self.blocks.push([0; 64]);
                }
                let lanes = &mut self.blocks[block as usize][..count as usize];
                command.channels(first, self.transaction_bytes, self.channels, lanes);
                (true, block)
            }
        };
        self.generating = (!last).then_some(first + u64::from(count));
        let enabled = u64::MAX >> (64 - count);
        let (kind, number) = (command.kind, self.first_command + self.active.len() as u64 - 1);
        self.rows.push(Row {
            enabled,
            pending: enabled,
            arrived: 0,
            command: number,
            kind,
            first,
            count,
            channels,
            scattered,
            last,
        });
    }

    /// Round robin over the streams, a whole command at a time.
    fn next_command(&mut self, now: Cycle) -> Option<u64> {
        let streams = self.commands.len();
        let stream = (1..=streams)
            .map(|i| (self.last_stream + i) % streams)
            .find(|&stream| !self.commands[stream].is_empty())?;
        self.last_stream = stream;
        self.queues_moved = true;
        let command = self.commands[stream].pop()?;
        self.waiting -= 1;
        let transactions = command.transactions(self.transaction_bytes);
        self.converter.expect(Conversion {
            job: command.job,
            what: command.kind.label(),
            start: now,
            target: command.target,
            group_bytes: u64::from(command.vector_bytes) * u64::from(command.vectors_per_group),
            lines_per_group: command.lines_per_group,
            groups_per_cycle: 1,
            expected: transactions * u64::from(self.transaction_bytes),
            buffered: 0,
        });
        self.active.push_back(command);
        Some(0)
    }
}
