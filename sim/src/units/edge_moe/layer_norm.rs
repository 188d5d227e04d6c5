//! Layer normalization, token by token: moments while the token comes, root and reciprocal bit by bit, then
//! the token leaves.

use attelier_hw::edge_moe::Sizes;

use super::outlet::Outlet;
use crate::units::edge_layer_norm::EdgeLayerNorm;

/// Operands, squares, shares, sums, the square of the mean: beside the levels of the tree \[cycles\].
const MOMENTS: u64 = 5;
/// A bit of root and quotient each, and one to begin \[cycles\].
const ROOT: u64 = 28;
const DIVISION: u64 = 54;
/// Word, difference, two products, sum, queue \[cycles\].
const LATENCY: u64 = 6;
/// Words that are on their way or wait.
const PLACES: usize = 8;

/// The unit.
#[derive(Debug, Clone)]
pub struct LayerNorm {
    sizes: Sizes,
    cycle: u64,
    arithmetic: EdgeLayerNorm,
    token: Vec<i32>,
    /// What leaves, from when on, and how many of its words left.
    leaving: Option<(u64, Vec<i32>, usize)>,
    outlet: Outlet<Vec<i32>>,
}

impl LayerNorm {
    /// Weights and biases of zero.
    pub fn new(sizes: &Sizes) -> Self {
        let zero = vec![0; sizes.width as usize];
        Self {
            sizes: sizes.clone(),
            cycle: 0,
            arithmetic: EdgeLayerNorm {
                fixed: Default::default(),
                weight: zero.clone(),
                bias: zero,
            },
            token: Vec::new(),
            leaving: None,
            outlet: Outlet::new(PLACES),
        }
    }

    /// Writes weights and biases of a word, between tokens.
    pub fn write(&mut self, word: usize, weights: &[i32], biases: &[i32]) {
        let at = word * weights.len();
        self.arithmetic.weight[at..at + weights.len()].copy_from_slice(weights);
        self.arithmetic.bias[at..at + biases.len()].copy_from_slice(biases);
    }

    /// Whether a word is taken.
    pub fn is_ready(&self) -> bool {
        self.leaving.is_none()
    }

    /// Whether no token is under way: weights may be written.
    pub fn is_idle(&self) -> bool {
        self.is_ready() && self.token.is_empty() && self.outlet.is_empty()
    }

    /// A word that is offered.
    pub fn offered(&self) -> Option<&Vec<i32>> {
        self.outlet.offered()
    }

    /// One cycle: takes a word where [`is_ready`](Self::is_ready), and gives one away if it is `taken`.
    pub fn tick(&mut self, word: Option<&[i32]>, taken: bool) {
        let lanes = self.sizes.lanes as usize;
        if let Some((from, token, left)) = &mut self.leaving {
            if *from <= self.cycle && self.outlet.has_room() {
                self.outlet.enter(LATENCY, token[*left * lanes..(*left + 1) * lanes].to_vec());
                *left += 1;
                if *left * lanes == token.len() {
                    self.leaving = None;
                }
            }
        } else if let Some(word) = word {
            self.token.extend(word);
            if self.token.len() == self.sizes.width as usize {
                let token = self.arithmetic.token(&std::mem::take(&mut self.token));
                let moments = MOMENTS + u64::from(self.sizes.lanes.ilog2());
                // One more until the state says so.
                let from = self.cycle + moments + ROOT + DIVISION + 1;
                self.leaving = Some((from, token, 0));
            }
        }
        self.outlet.advance(taken);
        self.cycle += 1;
    }
}

#[cfg(test)]
mod tests {
    use attelier_hw::edge_moe::EdgeMoe;

    use super::*;
    use crate::datapath::fixed::ONE;

    /// By hand: the features are -2 and 2 in turn, of variance 4; weight 1, bias 3.
    #[test]
    fn a_token_leaves_once_its_root_is_known() {
        let mut sizes = Sizes::deployed(&EdgeMoe::preset("edge-moe").unwrap());
        (sizes.width, sizes.lanes) = (8, 4);
        let mut unit = LayerNorm::new(&sizes);
        (0..2).for_each(|word| unit.write(word, &[1 << 11; 4], &[3 << 11; 4]));
        let word = [-2, 2, -2, 2].map(|x| x * ONE);
        for _ in 0..2 {
            assert!(unit.is_ready());
            unit.tick(Some(&word), true);
        }
        let mut cycles = 0;
        while unit.offered().is_none() {
            assert!(!unit.is_ready() || cycles > 0);
            unit.tick(None, true);
            cycles += 1;
        }
        // Two levels of a tree, and 88 beside them; the last word came one cycle before the count.
        assert_eq!(cycles, 5 + 2 + 28 + 54 + 1 + 6 - 1);
        // Just below 2 and 4: epsilon makes the root a little larger than 2.
        for (feature, exact) in unit.offered().unwrap().iter().zip([2, 4, 2, 4]) {
            assert!((feature - exact * ONE).abs() < 8, "{feature}");
        }
    }
}
