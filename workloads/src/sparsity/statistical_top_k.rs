//! About k keys, by a threshold estimated from mean and deviation of the scores.

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal};

use super::{Head, Needs, Sparsity};
use crate::reference::{OperandError, expect_value, top_k};

/// Keys whose score is at least mean + deviation * Phi^-1(1 - k/n) over the n visible keys, and
/// always the best: about `k` of them if scores are normally distributed (You et al., Spark
/// Transformer, arXiv 2506.06644). One pass for the moments and one to compare; no sorting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatisticalTopK {
    /// Keys that are aimed at.
    pub k: u32,
}

impl StatisticalTopK {
    pub(super) fn check(&self) -> Result<(), OperandError> {
        expect_value(self.k > 0, "k", self.k, "at least 1 key")
    }

    /// The threshold for these scores; minus infinity if there are no more than k.
    fn threshold(&self, scores: &[f64]) -> f64 {
        let (k, n) = (f64::from(self.k), scores.len() as f64);
        if k >= n {
            return f64::NEG_INFINITY;
        }
        let mean = scores.iter().sum::<f64>() / n;
        let variance = scores.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / n;
        mean + variance.sqrt() * Normal::standard().inverse_cdf(1.0 - k / n)
    }
}

impl Sparsity for StatisticalTopK {
    fn needs(&self) -> Needs {
        Needs::Scores
    }

    fn begin(&mut self, head: &Head<'_>) -> Result<(), OperandError> {
        head.check(self.needs())
    }

    fn select(
        &mut self,
        head: &Head<'_>,
        query: usize,
        keys: &mut Vec<usize>,
    ) -> Result<(), OperandError> {
        let scores = head.visible_scores(query)?;
        let threshold = self.threshold(&scores);
        keys.clear();
        keys.extend((0..scores.len()).filter(|&key| scores[key] >= threshold));
        if keys.is_empty() {
            keys.extend(top_k(&scores, 1));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;
    use crate::draw;
    use crate::sparsity::tests::{rows_of, scored};

    /// Phi^-1(0.9) = 1.2815515655 from tables; the scores have mean 1 and deviation 2.
    #[test]
    fn the_threshold_is_the_quantile_of_the_normal_distribution() {
        let scores: Vec<f64> = (0..10).map(|i| if i % 2 == 0 { 3.0 } else { -1.0 }).collect();
        let threshold = StatisticalTopK { k: 1 }.threshold(&scores);
        assert!((threshold - (1.0 + 2.0 * 1.281_551_565_5)).abs() < 1e-8, "{threshold}");
    }

    #[test]
    fn the_best_key_stays_where_all_scores_are_below_the_threshold() {
        let scores = array![[2.0, 5.0, 2.0, 5.0, 2.0, 5.0, 2.0, 5.0, 2.0, 5.0]];
        let head = scored(&scores, false);
        assert_eq!(rows_of(&mut StatisticalTopK { k: 1 }, &head), [vec![1]]);
        assert_eq!(rows_of(&mut StatisticalTopK { k: 5 }, &head), [vec![1, 3, 5, 7, 9]]);
        assert_eq!(rows_of(&mut StatisticalTopK { k: 10 }, &head)[0].len(), 10);
    }

    #[test]
    fn normal_scores_leave_about_k_keys() {
        // Sums of twelve uniform numbers are close to normal.
        let normal = |query: usize, key: usize| -> f64 {
            (0..12).map(|i| draw::uniform(3, query as u32, key as u32, i)).sum()
        };
        let scores = Array2::from_shape_fn((40, 1000), |(query, key)| normal(query, key));
        let rows = rows_of(&mut StatisticalTopK { k: 100 }, &scored(&scores, false));
        let mean = rows.iter().map(Vec::len).sum::<usize>() as f64 / 40.0;
        // Far less scattered than a binomial count, whose deviation would be 9.5 / sqrt(40).
        assert!((mean - 100.0).abs() < 4.0, "{mean}");
    }
}
