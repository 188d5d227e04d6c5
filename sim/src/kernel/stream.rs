//! A ready/valid link that carries packets of beats, at most one beat per cycle.
//!
//! Beats carry no data here: the functional results of a packet are known to its header. What is
//! modelled is when each beat moves.

use std::collections::VecDeque;

use super::{FOREVER, snapshot::Snapshot};

/// An elastic buffer of beats with packet headers.
#[derive(Debug, Clone)]
pub struct Stream<H> {
    depth: u32,
    level: u32,
    pushed: bool,
    popped: bool,
    packets: VecDeque<(H, u32)>,
}

impl<H: Copy> Stream<H> {
    /// A link that buffers `depth` beats; 2 or more sustain one beat per cycle.
    pub fn new(depth: u32) -> Self {
        Self { depth, level: 0, pushed: false, popped: false, packets: VecDeque::new() }
    }

    /// Buffered beats that are visible in this cycle.
    pub fn level(&self) -> u32 {
        self.level
    }

    /// Capacity in beats.
    pub fn depth(&self) -> u32 {
        self.depth
    }

    /// Whether a beat can be pushed in this cycle.
    pub fn can_push(&self) -> bool {
        self.level < self.depth
    }

    /// Pushes beat `index` of a packet of `beats` beats.
    pub fn push_beat(&mut self, header: H, index: u32, beats: u32) {
        if index == 0 { self.push_first(header, beats) } else { self.push() }
    }

    /// Pushes the first of `beats` beats of a packet.
    pub fn push_first(&mut self, header: H, beats: u32) {
        debug_assert!(beats > 0, "a packet has at least one beat");
        self.packets.push_back((header, beats));
        self.push();
    }

    /// Pushes a further beat of the packet opened last.
    pub fn push(&mut self) {
        debug_assert!(self.can_push() && !self.pushed, "one beat per cycle, into a free place");
        self.pushed = true;
    }

    /// Header and beats not yet popped of the packet whose beat is visible, if any is.
    pub fn front(&self) -> Option<(H, u32)> {
        if self.level == 0 { None } else { self.packets.front().copied() }
    }

    /// Takes one beat; returns whether it was the last of its packet.
    pub fn pop(&mut self) -> bool {
        debug_assert!(self.level > 0 && !self.popped, "one visible beat per cycle");
        self.popped = true;
        let front = self.packets.front_mut().expect("a visible beat has a header");
        front.1 -= 1;
        let last = front.1 == 0;
        if last {
            self.packets.pop_front();
        }
        last
    }

    /// Whether a beat was taken in the committed cycle.
    pub fn popped(&self) -> bool {
        self.popped
    }

    /// Ends the cycle. The moves of the cycle stay known until [`Stream::begin`].
    pub fn commit(&mut self) {
        self.level = self.level + u32::from(self.pushed) - u32::from(self.popped);
    }

    /// Starts the next cycle.
    pub fn begin(&mut self) {
        self.pushed = false;
        self.popped = false;
    }

    /// Cycles for which the moves of the committed cycle can repeat.
    pub fn steady(&self) -> u64 {
        let level = match (self.pushed, self.popped) {
            (true, false) => u64::from(self.depth - self.level),
            (false, true) => u64::from(self.level),
            _ => FOREVER,
        };
        if !self.popped {
            return level;
        }
        // The last beat of a packet is always popped in a cycle that is evaluated.
        let left = self.packets.front().map_or(0, |&(_, left)| u64::from(left) - 1);
        level.min(left)
    }

    /// Writes the state between two cycles; `header` writes a header.
    pub fn snapshot(&self, to: &mut Snapshot, header: impl Fn(&H, &mut Snapshot)) {
        to.put(self.level);
        to.length(self.packets.len());
        for (packet, left) in &self.packets {
            header(packet, to);
            to.put(*left);
        }
    }

    /// Repeats the moves of the committed cycle `n` times.
    pub fn leap(&mut self, n: u64) {
        let n = u32::try_from(n).unwrap_or(u32::MAX);
        match (self.pushed, self.popped) {
            (true, false) => self.level += n,
            (false, true) => self.level -= n,
            _ => {}
        }
        if self.popped {
            let front = self.packets.front_mut().expect("a popped stream has a packet");
            front.1 -= n;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leap_equals_single_cycles() {
        let mut leapt = Stream::new(8);
        leapt.push_first('a', 6);
        leapt.commit();
        let mut stepped = leapt.clone();
        assert_eq!(leapt.steady(), 7);
        leapt.leap(5);
        for _ in 0..5 {
            stepped.begin();
            stepped.push();
            stepped.commit();
        }
        assert_eq!(leapt.level(), stepped.level());
        assert_eq!(leapt.front(), Some(('a', 6)));
    }

    #[test]
    fn the_last_beat_of_a_packet_bounds_a_leap() {
        let mut stream = Stream::new(8);
        for beat in 0..4 {
            stream.begin();
            if beat == 0 {
                stream.push_first((), 4)
            } else {
                stream.push()
            }
            stream.commit();
        }
        stream.begin();
        assert!(!stream.pop());
        stream.commit();
        assert_eq!(stream.steady(), 2, "3 beats left, the last one is not leapt over");
    }
}
