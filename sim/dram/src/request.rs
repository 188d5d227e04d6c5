//! Requests inside a controller: a slot pool and age-ordered lists per bank.

use crate::mapping::Location;

/// Direction of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Op {
    /// Memory to requester.
    Read,
    /// Requester to memory.
    Write,
}

/// A finished request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Completion {
    /// What the requester gave with the request.
    pub tag: u64,
    /// Direction.
    pub op: Op,
    /// Cycle at which the last data beat is there (read) or the write counts as done.
    pub cycle: u64,
}

/// No slot.
pub(crate) const NONE: u32 = u32::MAX;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Pending {
    pub tag: u64,
    /// Order of acceptance.
    pub seq: u64,
    pub arrival: u64,
    pub bank: u32,
    pub row: u32,
    pub column: u32,
    pub op: Op,
    next: u32,
    prev: u32,
}

/// Storage of pending requests; a slot index names a request until it is freed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pool {
    slots: Vec<Pending>,
    free: Vec<u32>,
    accepted: u64,
}

impl Pool {
    pub fn insert(&mut self, op: Op, tag: u64, arrival: u64, bank: u32, at: &Location) -> u32 {
        let pending = Pending {
            tag,
            seq: self.accepted,
            arrival,
            bank,
            row: at.row,
            column: at.column,
            op,
            next: NONE,
            prev: NONE,
        };
        self.accepted += 1;
        if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = pending;
            slot
        } else {
            self.slots.push(pending);
            // Queues hold far fewer than 2^32 requests.
            (self.slots.len() - 1) as u32
        }
    }

    pub fn remove(&mut self, slot: u32) -> Pending {
        self.free.push(slot);
        self.slots[slot as usize]
    }

    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    #[inline]
    pub fn get(&self, slot: u32) -> &Pending {
        &self.slots[slot as usize]
    }

    #[inline]
    pub fn get_mut(&mut self, slot: u32) -> &mut Pending {
        &mut self.slots[slot as usize]
    }

    /// The request after `slot` in its bank list.
    #[inline]
    pub fn next(&self, slot: u32) -> u32 {
        self.slots[slot as usize].next
    }
}

/// Requests per bank, oldest first.
#[derive(Debug, Clone)]
pub(crate) struct BankLists {
    head: Vec<u32>,
    tail: Vec<u32>,
    len: usize,
}

impl BankLists {
    pub fn new(banks: usize) -> BankLists {
        BankLists { head: vec![NONE; banks], tail: vec![NONE; banks], len: 0 }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub fn head(&self, bank: usize) -> u32 {
        self.head[bank]
    }

    pub fn push(&mut self, pool: &mut Pool, bank: usize, slot: u32) {
        let tail = self.tail[bank];
        pool.get_mut(slot).prev = tail;
        pool.get_mut(slot).next = NONE;
        if tail == NONE {
            self.head[bank] = slot;
        } else {
            pool.get_mut(tail).next = slot;
        }
        self.tail[bank] = slot;
        self.len += 1;
    }

    pub fn unlink(&mut self, pool: &mut Pool, bank: usize, slot: u32) {
        let Pending { prev, next, .. } = *pool.get(slot);
        if prev == NONE {
            self.head[bank] = next;
        } else {
            pool.get_mut(prev).next = next;
        }
        if next == NONE {
            self.tail[bank] = prev;
        } else {
            pool.get_mut(next).prev = prev;
        }
        self.len -= 1;
    }

    /// Slots of one bank, oldest first.
    pub fn iter<'a>(&self, pool: &'a Pool, bank: usize) -> impl Iterator<Item = u32> + 'a {
        let first = self.head[bank];
        std::iter::successors((first != NONE).then_some(first), |&slot| {
            let next = pool.next(slot);
            (next != NONE).then_some(next)
        })
    }
}
