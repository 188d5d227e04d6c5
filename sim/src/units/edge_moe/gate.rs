//! The gate (`src/moe.cpp` of the released code), token by token: logits, then one expert after the other,
//! then a division for each of those chosen.

use attelier_hw::edge_moe::Sizes;

use crate::units::edge_gate::EdgeGate;

/// Operands, products, sums: beside the levels of the tree \[cycles\].
const LOGITS: u64 = 3;
/// From one expert to the next \[cycles\].
const EXPERT: u64 = 2;
/// From the last expert to the sum of all \[cycles\].
const SUM: u64 = 8;
/// Distance, exponential; a bit of the quotient each, and one to begin \[cycles\].
const SCORE: u64 = 1 + 4 + 54;

/// The unit.
#[derive(Debug, Clone)]
pub struct Gate {
    sizes: Sizes,
    cycle: u64,
    arithmetic: EdgeGate,
    token: Vec<i32>,
    /// Experts of a token with their scores, and from when on they are offered.
    chosen: Option<(u64, Vec<(usize, i32)>)>,
}

impl Gate {
    /// Weights of zero.
    pub fn new(sizes: &Sizes) -> Self {
        Self {
            sizes: sizes.clone(),
            cycle: 0,
            arithmetic: EdgeGate {
                fixed: Default::default(),
                lanes: sizes.lanes as usize,
                inputs: sizes.width as usize,
                weights: vec![0; (sizes.experts * sizes.width) as usize],
                top_k: sizes.chosen as usize,
            },
            token: Vec::new(),
            chosen: None,
        }
    }

    /// Writes a word of the weights of an expert, between tokens.
    pub fn write(&mut self, expert: usize, word: usize, weights: &[i16]) {
        let at = expert * self.arithmetic.inputs + word * weights.len();
        self.arithmetic.weights[at..at + weights.len()].copy_from_slice(weights);
    }

    /// Whether a word is taken.
    pub fn is_ready(&self) -> bool {
        self.chosen.is_none()
    }

    /// Whether no token is under way: weights may be written.
    pub fn is_idle(&self) -> bool {
        self.is_ready() && self.token.is_empty()
    }

    /// Experts that are offered, the best first.
    pub fn offered(&self) -> Option<&Vec<(usize, i32)>> {
        self.chosen.as_ref().filter(|(from, _)| *from <= self.cycle).map(|(_, chosen)| chosen)
    }

    /// One cycle: takes a word where [`is_ready`](Self::is_ready), and gives experts away if they are
    /// `taken`.
    pub fn tick(&mut self, word: Option<&[i32]>, taken: bool) {
        if taken && self.offered().is_some() {
            self.chosen = None;
        } else if let (None, Some(word)) = (&self.chosen, word) {
            self.token.extend(word);
            if self.token.len() == self.sizes.width as usize {
                let chosen = self.arithmetic.route(&std::mem::take(&mut self.token));
                let Sizes { lanes, experts, .. } = self.sizes;
                let logits = LOGITS + u64::from(lanes.ilog2());
                // A state more after the logits, one after the sum.
                let experts = 1 + EXPERT * (u64::from(experts) - 1) + SUM + 1;
                let scores = SCORE * chosen.len() as u64 + chosen.len() as u64;
                self.chosen = Some((self.cycle + logits + experts + scores, chosen));
            }
        }
        self.cycle += 1;
    }
}

#[cfg(test)]
mod tests {
    use attelier_hw::edge_moe::EdgeMoe;

    use super::*;
    use crate::datapath::fixed::ONE;

    /// Weights of expert e are e for the first feature: the last experts win.
    #[test]
    fn experts_of_a_token_come_after_all_divisions() {
        let mut sizes = Sizes::deployed(&EdgeMoe::preset("edge-moe").unwrap());
        (sizes.width, sizes.lanes, sizes.experts) = (4, 2, 4);
        let mut unit = Gate::new(&sizes);
        (0..4).for_each(|expert| unit.write(expert, 0, &[expert as i16 * 4096, 0]));
        for word in [[ONE, 0], [0, 0]] {
            unit.tick(Some(&word), true);
        }
        let mut cycles = 1;
        while unit.offered().is_none() {
            unit.tick(None, true);
            cycles += 1;
        }
        assert_eq!(cycles, 3 + 1 + 1 + 2 * 3 + 8 + 1 + 2 * 60);
        let chosen = unit.offered().unwrap();
        assert_eq!([chosen[0].0, chosen[1].0], [3, 2]);
        // 1 / (1 + e^-1/4 + e^-1/2 + e^-3/4).
        assert!((chosen[0].1 - (ONE as f64 * 0.349_932) as i32).abs() < 100, "{chosen:?}");
    }
}
