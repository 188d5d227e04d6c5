//! Softmax of one pass: scores of several rows in turn, what turns scores into probabilities later out.
//!
//! An exponential is on its way while the next score comes; only a sum must be known before the next
//! score of its row is added, two cycles later. Rows that are complete wait for the division.

use std::collections::VecDeque;

use attelier_hw::edge_moe::Sizes;

use crate::datapath::fixed::Fixed;
use crate::units::edge_softmax::{RunningSoftmax as Row, SoftmaxInfo};

/// Score in, two registers of the distance, four of the exponential, two of the sum \[cycles\].
const SUM: u64 = 1 + 1 + 4 + 2;
/// A bit of the quotient each, and one to begin \[cycles\].
const DIVISION: u64 = 53 + 1;

/// Scores of all heads for one query and key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scores {
    /// The slot of the query.
    pub slot: u32,
    /// Whether there is a query.
    pub keep: bool,
    /// The first key of the query.
    pub first: bool,
    /// The last key of the query.
    pub last: bool,
    /// One per head.
    pub scores: Vec<i32>,
}

/// What is known of all heads of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// The slot of the query.
    pub slot: u32,
    /// One per head.
    pub heads: Vec<SoftmaxInfo>,
}

/// The unit.
#[derive(Debug, Clone)]
pub struct RunningSoftmax {
    cycle: u64,
    /// Rows by slot, then head.
    rows: Vec<Vec<Row>>,
    /// Slot of the score that entered one cycle before.
    recent: Option<u32>,
    /// Complete rows, each from the cycle on in which it can be divided.
    waiting: VecDeque<(u64, Info)>,
    /// The row that is divided, and from when on it is offered.
    dividing: Option<(u64, Info)>,
}

impl RunningSoftmax {
    /// No rows yet.
    pub fn new(sizes: &Sizes) -> Self {
        let row = Row::new(Fixed::default());
        Self {
            cycle: 0,
            rows: vec![vec![row; sizes.heads as usize]; sizes.queries as usize],
            recent: None,
            waiting: VecDeque::new(),
            dividing: None,
        }
    }

    /// Whether these scores are taken in this cycle.
    pub fn is_ready(&self, scores: &Scores) -> bool {
        let is_recent = self.recent == Some(scores.slot);
        let is_full = self.waiting.len() >= self.rows.len();
        !(scores.keep && (is_recent || scores.last && is_full))
    }

    /// What is offered in this cycle.
    pub fn offered(&self) -> Option<&Info> {
        self.dividing.as_ref().filter(|(from, _)| *from <= self.cycle).map(|(_, info)| info)
    }

    /// One cycle: takes scores where [`is_ready`](Self::is_ready), and gives away what is offered if it is
    /// `taken`.
    pub fn tick(&mut self, scores: Option<Scores>, taken: bool) {
        let leaves = taken && self.offered().is_some();
        let divides = self.dividing.is_none()
            && self.waiting.front().is_some_and(|(from, _)| *from <= self.cycle);
        let next = if divides { self.waiting.pop_front() } else { None };
        let scores = scores.filter(|scores| scores.keep);
        self.recent = scores.as_ref().map(|scores| scores.slot);
        if let Some(Scores { slot, first, last, scores, .. }) = scores {
            let rows = &mut self.rows[slot as usize];
            if first {
                rows.fill(Row::new(Fixed::default()));
            }
            rows.iter_mut().zip(scores).for_each(|(row, score)| row.push(score));
            if last {
                let heads = rows.iter().map(Row::info).collect();
                self.waiting.push_back((self.cycle + SUM + 1, Info { slot, heads }));
            }
        }
        if leaves {
            self.dividing = None;
        } else if let Some((_, info)) = next {
            self.dividing = Some((self.cycle + DIVISION, info));
        }
        self.cycle += 1;
    }
}

#[cfg(test)]
mod tests {
    use attelier_hw::edge_moe::EdgeMoe;

    use super::*;
    use crate::datapath::fixed::ONE;

    fn scores(slot: u32, first: bool, last: bool) -> Scores {
        Scores { slot, keep: true, first, last, scores: vec![7 * ONE; 3] }
    }

    /// Two equal scores in turn with those of another row: one over two, 8 cycles of the sum, one of the
    /// queue and 54 of the division after the last of them.
    #[test]
    fn rows_that_take_turns_are_divided_one_after_the_other() {
        let sizes = Sizes::deployed(&EdgeMoe::preset("edge-moe").unwrap());
        let mut unit = RunningSoftmax::new(&sizes);
        unit.tick(Some(scores(0, true, false)), true);
        assert!(!unit.is_ready(&scores(0, false, true)) && unit.is_ready(&scores(1, true, true)));
        unit.tick(Some(scores(1, true, true)), true);
        assert!(unit.is_ready(&scores(0, false, true)));
        unit.tick(Some(scores(0, false, true)), true);
        let mut seen = Vec::new();
        for cycle in 3.. {
            if let Some(info) = unit.offered() {
                seen.push((cycle, info.slot, info.heads[2].factor));
            }
            unit.tick(None, true);
            if seen.len() == 2 {
                break;
            }
        }
        let first = 1 + 8 + 1 + 54;
        assert_eq!(seen, [(first, 1, ONE), (first + 1 + 54, 0, ONE / 2)]);
    }
}
