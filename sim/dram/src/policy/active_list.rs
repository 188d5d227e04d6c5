//! Read and write queues, one active request per bank, refreshes in a priority queue.
//!
//! Behaves as the controller of Ramulator 2 (commit c5b1c3a) with its FRFCFS and FRFCFS-RowHit
//! schedulers. Per bank only two requests of a queue can matter: the oldest that hits the open row
//! and the oldest that does not. Both are remembered, together with a cycle before which none of
//! the bank's candidates can issue, so that a tick touches only banks that could act.

use std::collections::VecDeque;

use crate::command::{ACT, CommandId, PRE, PREA, REFA, REFPB};
use crate::error::TableError;
use crate::policy::refresh::{PerBank, Timer};
use crate::policy::{CommandSlots, Core, PagePolicy, Refresh, check_capacity, find_from};
use crate::request::{BankLists, NONE, Op, Pool};
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
enum Slot {
    Any,
    Column,
    Row,
}

/// One queue with its candidates per bank.
#[derive(Debug, Clone)]
struct Queue {
    lists: BankLists,
    capacity: usize,
    /// Oldest request that hits the open row; `NONE` while the bank is closed.
    hit: Vec<u32>,
    /// Oldest request for another row; `NONE` while the bank is closed.
    miss: Vec<u32>,
    /// No candidate of the bank can issue before this cycle.
    wake: Vec<u64>,
}

impl Queue {
    fn new(banks: usize, capacity: usize) -> Queue {
        Queue {
            lists: BankLists::new(banks),
            capacity,
            hit: vec![NONE; banks],
            miss: vec![NONE; banks],
            wake: vec![u64::MAX; banks],
        }
    }

    fn push(&mut self, core: &mut Core, bank: usize, slot: u32) {
        self.lists.push(&mut core.pool, bank, slot);
        if let Some(row) = core.engine.open_row(bank) {
            let hits = core.pool.get(slot).row == row;
            let first = if hits { &mut self.hit[bank] } else { &mut self.miss[bank] };
            if *first != NONE {
                return;
            }
            *first = slot;
        } else if self.lists.head(bank) != slot {
            return;
        }
        self.wake[bank] = 0;
    }

    fn unlink(&mut self, pool: &mut Pool, bank: usize, slot: u32) {
        let (row, next) = (pool.get(slot).row, pool.next(slot));
        if self.hit[bank] == slot {
            self.hit[bank] = find_from(pool, next, row, true);
        } else if self.miss[bank] == slot {
            // Only an activated request leaves without hitting, and then candidates are rebuilt.
            self.miss[bank] = NONE;
        }
        self.lists.unlink(pool, bank, slot);
        self.touch(bank);
    }

    /// Finds the candidates of a bank whose row has changed.
    fn rebuild(&mut self, core: &Core, bank: usize) {
        let head = self.lists.head(bank);
        (self.hit[bank], self.miss[bank]) = match core.engine.open_row(bank) {
            Some(row) => {
                (find_from(&core.pool, head, row, true), find_from(&core.pool, head, row, false))
            }
            None => (NONE, NONE),
        };
        self.touch(bank);
    }

    fn touch(&mut self, bank: usize) {
        self.wake[bank] = if self.lists.head(bank) == NONE { u64::MAX } else { 0 };
    }
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
    active_wake: Vec<u64>,
    active_in_rank: Vec<u32>,
    write_mode: bool,
    /// Ranks waiting for an all-bank refresh.
    priority: VecDeque<usize>,
    all_bank: Option<Timer>,
    per_bank: Option<PerBank>,
}

/// A command found ready.
#[derive(Debug, Clone, Copy)]
struct Pick {
    command: CommandId,
    slot: u32,
    seq: u64,
}

impl ActiveList {
    pub fn new(
        config: &ActiveListConfig,
        slots: CommandSlots,
        refresh: Refresh,
        core: &Core,
    ) -> ActiveList {
        let banks = core.engine.banks();
        let ranks = core.engine.organization().ranks as usize;
        ActiveList {
            config: config.clone(),
            slots,
            read: Queue::new(banks, config.read_queue),
            write: Queue::new(banks, config.write_queue),
            active: vec![NONE; banks],
            active_wake: vec![u64::MAX; banks],
            active_in_rank: vec![0; ranks],
            write_mode: false,
            priority: VecDeque::new(),
            all_bank: match refresh {
                Refresh::AllBank { interval } => Some(Timer::new(interval)),
                _ => None,
            },
            per_bank: match refresh {
                Refresh::PerBank { interval, order } => {
                    Some(PerBank::new(interval, order, &core.engine))
                }
                _ => None,
            },
        }
    }

    fn queue(&mut self, op: Op) -> &mut Queue {
        match op {
            Op::Read => &mut self.read,
            Op::Write => &mut self.write,
        }
    }

    pub fn has_room(&self, op: Op) -> bool {
        let queue = if op == Op::Read { &self.read } else { &self.write };
        queue.lists.len() < queue.capacity
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
            || (self.write.lists.len() > 0 && self.write.lists.touches(&core.pool, bank, row, column))
            || (op == Op::Write && self.read.lists.touches(&core.pool, bank, row, column))
    }

    pub fn push(&mut self, core: &mut Core, slot: u32) {
        let pending = core.pool.get(slot);
        let (op, bank) = (pending.op, pending.bank as usize);
        self.queue(op).push(core, bank, slot);
        if core.page == PagePolicy::Closed {
            // A new hit can turn the column commands waiting in this bank into ones without
            // auto-precharge, in either queue.
            self.read.touch(bank);
            self.write.touch(bank);
            if self.active[bank] != NONE {
                self.active_wake[bank] = 0;
            }
        }
    }

    /// Runs one cycle and returns the next in which something can happen.
    pub fn tick<S: CommandSink>(&mut self, core: &mut Core, now: u64, sink: &mut S) -> u64 {
        if core.exhaustive {
            self.forget_lower_bounds();
        }
        let mut next = self.advance_refresh(now);
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
        if issued { now + 1 } else { next }
    }

    fn forget_lower_bounds(&mut self) {
        for bank in 0..self.active.len() {
            self.read.touch(bank);
            self.write.touch(bank);
            self.active_wake[bank] = if self.active[bank] == NONE { u64::MAX } else { 0 };
        }
    }

    /// Queues due refreshes and returns when the next falls due.
    fn advance_refresh(&mut self, now: u64) -> u64 {
        let mut next = u64::MAX;
        if let Some(timer) = &mut self.all_bank {
            while timer.fire(now) {
                self.priority.extend(0..self.active_in_rank.len());
            }
            next = timer.due();
        }
        if let Some(per_bank) = &mut self.per_bank {
            let (read, write, active) = (&self.read.lists, &self.write.lists, &self.active);
            per_bank.advance(now, |bank| {
                read.head(bank) != NONE || write.head(bank) != NONE || active[bank] != NONE
            });
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
        let mut best: Option<Pick> = None;
        for bank in 0..self.active.len() {
            let wake = self.active_wake[bank];
            if wake > now {
                *next = (*next).min(wake);
                continue;
            }
            let slot = self.active[bank];
            let pending = core.pool.get(slot);
            let command = core.column_command(pending.op, || {
                self.read.hit[bank] != NONE || self.write.hit[bank] != NONE
            });
            let at = core.engine.earliest_bank(command, bank);
            if at > now {
                self.active_wake[bank] = at;
                *next = (*next).min(at);
            } else if best.is_none_or(|best| pending.seq < best.seq) {
                best = Some(Pick { command, slot, seq: pending.seq });
            }
        }
        let Some(pick) = best else { return false };
        let bank = core.pool.get(pick.slot).bank as usize;
        self.active[bank] = NONE;
        self.active_wake[bank] = u64::MAX;
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
            let bank = rank * core.engine.organization().banks_per_rank() as usize;
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
            core.issue_row(command, bank, 0, now, sink);
            if close {
                let banks = core.engine.organization().banks_per_rank() as usize;
                for bank in bank..bank + banks {
                    self.rebuild(core, bank);
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
            if !close {
                per_bank.refreshed(bank);
            }
            self.rebuild(core, bank);
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
        self.update_write_mode();
        let op = if self.write_mode { Op::Write } else { Op::Read };
        let Some(pick) = self.pick_queued(core, op, carries, now, next) else { return false };
        let bank = core.pool.get(pick.slot).bank as usize;
        match pick.command {
            PRE => {
                core.issue_for(PRE, pick.slot, now, sink);
                self.rebuild(core, bank);
            }
            ACT => {
                self.queue(op).unlink(&mut core.pool, bank, pick.slot);
                core.issue_for(ACT, pick.slot, now, sink);
                self.active[bank] = pick.slot;
                self.active_wake[bank] = 0;
                self.active_in_rank[rank_of(core, bank)] += 1;
                self.rebuild(core, bank);
            }
            column => {
                self.queue(op).unlink(&mut core.pool, bank, pick.slot);
                core.issue_column(column, pick.slot, now, Some(now), sink);
                self.after_column(core, bank);
            }
        }
        true
    }

    fn pick_queued(
        &mut self,
        core: &Core,
        op: Op,
        carries: Slot,
        now: u64,
        next: &mut u64,
    ) -> Option<Pick> {
        let (queue, other) = match op {
            Op::Read => (&mut self.read, &self.write.hit),
            Op::Write => (&mut self.write, &self.read.hit),
        };
        let mut best: Option<Pick> = None;
        for bank in 0..queue.wake.len() {
            let wake = queue.wake[bank];
            if wake > now {
                *next = (*next).min(wake);
                continue;
            }
            if self.per_bank.as_ref().is_some_and(|per_bank| per_bank.holds(bank)) {
                continue;
            }
            let mut first = u64::MAX;
            let mut consider = |command: CommandId, slot: u32, wrong: Slot| {
                let at = core.engine.earliest_bank(command, bank);
                first = first.min(at);
                if at <= now && carries != wrong {
                    let seq = core.pool.get(slot).seq;
                    if best.is_none_or(|best| seq < best.seq) {
                        best = Some(Pick { command, slot, seq });
                    }
                }
            };
            if core.engine.open_row(bank).is_none() {
                consider(ACT, queue.lists.head(bank), Slot::Column);
            } else {
                let (hit, miss) = (queue.hit[bank], queue.miss[bank]);
                if hit != NONE {
                    let command = core.column_command(op, || {
                        let (row, next) = (core.pool.get(hit).row, core.pool.next(hit));
                        other[bank] != NONE || find_from(&core.pool, next, row, true) != NONE
                    });
                    consider(command, hit, Slot::Row);
                }
                let kept_open = self.active[bank] != NONE
                    || (self.config.scheduler == Scheduler::FrFcfsRowHit
                        && hit != NONE
                        && miss != NONE
                        && core.pool.get(hit).seq < core.pool.get(miss).seq);
                if miss != NONE && !kept_open {
                    consider(PRE, miss, Slot::Column);
                }
            }
            if first > now {
                queue.wake[bank] = first;
                *next = (*next).min(first);
            }
        }
        best
    }

    fn update_write_mode(&mut self) {
        let (reads, writes) = (self.read.lists.len(), self.write.lists.len());
        let share = |watermark: f64| watermark * self.config.write_queue as f64;
        if !self.write_mode {
            let full = writes as f64 > share(self.config.write_high_watermark);
            self.write_mode = full || reads == 0;
        } else if (writes as f64) < share(self.config.write_low_watermark) && reads != 0 {
            self.write_mode = false;
        }
    }

    /// A column command may have closed the bank (auto-precharge) or freed it for precharge.
    fn after_column(&mut self, core: &Core, bank: usize) {
        if core.page == PagePolicy::Closed {
            self.rebuild(core, bank);
        } else {
            self.read.touch(bank);
            self.write.touch(bank);
        }
    }

    fn rebuild(&mut self, core: &Core, bank: usize) {
        self.read.rebuild(core, bank);
        self.write.rebuild(core, bank);
    }
}

fn rank_of(core: &Core, bank: usize) -> usize {
    bank / core.engine.organization().banks_per_rank() as usize
}
