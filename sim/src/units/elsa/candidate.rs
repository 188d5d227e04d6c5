//! Candidate selection of ELSA (sections III-D and IV-C of the paper).
//!
//! Bits that differ between the hashes of query and key give an angle; its cosine, from a table, times the
//! norm of the key estimates the product of the key with the query's direction. Keys above a threshold are
//! candidates.

use std::collections::VecDeque;

use attelier_hw::elsa::Elsa;

/// Difference, count, cosine, product, comparison \[cycles\].
const STAGES: usize = 5;

/// Estimates, in units of their last bit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Estimates {
    /// By the number of bits that differ.
    cosines: Vec<i64>,
    most_norm: u64,
}

impl Estimates {
    /// The table of a machine: cos(max(0, pi / k h - bias)) for h bits that differ, rounded to nearest.
    pub fn new(params: &Elsa) -> Self {
        let one = f64::from(1u32 << params.selection.cosine_fraction_bits);
        let bits = params.head_dim;
        let bias = f64::from(params.selection.bias_mrad) / 1000.0;
        let cosine = |distance: u32| {
            let angle = std::f64::consts::PI / f64::from(bits) * f64::from(distance) - bias;
            (angle.max(0.0).cos() * one).round() as i64
        };
        let most_norm = (1u64 << params.format.norm_bits) - 1;
        Self { cosines: (0..=bits).map(cosine).collect(), most_norm }
    }

    /// The norm of a key, cut to the fraction bits of an element; the largest one where it does not fit.
    pub fn norm(&self, key: &[i64]) -> u64 {
        let squares: u64 = key.iter().map(|element| element.unsigned_abs().pow(2)).sum();
        squares.isqrt().min(self.most_norm)
    }

    /// What the product of a key with the direction of a query is taken for.
    pub fn of(&self, query_hash: u64, key_hash: u64, norm: u64) -> i64 {
        self.cosines[(query_hash ^ key_hash).count_ones() as usize] * norm as i64
    }
}

/// A key as its memories give it to a selection module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Its hash.
    pub hash: u64,
    /// Its norm.
    pub norm: u64,
}

/// The selection modules of a bank with their cycles: a word of keys enters in each.
#[derive(Debug, Clone)]
pub struct CandidateModules {
    estimates: Estimates,
    query: u64,
    threshold: i64,
    /// Row of a word and the estimates of the keys in it, where there are keys.
    stages: VecDeque<Option<(u64, Vec<Option<i64>>)>>,
    shown: Option<(u64, Vec<bool>)>,
}

impl CandidateModules {
    /// Modules with a query and a threshold of zero.
    pub fn new(params: &Elsa) -> Self {
        Self {
            estimates: Estimates::new(params),
            query: 0,
            threshold: 0,
            stages: VecDeque::from(vec![None; STAGES - 1]),
            shown: None,
        }
    }

    /// Row of the word that shows in this cycle, and which of its keys are candidates.
    pub fn shown(&self) -> Option<&(u64, Vec<bool>)> {
        self.shown.as_ref()
    }

    /// One cycle: a word enters, another one is compared. The query and threshold are those of the
    /// cycles before, whatever comes with them.
    pub fn tick(
        &mut self,
        word: Option<(u64, &[Option<Key>])>,
        query: Option<u64>,
        threshold: Option<i64>,
    ) {
        let entering = word.map(|(row, keys)| {
            let estimate = |key: &Option<Key>| {
                key.map(|key| self.estimates.of(self.query, key.hash, key.norm))
            };
            (row, keys.iter().map(estimate).collect())
        });
        self.stages.push_back(entering);
        self.shown = self.stages.pop_front().flatten().map(|(row, estimates)| {
            let exceeds = |estimate: Option<i64>| estimate.is_some_and(|it| it > self.threshold);
            (row, estimates.into_iter().map(exceeds).collect())
        });
        self.query = query.unwrap_or(self.query);
        self.threshold = threshold.unwrap_or(self.threshold);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params() -> Elsa {
        Elsa::preset("elsa").unwrap()
    }

    /// cos(32 pi / 64 - 0.127) = sin 0.127 = 0.12666, and -cos 0.127 = -0.99195, in units of 1/128.
    #[test]
    fn cosines_are_those_of_the_corrected_angle() {
        let estimates = Estimates::new(&params());
        assert_eq!(estimates.cosines.len(), 65);
        let at = [0, 2, 3, 32, 64].map(|distance: usize| estimates.cosines[distance]);
        assert_eq!(at, [128, 128, 128, 16, -127]);
        assert!(estimates.cosines.is_sorted_by(|near, far| near >= far));
    }

    /// A vector (3, 4) has length 5; beyond 255 units a norm stays there.
    #[test]
    fn norms_are_cut_and_bounded() {
        let estimates = Estimates::new(&params());
        assert_eq!(
            [&[3, -4][..], &[1, 1], &[200, 200], &[]].map(|key| estimates.norm(key)),
            [5, 1, 255, 0]
        );
    }

    #[test]
    fn a_word_shows_after_five_cycles_with_the_query_of_its_time() {
        let mut modules = CandidateModules::new(&params());
        modules.tick(None, Some(0b111), Some(16 * 50));
        // Equal hashes, 32 bits that differ, no key, a short one.
        let key = |hash, norm| Some(Key { hash, norm });
        let word = [key(0b111, 51), key(0b111 | 0xffff_ffff_u64 << 8, 51), None, key(0b111, 6)];
        modules.tick(Some((7, &word)), Some(0), None);
        for _ in 0..4 {
            assert_eq!(modules.shown(), None);
            modules.tick(None, None, None);
        }
        // 51 cosines of 16/128 exceed 50 of them; 6 of 128/128 do not.
        assert_eq!(modules.shown(), Some(&(7, vec![true, true, false, false])));
        modules.tick(None, None, None);
        assert_eq!(modules.shown(), None);
    }
}
