//! Queues of the experts and the metaqueue (`src/moe.cpp` of the released code): each token is appended to
//! the queue of each of its experts; then experts that have tokens are listed in ascending order.
//!
//! The released gate writes both queues of a token at once; here one choice is written per cycle, so that
//! all queues share one memory. The gate takes longer than that for a token.

use std::collections::VecDeque;

use attelier_hw::edge_moe::Sizes;

/// One choice of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// The expert.
    pub expert: u32,
    /// Score that weights its output, as bits of a feature.
    pub score: u32,
}

/// What waits in a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The token.
    pub token: u32,
    /// Score that weights the expert's output.
    pub score: u32,
}

/// The unit.
#[derive(Debug, Clone)]
pub struct ExpertQueues {
    tokens: u32,
    queues: Vec<Vec<Entry>>,
    next_token: u32,
    open: bool,
    /// Choices that are still to be written.
    writes: VecDeque<(u32, Entry)>,
    /// Cycles that the metaqueue still takes, once it is being made.
    looks: Option<u32>,
    complete: bool,
}

impl ExpertQueues {
    /// No layer yet.
    pub fn new(sizes: &Sizes) -> Self {
        Self {
            tokens: sizes.tokens,
            queues: vec![Vec::new(); sizes.experts as usize],
            next_token: 0,
            open: false,
            writes: VecDeque::new(),
            looks: None,
            complete: false,
        }
    }

    /// Whether a token is taken in this cycle, in which a layer starts or not.
    pub fn is_ready(&self, start: bool) -> bool {
        self.open && self.writes.len() <= 1 && !start
    }

    /// Whether the metaqueue is complete.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// The queue of an expert.
    pub fn queue(&self, expert: u32) -> &[Entry] {
        self.queues.get(expert as usize).map_or(&[], Vec::as_slice)
    }

    /// Experts that have tokens, in ascending order.
    pub fn metaqueue(&self) -> Vec<u32> {
        (0..).zip(&self.queues).filter(|(_, queue)| !queue.is_empty()).map(|(at, _)| at).collect()
    }

    /// One cycle: starts a layer, or takes the choices of a token where [`is_ready`](Self::is_ready).
    pub fn tick(&mut self, start: bool, token: Option<(&[Choice], bool)>) {
        if start {
            self.queues.iter_mut().for_each(Vec::clear);
            self.writes.clear();
            (self.next_token, self.open, self.looks, self.complete) = (0, true, None, false);
            return;
        }
        if let Some(left) = &mut self.looks {
            *left -= 1;
            if *left == 0 {
                (self.looks, self.complete) = (None, true);
            }
        }
        if let Some((expert, entry)) = self.writes.pop_front() {
            if let Some(queue) = self.queues.get_mut(expert as usize) {
                queue.push(entry);
            }
            if self.writes.is_empty() && !self.open {
                self.looks = Some(self.queues.len() as u32);
            }
        }
        if let Some((choices, last)) = token {
            let entries = choices.iter().map(|choice| {
                (choice.expert, Entry { token: self.next_token, score: choice.score })
            });
            self.writes.extend(entries);
            self.next_token += 1;
            self.open = !last && self.next_token < self.tokens;
        }
    }
}

#[cfg(test)]
mod tests {
    use attelier_hw::edge_moe::EdgeMoe;

    use super::*;

    /// By hand: tokens 0, 1, 2 choose (3, 1), (1, 0) and (3, 2).
    #[test]
    fn tokens_wait_in_the_queues_of_their_experts_in_order() {
        let mut sizes = Sizes::deployed(&EdgeMoe::preset("edge-moe").unwrap());
        (sizes.experts, sizes.tokens) = (5, 9);
        let mut unit = ExpertQueues::new(&sizes);
        assert!(!unit.is_ready(false));
        unit.tick(true, None);
        let choose = |expert, score| Choice { expert, score };
        let tokens = [
            [choose(3, 10), choose(1, 11)],
            [choose(1, 12), choose(0, 13)],
            [choose(3, 14), choose(2, 15)],
        ];
        let mut cycles = 0;
        for (at, token) in tokens.iter().enumerate() {
            while !unit.is_ready(false) {
                unit.tick(false, None);
                cycles += 1;
            }
            unit.tick(false, Some((token, at == 2)));
            cycles += 1;
        }
        // Two cycles per token, the last one is still to be written.
        assert_eq!(cycles, 5);
        while !unit.is_complete() {
            assert!(!unit.is_ready(false));
            unit.tick(false, None);
            cycles += 1;
        }
        assert_eq!(cycles, 5 + 2 + 5);
        let of = |expert| -> Vec<(u32, u32)> {
            unit.queue(expert).iter().map(|entry| (entry.token, entry.score)).collect()
        };
        assert_eq!(of(0), [(1, 13)]);
        assert_eq!(of(1), [(0, 11), (1, 12)]);
        assert_eq!(of(2), [(2, 15)]);
        assert_eq!(of(3), [(0, 10), (2, 14)]);
        assert_eq!((of(4), unit.metaqueue()), (vec![], vec![0, 1, 2, 3]));
    }
}
