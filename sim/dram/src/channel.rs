//! One channel: a controller on top of the engine, advanced tick by tick.

use std::collections::VecDeque;

use crate::command::CommandSet;
use crate::constraint::Constraint;
use crate::engine::Engine;
use crate::error::TableError;
use crate::mapping::Location;
use crate::organization::Organization;
use crate::policy::active_list::ActiveList;
use crate::policy::bank_queues::BankQueues;
use crate::policy::{CommandSlots, ControllerConfig, Core, PagePolicy, Policy, Stepping};
use crate::request::{Completion, Op, Pool};
use crate::residency::Residency;
use crate::stats::{RowHistory, Statistics};
use crate::trace::CommandSink;

#[derive(Debug, Clone)]
enum Queues {
    ActiveList(Box<ActiveList>),
    BankQueues(Box<BankQueues>),
}

/// A request whose older twin must be served first.
#[derive(Debug, Clone, Copy)]
struct Parked {
    op: Op,
    tag: u64,
    bank: u32,
    at: Location,
    arrival: u64,
}

/// One channel with its controller.
///
/// Per cycle: offer requests with [`Channel::accept`], then call [`Channel::tick`], then collect
/// with [`Channel::pop_completion`]. Cycles before [`Channel::next_event`] may be left out as long
/// as nothing is accepted in them.
///
/// Requests to the same transaction are served in order of acceptance when one of them is a write:
/// the later one waits in front of the queues, and nothing else is accepted until it has entered.
#[derive(Debug, Clone)]
pub struct Channel {
    core: Core,
    queues: Queues,
    parked: Option<Parked>,
    wake: u64,
    exhaustive: bool,
}

impl Channel {
    /// Builds channel `index`.
    ///
    /// # Errors
    /// The organisation or the controller settings are out of range.
    pub fn new(
        index: u32,
        organization: &Organization,
        commands: &CommandSet,
        table: &[Constraint],
        read_latency: u64,
        controller: &ControllerConfig,
    ) -> Result<Channel, TableError> {
        controller.check()?;
        let exhaustive = controller.stepping == Stepping::EveryCycle;
        let mut engine = Engine::new(organization, commands, table)?;
        engine.restrict(|command| controller.uses(command));
        let core = Core {
            rows: vec![RowHistory::default(); engine.banks()],
            engine,
            pool: Pool::default(),
            stats: Statistics::default(),
            reads_done: VecDeque::new(),
            writes_done: VecDeque::new(),
            channel: index,
            read_latency,
            page: controller.page,
            exhaustive,
        };
        let (slots, refresh): (CommandSlots, _) = (controller.slots, controller.refresh);
        let queues = match &controller.policy {
            Policy::ActiveList(config) => {
                Queues::ActiveList(Box::new(ActiveList::new(config, slots, refresh, &core)))
            }
            Policy::BankQueues(config) => {
                Queues::BankQueues(Box::new(BankQueues::new(config, slots, refresh, &core)))
            }
        };
        Ok(Channel { core, queues, parked: None, wake: 0, exhaustive })
    }

    /// Whether a request of this direction would be taken now.
    #[must_use]
    #[inline]
    pub fn can_accept(&self, op: Op) -> bool {
        self.parked.is_none()
            && match &self.queues {
                Queues::ActiveList(queues) => queues.has_room(op),
                Queues::BankQueues(queues) => queues.has_room(op),
            }
    }

    /// Takes a request before the tick of cycle `now`; `false` when the queue is full.
    ///
    /// The location must lie inside the organisation, as [`crate::AddressMapping::decode`]
    /// guarantees; its channel field is ignored.
    #[inline]
    pub fn accept(&mut self, op: Op, at: &Location, tag: u64, now: u64) -> bool {
        if !self.can_accept(op) {
            return false;
        }
        let flat = self.core.engine.organization().flat_bank(at.rank, at.bankgroup, at.bank);
        // Organisations have at most 4096 banks per channel.
        let bank = flat as u32;
        if self.conflicts(op, flat, at) {
            self.wake = 0;
            self.parked = Some(Parked { op, tag, bank, at: *at, arrival: now });
            if let Queues::BankQueues(queues) = &mut self.queues {
                queues.flush(true);
            }
        } else {
            self.enqueue(op, tag, bank, at, now, now);
        }
        true
    }

    fn conflicts(&self, op: Op, bank: usize, at: &Location) -> bool {
        match &self.queues {
            Queues::ActiveList(queues) => queues.conflicts(&self.core, op, bank, at.row, at.column),
            Queues::BankQueues(queues) => queues.conflicts(&self.core, op, bank, at.row, at.column),
        }
    }

    fn enqueue(&mut self, op: Op, tag: u64, bank: u32, at: &Location, arrival: u64, now: u64) {
        let slot = self.core.pool.insert(op, tag, arrival, bank, at);
        let changes = match &mut self.queues {
            Queues::ActiveList(queues) => queues.push(&mut self.core, slot),
            Queues::BankQueues(queues) => {
                queues.push(&mut self.core, slot, now);
                true
            }
        };
        if changes {
            self.wake = 0;
        }
    }

    fn unpark(&mut self, now: u64) {
        let Some(parked) = self.parked else { return };
        let bank = parked.bank as usize;
        if self.conflicts(parked.op, bank, &parked.at) {
            return;
        }
        self.parked = None;
        if let Queues::BankQueues(queues) = &mut self.queues {
            queues.flush(false);
        }
        self.enqueue(parked.op, parked.tag, parked.bank, &parked.at, parked.arrival, now);
    }

    /// Sends what a controller that writes in batches would keep for a fuller batch.
    pub fn flush(&mut self) {
        if let Queues::BankQueues(queues) = &mut self.queues {
            queues.flush(true);
            self.wake = 0;
        }
    }

    /// Runs cycle `now`. Cycles must be given in ascending order.
    pub fn tick<S: CommandSink>(&mut self, now: u64, sink: &mut S) {
        if now < self.wake && !self.exhaustive {
            return;
        }
        self.core.stats.active_ticks += 1;
        self.unpark(now);
        self.wake = match &mut self.queues {
            Queues::ActiveList(queues) => queues.tick(&mut self.core, now, sink),
            Queues::BankQueues(queues) => queues.tick(&mut self.core, now, sink),
        };
        // The queues do not know that a command of theirs let the parked request go on.
        let free = |parked: Parked| !self.conflicts(parked.op, parked.bank as usize, &parked.at);
        if self.wake > now + 1 && self.parked.is_some_and(free) {
            self.wake = now + 1;
        }
    }

    /// First cycle whose tick can do anything if nothing more is accepted; `u64::MAX` for never.
    #[must_use]
    #[inline]
    pub fn next_event(&self) -> u64 {
        self.wake
    }

    /// Cycle of the first completion not yet collected.
    #[must_use]
    #[inline]
    pub fn next_completion(&self) -> Option<u64> {
        let cycle = |queue: &VecDeque<Completion>| queue.front().map(|done| done.cycle);
        let (read, write) = (cycle(&self.core.reads_done), cycle(&self.core.writes_done));
        read.into_iter().chain(write).min()
    }

    /// Takes the next request finished at or before `now`.
    #[inline]
    pub fn pop_completion(&mut self, now: u64) -> Option<Completion> {
        let (reads, writes) = (&mut self.core.reads_done, &mut self.core.writes_done);
        let cycle =
            |queue: &VecDeque<Completion>| queue.front().map_or(u64::MAX, |done| done.cycle);
        let first = if cycle(reads) <= cycle(writes) { reads } else { writes };
        if cycle(first) <= now { first.pop_front() } else { None }
    }

    /// Requests accepted whose column command has not been issued.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.core.pool.len() + usize::from(self.parked.is_some())
    }

    /// Counters so far.
    #[must_use]
    pub fn statistics(&self) -> &Statistics {
        &self.core.stats
    }

    /// How often each command was issued, in the order of the command set.
    #[must_use]
    pub fn command_counts(&self) -> &[u64] {
        self.core.engine.counts()
    }

    /// The open row of a bank.
    #[must_use]
    pub fn open_row(&self, bank: usize) -> Option<u32> {
        self.core.engine.open_row(bank)
    }

    /// Row policy in force.
    #[must_use]
    pub fn page_policy(&self) -> PagePolicy {
        self.core.page
    }

    /// Time spent in each state up to `cycle`.
    #[must_use]
    pub fn residency(&self, cycle: u64) -> Residency {
        self.core.engine.residency(cycle)
    }
}
