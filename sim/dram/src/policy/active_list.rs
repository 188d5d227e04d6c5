//! Read and write queues, one active request per bank, refreshes in a priority queue.
//!
//! Behaves as the controller of Ramulator 2 (commit c5b1c3a) with its FRFCFS and FRFCFS-RowHit
//! schedulers.

use std::collections::VecDeque;

use crate::command::{ACT, PRE, PREA, REFA, REFPB};
use crate::error::TableError;
use crate::policy::queue::{Found, Queue, Surroundings};
use crate::policy::refresh::{PerBank, Timer};
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

/// What a bank is being used for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BankState {
    /// The request for which the bank was opened, until it is served.
    pub active: u32,
    /// The bank is about to be refreshed: the queues wait.
    pub held: bool,
    /// No queued request can cause an ACT or PRE before this cycle; `u64::MAX` while the bank is
    /// held or has an active request.
    pub row_from: u64,
}

/// A request that has its row.
#[derive(Debug, Clone, Copy)]
struct Active {
    seq: u64,
    slot: u32,
    bank: usize,
    op: Op,
}

/// Which commands a slot carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
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
    banks: Vec<BankState>,
    /// Activated requests, oldest first.
    active: Vec<Active>,
    /// No active request can have its column command before this cycle.
    active_wake: u64,
    active_in_rank: Vec<u32>,
    write_mode: bool,
    /// Write mode may end with fewer writes than this.
    low_writes: usize,
    /// Write mode begins with more writes than this.
    high_writes: usize,
    /// Ranks waiting for an all-bank refresh.
    priority: VecDeque<usize>,
    all_bank: Option<Timer>,
    per_bank: Option<PerBank>,
}

impl ActiveList {
    pub fn new(
        config: &ActiveListConfig,
        slots: CommandSlots,
        refresh: Refresh,
        core: &Core,
    ) -> ActiveList {
        let banks = core.engine.banks();
        let share = |watermark: f64| watermark * config.write_queue as f64;
        ActiveList {
            config: config.clone(),
            slots,
            read: Queue::new(Op::Read, config.read_queue, banks),
            write: Queue::new(Op::Write, config.write_queue, banks),
            banks: vec![BankState { active: NONE, held: false, row_from: 0 }; banks],
            active: Vec::new(),
            active_wake: u64::MAX,
            active_in_rank: vec![0; core.engine.organization().ranks as usize],
            write_mode: false,
            low_writes: share(config.write_low_watermark).ceil() as usize,
            high_writes: share(config.write_high_watermark).floor() as usize,
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

    pub fn has_room(&self, op: Op) -> bool {
        match op {
            Op::Read => self.read.has_room(),
            Op::Write => self.write.has_room(),
        }
    }

    /// Whether an older request to the same transaction must be served first.
    pub fn conflicts(&self, core: &Core, op: Op, bank: usize, row: u32, column: u32) -> bool {
        let active = self.banks[bank].active;
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
    #[inline]
    pub fn push(&mut self, core: &mut Core, slot: u32) -> bool {
        let queue = match core.pool.get(slot).op {
            Op::Read => &mut self.read,
            Op::Write => &mut self.write,
        };
        let sooner = queue.push(core, slot);
        if core.page == PagePolicy::Closed {
            // A new hit keeps the row open for column commands that wait in either queue.
            self.look_again();
            return true;
        }
        sooner || self.mode_would_change()
    }

    /// Runs one cycle and returns the next in which something can happen.
    pub fn tick<S: CommandSink>(&mut self, core: &mut Core, now: u64, sink: &mut S) -> u64 {
        if core.exhaustive {
            self.look_again();
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
        if issued { self.after_issue(core, now) } else { next }
    }

    /// First cycle after one with a command in which anything can happen.
    #[inline]
    fn after_issue(&self, core: &Core, now: u64) -> u64 {
        let restless = self.per_bank.as_ref().is_some_and(PerBank::in_debt);
        if restless || !self.priority.is_empty() || self.mode_would_change() {
            return now + 1;
        }
        let queue = if self.write_mode { &self.write } else { &self.read };
        let refresh = self.refresh_due();
        queue.wake(core).min(self.active_wake).min(refresh).max(now + 1)
    }

    /// When the next refresh falls due.
    #[inline]
    fn refresh_due(&self) -> u64 {
        let all_bank = self.all_bank.as_ref().map_or(u64::MAX, Timer::due);
        all_bank.min(self.per_bank.as_ref().map_or(u64::MAX, PerBank::due))
    }

    /// Makes all searches of the next tick complete ones.
    fn look_again(&mut self) {
        self.active_wake = 0;
        self.read.look_again();
        self.write.look_again();
    }

    /// Queues due refreshes and returns when the next falls due.
    #[inline]
    fn advance_refresh(&mut self, now: u64) -> u64 {
        if let Some(timer) = &mut self.all_bank {
            while timer.fire(now) {
                self.priority.extend(0..self.active_in_rank.len());
            }
        }
        if let Some(per_bank) = &mut self.per_bank {
            let (read, write, banks) = (&self.read, &self.write, &self.banks);
            let busy = |bank: usize| {
                !read.is_empty(bank) || !write.is_empty(bank) || banks[bank].active != NONE
            };
            if let Some(chosen) = per_bank.advance(now, busy) {
                for bank in chosen {
                    self.banks[bank].held = true;
                    self.banks[bank].row_from = u64::MAX;
                }
            }
        }
        self.refresh_due()
    }

    /// Serves the oldest activated request whose column command is ready.
    #[inline]
    fn issue_active<S: CommandSink>(
        &mut self,
        core: &mut Core,
        now: u64,
        next: &mut u64,
        sink: &mut S,
    ) -> bool {
        if self.active_wake > now {
            *next = (*next).min(self.active_wake);
            return false;
        }
        self.active_wake = u64::MAX;
        for place in 0..self.active.len() {
            let Active { slot, bank, op, .. } = self.active[place];
            let needed_again = || self.read.hits(bank) || self.write.hits(bank);
            let command = core.column_command(op, needed_again);
            let at = core.engine.ready_at(command, bank, now);
            if at <= now {
                self.active_wake = now;
                self.active.remove(place);
                self.banks[bank].active = NONE;
                self.active_in_rank[core.engine.rank_of(bank)] -= 1;
                core.issue_column(command, slot, now, Some(now), sink);
                self.after_column(core, bank);
                return true;
            }
            self.active_wake = self.active_wake.min(at);
        }
        *next = (*next).min(self.active_wake);
        false
    }

    fn activate(&mut self, core: &Core, slot: u32, bank: usize) {
        let pending = core.pool.get(slot);
        let active = Active { seq: pending.seq, slot, bank, op: pending.op };
        let older = self.active.iter().rposition(|known| known.seq < active.seq);
        self.active.insert(older.map_or(0, |place| place + 1), active);
        self.banks[bank].active = slot;
        self.active_in_rank[core.engine.rank_of(bank)] += 1;
        // With or without auto-precharge, the row must be there first.
        let command = core.column_command(active.op, || true);
        self.active_wake = self.active_wake.min(core.engine.earliest_bank(command, bank));
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
            if close && self.banks[bank].active != NONE {
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
                self.banks[bank].held = false;
                self.row_changed(core, bank);
                self.look_again();
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
        let (queue, other) = match self.write_mode {
            true => (&mut self.write, &self.read),
            false => (&mut self.read, &self.write),
        };
        let keep_hits_open = self.config.scheduler == Scheduler::FrFcfsRowHit;
        let around = Surroundings { banks: &self.banks, other, keep_hits_open };
        let found = match carries {
            Slot::Column => queue.find_column(core, around, now, next),
            Slot::Row => queue.find_row(core, around, now, next),
            Slot::Any => {
                let column = queue.find_column(core, around, now, next);
                let row = queue.find_row(core, around, now, next);
                column.into_iter().chain(row).min_by_key(Found::age)
            }
        };
        let Some(found) = found else { return false };
        let Found { command, slot, bank, .. } = found;
        match command {
            PRE => {
                core.issue_for(PRE, slot, now, sink);
                self.row_changed(core, bank);
            }
            ACT => {
                queue.remove(core, found);
                core.issue_for(ACT, slot, now, sink);
                self.activate(core, slot, bank);
                self.row_changed(core, bank);
            }
            column => {
                queue.remove(core, found);
                core.issue_column(column, slot, now, Some(now), sink);
                self.after_column(core, bank);
            }
        }
        true
    }

    /// Whether the next look at a queue changes the direction served.
    fn mode_would_change(&self) -> bool {
        let (reads, writes) = (self.read.len(), self.write.len());
        if self.write_mode {
            writes < self.low_writes && reads != 0
        } else {
            writes > self.high_writes || reads == 0
        }
    }

    /// A column command freed the bank for precharge, and may have closed it.
    #[inline]
    fn after_column(&mut self, core: &Core, bank: usize) {
        if core.page == PagePolicy::Closed {
            self.row_changed(core, bank);
        } else {
            self.banks[bank].row_from = self.row_from(core, bank);
            self.read.may_close(core, bank);
            self.write.may_close(core, bank);
        }
    }

    fn row_changed(&mut self, core: &Core, bank: usize) {
        self.read.row_changed(core, bank);
        self.write.row_changed(core, bank);
        self.banks[bank].row_from = self.row_from(core, bank);
        if core.page == PagePolicy::Closed {
            // Whether a column command closes the row depends on what else waits for it.
            self.look_again();
        }
    }

    /// See [`BankState::row_from`].
    fn row_from(&self, core: &Core, bank: usize) -> u64 {
        let state = self.banks[bank];
        if state.held || state.active != NONE {
            return u64::MAX;
        }
        let command = if core.engine.open_row(bank).is_some() { PRE } else { ACT };
        core.engine.earliest_own(command, bank)
    }
}
