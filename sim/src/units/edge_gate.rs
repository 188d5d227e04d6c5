//! The gate of Edge-MoE: logits, softmax of one pass over all experts, and the experts of a token
//! (section IV-E of the paper).
//!
//! Experts are inserted one after the other into a short list, the best first, by a strict comparison: of
//! equal logits the lower index stays ahead, and what is beaten by all keeps the list as it is. The
//! released insertion lacks that last branch; a later design by others adds it to the same code. Weights
//! of the chosen are their probabilities among all experts, not renormalized, each by a division.

use attelier_hw::edge_moe::formats::WEIGHT;

use super::edge_softmax::RunningSoftmax;
use crate::datapath::fixed::Fixed;

/// The gate of one task and layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgeGate {
    /// Arithmetic.
    pub fixed: Fixed,
    /// Features of a word.
    pub lanes: usize,
    /// Features of a token.
    pub inputs: usize,
    /// Weights, expert after expert: (experts, features), in units of [`WEIGHT`].
    pub weights: Vec<i16>,
    /// Experts of a token.
    pub top_k: usize,
}

/// An expert chosen for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// The expert.
    pub expert: usize,
    /// Its logit.
    pub logit: i32,
}

/// The best so far, the best first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopK {
    k: usize,
    best: Vec<Choice>,
}

impl TopK {
    /// An empty list of at most `k`.
    pub fn new(k: usize) -> Self {
        Self { k, best: Vec::with_capacity(k + 1) }
    }

    /// Inserts an expert behind those that it does not beat.
    pub fn insert(&mut self, choice: Choice) {
        let beaten = self.best.iter().position(|known| choice.logit > known.logit);
        self.best.insert(beaten.unwrap_or(self.best.len()), choice);
        self.best.truncate(self.k);
    }

    /// The list.
    pub fn best(&self) -> &[Choice] {
        &self.best
    }
}

impl EdgeGate {
    /// Logits of all experts for one token.
    pub fn logits(&self, token: &[i32]) -> Vec<i32> {
        let logit = |weights: &[i16]| {
            let words = token.chunks(self.lanes).zip(weights.chunks(self.lanes));
            words.fold(0, |sum, (token, weights)| {
                self.fixed.dot(sum, token, weights, WEIGHT.fraction)
            })
        };
        self.weights.chunks_exact(self.inputs).map(logit).collect()
    }

    /// Experts of one token with their scores, the best first.
    pub fn route(&self, token: &[i32]) -> Vec<(usize, i32)> {
        self.choose(&self.logits(token))
    }

    /// Experts with their scores for these logits.
    pub fn choose(&self, logits: &[i32]) -> Vec<(usize, i32)> {
        let mut softmax = RunningSoftmax::new(self.fixed);
        let mut top = TopK::new(self.top_k);
        for (expert, &logit) in logits.iter().enumerate() {
            softmax.push(logit);
            top.insert(Choice { expert, logit });
        }
        let scored = |choice: &Choice| (choice.expert, softmax.probability(choice.logit));
        top.best().iter().map(scored).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::datapath::fixed::ONE;

    fn gate(weights: Vec<i16>, top_k: usize) -> EdgeGate {
        EdgeGate { fixed: Fixed::default(), lanes: 8, inputs: 2, weights, top_k }
    }

    /// Weights of 1: logits are 3 + 4, 3, 4 and 0.
    #[test]
    fn logits_are_products_with_each_expert() {
        let one = 1 << 14;
        let gate = gate(vec![one, one, one, 0, 0, one, 0, 0], 2);
        assert_eq!(gate.logits(&[3 * ONE, 4 * ONE]), [7 * ONE, 3 * ONE, 4 * ONE, 0]);
        let experts: Vec<_> = gate.route(&[3 * ONE, 4 * ONE]).iter().map(|best| best.0).collect();
        assert_eq!(experts, [0, 2]);
    }

    /// The case without a branch in the released code: what comes after the best two is below both.
    #[test]
    fn a_late_bad_expert_changes_nothing() {
        let experts = |logits: &[i32]| {
            gate(Vec::new(), 2).choose(logits).iter().map(|best| best.0).collect::<Vec<_>>()
        };
        assert_eq!(experts(&[9, 8, 1, 2]), [0, 1]);
        assert_eq!(experts(&[1, 9, 8, 8]), [1, 2]);
        assert_eq!(experts(&[5, 5, 5]), [0, 1]);
        assert_eq!(experts(&[1, 2, 3]), [2, 1]);
    }

    #[test]
    fn scores_are_shares_of_all_experts() {
        // ln 2 in units of the last bit: shares 2/4, 1/4 and 1/4.
        let choices = gate(Vec::new(), 2).choose(&[0, 2_907_270, 0]);
        assert_eq!([choices[0].0, choices[1].0], [1, 0]);
        assert!((choices[0].1 - ONE / 2).abs() <= 2 && (choices[1].1 - ONE / 4).abs() <= 2);
    }

    proptest! {
        #[test]
        fn the_chosen_are_the_head_of_a_stable_sort(
            logits in prop::collection::vec(-6i32..6, 1..20),
            k in 1usize..6,
        ) {
            let mut order: Vec<usize> = (0..logits.len()).collect();
            order.sort_by_key(|&expert| std::cmp::Reverse(logits[expert]));
            order.truncate(k);
            let choices = gate(Vec::new(), k).choose(&logits);
            prop_assert_eq!(choices.into_iter().map(|best| best.0).collect::<Vec<_>>(), order);
        }
    }
}
