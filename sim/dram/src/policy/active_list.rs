//! Read and write queues, one active request per bank, refreshes in a priority queue.
//!
//! Behaves as the controller of Ramulator 2 (commit c5b1c3a) with its FRFCFS and FRFCFS-RowHit
//! schedulers. Candidates are kept per bank and command (see [`crate::policy`]'s queue), so that a
//! tick looks only at banks that could act.

use std::collections::VecDeque;

use crate::command::{ACT, CommandId, PRE, PREA, REFA, REFPB};
use crate::error::TableError;
use crate::policy::bank_set::{BankSet, Look, Pick};
use crate::policy::queue::Queue;
use crate::policy::refresh::{PerBank, Timer};
use crate::policy::wait_list::WaitList;
use crate::policy::{CommandSlots, Core, PagePolicy, Refresh, check_capacity};
use crate::request::{NONE, Op};
use crate::trace::CommandSink;

/// Arbitration inside a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheduler {
    /// First ready, first come.
    FrFcfs,
    /// The same, and a row stays open while a request at least as old as the closing one hits it.
    FrFcfsRowHit,
}

/// Queue sizes and write-mode thresholds.
#[derive(Debug, Clone, PartialEq)]
pub struct ActiveListConfig {
    /// Arbitration.
    pub scheduler: Scheduler,
    /// Entries of the read queue.
    pub read_queue: usize,
    /// Entries of the write queue.
    pub write_queue: usize,
    /// Share of the write queue below which write mode may end.
    pub write_low_watermark: f64,
    /// Share of the write queue above which write mode starts.
    pub write_high_watermark: f64,
}

impl Default for ActiveListConfig {
    fn default() -> ActiveListConfig {
        ActiveListConfig {
            scheduler: Scheduler::FrFcfs,
            read_queue: 32,
            write_queue: 32,
            write_low_watermark: 0.2,
            write_high_watermark: 0.8,
        }
    }
}

impl ActiveListConfig {
    pub(crate) fn check(&self) -> Result<(), TableError> {
        check_capacity("read_queue", self.read_queue)?;
        check_capacity("write_queue", self.write_queue)?;
        let (low, high) = (self.write_low_watermark, self.write_high_watermark);
        if (0.0..=1.0).contains(&low) && (0.0..=1.0).contains(&high) && low <= high {
            return Ok(());
        }
        Err(TableError::Controller {
            field: "write watermarks",
            value: format!("{low} and {high}"),
            expected: "0 <= low <= high <= 1",
        })
    }
}

/// Which commands a slot carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    Any,
    Column,
    Row,
}

/// Queues and modes of one channel.
#[derive(Debug, Clone)]
pub(crate) struct ActiveList {
    config: ActiveListConfig,
    slots: CommandSlots,
    read: Queue,
    write: Queue,
    /// The request for which each bank was opened.
    active: Vec<u32>,
    /// Column commands of the active requests.
    waiting: WaitList,
    /// The command each bank's active request waits for.
    waits_for: Vec<Option<CommandId>>,
    active_in_rank: Vec<u32>,
    active_total: u32,
    write_mode: bool,
    /// Ranks waiting for an all-bank refresh.
    priority: VecDeque<usize>,
    all_bank: Option<Timer>,
    per_bank: Option<PerBank>,
    /// Banks about to be refreshed: their queues wait.
    held: BankSet,
    /// An empty set: refreshes do not hold active requests back.
    none_held: BankSet,
}

impl ActiveList {
    pub fn new(
        config: &ActiveListConfig,
        slots: CommandSlots,
        refresh: Refresh,
        core: &Core,
    ) -> ActiveList {
        let engine = &core.engine;
        let empty = BankSet::new(engine);
        ActiveList {
            config: config.clone(),
            slots,
            read: Queue::new(engine, Op::Read, config.read_queue),
            write: Queue::new(engine, Op::Write, config.write_queue),
            active: vec![NONE; engine.banks()],
            waiting: WaitList::new(),
            waits_for: vec![None; engine.banks()],
            active_in_rank: vec![0; engine.organization().ranks as usize],
            active_total: 0,
            write_mode: false,
            priority: VecDeque::new(),
            all_bank: match refresh {
                Refresh::AllBank { interval } => Some(Timer::new(interval)),
                _ => None,
            },
            per_bank: match refresh {
                Refresh::PerBank { interval, order } => Some(PerBank::new(interval, order, engine)),
                _ => None,
            },
            held: empty.clone(),
            none_held: empty,
        }
    }

    pub fn has_room(&self, op: Op) -> bool {
        match op {
            Op::Read => self.read.has_room(),
            Op::Write => self.write.has_room(),
        }
    }

    /// Whether an older request to the same transaction must be served first.
    pub fn conflicts(&self, core: &Core, op: Op, bank: usize, row: u32, column: u32) -> bool {
        let active = self.active[bank];
        let with_active = active != NONE && {
            let pending = core.pool.get(active);
            (pending.row, pending.column) == (row, column)
                && (op == Op::Write || pending.op == Op::Write)
        };
        with_active
            || self.write.touches(core, bank, row, column)
            || (op == Op::Write && self.read.touches(core, bank, row, column))
    }

    /// Appends a request; tells whether the next tick can differ because of it.
    pub fn push(&mut self, core: &mut Core, slot: u32) -> bool {
        let pending = core.pool.get(slot);
        let (op, bank) = (pending.op, pending.bank as usize);
        match op {
            Op::Read => self.read.push(core, bank, slot),
            Op::Write => self.write.push(core, bank, slot),
        }
        if core.page == PagePolicy::Closed {
            // A new hit keeps the row open for column commands that wait in either queue.
            self.classify(core, bank);
            true
        } else {
            self.classify_queue(core, op, bank) || self.mode_would_change()
        }
    }

    /// Runs one cycle and returns the next in which something can happen.
    pub fn tick<S: CommandSink>(&mut self, core: &mut Core, now: u64, sink: &mut S) -> u64 {
        if core.exhaustive {
            self.read.forget();
            self.write.forget();
            self.waiting.forget();
        }
        let mut next = self.advance_refresh(core, now);
        let issued = match self.slots {
            CommandSlots::One => {
                self.issue_active(core, now, &mut next, sink)
                    || self.issue_refresh(core, now, &mut next, sink)
                    || self.issue_queued(core, Slot::Any, now, &mut next, sink)
            }
            CommandSlots::Two => {
                let column = self.issue_active(core, now, &mut next, sink)
                    || self.issue_queued(core, Slot::Column, now, &mut next, sink);
                let row = self.issue_refresh(core, now, &mut next, sink)
                    || self.issue_queued(core, Slot::Row, now, &mut next, sink);
                column || row
            }
        };
        if issued { self.after_issue(core, now) } else { next }
    }

    /// First cycle after one with a command in which anything can happen.
    fn after_issue(&self, core: &Core, now: u64) -> u64 {
        let restless = self.per_bank.as_ref().is_some_and(PerBank::in_debt);
        if restless || !self.priority.is_empty() || self.mode_would_change() {
            return now + 1;
        }
        let queue = if self.write_mode { &self.write } else { &self.read };
        let all_bank = self.all_bank.as_ref().map(Timer::due);
        let per_bank = self.per_bank.as_ref().map(PerBank::due);
        let bounds = [all_bank, per_bank].into_iter().flatten();
        bounds.fold(queue.bound(core).min(self.waiting.first_wake()), u64::min).max(now + 1)
    }

    /// Queues due refreshes and returns when the next falls due.
    fn advance_refresh(&mut self, core: &Core, now: u64) -> u64 {
        let mut next = u64::MAX;
        if let Some(timer) = &mut self.all_bank {
            while timer.fire(now) {
                self.priority.extend(0..self.active_in_rank.len());
            }
            next = timer.due();
        }
        if let Some(per_bank) = &mut self.per_bank {
            let (read, write, active) = (&self.read, &self.write, &self.active);
            let busy =
                |bank: usize| !read.is_empty(bank) || !write.is_empty(bank) || active[bank] != NONE;
            let engine = &core.engine;
            per_bank.advance(now, busy, |bank| self.held.insert(engine.place(bank), 0));
            next = next.min(per_bank.due());
        }
        next
    }

    /// Serves the oldest activated request whose column command is ready.
    fn issue_active<S: CommandSink>(
        &mut self,
        core: &mut Core,
        now: u64,
        next: &mut u64,
        sink: &mut S,
    ) -> bool {
        if self.active_total == 0 {
            return false;
        }
        let mut pick = Pick::NOTHING;
        let look = Look { core, held: &self.none_held, now };
        self.waiting.scan(&look, next, &mut pick);
        if !pick.found() {
            return false;
        }
        let bank = core.pool.get(pick.slot).bank as usize;
        self.active[bank] = NONE;
        self.active_total -= 1;
        self.active_in_rank[rank_of(core, bank)] -= 1;
        core.issue_column(pick.command, pick.slot, now, Some(now), sink);
        self.after_column(core, bank);
        true
    }

    /// Sends what the oldest all-bank refresh needs, or a per-bank refresh.
    fn issue_refresh<S: CommandSink>(
        &mut self,
        core: &mut Core,
        now: u64,
        next: &mut u64,
        sink: &mut S,
    ) -> bool {
        if let Some(&rank) = self.priority.front() {
            let banks = core.engine.organization().banks_per_rank() as usize;
            let first = rank * banks;
            let close = core.engine.open_in_rank(rank) > 0;
            if close && self.active_in_rank[rank] > 0 {
                return false;
            }
            let command = if close { PREA } else { REFA };
            let at = core.engine.earliest_rank(command, rank);
            if at > now {
                *next = (*next).min(at);
                return false;
            }
            core.issue_row(command, first, 0, now, sink);
            if close {
                for bank in first..first + banks {
                    self.row_changed(core, bank);
                }
            } else {
                self.priority.pop_front();
            }
            return true;
        }
        let Some(per_bank) = &mut self.per_bank else { return false };
        for rank in 0..self.active_in_rank.len() {
            let Some(bank) = per_bank.chosen(rank) else { continue };
            let close = core.engine.open_row(bank).is_some();
            if close && self.active[bank] != NONE {
                continue;
            }
            let command = if close { PRE } else { REFPB };
            let at = core.engine.earliest_bank(command, bank);
            if at > now {
                *next = (*next).min(at);
                continue;
            }
            core.issue_row(command, bank, 0, now, sink);
            if close {
                self.row_changed(core, bank);
            } else {
                per_bank.refreshed(bank);
                self.held.remove(core.engine.place(bank));
                self.read.forget();
                self.write.forget();
            }
            return true;
        }
        false
    }

    /// Sends the best ready command of the queue being served.
    fn issue_queued<S: CommandSink>(
        &mut self,
        core: &mut Core,
        carries: Slot,
        now: u64,
        next: &mut u64,
        sink: &mut S,
    ) -> bool {
        if !self.priority.is_empty() {
            return false;
        }
        self.write_mode ^= self.mode_would_change();
        let queue = if self.write_mode { &mut self.write } else { &mut self.read };
        let mut pick = Pick::NOTHING;
        queue.scan(&Look { core, held: &self.held, now }, carries, next, &mut pick);
        if !pick.found() {
            return false;
        }
        let bank = core.pool.get(pick.slot).bank as usize;
        match pick.command {
            PRE => {
                core.issue_for(PRE, pick.slot, now, sink);
                self.row_changed(core, bank);
            }
            ACT => {
                queue.unlink(core, bank, pick.slot);
                core.issue_for(ACT, pick.slot, now, sink);
                self.active[bank] = pick.slot;
                self.active_total += 1;
                self.active_in_rank[rank_of(core, bank)] += 1;
                self.row_changed(core, bank);
            }
            column => {
                queue.unlink(core, bank, pick.slot);
                core.issue_column(column, pick.slot, now, Some(now), sink);
                self.after_column(core, bank);
            }
        }
        true
    }

    /// Whether the next look at a queue changes the direction served.
    fn mode_would_change(&self) -> bool {
        let (reads, writes) = (self.read.len(), self.write.len() as f64);
        let share = |watermark: f64| watermark * self.config.write_queue as f64;
        if self.write_mode {
            writes < share(self.config.write_low_watermark) && reads != 0
        } else {
            writes > share(self.config.write_high_watermark) || reads == 0
        }
    }

    /// A column command freed the bank for precharge, and may have closed it.
    fn after_column(&mut self, core: &Core, bank: usize) {
        if core.engine.open_row(bank).is_none() {
            self.row_changed(core, bank);
        } else {
            self.classify(core, bank);
        }
    }

    fn row_changed(&mut self, core: &Core, bank: usize) {
        self.read.find_candidates(core, bank);
        self.write.find_candidates(core, bank);
        self.classify(core, bank);
    }

    /// Puts a bank into the sets of the commands its requests wait for.
    fn classify(&mut self, core: &Core, bank: usize) {
        self.classify_queue(core, Op::Read, bank);
        self.classify_queue(core, Op::Write, bank);
        let slot = self.active[bank];
        let command = (slot != NONE).then(|| {
            let op = core.pool.get(slot).op;
            core.column_command(op, || self.read.hits(bank) || self.write.hits(bank))
        });
        let known = std::mem::replace(&mut self.waits_for[bank], command);
        if known == command {
            return;
        }
        if known.is_some() {
            self.waiting.remove(bank);
        }
        if let Some(command) = command {
            let earliest = core.engine.earliest_bank(command, bank);
            self.waiting.insert(bank, command, slot, core.pool.get(slot).seq, earliest);
        }
    }

    #[inline]
    fn classify_queue(&mut self, core: &Core, op: Op, bank: usize) -> bool {
        let (queue, other) = match op {
            Op::Read => (&mut self.read, &self.write),
            Op::Write => (&mut self.write, &self.read),
        };
        let keep_hits_open = self.config.scheduler == Scheduler::FrFcfsRowHit;
        queue.classify(core, bank, other.hits(bank), self.active[bank] != NONE, keep_hits_open)
    }
}

fn rank_of(core: &Core, bank: usize) -> usize {
    core.engine.place(bank).rank as usize
}
