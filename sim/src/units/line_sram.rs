//! Key and value buffers: rings of lines, filled by the bitwidth converter, read by an array.

use std::collections::VecDeque;

use crate::kernel::snapshot::Snapshot;

/// Which bits of an allocation a fill or a read concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plane {
    /// The bits that are always fetched.
    Msb,
    /// The bits below them, of the first head.
    LsbFirst,
    /// The bits below them, of the second fused head.
    LsbSecond,
}

impl Plane {
    /// The LSB plane of head `head` of a slot.
    pub fn lsb(head: u8) -> Self {
        if head == 0 { Plane::LsbFirst } else { Plane::LsbSecond }
    }
}

#[derive(Debug, Clone)]
struct Slot {
    lines: u32,
    groups: [u32; 3],
    /// Groups that a fetch will still write: padding can arrive after the last read.
    outstanding: u32,
    released: bool,
}

/// A ring buffer: allocation in order, release in any order, reclaim in order.
///
/// A *group* is one line of every fused head: the same keys (or values) of each.
#[derive(Debug, Clone)]
pub struct LineSram {
    lines: u32,
    used: u32,
    first: u64,
    slots: VecDeque<Slot>,
    staged_fill: Option<(u64, Plane, u32)>,
    staged_release: Vec<u64>,
}

impl LineSram {
    /// A buffer of `lines` lines.
    pub fn new(lines: u32) -> Self {
        Self {
            lines,
            used: 0,
            first: 0,
            slots: VecDeque::new(),
            staged_fill: None,
            staged_release: Vec::new(),
        }
    }

    /// Whether `lines` lines are free.
    pub fn can_allocate(&self, lines: u32) -> bool {
        lines <= self.lines - self.used
    }

    /// Takes `lines` lines; returns the slot number.
    pub fn allocate(&mut self, lines: u32) -> u64 {
        assert!(self.can_allocate(lines), "the controller asks first");
        self.used += lines;
        self.slots.push_back(Slot { lines, groups: [0; 3], outstanding: 0, released: false });
        self.first + self.slots.len() as u64 - 1
    }

    /// Announces a fetch of `groups` groups into `slot`; it keeps its lines until they have come.
    pub fn expect(&mut self, slot: u64, groups: u32) {
        let at = self.position(slot);
        self.slots[at].outstanding += groups;
    }

    /// Groups of `plane` that slot `slot` holds in this cycle.
    pub fn filled(&self, slot: u64, plane: Plane) -> u32 {
        self.slots[self.position(slot)].groups[plane as usize]
    }

    /// Writes `groups` further groups; they can be read from the next cycle on. One slot per cycle.
    pub fn fill(&mut self, slot: u64, plane: Plane, groups: u32) {
        debug_assert!(self.staged_fill.is_none(), "one write port");
        self.staged_fill = Some((slot, plane, groups));
    }

    /// Gives the lines of `slot` back at the end of the cycle.
    pub fn release(&mut self, slot: u64) {
        self.staged_release.push(slot);
    }

    /// Ends the cycle; returns whether lines became free.
    pub fn commit(&mut self) -> bool {
        let used = self.used;
        if let Some((slot, plane, groups)) = self.staged_fill.take() {
            let at = self.position(slot);
            let slot = &mut self.slots[at];
            slot.groups[plane as usize] += groups;
            slot.outstanding -= groups;
            if slot.released {
                self.reclaim();
            }
        }
        if !self.staged_release.is_empty() {
            while let Some(slot) = self.staged_release.pop() {
                let at = self.position(slot);
                assert!(!self.slots[at].released, "slot {slot} is released once");
                self.slots[at].released = true;
            }
            self.reclaim();
        }
        self.used < used
    }

    fn reclaim(&mut self) {
        let free = |slot: &Slot| slot.released && slot.outstanding == 0;
        while let Some(slot) = self.slots.front().filter(|slot| free(slot)) {
            self.used -= slot.lines;
            self.first += 1;
            self.slots.pop_front();
        }
    }

    /// Oldest slot in use; snapshots count slots from it.
    pub fn first_slot(&self) -> u64 {
        self.first
    }

    /// Writes the state between two cycles.
    pub fn snapshot(&self, to: &mut Snapshot) {
        let Self { lines: _, used, first: _, slots, staged_fill: _, staged_release: _ } = self;
        to.put(*used);
        to.length(slots.len());
        for Slot { lines, groups, outstanding, released } in slots {
            to.put(*lines);
            groups.iter().for_each(|&groups| to.put(groups));
            to.put(*outstanding);
            to.put(*released);
        }
    }

    fn position(&self, slot: u64) -> usize {
        usize::try_from(slot - self.first).expect("a slot in use is near the front")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_reclaimed_in_order() {
        let mut sram = LineSram::new(8);
        let (a, b) = (sram.allocate(4), sram.allocate(4));
        assert!(!sram.can_allocate(1));
        sram.release(b);
        sram.commit();
        assert!(!sram.can_allocate(1), "a is older and still in use");
        sram.release(a);
        sram.commit();
        assert!(sram.can_allocate(8));
    }

    #[test]
    fn lines_are_kept_until_the_last_fetched_group_has_come() {
        let mut sram = LineSram::new(8);
        let slot = sram.allocate(8);
        sram.expect(slot, 2);
        sram.fill(slot, Plane::Msb, 1);
        sram.release(slot);
        sram.commit();
        assert!(!sram.can_allocate(8));
        sram.fill(slot, Plane::Msb, 1);
        sram.commit();
        assert!(sram.can_allocate(8));
    }

    #[test]
    fn a_fill_is_visible_in_the_next_cycle() {
        let mut sram = LineSram::new(8);
        let slot = sram.allocate(4);
        sram.expect(slot, 2);
        sram.fill(slot, Plane::Msb, 2);
        assert_eq!(sram.filled(slot, Plane::Msb), 0);
        sram.commit();
        assert_eq!((sram.filled(slot, Plane::Msb), sram.filled(slot, Plane::LsbFirst)), (2, 0));
    }
}
