//! The walker of a queue: tells the tokens of an expert to who reads and writes their rows (the token numbers
//! that the reader of `src/linear.cpp` of the released code hands to its writer).

use std::collections::VecDeque;

use super::expert_queues::Entry;

/// Tokens that wait for a receiver.
const PLACES: usize = 8;

/// Who is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receiver {
    /// Who reads the rows that are multiplied.
    Read,
    /// Who writes the results.
    Write,
    /// Who reads what is there already.
    Kept,
    /// The adder, which gets the score.
    Score,
}

/// All receivers.
pub const RECEIVERS: [Receiver; 4] =
    [Receiver::Read, Receiver::Write, Receiver::Kept, Receiver::Score];

/// The unit.
#[derive(Debug, Clone, Default)]
pub struct QueueWalker {
    /// Entries left of the queue, and the next position.
    left: u32,
    position: u32,
    expert: u32,
    /// The queues show the entry to be told.
    has_entry: bool,
    queues: [VecDeque<u32>; 4],
}

impl QueueWalker {
    /// The entry that is asked for in this cycle: expert and position.
    pub fn asks(&self) -> Option<(u32, u32)> {
        let free = !self.has_entry || self.all_ready();
        (self.left > 0 && free).then_some((self.expert, self.position))
    }

    /// What waits for a receiver.
    pub fn offered(&self, receiver: Receiver) -> Option<u32> {
        self.queues[receiver as usize].front().copied()
    }

    /// Whether nothing is left.
    pub fn is_idle(&self) -> bool {
        self.left == 0 && !self.has_entry && self.queues.iter().all(VecDeque::is_empty)
    }

    fn all_ready(&self) -> bool {
        self.queues.iter().all(|queue| queue.len() < PLACES)
    }

    /// One cycle: starts the queue of an expert with its length; `entry` is what was asked for last, which
    /// goes to the last two receivers too where `weighted`. What receivers were offered is `taken` or not.
    pub fn tick(
        &mut self,
        start: Option<(u32, u32)>,
        entry: Option<Entry>,
        weighted: bool,
        taken: [bool; 4],
    ) {
        let (asks, all_ready) = (self.asks().is_some(), self.all_ready());
        for (queue, taken) in self.queues.iter_mut().zip(taken) {
            if taken {
                queue.pop_front();
            }
        }
        if let (true, true, Some(entry)) = (self.has_entry, all_ready, entry) {
            let receivers = if weighted { 4 } else { 2 };
            for (receiver, queue) in RECEIVERS.iter().zip(&mut self.queues).take(receivers) {
                let is_score = *receiver == Receiver::Score;
                queue.push_back(if is_score { entry.score } else { entry.token });
            }
        }
        if !self.has_entry || all_ready {
            self.has_entry = asks;
        }
        self.left -= u32::from(asks);
        self.position += u32::from(asks);
        if let Some((expert, length)) = start {
            (self.expert, self.left, self.position) = (expert, length, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A writer that takes nothing holds the walker up after its eight places; the others get them all.
    #[test]
    fn every_receiver_gets_all_tokens_in_order() {
        let mut unit = QueueWalker::default();
        unit.tick(Some((3, 12)), None, true, [false; 4]);
        let mut got: [Vec<u32>; 4] = Default::default();
        let mut shown = None;
        for cycle in 0..60 {
            let taken = [true, cycle > 30, true, true];
            for (at, receiver) in RECEIVERS.into_iter().enumerate() {
                got[at].extend(unit.offered(receiver).filter(|_| taken[at]));
            }
            let asked = unit.asks();
            unit.tick(None, shown, true, taken);
            if let Some((expert, position)) = asked {
                assert_eq!(expert, 3);
                shown = Some(Entry { token: 2 * position, score: 100 + position });
            }
            if cycle == 30 {
                assert_eq!(got.each_ref().map(Vec::len), [8, 0, 8, 8]);
            }
        }
        let tokens: Vec<u32> = (0..12).map(|at| 2 * at).collect();
        assert!(got[..3].iter().all(|got| *got == tokens) && unit.is_idle());
        assert_eq!(got[3], (100..112).collect::<Vec<_>>());
    }
}
