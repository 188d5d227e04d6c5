//! The decisions inside a pass a second time, in real numbers: whether the probabilities are flat, and
//! which values are kept.

use attelier_workloads::reference::{softmax, top_k};

use super::check::{BOUNDED_SCORE, LayerCheck, RELATIVE};
use super::head::{HeadWords, PassResult, Rules, vectors};
use crate::datapath::quantise::Quantiser;

/// What a group of fused heads decided on.
pub struct Decided<'a> {
    /// Words and rules per head.
    pub inputs: &'a [(HeadWords, Rules)],
    /// Scales of queries, keys and values per head.
    pub quantisers: &'a [[Quantiser; 3]],
    /// Factor of the scores.
    pub scale: f64,
    /// Elements of a vector.
    pub head_dim: usize,
    /// Width of a word \[bits\].
    pub word_bits: u32,
}

impl Decided<'_> {
    /// Compares all passes of the group.
    pub fn check(&self, results: &[Vec<PassResult>], to: &mut LayerCheck) {
        let queries = results.first().map_or(0, Vec::len);
        for query in 0..queries {
            let passes: Vec<&PassResult> = results.iter().map(|head| &head[query]).collect();
            for (head, pass) in passes.iter().enumerate() {
                self.check_verdict(head, query, pass, to);
            }
            // The head that is decided first selects for all: the first that is not computed again.
            let again = |head: &usize| passes[*head].whole && !self.inputs[*head].1.whole;
            let first = (0..passes.len()).find(|head| !again(head)).unwrap_or(0);
            let probabilities: Vec<f64> =
                passes[first].probabilities.iter().map(|code| f64::from(*code)).collect();
            let kept = self.inputs[first].1.kept;
            let expected: Vec<u32> =
                top_k(&probabilities, kept).into_iter().map(|at| at as u32).collect();
            to.other_decisions += passes.iter().filter(|pass| pass.kept != expected).count() as u64;
        }
    }

    /// Scores of a query against keys, in real numbers.
    fn scores(&self, head: usize, query: usize, keys: &[i32]) -> Vec<f64> {
        let [of_query, of_key, _] = self.quantisers[head].map(|q| q.word_step(self.word_bits));
        let step = self.scale * of_query * of_key;
        let query = &self.inputs[head].0.queries[query * self.head_dim..][..self.head_dim];
        let product = |key: &[i32]| -> f64 {
            key.iter().zip(query).map(|(k, q)| f64::from(*k) * f64::from(*q)).sum()
        };
        vectors(keys, self.head_dim).map(|key| step * product(key)).collect()
    }

    /// Whether LSBs were read where the largest probability is below the threshold, and what leaving
    /// them away does to the probabilities.
    fn check_verdict(&self, head: usize, query: usize, pass: &PassResult, to: &mut LayerCheck) {
        let (words, rules) = &self.inputs[head];
        if rules.whole || words.whole_keys.is_empty() {
            return;
        }
        let coarse = self.scores(head, query, &words.keys);
        let fine = self.scores(head, query, &words.whole_keys);
        if !coarse.iter().all(|score| score.abs() <= BOUNDED_SCORE) {
            return;
        }
        let (of_coarse, of_fine) = (softmax(&coarse), softmax(&fine));
        let last = 1.0 / f64::from(1u32 << self.word_bits);
        let largest = of_coarse.iter().copied().fold(0.0, f64::max);
        let threshold = f64::from(rules.threshold) * last;
        // Closer to the threshold than a probability is exact, either verdict is right.
        if (largest - threshold).abs() > last + largest * RELATIVE {
            to.other_decisions += u64::from(pass.whole != (largest < threshold));
        }
        let errors = coarse.iter().zip(&fine).map(|(coarse, fine)| coarse - fine);
        let (least, most) = errors.fold((0.0f64, 0.0f64), |(a, b), e| (a.min(e), b.max(e)));
        let moved: f64 = of_coarse.iter().zip(&of_fine).map(|(a, b)| (a - b).abs()).sum();
        to.halved += 1;
        to.beyond_half += u64::from(moved > 0.5 * (most - least) + 1e-12);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datapath::softmax::Scale;

    /// Two keys, of which the second is larger by its LSB; nothing else is decided.
    fn head(threshold: u16) -> (HeadWords, Rules) {
        let words = HeadWords {
            queries: vec![1 << 10],
            keys: vec![0, 0],
            whole_keys: vec![0, 1 << 9],
            values: vec![0, 0],
        };
        (words, Rules { scale: Scale::new(1e-6), threshold, whole: false, kept: 1 })
    }

    #[test]
    fn wrong_verdicts_and_selections_are_counted() {
        let quantiser = Quantiser::fit([1.0], 12);
        let count = |threshold, whole, kept: u32| {
            let inputs = [head(threshold)];
            let decided = Decided {
                inputs: &inputs,
                quantisers: &[[quantiser; 3]],
                scale: 1.0,
                head_dim: 1,
                word_bits: 12,
            };
            let probabilities = if whole { vec![1800, 2296] } else { vec![2048, 2048] };
            let pass = PassResult { probabilities, whole, kept: vec![kept], output: vec![0] };
            let mut check = LayerCheck::default();
            decided.check(&[vec![pass]], &mut check);
            assert_eq!((check.halved, check.beyond_half), (1, 0));
            check.other_decisions
        };
        // Both keys have probability 1/2: flat below a threshold of 0.6, not below 0.4.
        assert_eq!(count(2458, true, 1), 0);
        assert_eq!(count(2458, false, 0), 1);
        assert_eq!(count(1638, false, 0), 0);
        assert_eq!(count(1638, true, 1), 1);
        assert_eq!(count(1638, false, 1), 1);
    }
}
