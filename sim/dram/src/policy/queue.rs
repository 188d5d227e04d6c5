//! One request queue with its candidates per bank.
//!
//! Of the requests for one bank only two can matter to a first-ready scheduler: the oldest that
//! hits the open row and the oldest that does not. A closed bank offers its oldest request.

use crate::command::{ACT, CommandId, PRE, RD, RDA, WR, WRA};
use crate::engine::Engine;
use crate::policy::active_list::Slot;
use crate::policy::bank_set::{BankSet, Look, Pick};
use crate::policy::wait_list::WaitList;
use crate::policy::{Core, PagePolicy, find_from};
use crate::request::{BankLists, NONE, Op};

/// Requests of one direction.
#[derive(Debug, Clone)]
pub(crate) struct Queue {
    op: Op,
    lists: BankLists,
    capacity: usize,
    /// Oldest request that hits the open row; `NONE` while the bank is closed.
    hit: Vec<u32>,
    /// Oldest request for another row; `NONE` while the bank is closed.
    miss: Vec<u32>,
    rows: WaitList,
    to_access: BankSet,
    /// Closed-page only: the access is the row's last.
    to_access_and_close: BankSet,
    /// Which commands each bank waits for, one bit per kind.
    member: Vec<u8>,
}

const ACTIVATE: u8 = 1;
const ACCESS: u8 = 2;
const ACCESS_AND_CLOSE: u8 = 4;
const PRECHARGE: u8 = 8;

impl Queue {
    pub fn new(engine: &Engine, op: Op, capacity: usize) -> Queue {
        let (banks, empty) = (engine.banks(), BankSet::new(engine));
        Queue {
            op,
            lists: BankLists::new(banks),
            capacity,
            hit: vec![NONE; banks],
            miss: vec![NONE; banks],
            rows: WaitList::new(),
            to_access: empty.clone(),
            to_access_and_close: empty,
            member: vec![0; banks],
        }
    }

    pub fn len(&self) -> usize {
        self.lists.len()
    }

    pub fn has_room(&self) -> bool {
        self.lists.len() < self.capacity
    }

    /// Whether no request waits for a bank.
    pub fn is_empty(&self, bank: usize) -> bool {
        self.lists.head(bank) == NONE
    }

    /// Whether a request waits for the open row of a bank.
    #[inline]
    pub fn hits(&self, bank: usize) -> bool {
        self.hit[bank] != NONE
    }

    /// Whether a request for the same transaction waits.
    pub fn touches(&self, core: &Core, bank: usize, row: u32, column: u32) -> bool {
        self.lists.len() > 0 && self.lists.touches(&core.pool, bank, row, column)
    }

    /// Appends a request; [`Queue::classify`] must follow.
    pub fn push(&mut self, core: &mut Core, bank: usize, slot: u32) {
        self.lists.push(&mut core.pool, bank, slot);
        if let Some(row) = core.engine.open_row(bank) {
            let hits = core.pool.get(slot).row == row;
            let first = if hits { &mut self.hit[bank] } else { &mut self.miss[bank] };
            if *first == NONE {
                *first = slot;
            }
        }
    }

    /// Removes a request that is activated or served; [`Queue::classify`] must follow.
    pub fn unlink(&mut self, core: &mut Core, bank: usize, slot: u32) {
        if self.hit[bank] == slot {
            let (row, next) = (core.pool.get(slot).row, core.pool.next(slot));
            self.hit[bank] = find_from(&core.pool, next, row, true);
        }
        self.lists.unlink(&mut core.pool, bank, slot);
    }

    /// Finds hit and miss of a bank whose row has changed; [`Queue::classify`] must follow.
    pub fn find_candidates(&mut self, core: &Core, bank: usize) {
        if self.lists.len() == 0 {
            (self.hit[bank], self.miss[bank]) = (NONE, NONE);
            return;
        }
        let head = self.lists.head(bank);
        (self.hit[bank], self.miss[bank]) = match core.engine.open_row(bank) {
            Some(row) => {
                (find_from(&core.pool, head, row, true), find_from(&core.pool, head, row, false))
            }
            None => (NONE, NONE),
        };
    }

    /// Puts a bank into the sets of the commands its requests wait for; tells whether they changed.
    #[inline]
    pub fn classify(
        &mut self,
        core: &Core,
        bank: usize,
        other_queue_hits: bool,
        active: bool,
        keep_hits_open: bool,
    ) -> bool {
        if self.lists.len() == 0 && self.member[bank] == 0 {
            return false;
        }
        let head = self.lists.head(bank);
        let (hit, miss) = (self.hit[bank], self.miss[bank]);
        let mut member = 0;
        if head != NONE && core.engine.open_row(bank).is_none() {
            member = ACTIVATE;
        }
        if hit != NONE {
            let needed = other_queue_hits || active;
            let last = core.page == PagePolicy::Closed && !needed && {
                let (row, next) = (core.pool.get(hit).row, core.pool.next(hit));
                find_from(&core.pool, next, row, true) == NONE
            };
            member |= if last { ACCESS_AND_CLOSE } else { ACCESS };
        }
        if miss != NONE && !active {
            let older_hit = hit != NONE && core.pool.get(hit).seq < core.pool.get(miss).seq;
            if !(keep_hits_open && older_hit) {
                member |= PRECHARGE;
            }
        }
        let changed = member != self.member[bank];
        if changed {
            self.enroll(core, bank, member);
        }
        changed
    }

    fn enroll(&mut self, core: &Core, bank: usize, member: u8) {
        let place = core.engine.place(bank);
        let known = std::mem::replace(&mut self.member[bank], member);
        let (access, last) = self.accesses();
        let sets = [
            (ACCESS, access, &mut self.to_access),
            (ACCESS_AND_CLOSE, last, &mut self.to_access_and_close),
        ];
        for (bit, command, set) in sets {
            if member & !known & bit != 0 {
                set.insert(place, core.engine.earliest_bank(command, bank));
            } else if known & !member & bit != 0 {
                set.remove(place);
            }
        }
        const ROW: u8 = ACTIVATE | PRECHARGE;
        if known & ROW == member & ROW {
            return;
        }
        if member & ROW == 0 {
            self.rows.remove(bank);
            return;
        }
        let (command, slot) = match member & ACTIVATE {
            0 => (PRE, self.miss[bank]),
            _ => (ACT, self.lists.head(bank)),
        };
        let earliest = core.engine.earliest_bank(command, bank);
        if known & ROW != 0 && self.rows.slot(bank) == Some(slot) {
            self.rows.change(bank, command, earliest);
            return;
        }
        if known & ROW != 0 {
            self.rows.remove(bank);
        }
        self.rows.insert(bank, command, slot, core.pool.get(slot).seq, earliest);
    }

    /// Column commands of this direction, without and with auto-precharge.
    fn accesses(&self) -> (CommandId, CommandId) {
        match self.op {
            Op::Read => (RD, RDA),
            Op::Write => (WR, WRA),
        }
    }

    /// Drops all lower bounds.
    pub fn forget(&mut self) {
        self.rows.forget();
        self.to_access.forget();
        self.to_access_and_close.forget();
    }

    /// A cycle before which no request can cause a command.
    pub fn bound(&self, core: &Core) -> u64 {
        let columns = self.to_access.first_wake().min(self.to_access_and_close.first_wake());
        columns.min(self.rows.first_wake().max(row_bus_free(core)))
    }

    /// Keeps in `best` the oldest request whose next command could issue now.
    #[inline]
    pub fn scan(&mut self, look: &Look<'_>, carries: Slot, next: &mut u64, best: &mut Pick) {
        let (access, last) = self.accesses();
        if carries != Slot::Row {
            self.to_access.scan(look, access, &self.hit, next, best);
            self.to_access_and_close.scan(look, last, &self.hit, next, best);
        }
        if carries != Slot::Column {
            // An ACT can hold the row bus for several cycles.
            let free = row_bus_free(look.core);
            if free > look.now {
                *next = (*next).min(free.max(self.rows.first_wake()));
            } else {
                self.rows.scan(look, next, best);
            }
        }
    }
}

/// First cycle at which the row bus can carry ACT or PRE.
#[inline]
fn row_bus_free(core: &Core) -> u64 {
    let at = |command| core.engine.earliest_of(command).channel();
    at(ACT).min(at(PRE))
}
