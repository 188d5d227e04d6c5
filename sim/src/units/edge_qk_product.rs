//! Queries times keys of Edge-MoE (section IV-A of the paper).
//!
//! A few queries stay while all keys pass, a token at a time. Query slot `o` takes its next query when
//! key `o` passes, so that one token per step keeps all slots busy: pass `b` computes query
//! `p b + o` from key `o` on and the query before it, `p (b - 1) + o`, for the keys below `o`. A query
//! therefore meets its keys in an order that starts at its slot, which is the order of its softmax.
//!
//! In each beat the features of one word meet those of every slot; products of 32 by 32 bits are cut to
//! features, added, scaled, and added to the score of the head.

use attelier_hw::edge_moe::formats::FEATURE;

use crate::datapath::fixed::{Fixed, quantise};

/// The product for one pair of query and key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EdgeQkProduct {
    /// Arithmetic.
    pub fixed: Fixed,
    /// Features of a word.
    pub lanes: usize,
    /// Features of a head, a multiple of `lanes`.
    pub head_width: usize,
    /// One over the square root of `head_width`, a feature.
    pub scale: i32,
}

impl EdgeQkProduct {
    /// The product for heads of `head_width` features, scaled by one over the square root of that.
    pub fn new(fixed: Fixed, lanes: usize, head_width: usize) -> Self {
        let scale = quantise(FEATURE, 1.0 / (head_width as f64).sqrt(), fixed.saturate);
        Self { fixed, lanes, head_width, scale }
    }

    /// What one beat makes of the score of one head.
    pub fn step(&self, score: i32, query: &[i32], key: &[i32]) -> i32 {
        let sum = self.fixed.dot(0, query, key, FEATURE.fraction);
        self.fixed.add(score, self.fixed.product(sum, self.scale))
    }

    /// Scores of all heads for one query and one key.
    pub fn scores(&self, query: &[i32], key: &[i32]) -> Vec<i32> {
        let heads = query.chunks(self.head_width).zip(key.chunks(self.head_width));
        let score = |(query, key): (&[i32], &[i32])| {
            let beats = query.chunks(self.lanes).zip(key.chunks(self.lanes));
            beats.fold(0, |score, (query, key)| self.step(score, query, key))
        };
        heads.map(score).collect()
    }
}

/// The query that slot `slot` works on when key `key` of pass `pass` comes; `None` before the first.
/// Numbers from the number of tokens on are padding.
pub fn query_of(pass: usize, key: usize, slot: usize, slots: usize) -> Option<usize> {
    let pass = if key >= slot { Some(pass) } else { pass.checked_sub(1) };
    pass.map(|pass| pass * slots + slot)
}

/// The keys of a query in the order in which they come.
pub fn key_order(query: usize, tokens: usize, slots: usize) -> impl Iterator<Item = usize> {
    let first = query % slots.max(1);
    (first..tokens).chain(0..first.min(tokens))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datapath::fixed::ONE;
    use crate::designs::edge_moe::attention::token_steps;

    /// By hand: 2 heads of 4 features, scale 1/2: (1*2 + 3*4) / 2 and -5 * 2 / 2.
    #[test]
    fn scores_are_scaled_products_head_by_head() {
        let unit = EdgeQkProduct::new(Fixed::default(), 2, 4);
        let query = [1, 0, 3, 0, 0, -5, 0, 0].map(|x| x * ONE);
        let key = [2, 7, 4, 0, 9, 2, 0, 1].map(|x| x * ONE);
        assert_eq!(unit.scores(&query, &key), [7 * ONE, -5 * ONE]);
    }

    #[test]
    fn products_and_scaled_words_lose_their_lower_bits() {
        let unit = EdgeQkProduct::new(Fixed::default(), 8, 64);
        assert_eq!(unit.scale, ONE / 8);
        // Fifteen last bits in one word are one after scaling, eight and seven in two words as well.
        assert_eq!(unit.scores(&[ONE; 64], &[[15, 0].as_slice(), &[0; 62]].concat()), [1]);
        let mut key = [0; 64];
        (key[0], key[8]) = (8, 7);
        assert_eq!(unit.scores(&[ONE; 64], &key), [1]);
        // Two products of half a bit in one word are nothing.
        assert_eq!(unit.scores(&[ONE / 2; 64], &[1; 64]), [0]);
        assert_eq!(unit.scores(&[-ONE / 2; 64], &[1; 64]), [-8]);
    }

    /// Walking through all token steps, every slot meets every pair of its queries once, in order.
    #[test]
    fn staggered_slots_meet_every_key_once_in_the_stated_order() {
        for (tokens, slots) in [(129, 4), (7, 3), (5, 1), (6, 5), (3, 4)] {
            let mut met = vec![Vec::new(); tokens];
            for step in 0..token_steps(tokens as u32, slots as u32) as usize {
                let (pass, key) = (step / tokens, step % tokens);
                for slot in 0..slots {
                    let query = query_of(pass, key, slot, slots);
                    if let Some(met) = query.and_then(|query| met.get_mut(query)) {
                        met.push(key);
                    }
                }
            }
            for (query, met) in met.into_iter().enumerate() {
                let order: Vec<usize> = key_order(query, tokens, slots).collect();
                assert_eq!(met, order, "query {query} of {tokens} with {slots} slots");
            }
        }
    }
}
