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

use std::collections::VecDeque;
use std::sync::Arc;

use attelier_hw::spatten::{Memory as MemoryParams, QkvFetcher as Params};

use super::bitwidth_converter::{BitwidthConverter, Conversion, Delivery, Target};
use super::memory::{Grant, Memory};
use crate::kernel::FOREVER;
use crate::kernel::activity::{Activity, EventLog};
use crate::kernel::clock::Cycle;
use crate::kernel::fifo::Fifo;
use crate::observe::UnitState;
use crate::result::Traffic;

/// What a command reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamKind {
    /// Query vectors.
    Query,
    /// Key vectors, the part that is always read.
    Key,
    /// Key LSBs.
    KeyLsb,
    /// Value vectors.
    Value,
}

impl StreamKind {
    const ALL: [StreamKind; 4] = [Self::Query, Self::Key, Self::KeyLsb, Self::Value];

    fn label(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Key => "keys",
            Self::KeyLsb => "key LSBs",
            Self::Value => "values",
        }
    }
}

/// Which vectors a command reads.
#[derive(Debug, Clone)]
pub enum Indices {
    /// Consecutive vectors from this one on.
    From(u32),
    /// These vectors; the last one stands in for padding.
    List(Arc<[u32]>),
}

/// One fetch command.
#[derive(Debug, Clone)]
pub struct Command {
    /// Job, for observers.
    pub job: u32,
    /// Stream.
    pub kind: StreamKind,
    /// Where the data go.
    pub target: Target,
    /// Address of vector 0 of the plane [B], a multiple of the transaction size.
    pub base: u64,
    /// Stored size of one vector [B], a multiple of the transaction size.
    pub vector_bytes: u32,
    /// Vectors, padding included.
    pub vectors: u32,
    /// Vectors of one group.
    pub vectors_per_group: u32,
    /// Lines of one group.
    pub lines_per_group: u32,
    /// Which vectors.
    pub indices: Indices,
}

impl Command {
    fn transactions(&self, transaction_bytes: u32) -> u64 {
        u64::from(self.vectors) * u64::from(self.vector_bytes / transaction_bytes)
    }

    /// Byte address of transaction `t`.
    fn address(&self, t: u64, transaction_bytes: u32) -> u64 {
        let per_vector = u64::from(self.vector_bytes / transaction_bytes);
        let vector = match &self.indices {
            Indices::From(first) => u64::from(*first) + t / per_vector,
            Indices::List(list) => {
                let at = usize::try_from(t / per_vector).expect("vectors are counted in u32");
                u64::from(list[at.min(list.len() - 1)])
            }
        };
        self.base
            + vector * u64::from(self.vector_bytes)
            + t % per_vector * u64::from(transaction_bytes)
    }
}

/// Channels of a row's lanes.
#[derive(Debug, Clone)]
enum Channels {
    /// Lane `k` wants channel `(k + offset) mod channels`.
    Sequential(u32),
    /// Lane `k` wants this channel.
    Scattered(Box<[u8; 64]>),
}

#[derive(Debug, Clone)]
struct Row {
    command: Arc<Command>,
    first: u64,
    enabled: u64,
    pending: u64,
    arrived: u64,
    channels: Channels,
}

/// The fetcher.
#[derive(Debug, Clone)]
pub struct QkvFetcher<M> {
    /// Counters; a beat is one transaction.
    pub activity: Activity,
    /// Bytes and transactions so far.
    pub traffic: Traffic,
    /// Commands wait here, one queue per stream.
    pub commands: [Fifo<Command>; 4],
    /// The converter behind the data crossbar.
    pub converter: BitwidthConverter,
    memory: M,
    lanes: u32,
    channels: u32,
    transaction_bytes: u32,
    fifo_depth: usize,
    generating: Option<(Arc<Command>, u64)>,
    last_stream: usize,
    rows: VecDeque<Row>,
    first_row: u64,
    /// Rows before this position have nothing left to issue.
    issue_from: usize,
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
            commands: std::array::from_fn(|_| Fifo::unbounded()),
            converter,
            memory,
            lanes: params.lanes,
            channels: memory_params.channels,
            transaction_bytes: memory_params.transaction_bytes,
            fifo_depth: params.fifo_depth as usize,
            generating: None,
            last_stream: StreamKind::ALL.len() - 1,
            rows: VecDeque::new(),
            first_row: 0,
            issue_from: 0,
        }
    }

    /// Queues a command; it is visible in the next cycle.
    pub fn command(&mut self, command: Command) {
        self.commands[command.kind as usize].push(command);
    }

    /// Whether nothing is queued, outstanding or buffered.
    pub fn is_idle(&self) -> bool {
        self.generating.is_none()
            && self.rows.is_empty()
            && self.converter.is_idle()
            && self.commands.iter().all(Fifo::is_empty)
    }

    /// Cycles after `now` in which the fetcher only waits for data, as it did in `now`.
    pub fn quiet(&self, now: Cycle) -> u64 {
        let idle = |activity: &Activity| activity.state().0 == UnitState::Idle;
        if self.is_idle() && idle(&self.activity) && idle(&self.converter.activity) {
            return FOREVER;
        }
        let starved = |activity: &Activity| activity.state().0 == UnitState::Starved;
        let waits = starved(&self.activity)
            && starved(&self.converter.activity)
            && self.generating.is_none()
            && self.issue_from == self.rows.len()
            && self.converter.available() == 0
            && self.rows.front().is_none_or(|row| row.arrived != row.enabled)
            && self.commands.iter().all(Fifo::is_empty);
        if waits { self.memory.quiet(now) } else { 0 }
    }

    /// Repeats a quiet cycle `n` times.
    pub fn leap(&mut self, n: u64) {
        self.activity.leap(n);
        self.converter.activity.leap(n);
    }

    /// Evaluates cycle `now`; returns what the converter writes.
    pub fn tick(&mut self, now: Cycle, log: &mut EventLog) -> Option<Delivery> {
        let delivery = self.converter.tick(now, log);
        let blocked = self.retire_row();
        while let Some(grant) = self.memory.arrival(now) {
            let at = usize::try_from(grant.row - self.first_row).expect("rows in use are near");
            self.rows[at].arrived |= grant.lanes;
        }
        let issued = self.issue(now);
        let job = self.rows.front().map(|row| u64::from(row.command.job));
        let state = match (issued, job) {
            (1.., _) => UnitState::Busy,
            (0, Some(_)) if blocked => UnitState::Blocked,
            (0, Some(_)) => UnitState::Starved,
            (0, None) if self.generating.is_some() => UnitState::Busy,
            (0, None) => UnitState::Idle,
        };
        self.activity.record(state, u64::from(issued), job);
        self.generate_row(now);
        delivery
    }

    /// Ends the cycle.
    pub fn commit(&mut self) {
        for queue in &mut self.commands {
            queue.commit();
        }
    }

    /// Data crossbar: hands the oldest row over if it is complete. Returns whether it had to wait.
    fn retire_row(&mut self) -> bool {
        let Some(row) = self.rows.front() else { return false };
        if row.arrived != row.enabled {
            return false;
        }
        let bytes = u64::from(row.enabled.count_ones()) * u64::from(self.transaction_bytes);
        let row_bytes = u64::from(self.lanes) * u64::from(self.transaction_bytes);
        if !self.converter.has_room(row_bytes) {
            return true;
        }
        self.converter.accept(bytes);
        self.rows.pop_front();
        self.first_row += 1;
        self.issue_from -= 1;
        false
    }

    /// Address crossbar: at most one transaction per channel, oldest lane heads first.
    fn issue(&mut self, now: Cycle) -> u32 {
        while self.rows.get(self.issue_from).is_some_and(|row| row.pending == 0) {
            self.issue_from += 1;
        }
        let mut free = self.memory.ready(now);
        let mut older = 0u64;
        let mut issued = 0;
        let window = self.rows.len().min(self.fifo_depth);
        let all_lanes = u64::MAX >> (64 - self.lanes);
        for at in self.issue_from..window {
            if free == 0 || older == all_lanes {
                break;
            }
            let row = &mut self.rows[at];
            let heads = row.pending & !older;
            older |= row.pending;
            let granted = match &row.channels {
                Channels::Sequential(offset) => {
                    grant_sequential(heads, *offset, self.lanes, self.channels, &mut free)
                }
                Channels::Scattered(channels) => grant_scattered(heads, channels, &mut free),
            };
            if granted == 0 {
                continue;
            }
            row.pending &= !granted;
            let count = granted.count_ones();
            issued += count;
            let bytes = u64::from(count) * u64::from(self.transaction_bytes);
            self.traffic.reads += u64::from(count);
            *match row.command.kind {
                StreamKind::Query => &mut self.traffic.query_bytes,
                StreamKind::Key => &mut self.traffic.key_bytes,
                StreamKind::KeyLsb => &mut self.traffic.key_lsb_bytes,
                StreamKind::Value => &mut self.traffic.value_bytes,
            } += bytes;
            let grant = Grant { row: self.first_row + at as u64, lanes: granted };
            let (command, first, bytes) = (&row.command, row.first, self.transaction_bytes);
            self.memory.issue(now, grant, &|lane| command.address(first + u64::from(lane), bytes));
        }
        issued
    }

    /// Address generator: one row per cycle while every lane's FIFO has a place.
    fn generate_row(&mut self, now: Cycle) {
        if self.generating.is_none() {
            self.generating = self.next_command(now);
        }
        let waiting = self.rows.len() - self.issue_from;
        let Some((command, next)) = &mut self.generating else { return };
        if waiting >= self.fifo_depth {
            return;
        }
        let left = command.transactions(self.transaction_bytes) - *next;
        let count = left.min(u64::from(self.lanes)) as u32;
        let enabled = u64::MAX >> (64 - count);
        let channel_of = |t: u64| {
            let address = command.address(t, self.transaction_bytes);
            (address / u64::from(self.transaction_bytes) % u64::from(self.channels)) as u32
        };
        let channels = match command.indices {
            Indices::From(_) => Channels::Sequential(channel_of(*next)),
            Indices::List(_) => {
                let mut channels = Box::new([0u8; 64]);
                for lane in 0..count {
                    channels[lane as usize] = channel_of(*next + u64::from(lane)) as u8;
                }
                Channels::Scattered(channels)
            }
        };
        let command_now = Arc::clone(command);
        let first = *next;
        *next += u64::from(count);
        if left == u64::from(count) {
            self.generating = None;
        }
        self.rows.push_back(Row {
            command: command_now,
            first,
            enabled,
            pending: enabled,
            arrived: 0,
            channels,
        });
    }

    /// Round robin over the streams, a whole command at a time.
    fn next_command(&mut self, now: Cycle) -> Option<(Arc<Command>, u64)> {
        let streams = self.commands.len();
        let stream =
            (1..=streams).map(|i| (self.last_stream + i) % streams).find(|&s| !self.commands[s].is_empty())?;
        self.last_stream = stream;
        let command = self.commands[stream].pop()?;
        let bytes = command.transactions(self.transaction_bytes) * u64::from(self.transaction_bytes);
        self.converter.expect(Conversion {
            job: command.job,
            what: command.kind.label(),
            start: now,
            target: command.target,
            group_bytes: u64::from(command.vector_bytes) * u64::from(command.vectors_per_group),
            lines_per_group: command.lines_per_group,
            expected: bytes,
            buffered: 0,
        });
        Some((Arc::new(command), 0))
    }
}

/// Grants of a row whose lanes want consecutive channels, a whole block of channels at a time.
fn grant_sequential(heads: u64, offset: u32, lanes: u32, channels: u32, free: &mut u64) -> u64 {
    let all = u64::MAX >> (64 - channels);
    let rotate = |bits: u64, by: u32| {
        if by == 0 { bits } else { (bits << by | bits >> (channels - by)) & all }
    };
    let mut granted = 0;
    let mut block = 0;
    while block < lanes && *free != 0 {
        // A block's wishes and the free channels meet in channel order, then turn back to lanes.
        let by = (offset + block) % channels;
        let wishes = rotate(heads >> block & all, by) & *free;
        *free &= !wishes;
        granted |= rotate(wishes, (channels - by) % channels) << block;
        block += channels;
    }
    granted
}

/// Grants of a row whose lanes want arbitrary channels, lowest lane first.
fn grant_scattered(heads: u64, channels: &[u8; 64], free: &mut u64) -> u64 {
    let (mut left, mut granted) = (heads, 0);
    while left != 0 && *free != 0 {
        let lane = left.trailing_zeros();
        left &= left - 1;
        let channel = 1u64 << channels[lane as usize];
        if *free & channel != 0 {
            *free &= !channel;
            granted |= 1 << lane;
        }
    }
    granted
}
