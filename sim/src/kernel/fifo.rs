//! A queue of descriptors between two units, with ready/valid timing.

use std::collections::VecDeque;

use super::snapshot::Snapshot;

/// A two-phase queue: an item pushed in one cycle is visible in the next, a place freed in one
/// cycle can be taken in the next.
#[derive(Debug, Clone)]
pub struct Fifo<T> {
    items: VecDeque<T>,
    incoming: VecDeque<T>,
    popped: usize,
    depth: usize,
}

impl<T> Fifo<T> {
    /// A queue of at most `depth` items.
    pub fn new(depth: usize) -> Self {
        Self { items: VecDeque::new(), incoming: VecDeque::new(), popped: 0, depth }
    }

    /// A queue that never blocks, for messages whose number is bounded by its users.
    pub fn unbounded() -> Self {
        Self::new(usize::MAX)
    }

    /// Whether an item can be pushed in this cycle.
    pub fn can_push(&self) -> bool {
        self.items.len() + self.popped + self.incoming.len() < self.depth
    }

    /// Pushes an item; it is visible from the next cycle on.
    pub fn push(&mut self, item: T) {
        debug_assert!(self.can_push(), "push into a full queue");
        self.incoming.push_back(item);
    }

    /// The oldest visible item.
    pub fn front(&self) -> Option<&T> {
        self.items.front()
    }

    /// Takes the oldest visible item.
    pub fn pop(&mut self) -> Option<T> {
        let item = self.items.pop_front();
        self.popped += usize::from(item.is_some());
        item
    }

    /// Whether no item is visible.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Writes the state between two cycles; `item` writes an item.
    pub fn snapshot(&self, to: &mut Snapshot, item: impl Fn(&T, &mut Snapshot)) {
        to.length(self.items.len());
        for one in &self.items {
            item(one, to);
        }
    }

    /// Ends the cycle.
    pub fn commit(&mut self) {
        if !self.incoming.is_empty() {
            self.items.append(&mut self.incoming);
        }
        self.popped = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_and_places_become_visible_one_cycle_later() {
        let mut fifo = Fifo::new(1);
        fifo.push(7);
        assert!(fifo.is_empty() && !fifo.can_push());
        fifo.commit();
        assert_eq!(fifo.pop(), Some(7));
        assert!(!fifo.can_push(), "the place is free only in the next cycle");
        fifo.commit();
        assert!(fifo.can_push());
    }
}
