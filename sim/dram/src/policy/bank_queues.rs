//! A transaction queue in front of one command queue per bank, served in turn.
//!
//! Behaves as the controller of DRAMsim3 (commit 2981759): per-bank queues visited round robin, a
//! precharge only for a queue's head, a cap on row hits that delay it, refreshes before anything
//! else, writes posted and drained in batches.

use std::collections::VecDeque;

use crate::command::{ACT, CommandId, PRE, REFA, REFPB};
use crate::error::TableError;
use crate::policy::refresh::Timer;
use crate::policy::{CommandSlots, Core, Refresh, check_capacity};
use crate::request::{BankLists, Completion, NONE, Op};
use crate::trace::CommandSink;

/// Queue sizes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BankQueuesConfig {
    /// Entries of the transaction queue; of each of the two when they are separate.
    pub transaction_queue: usize,
    /// One queue for reads and writes instead of a read queue and a write buffer.
    pub unified_queue: bool,
    /// Entries of each bank's command queue.
    pub command_queue: usize,
    /// Column commands of a row after which the queue's head may close it in spite of row hits.
    pub row_hit_cap: u32,
    /// Writes in the buffer above which idle banks start a drain.
    pub idle_drain: usize,
}

impl Default for BankQueuesConfig {
    fn default() -> BankQueuesConfig {
        BankQueuesConfig {
            transaction_queue: 32,
            unified_queue: false,
            command_queue: 8,
            row_hit_cap: 4,
            idle_drain: 8,
        }
    }
}

impl BankQueuesConfig {
    pub(crate) fn check(&self) -> Result<(), TableError> {
        check_capacity("transaction_queue", self.transaction_queue)?;
        check_capacity("command_queue", self.command_queue)
    }
}

/// A refresh that waits for its banks to close.
#[derive(Debug, Clone, Copy)]
struct RefreshJob {
    rank: usize,
    /// Only this bank.
    bank: Option<usize>,
}

/// Which refresh falls due next.
#[derive(Debug, Clone)]
struct Source {
    timer: Timer,
    per_bank: bool,
    /// Rank (all-bank) or bank of the rank (per-bank) whose turn it is.
    turn: usize,
}

/// Queues of one channel.
#[derive(Debug, Clone)]
pub(crate) struct BankQueues {
    config: BankQueuesConfig,
    slots: CommandSlots,
    /// Reads, or everything in a unified queue.
    transactions: Vec<u32>,
    /// Writes when queues are separate.
    write_buffer: Vec<u32>,
    queues: BankLists,
    lengths: Vec<usize>,
    /// No command of the bank's queue can issue before this cycle.
    wake: Vec<u64>,
    /// Queue that gave the last command.
    pointer: usize,
    draining: usize,
    /// An older write must leave the buffer before anything else is accepted.
    flush: bool,
    source: Option<Source>,
    refreshes: VecDeque<RefreshJob>,
}

impl BankQueues {
    pub fn new(
        config: &BankQueuesConfig,
        slots: CommandSlots,
        refresh: Refresh,
        core: &Core,
    ) -> BankQueues {
        let banks = core.engine.banks();
        let ranks = u64::from(core.engine.organization().ranks);
        let source = |interval, per_bank| Source { timer: Timer::new(interval), per_bank, turn: 0 };
        BankQueues {
            config: config.clone(),
            slots,
            transactions: Vec::new(),
            write_buffer: Vec::new(),
            queues: BankLists::new(banks),
            lengths: vec![0; banks],
            wake: vec![u64::MAX; banks],
            pointer: 0,
            draining: 0,
            flush: false,
            source: match refresh {
                Refresh::Off => None,
                // Ranks take turns, so that each keeps its own interval.
                Refresh::AllBank { interval } => Some(source((interval / ranks).max(1), false)),
                Refresh::PerBank { interval, .. } => Some(source(interval, true)),
            },
            refreshes: VecDeque::new(),
        }
    }

    pub fn has_room(&self, op: Op) -> bool {
        let split_write = op == Op::Write && !self.config.unified_queue;
        let queue = if split_write { &self.write_buffer } else { &self.transactions };
        queue.len() < self.config.transaction_queue
    }

    /// Whether an older request to the same transaction must be served first.
    pub fn conflicts(&self, core: &Core, op: Op, bank: usize, row: u32, column: u32) -> bool {
        let same = |slot: u32| {
            let pending = core.pool.get(slot);
            (pending.bank as usize, pending.row, pending.column) == (bank, row, column)
                && (op == Op::Write || pending.op == Op::Write)
        };
        let unordered = op == Op::Write || self.config.unified_queue;
        self.write_buffer.iter().any(|&slot| same(slot))
            || (unordered && self.transactions.iter().any(|&slot| same(slot)))
            || self.queues.iter(&core.pool, bank).any(same)
    }

    /// Empties the write buffer as soon as possible.
    pub fn flush(&mut self, on: bool) {
        self.flush = on;
    }

    pub fn push(&mut self, core: &mut Core, slot: u32, now: u64) {
        let pending = core.pool.get(slot);
        if pending.op == Op::Write {
            // Posted: the requester need not wait for the array.
            let done = Completion { tag: pending.tag, op: Op::Write, cycle: now + 1 };
            core.writes_done.push_back(done);
        }
        if pending.op == Op::Write && !self.config.unified_queue {
            self.write_buffer.push(slot);
        } else {
            self.transactions.push(slot);
        }
    }

    /// Runs one cycle and returns the next in which something can happen.
    pub fn tick<S: CommandSink>(&mut self, core: &mut Core, now: u64, sink: &mut S) -> u64 {
        if core.exhaustive {
            for bank in 0..self.wake.len() {
                self.touch(bank);
            }
        }
        let mut next = self.advance_refresh(core, now);
        let mut first = self.issue_refresh(core, now, &mut next, sink);
        if first.is_none() {
            first = self.next_command(core, now, &mut next).map(|(command, slot)| {
                self.issue(core, command, slot, now, sink);
                is_column(command)
            });
        }
        if let (Some(first), CommandSlots::Two) = (first, self.slots) {
            // The turn passes on even when the second command does not fit.
            if let Some((command, slot)) = self.next_command(core, now, &mut next)
                && is_column(command) != first
            {
                self.issue(core, command, slot, now, sink);
            }
        }
        let moved = self.schedule(core);
        if first.is_some() || moved { now + 1 } else { next }
    }

    /// Queues due refreshes and returns when the next falls due.
    fn advance_refresh(&mut self, core: &Core, now: u64) -> u64 {
        let Some(source) = &mut self.source else { return u64::MAX };
        let organization = core.engine.organization();
        let ranks = organization.ranks as usize;
        let banks = organization.banks_per_rank() as usize;
        while source.timer.fire(now) {
            if source.per_bank {
                let bank = |rank: usize| Some(rank * banks + source.turn);
                self.refreshes.extend((0..ranks).map(|rank| RefreshJob { rank, bank: bank(rank) }));
                source.turn = (source.turn + 1) % banks;
            } else {
                self.refreshes.push_back(RefreshJob { rank: source.turn, bank: None });
                source.turn = (source.turn + 1) % ranks;
            }
        }
        source.timer.due()
    }

    /// Closes a bank for the oldest refresh or sends it; tells that a row command went out.
    fn issue_refresh<S: CommandSink>(
        &mut self,
        core: &mut Core,
        now: u64,
        next: &mut u64,
        sink: &mut S,
    ) -> Option<bool> {
        let job = *self.refreshes.front()?;
        let banks = self.covered(core, job);
        let mut all_closed = true;
        for bank in banks.clone().filter(|&bank| core.engine.open_row(bank).is_some()) {
            all_closed = false;
            let at = core.engine.earliest_bank(PRE, bank);
            if at <= now {
                core.issue_row(PRE, bank, 0, now, sink);
                self.touch(bank);
                return Some(false);
            }
            *next = (*next).min(at);
        }
        if !all_closed {
            return None;
        }
        let command = if job.bank.is_some() { REFPB } else { REFA };
        let at = core.engine.earliest(command, banks.start);
        if at > now {
            *next = (*next).min(at);
            return None;
        }
        core.issue_row(command, banks.start, 0, now, sink);
        self.refreshes.pop_front();
        Some(false)
    }

    fn covered(&self, core: &Core, job: RefreshJob) -> std::ops::Range<usize> {
        let per_rank = core.engine.organization().banks_per_rank() as usize;
        match job.bank {
            Some(bank) => bank..bank + 1,
            None => job.rank * per_rank..(job.rank + 1) * per_rank,
        }
    }

    /// Goes round the queues to the first that has a ready command.
    fn next_command(&mut self, core: &Core, now: u64, next: &mut u64) -> Option<(CommandId, u32)> {
        let blocked = self.refreshes.front().map_or(0..0, |&job| self.covered(core, job));
        let queues = self.wake.len();
        let order = (self.pointer + 1..queues).chain(0..=self.pointer.min(queues - 1));
        for bank in order {
            let wake = self.wake[bank];
            if wake > now {
                *next = (*next).min(wake);
                continue;
            }
            if blocked.contains(&bank) {
                continue;
            }
            match self.first_ready(core, bank, now) {
                Ok(found) => {
                    self.pointer = bank;
                    return Some(found);
                }
                Err(at) => {
                    self.wake[bank] = at;
                    *next = (*next).min(at);
                }
            }
        }
        None
    }

    /// First request of a queue whose next command is ready, or when the first could be.
    fn first_ready(&self, core: &Core, bank: usize, now: u64) -> Result<(CommandId, u32), u64> {
        let head = self.queues.head(bank);
        let Some(row) = core.engine.open_row(bank) else {
            let at = core.engine.earliest_bank(ACT, bank);
            return if at <= now { Ok((ACT, head)) } else { Err(at) };
        };
        let mut soonest = u64::MAX;
        if core.pool.get(head).row != row {
            let hits =
                self.queues.iter(&core.pool, bank).any(|slot| core.pool.get(slot).row == row);
            if !hits || core.engine.column_commands(bank) >= self.config.row_hit_cap {
                soonest = core.engine.earliest_bank(PRE, bank);
                if soonest <= now {
                    return Ok((PRE, head));
                }
            }
        }
        // One look per direction: later requests of the same direction are no sooner ready.
        let mut seen = [false; 2];
        for slot in self.queues.iter(&core.pool, bank) {
            let pending = core.pool.get(slot);
            let direction = &mut seen[usize::from(pending.op == Op::Write)];
            if pending.row != row || *direction {
                continue;
            }
            *direction = true;
            let command = core.column_command(pending.op, || {
                let mut others = self.queues.iter(&core.pool, bank).filter(|&other| other != slot);
                others.any(|other| core.pool.get(other).row == row)
            });
            let at = core.engine.earliest_bank(command, bank);
            if at <= now {
                return Ok((command, slot));
            }
            soonest = soonest.min(at);
        }
        Err(soonest)
    }

    fn issue<S: CommandSink>(
        &mut self,
        core: &mut Core,
        command: CommandId,
        slot: u32,
        now: u64,
        sink: &mut S,
    ) {
        let bank = core.pool.get(slot).bank as usize;
        if is_column(command) {
            self.queues.unlink(&mut core.pool, bank, slot);
            self.lengths[bank] -= 1;
            core.issue_column(command, slot, now, None, sink);
        } else {
            core.issue_for(command, slot, now, sink);
        }
        self.touch(bank);
    }

    fn touch(&mut self, bank: usize) {
        self.wake[bank] = if self.queues.head(bank) == NONE { u64::MAX } else { 0 };
    }

    /// Moves one transaction to its bank queue.
    fn schedule(&mut self, core: &mut Core) -> bool {
        if self.draining == 0 && !self.config.unified_queue {
            let writes = self.write_buffer.len();
            let idle = self.queues.len() == 0 && writes > self.config.idle_drain;
            if writes >= self.config.transaction_queue || idle || self.flush {
                self.draining = writes;
            }
        }
        let drain = self.draining > 0;
        let queue = if drain { &mut self.write_buffer } else { &mut self.transactions };
        let (lengths, limit) = (&self.lengths, self.config.command_queue);
        let room = |&slot: &u32| lengths[core.pool.get(slot).bank as usize] < limit;
        let Some(place) = queue.iter().position(room) else { return false };
        let slot = queue.remove(place);
        if drain {
            self.draining -= 1;
        }
        let bank = core.pool.get(slot).bank as usize;
        self.queues.push(&mut core.pool, bank, slot);
        self.lengths[bank] += 1;
        self.touch(bank);
        true
    }
}

fn is_column(command: CommandId) -> bool {
    use crate::command::{RD, RDA, WR, WRA};
    [RD, WR, RDA, WRA].contains(&command)
}
