//! Cascade pruning of tokens and of heads: what is dropped once stays dropped.
//!
//! SpAtten prunes tokens by the attention probability that they gathered (section III-A) and heads
//! by the magnitude of their outputs (section III-B, both algorithm 2). The bookkeeping is the
//! same: a cumulative importance per item, and a top-k among the survivors that keeps their order.

use ndarray::ArrayView2;

use super::error::{OperandError, expect_shape, expect_value};
use super::top_k;

/// Cumulative importance of tokens or heads, and which of them survive.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cascade {
    importance: Vec<f64>,
    survivors: Vec<usize>,
}

impl Cascade {
    /// `count` items, all alive, all of importance 0.
    pub fn new(count: usize) -> Self {
        Self { importance: vec![0.0; count], survivors: (0..count).collect() }
    }

    /// Indices of the items that are left, ascending.
    pub fn survivors(&self) -> &[usize] {
        &self.survivors
    }

    /// Importance of every item, dropped or not.
    pub fn importance(&self) -> &[f64] {
        &self.importance
    }

    /// Adds to the importance of each survivor, in order of [`survivors`](Self::survivors).
    ///
    /// # Errors
    /// A number of amounts other than that of survivors.
    pub fn add(&mut self, amounts: &[f64]) -> Result<(), OperandError> {
        expect_shape("amounts", &[amounts.len()], &[self.survivors.len()])?;
        for (&item, amount) in self.survivors.iter().zip(amounts) {
            self.importance[item] += amount;
        }
        Ok(())
    }

    /// Adds to the importance of the items named, dropped or not.
    ///
    /// # Errors
    /// An item that does not exist, or a number of amounts other than that of items.
    pub fn credit(&mut self, items: &[usize], amounts: &[f64]) -> Result<(), OperandError> {
        expect_shape("amounts", &[amounts.len()], &[items.len()])?;
        let count = self.importance.len();
        for (&item, amount) in items.iter().zip(amounts) {
            expect_value(item < count, "items", item, format_args!("indices below {count}"))?;
            self.importance[item] += amount;
        }
        Ok(())
    }

    /// Keeps the `k` most important survivors, in their order; see [`top_k`] for ties.
    pub fn keep(&mut self, k: usize) {
        self.keep_with_newest(k, 0);
    }

    /// Keeps those survivors that are among the `newest` last items, and of the others the most
    /// important, up to `k` in all.
    pub fn keep_with_newest(&mut self, k: usize, newest: usize) {
        let first_new = self.importance.len().saturating_sub(newest);
        let old = self.survivors.partition_point(|&item| item < first_new);
        let new = self.survivors.split_off(old);
        let importance: Vec<f64> =
            self.survivors.iter().map(|&item| self.importance[item]).collect();
        let kept = top_k(&importance, k.saturating_sub(new.len()));
        self.survivors = kept.into_iter().map(|position| self.survivors[position]).collect();
        self.survivors.extend(new);
    }

    /// Appends `count` new items, alive and of importance 0, as decode does with each token.
    pub fn extend(&mut self, count: usize) {
        let from = self.importance.len();
        self.importance.resize(from.saturating_add(count), 0.0);
        self.survivors.extend(from..self.importance.len());
    }

    /// Brings every item back to life and leaves its importance as it is.
    ///
    /// The plain reading of the paper has no such step. The traces released with it start every
    /// generated token from all tokens again, ranked by importance gathered over all iterations.
    pub fn restart(&mut self) {
        self.survivors = (0..self.importance.len()).collect();
    }
}

/// What one layer adds to the importance of each key: its probabilities, summed over all heads and
/// queries.
///
/// Shapes: each of `heads` (queries, keys); one number per key comes back.
///
/// # Errors
/// Heads with different numbers of keys.
pub fn token_importance(heads: &[ArrayView2<'_, f64>]) -> Result<Vec<f64>, OperandError> {
    let keys = heads.first().map_or(0, |head| head.ncols());
    let mut importance = vec![0.0; keys];
    for head in heads {
        expect_shape("probabilities of a head", head.shape(), &[head.nrows(), keys])?;
        for query in head.rows() {
            for (sum, probability) in importance.iter_mut().zip(query) {
                *sum += probability;
            }
        }
    }
    Ok(importance)
}

/// What one layer adds to the importance of each head: the magnitudes of its outputs, summed over
/// queries and features.
///
/// Shapes: each of `heads` (queries, features); one number per head comes back.
pub fn head_importance(heads: &[ArrayView2<'_, f64>]) -> Vec<f64> {
    heads.iter().map(|head| head.iter().map(|value| value.abs()).sum()).collect()
}

#[cfg(test)]
mod tests {
    use ndarray::array;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_dropped_token_never_returns_however_unimportant_the_others_become() {
        let mut tokens = Cascade::new(4);
        tokens.add(&[0.4, 0.1, 0.3, 0.2]).unwrap();
        tokens.keep(3);
        assert_eq!(tokens.survivors(), [0, 2, 3]);
        tokens.add(&[0.0, -0.25, 0.5]).unwrap();
        tokens.keep(2);
        // Token 2 has fallen to 0.05, below the 0.1 that token 1 had when it was dropped.
        assert_eq!(tokens.survivors(), [0, 3]);
        let expected = [0.4, 0.1, 0.05, 0.7];
        for (found, expected) in tokens.importance().iter().zip(expected) {
            assert!((found - expected).abs() < 1e-15);
        }
    }

    #[test]
    fn decode_appends_tokens_and_may_start_again_from_all() {
        let mut tokens = Cascade::new(2);
        tokens.add(&[1.0, 2.0]).unwrap();
        tokens.keep(1);
        tokens.extend(1);
        assert_eq!(tokens.survivors(), [1, 2]);
        tokens.restart();
        assert_eq!(tokens.survivors(), [0, 1, 2]);
        assert_eq!(tokens.importance(), [1.0, 2.0, 0.0]);
    }

    #[test]
    fn the_newest_stay_whatever_their_importance() {
        let mut tokens = Cascade::new(5);
        tokens.credit(&[0, 2, 1], &[1.0, 3.0, 2.0]).unwrap();
        tokens.keep_with_newest(3, 1);
        assert_eq!(tokens.survivors(), [1, 2, 4]);
        tokens.keep_with_newest(0, 1);
        assert_eq!(tokens.survivors(), [4]);
        assert_eq!(tokens.credit(&[5], &[1.0]).unwrap_err().operand, "items");
    }

    #[test]
    fn one_amount_is_due_for_each_survivor() {
        let mut heads = Cascade::new(3);
        heads.keep(2);
        let error = heads.add(&[1.0; 3]).unwrap_err();
        assert_eq!(error.to_string(), "`amounts` is of shape (3): expected shape (2)");
    }

    #[test]
    fn importance_sums_over_heads_queries_and_features() {
        let first = array![[0.25, 0.75], [0.5, 0.5]];
        let second = array![[1.0, 0.0], [0.125, 0.875]];
        let tokens = token_importance(&[first.view(), second.view()]).unwrap();
        assert_eq!(tokens, [1.875, 2.125]);
        let outputs = [array![[1.0, -2.0]], array![[-0.5, 0.25]]];
        assert_eq!(head_importance(&[outputs[0].view(), outputs[1].view()]), [3.0, 0.75]);
        let narrow = array![[1.0]];
        assert!(token_importance(&[first.view(), narrow.view()]).is_err());
    }

    proptest! {
        #[test]
        fn survivors_shrink_and_stay_in_order(
            rounds in prop::collection::vec((0..20usize, 0..5usize), 1..8),
            seed in 0..1000u32,
        ) {
            let mut tokens = Cascade::new(12);
            let mut before = tokens.survivors().to_vec();
            for (round, (keep, new)) in rounds.into_iter().enumerate() {
                let amounts: Vec<f64> = (0..before.len())
                    .map(|i| f64::from((seed + 7 * i as u32 + 13 * round as u32) % 11))
                    .collect();
                tokens.add(&amounts).unwrap();
                tokens.keep(keep);
                prop_assert_eq!(tokens.survivors().len(), keep.min(before.len()));
                prop_assert!(tokens.survivors().is_sorted());
                prop_assert!(tokens.survivors().iter().all(|token| before.contains(token)));
                tokens.extend(new);
                before = tokens.survivors().to_vec();
            }
        }
    }
}
