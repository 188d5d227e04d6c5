//! Bitwidth converter: realigns DRAM rows into lines of datapath words.
//!
//! Bytes of one fetch command are collected until a *group* is whole: as many vectors as one line
//! holds, for every fused head. A command's last group may be partial.

use std::collections::VecDeque;

use attelier_hw::spatten::BitwidthConverter as Params;

use super::line_sram::Plane;
use crate::kernel::activity::{Activity, EventLog, Span};
use crate::kernel::clock::Cycle;
use crate::kernel::snapshot::Snapshot;
use crate::observe::UnitState;

/// Where converted data go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The query registers.
    Query,
    /// A slot of the key buffer.
    Key(u64, Plane),
    /// A slot of the value buffer.
    Value(u64),
}

/// The converter's view of one fetch command.
#[derive(Debug, Clone, Copy)]
pub struct Conversion {
    /// Job, for observers.
    pub job: u32,
    /// What is fetched, for observers.
    pub what: &'static str,
    /// First cycle of the command.
    pub start: Cycle,
    /// Where the data go.
    pub target: Target,
    /// Stored bytes of one group [B].
    pub group_bytes: u64,
    /// Lines of one group.
    pub lines_per_group: u32,
    /// Groups that the write port takes per cycle; set by [`BitwidthConverter::expect`].
    pub groups_per_cycle: u32,
    /// Bytes that have not come from memory yet [B].
    pub expected: u64,
    /// Bytes in the realign buffer [B].
    pub buffered: u64,
}

impl Conversion {
    /// Groups that can leave: at most as many as the write port takes, and a partial one only at
    /// the end of the command.
    fn available(&self) -> u32 {
        let mut groups = 0;
        let mut bytes = self.group_bytes;
        while groups < self.groups_per_cycle && bytes <= self.buffered {
            groups += 1;
            bytes += self.group_bytes;
        }
        let rest = self.expected == 0 && bytes - self.group_bytes < self.buffered;
        groups + u32::from(rest && groups < self.groups_per_cycle)
    }
}

/// Groups written in one cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivery {
    /// Where to.
    pub target: Target,
    /// How many.
    pub groups: u32,
}

/// The converter.
#[derive(Debug, Clone)]
pub struct BitwidthConverter {
    /// Counters; a beat is one line.
    pub activity: Activity,
    lines_per_cycle: u32,
    capacity: u64,
    buffered: u64,
    /// The command whose data leave, and those behind it.
    current: Option<Conversion>,
    queue: VecDeque<Conversion>,
}

impl BitwidthConverter {
    /// A converter with these parameters.
    pub fn new(params: &Params) -> Self {
        Self {
            activity: Activity::new("bitwidth_converter"),
            lines_per_cycle: params.lines_per_cycle,
            capacity: u64::from(params.buffer_bytes),
            buffered: 0,
            current: None,
            queue: VecDeque::new(),
        }
    }

    /// Announces the data of a command; commands deliver in this order.
    pub fn expect(&mut self, conversion: Conversion) {
        let groups_per_cycle = (self.lines_per_cycle / conversion.lines_per_group).max(1);
        self.queue.push_back(Conversion { groups_per_cycle, ..conversion });
        if self.current.is_none() {
            self.current = self.queue.pop_front();
        }
    }

    /// Whether a row of `bytes` fits.
    pub fn has_room(&self, bytes: u64) -> bool {
        self.buffered + bytes <= self.capacity
    }

    /// Takes a row of `bytes` of the oldest command that still expects data.
    pub fn accept(&mut self, bytes: u64) {
        let mut announced = self.current.iter_mut().chain(&mut self.queue);
        let conversion = announced
            .find(|conversion| conversion.expected > 0)
            .expect("data arrive only for announced commands");
        conversion.expected -= bytes;
        conversion.buffered += bytes;
        self.buffered += bytes;
    }

    /// Whether nothing is expected or buffered.
    pub fn is_idle(&self) -> bool {
        self.current.is_none()
    }

    /// Groups that can leave in the next cycle.
    pub fn available(&self) -> u32 {
        self.current.as_ref().map_or(0, Conversion::available)
    }

    /// Writes the state; `target` writes a target.
    pub fn snapshot(&self, to: &mut Snapshot, target: &impl Fn(Target, &mut Snapshot)) {
        to.put(self.buffered);
        to.length(self.queue.len() + usize::from(self.current.is_some()));
        for conversion in self.current.iter().chain(&self.queue) {
            to.job(conversion.job);
            target(conversion.target, to);
            to.put(conversion.group_bytes);
            to.put(conversion.lines_per_group);
            to.put(conversion.expected);
            to.put(conversion.buffered);
        }
    }

    /// Evaluates cycle `now`.
    pub fn tick(&mut self, now: Cycle, log: &mut EventLog) -> Option<Delivery> {
        let Some(front) = &mut self.current else {
            self.activity.record(UnitState::Idle, 0, None);
            return None;
        };
        let job = Some(u64::from(front.job));
        let groups = front.available();
        if groups == 0 {
            self.activity.record(UnitState::Starved, 0, job);
            return None;
        }
        let bytes = (u64::from(groups) * front.group_bytes).min(front.buffered);
        front.buffered -= bytes;
        self.buffered -= bytes;
        self.activity.record(UnitState::Busy, u64::from(groups * front.lines_per_group), job);
        let delivery = Delivery { target: front.target, groups };
        if front.expected == 0 && front.buffered == 0 {
            let unit = "qkv_fetcher";
            let Conversion { what, job, start, .. } = *front;
            log.add(Span { unit, what, job, start, end: now + 1 });
            self.current = self.queue.pop_front();
        }
        Some(delivery)
    }
}
