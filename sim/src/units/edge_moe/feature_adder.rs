//! The adder: residual additions (`src/add.cpp` of the released code), and the weighted results of an expert
//! added to those that are there (the writer of `src/linear.cpp`).

use attelier_hw::edge_moe::Sizes;

use super::outlet::Outlet;
use crate::datapath::fixed::Fixed;

/// Product, sum, queue \[cycles\].
const LATENCY: u64 = 3;
/// Words that are on their way or wait.
const PLACES: usize = 4;

/// The unit.
#[derive(Debug, Clone)]
pub struct FeatureAdder {
    fixed: Fixed,
    /// Words of a token, and how many of them came with the score at hand.
    words: u32,
    word: u32,
    outlet: Outlet<Vec<i32>>,
}

/// What is offered to the unit in one cycle.
#[derive(Debug, Clone, Copy, Default)]
pub struct Offered<'a> {
    /// What is added is multiplied with the score first.
    pub weighted: bool,
    /// A word of what is there.
    pub kept: Option<&'a [i32]>,
    /// A word of what is added.
    pub added: Option<&'a [i32]>,
    /// Score of a token.
    pub score: Option<i32>,
}

/// What the unit takes in one cycle, whether it is offered or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ready {
    /// A word of what is there.
    pub kept: bool,
    /// A word of what is added.
    pub added: bool,
    /// The score: its token ends.
    pub score: bool,
}

impl FeatureAdder {
    /// Nothing under way.
    pub fn new(sizes: &Sizes) -> Self {
        Self {
            fixed: Fixed::default(),
            words: sizes.token_words(),
            word: 0,
            outlet: Outlet::new(PLACES),
        }
    }

    /// Whether nothing is under way: weighted words may follow others.
    pub fn is_idle(&self) -> bool {
        self.word == 0 && self.outlet.is_empty()
    }

    /// Whether some words of a token came and others did not.
    pub fn is_mid_token(&self) -> bool {
        self.word != 0
    }

    /// A sum that is offered.
    pub fn offered(&self) -> Option<&Vec<i32>> {
        self.outlet.offered()
    }

    /// What is taken of what is offered.
    pub fn ready(&self, offered: &Offered<'_>) -> Ready {
        let Offered { weighted, kept, added, score } = offered;
        let is_open = self.outlet.has_room() && (!weighted || score.is_some());
        let takes = is_open && kept.is_some() && added.is_some();
        Ready {
            kept: is_open && added.is_some(),
            added: is_open && kept.is_some(),
            score: *weighted && takes && self.word + 1 == self.words,
        }
    }

    /// One cycle: takes what [`ready`](Self::ready) says, and gives a sum away if it is `taken`.
    pub fn tick(&mut self, offered: &Offered<'_>, taken: bool) {
        let is_open = self.ready(offered).kept;
        if let (true, Some(kept), Some(added)) = (is_open, offered.kept, offered.added) {
            let term = |added: i32| match offered.score.filter(|_| offered.weighted) {
                Some(score) => self.fixed.product(added, score),
                None => added,
            };
            let sums = kept.iter().zip(added);
            let sums = sums.map(|(kept, added)| self.fixed.add(*kept, term(*added))).collect();
            self.outlet.enter(LATENCY, sums);
            self.word = (self.word + 1) % self.words;
        }
        self.outlet.advance(taken);
    }
}

#[cfg(test)]
mod tests {
    use attelier_hw::edge_moe::EdgeMoe;

    use super::*;
    use crate::datapath::fixed::ONE;

    /// By hand: 1 + 3 = 4; with a score of a half 1 + 1.5, and the score goes with the second of two words.
    #[test]
    fn a_score_stays_for_the_words_of_its_token() {
        let mut sizes = Sizes::deployed(&EdgeMoe::preset("edge-moe").unwrap());
        (sizes.width, sizes.lanes) = (4, 2);
        let mut unit = FeatureAdder::new(&sizes);
        let (kept, added) = ([ONE, -ONE], [3 * ONE, ONE]);
        let plain = Offered { kept: Some(&kept), added: Some(&added), ..Offered::default() };
        let weighted = Offered { weighted: true, score: Some(ONE / 2), ..plain };
        assert!(!unit.ready(&Offered { score: None, ..weighted }).kept);
        assert!(unit.ready(&plain).kept && !unit.ready(&plain).score);
        unit.tick(&plain, true);
        unit.tick(&plain, true);
        assert!(!unit.ready(&weighted).score && unit.offered().is_none());
        unit.tick(&weighted, true);
        assert!(unit.ready(&weighted).score);
        assert_eq!(unit.offered(), Some(&vec![4 * ONE, 0]));
        unit.tick(&weighted, true);
        unit.tick(&Offered::default(), true);
        assert_eq!(unit.offered(), Some(&vec![5 * ONE / 2, -ONE / 2]));
    }
}
