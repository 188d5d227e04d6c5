//! One request queue with its candidates per bank.
//!
//! Of the requests for one bank only two can matter to a first-ready scheduler: the oldest that
//! hits the open row and the oldest that does not. A closed bank offers its oldest request.

use crate::command::{ACT, CommandId, PRE, RD, RDA, WR, WRA};
use crate::engine::Engine;
use crate::policy::active_list::Slot;
use crate::policy::bank_set::BankSet;
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
    to_activate: BankSet,
    to_access: BankSet,
    /// Closed-page only: the access is the row's last.
    to_access_and_close: BankSet,
    to_precharge: BankSet,
}

impl Queue {
    pub fn new(engine: &Engine, op: Op, capacity: usize) -> Queue {
        let (banks, empty) = (engine.banks(), BankSet::new(engine));
        Queue {
            op,
            lists: BankLists::new(banks),
            capacity,
            hit: vec![NONE; banks],
            miss: vec![NONE; banks],
            to_activate: empty.clone(),
            to_access: empty.clone(),
            to_access_and_close: empty.clone(),
            to_precharge: empty,
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
        let head = self.lists.head(bank);
        (self.hit[bank], self.miss[bank]) = match core.engine.open_row(bank) {
            Some(row) => {
                (find_from(&core.pool, head, row, true), find_from(&core.pool, head, row, false))
            }
            None => (NONE, NONE),
        };
    }

    /// Puts a bank into the sets of the commands its requests wait for.
    #[inline]
    pub fn classify(
        &mut self,
        core: &Core,
        bank: usize,
        other_queue_hits: bool,
        active: bool,
        keep_hits_open: bool,
    ) {
        let (hit, miss) = (self.hit[bank], self.miss[bank]);
        let closed = core.engine.open_row(bank).is_none();
        self.to_activate.set(bank, closed && self.lists.head(bank) != NONE);
        let last = hit != NONE && core.page == PagePolicy::Closed && !other_queue_hits && {
            let (row, next) = (core.pool.get(hit).row, core.pool.next(hit));
            find_from(&core.pool, next, row, true) == NONE
        };
        self.to_access.set(bank, hit != NONE && !last);
        self.to_access_and_close.set(bank, last);
        let older_hit = |hit, miss| core.pool.get(hit).seq < core.pool.get(miss).seq;
        let kept = keep_hits_open && hit != NONE && miss != NONE && older_hit(hit, miss);
        self.to_precharge.set(bank, miss != NONE && !active && !kept);
    }

    /// Drops all lower bounds.
    pub fn forget(&mut self) {
        self.to_activate.forget();
        self.to_access.forget();
        self.to_access_and_close.forget();
        self.to_precharge.forget();
    }

    /// Calls `ready` with every command that could issue now and its request.
    #[inline]
    pub fn scan(
        &mut self,
        core: &Core,
        carries: Slot,
        held: &BankSet,
        now: u64,
        next: &mut u64,
        mut ready: impl FnMut(CommandId, u32),
    ) {
        let engine = &core.engine;
        let held = Some(held);
        let (access, last) = match self.op {
            Op::Read => (RD, RDA),
            Op::Write => (WR, WRA),
        };
        if carries != Slot::Row {
            let hit = &self.hit;
            self.to_access.scan(engine, access, held, now, next, |bank| ready(access, hit[bank]));
            if core.page == PagePolicy::Closed {
                let closing = &mut self.to_access_and_close;
                closing.scan(engine, last, held, now, next, |bank| ready(last, hit[bank]));
            }
        }
        if carries != Slot::Column {
            let (lists, miss) = (&self.lists, &self.miss);
            let activate = &mut self.to_activate;
            activate.scan(engine, ACT, held, now, next, |bank| ready(ACT, lists.head(bank)));
            self.to_precharge.scan(engine, PRE, held, now, next, |bank| ready(PRE, miss[bank]));
        }
    }
}
