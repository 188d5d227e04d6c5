//! The output of a pipeline that cannot stop: a place in the queue behind it is reserved before something
//! enters it.

use std::collections::VecDeque;

/// The queue behind a pipeline, and what is on its way there.
#[derive(Debug, Clone)]
pub struct Outlet<T> {
    depth: usize,
    cycle: u64,
    /// What enters in this cycle counts from the next one on.
    reserved: usize,
    entered: usize,
    /// What is offered from so many cycles on.
    queue: VecDeque<(u64, T)>,
}

impl<T> Outlet<T> {
    /// Nothing on its way to `depth` places.
    pub fn new(depth: usize) -> Self {
        Self { depth, cycle: 0, reserved: 0, entered: 0, queue: VecDeque::new() }
    }

    /// Whether a place is free.
    pub fn has_room(&self) -> bool {
        self.reserved < self.depth
    }

    /// Whether nothing is on its way or waits.
    pub fn is_empty(&self) -> bool {
        self.reserved == 0
    }

    /// What is offered in this cycle.
    pub fn offered(&self) -> Option<&T> {
        self.queue.front().filter(|(from, _)| *from <= self.cycle).map(|(_, item)| item)
    }

    /// Something enters in this cycle and is offered so many cycles later.
    pub fn enter(&mut self, cycles: u64, item: T) {
        self.entered += 1;
        self.queue.push_back((self.cycle + cycles, item));
    }

    /// The next cycle; what was offered is gone if it was taken.
    pub fn advance(&mut self, taken: bool) -> Option<T> {
        let is_offered = self.offered().is_some();
        self.reserved += std::mem::take(&mut self.entered);
        self.cycle += 1;
        if !(is_offered && taken) {
            return None;
        }
        self.reserved -= 1;
        self.queue.pop_front().map(|(_, item)| item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_taken_when_something_enters_and_free_when_it_has_left() {
        let mut outlet = Outlet::new(1);
        assert!(outlet.has_room() && outlet.is_empty());
        outlet.enter(2, 'a');
        assert_eq!(outlet.advance(true), None);
        assert!(!outlet.has_room() && outlet.offered().is_none());
        assert_eq!(outlet.advance(true), None);
        assert_eq!(outlet.offered(), Some(&'a'));
        assert_eq!(outlet.advance(false), None);
        assert_eq!(outlet.advance(true), Some('a'));
        assert!(outlet.has_room());
    }
}
