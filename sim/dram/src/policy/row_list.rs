//! Row commands that requests of one queue wait for, oldest request first.
//!
//! At most one per bank: an ACT for a closed bank or a PRE for an open one. The first that is ready
//! is the one to send, so a look usually ends after a few entries.

use crate::command::{ACT, CommandId, PRE};
use crate::policy::bank_set::{Look, Pick};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    seq: u64,
    bank: u32,
    slot: u32,
    command: CommandId,
}

/// The waiting row commands of one queue.
#[derive(Debug, Clone)]
pub(crate) struct RowList {
    entries: Vec<Entry>,
    /// No entry can issue before this cycle.
    first_wake: u64,
}

impl RowList {
    pub fn new() -> RowList {
        RowList { entries: Vec::new(), first_wake: u64::MAX }
    }

    /// Adds the command of a bank that has none here; it cannot issue before `earliest`.
    #[inline]
    pub fn insert(&mut self, bank: usize, command: CommandId, slot: u32, seq: u64, earliest: u64) {
        // Banks are at most 4096.
        let entry = Entry { seq, bank: bank as u32, slot, command };
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

    /// Drops the lower bound, so that the next look is complete.
    pub fn forget(&mut self) {
        self.first_wake = 0;
    }

    /// A cycle before which no entry can issue, the state of the row bus included.
    #[inline]
    pub fn bound(&self, look: &Look<'_>) -> u64 {
        let engine = &look.core.engine;
        let bus = engine.earliest_of(ACT).channel().min(engine.earliest_of(PRE).channel());
        self.first_wake.max(bus)
    }

    /// Keeps in `best` the oldest request whose command could issue now; lowers `next` to the first
    /// cycle at which another could.
    #[inline]
    pub fn scan(&mut self, look: &Look<'_>, next: &mut u64, best: &mut Pick) {
        let bound = self.bound(look);
        if bound <= look.now {
            self.visit(look, best);
            *next = (*next).min(self.first_wake);
        } else {
            *next = (*next).min(bound);
        }
    }

    fn visit(&mut self, look: &Look<'_>, best: &mut Pick) {
        let engine = &look.core.engine;
        let (act, pre) = (engine.earliest_of(ACT), engine.earliest_of(PRE));
        let mut soonest = u64::MAX;
        for entry in &self.entries {
            if entry.seq > best.seq {
                // Ready or not, it would lose.
                soonest = 0;
                break;
            }
            let bank = entry.bank as usize;
            let at = if entry.command == ACT { act.bank(bank) } else { pre.bank(bank) };
            if at > look.now {
                soonest = soonest.min(at);
            } else if !look.held.contains(engine.place(bank)) {
                *best = Pick { command: entry.command, slot: entry.slot, seq: entry.seq };
                soonest = 0;
                break;
            }
        }
        self.first_wake = soonest;
    }
}
