//! Commands that requests wait for, oldest request first.
//!
//! At most one per bank: for a queue its ACT or PRE, for an active request its column command. The
//! first that is ready is the one to send, so a look usually ends after a few entries.

use crate::command::CommandId;
use crate::policy::bank_set::{Look, Pick};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    seq: u64,
    bank: u32,
    slot: u32,
    /// The command cannot issue before this cycle.
    wake: u64,
    command: CommandId,
}

/// Waiting commands, at most one per bank.
#[derive(Debug, Clone)]
pub(crate) struct WaitList {
    entries: Vec<Entry>,
    /// No entry can issue before this cycle.
    first_wake: u64,
}

impl WaitList {
    pub fn new() -> WaitList {
        WaitList { entries: Vec::new(), first_wake: u64::MAX }
    }

    /// Adds the command of a bank that has none here; it cannot issue before `earliest`.
    #[inline]
    pub fn insert(&mut self, bank: usize, command: CommandId, slot: u32, seq: u64, earliest: u64) {
        // Banks are at most 4096.
        let entry = Entry { seq, bank: bank as u32, slot, wake: earliest, command };
        let older = self.entries.iter().rposition(|known| known.seq < seq);
        self.entries.insert(older.map_or(0, |place| place + 1), entry);
        self.first_wake = self.first_wake.min(earliest);
    }

    /// Removes the command of a bank.
    #[inline]
    pub fn remove(&mut self, bank: usize) {
        let bank = bank as u32;
        if let Some(place) = self.entries.iter().position(|entry| entry.bank == bank) {
            self.entries.remove(place);
        }
    }

    /// Drops the lower bounds, so that the next look is complete.
    pub fn forget(&mut self) {
        self.entries.iter_mut().for_each(|entry| entry.wake = 0);
        self.first_wake = 0;
    }

    /// Turns the command of a bank into another one for the same request.
    #[inline]
    pub fn change(&mut self, bank: usize, command: CommandId, earliest: u64) {
        let bank = bank as u32;
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.bank == bank) {
            entry.command = command;
            entry.wake = earliest;
            self.first_wake = self.first_wake.min(earliest);
        }
    }

    /// Request whose command a bank waits with.
    #[inline]
    pub fn slot(&self, bank: usize) -> Option<u32> {
        let bank = bank as u32;
        self.entries.iter().find(|entry| entry.bank == bank).map(|entry| entry.slot)
    }

    /// A cycle before which no entry can issue.
    #[inline]
    pub fn first_wake(&self) -> u64 {
        self.first_wake
    }

    /// Keeps in `best` the oldest request whose command could issue now; lowers `next` to the first
    /// cycle at which another could.
    #[inline]
    pub fn scan(&mut self, look: &Look<'_>, next: &mut u64, best: &mut Pick) {
        if self.first_wake <= look.now {
            self.visit(look, best);
        }
        *next = (*next).min(self.first_wake);
    }

    fn visit(&mut self, look: &Look<'_>, best: &mut Pick) {
        let engine = &look.core.engine;
        let mut soonest = u64::MAX;
        for entry in &mut self.entries {
            if entry.seq > best.seq {
                // Ready or not, it would lose.
                soonest = 0;
                break;
            }
            if entry.wake <= look.now {
                entry.wake = engine.earliest_bank(entry.command, entry.bank as usize);
                let held = || look.held.contains(engine.place(entry.bank as usize));
                if entry.wake <= look.now && !held() {
                    *best = Pick { command: entry.command, slot: entry.slot, seq: entry.seq };
                    soonest = 0;
                    break;
                }
                if entry.wake <= look.now {
                    continue;
                }
            }
            soonest = soonest.min(entry.wake);
        }
        self.first_wake = soonest;
    }
}
