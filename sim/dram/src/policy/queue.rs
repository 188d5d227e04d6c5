//! One request queue, searched in order of age.
//!
//! A first-ready scheduler takes the oldest request whose next command can issue. Where requests
//! compete for a bus that request is near the front, so a plain search ends early; where all wait
//! for timing, a failed search tells when the next can succeed. Earliest cycles only rise, so that
//! stays a lower bound until a request or a row comes or goes; see [`Queue::row_changed`].

use crate::command::{ACT, CommandId, PRE};
use crate::policy::Core;
use crate::policy::active_list::BankState;
use crate::request::{NONE, Op};

#[derive(Debug, Clone, Copy)]
struct Entry {
    bank: u32,
    row: u32,
    slot: u32,
}

/// Requests of one queue for one bank.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    all: u32,
    /// Those for the open row.
    hits: u32,
}

/// A request whose next command could issue, and where it stands in the queue.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    pub command: CommandId,
    pub slot: u32,
    pub bank: usize,
    position: usize,
}

impl Found {
    /// Place in the order of acceptance, inside one queue.
    pub fn age(&self) -> usize {
        self.position
    }
}

/// What a search must know beside the queue and the timing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    pub banks: &'a [BankState],
    /// The queue of the other direction.
    pub other: &'a Queue,
    /// A row stays open while a request older than the closing one hits it.
    pub keep_hits_open: bool,
}

/// Requests of one direction, oldest first.
#[derive(Debug, Clone)]
pub(crate) struct Queue {
    op: Op,
    capacity: usize,
    entries: Vec<Entry>,
    counts: Vec<Count>,
    hits: usize,
    /// No request can cause an ACT or PRE before this cycle.
    row_wake: u64,
    /// No request can cause a column command before this cycle.
    column_wake: u64,
}

impl Queue {
    pub fn new(op: Op, capacity: usize, banks: usize) -> Queue {
        let counts = vec![Count::default(); banks];
        let (entries, wake) = (Vec::new(), u64::MAX);
        Queue { op, capacity, entries, counts, hits: 0, row_wake: wake, column_wake: wake }
    }

    #[inline]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    #[inline]
    pub fn has_room(&self) -> bool {
        self.entries.len() < self.capacity
    }

    /// Whether no request waits for a bank.
    #[inline]
    pub fn is_empty(&self, bank: usize) -> bool {
        self.counts[bank].all == 0
    }

    /// Whether a request waits for the open row of a bank.
    #[inline]
    pub fn hits(&self, bank: usize) -> bool {
        self.counts[bank].hits > 0
    }

    /// Whether a request for the same transaction waits.
    #[inline]
    pub fn touches(&self, core: &Core, bank: usize, row: u32, column: u32) -> bool {
        let same = |entry: &Entry| {
            (entry.bank as usize, entry.row) == (bank, row)
                && core.pool.get(entry.slot).column == column
        };
        !self.entries.is_empty() && !self.is_empty(bank) && self.entries.iter().any(same)
    }

    /// Appends a request; tells whether it can be served sooner than the older ones.
    #[inline]
    pub fn push(&mut self, core: &Core, slot: u32) -> bool {
        let pending = core.pool.get(slot);
        let (bank, row) = (pending.bank as usize, pending.row);
        self.entries.push(Entry { bank: pending.bank, row, slot });
        let count = &mut self.counts[bank];
        let known = *count;
        count.all += 1;
        let engine = &core.engine;
        match engine.open_row(bank) {
            Some(open) if open == row => {
                count.hits += 1;
                self.hits += 1;
                let command = core.column_command(self.op, || true);
                self.column_wake = self.column_wake.min(engine.earliest_bank(command, bank));
                known.hits == 0
            }
            Some(_) => {
                self.row_wake = self.row_wake.min(engine.earliest_bank(PRE, bank));
                known.all == known.hits
            }
            None => {
                self.row_wake = self.row_wake.min(engine.earliest_bank(ACT, bank));
                known.all == 0
            }
        }
    }

    /// Removes a request that is activated or served.
    pub fn remove(&mut self, core: &Core, found: Found) {
        let entry = self.entries.remove(found.position);
        let count = &mut self.counts[found.bank];
        count.all -= 1;
        if core.engine.open_row(found.bank) == Some(entry.row) {
            count.hits -= 1;
            self.hits -= 1;
        }
    }

    /// Counts hits anew after a row of the bank was opened or closed.
    pub fn row_changed(&mut self, core: &Core, bank: usize) {
        let count = &mut self.counts[bank];
        if count.all == 0 {
            return;
        }
        let known = count.hits;
        count.hits = core.engine.open_row(bank).map_or(0, |row| {
            let here = self.entries.iter().filter(|entry| entry.bank as usize == bank);
            here.take(count.all as usize).filter(|entry| entry.row == row).count() as u32
        });
        self.hits = self.hits + count.hits as usize - known as usize;
        self.look_again();
    }

    /// Makes the next search a complete one, because more is allowed than before.
    pub fn look_again(&mut self) {
        (self.row_wake, self.column_wake) = (0, 0);
    }

    /// The same for the precharge of one bank, which may close now.
    #[inline]
    pub fn may_close(&mut self, core: &Core, bank: usize) {
        let count = self.counts[bank];
        if count.all > count.hits {
            self.row_wake = self.row_wake.min(core.engine.earliest_bank(PRE, bank));
        }
    }

    /// A cycle before which no request can cause a command.
    #[inline]
    pub fn wake(&self, core: &Core) -> u64 {
        self.column_wake.min(self.row_wake.max(row_bus_free(core)))
    }

    /// The oldest request that could have its column command now; lowers `next` to the first cycle
    /// at which one could.
    #[inline]
    pub fn find_column(
        &mut self,
        core: &Core,
        around: Surroundings<'_>,
        now: u64,
        next: &mut u64,
    ) -> Option<Found> {
        if self.column_wake <= now {
            let found = self.search_columns(core, around, now);
            if found.is_some() {
                return found;
            }
        }
        *next = (*next).min(self.column_wake);
        None
    }

    fn search_columns(&mut self, core: &Core, around: Surroundings<'_>, now: u64) -> Option<Found> {
        self.column_wake = u64::MAX;
        if self.hits == 0 {
            return None;
        }
        for (position, entry) in self.entries.iter().enumerate() {
            let bank = entry.bank as usize;
            if core.engine.open_row(bank) != Some(entry.row) || around.banks[bank].held {
                continue;
            }
            let command = core.column_command(self.op, || {
                around.banks[bank].active != NONE
                    || around.other.hits(bank)
                    || self.counts[bank].hits > 1
            });
            let at = core.engine.ready_at(command, bank, now);
            if at <= now {
                self.column_wake = now;
                return Some(Found { command, slot: entry.slot, bank, position });
            }
            self.column_wake = self.column_wake.min(at);
        }
        None
    }

    /// The oldest request that could have its ACT or PRE now; lowers `next` to the first cycle at
    /// which one could.
    #[inline]
    pub fn find_row(
        &mut self,
        core: &Core,
        around: Surroundings<'_>,
        now: u64,
        next: &mut u64,
    ) -> Option<Found> {
        let bound = self.row_wake.max(row_bus_free(core));
        if bound <= now {
            let found = self.search_rows(core, around, now);
            if found.is_some() {
                return found;
            }
        }
        *next = (*next).min(bound.max(self.row_wake));
        None
    }

    fn search_rows(&mut self, core: &Core, around: Surroundings<'_>, now: u64) -> Option<Found> {
        self.row_wake = u64::MAX;
        if self.hits == self.entries.len() {
            return None;
        }
        let engine = &core.engine;
        let mut wake = u64::MAX;
        for (position, entry) in self.entries.iter().enumerate() {
            let bank = entry.bank as usize;
            let at = around.banks[bank].row_from;
            if at > now {
                wake = wake.min(at);
                continue;
            }
            let command = match engine.open_row(bank) {
                None => ACT,
                Some(row) if row == entry.row => continue,
                Some(row) => {
                    let hits = |older: &Entry| (older.bank, older.row) == (entry.bank, row);
                    if around.keep_hits_open && self.entries[..position].iter().any(hits) {
                        continue;
                    }
                    PRE
                }
            };
            let at = engine.earliest_bank(command, bank);
            if at <= now {
                self.row_wake = now;
                return Some(Found { command, slot: entry.slot, bank, position });
            }
            wake = wake.min(at);
        }
        self.row_wake = wake;
        None
    }
}

/// First cycle at which the row bus can carry ACT or PRE: an ACT can hold it for several cycles.
#[inline]
fn row_bus_free(core: &Core) -> u64 {
    let at = |command| core.engine.earliest_of(command).channel();
    at(ACT).min(at(PRE))
}
