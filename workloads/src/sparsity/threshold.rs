//! Keys whose probability reaches a threshold.

use serde::{Deserialize, Serialize};

use super::{Head, Needs, Sparsity};
use crate::reference::{OperandError, expect_value, softmax, top_k};

/// Keys of at least `probability` under the softmax over all visible keys, and always the likeliest.
///
/// Sanger (Lu et al., MICRO 2021) thresholds probabilities predicted from 4-bit vectors; here they
/// are the exact ones. What is left is normalised again by whoever computes the attention.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    /// Least probability of a key that is kept, 0 to 1.
    pub probability: f64,
}

impl Threshold {
    pub(super) fn check(&self) -> Result<(), OperandError> {
        let in_range = (0.0..=1.0).contains(&self.probability);
        expect_value(in_range, "probability", self.probability, "0 to 1")
    }
}

impl Sparsity for Threshold {
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
        let probabilities = softmax(&head.visible_scores(query)?);
        keys.clear();
        keys.extend((0..probabilities.len()).filter(|&key| probabilities[key] >= self.probability));
        if keys.is_empty() {
            keys.extend(top_k(&probabilities, 1));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::sparsity::tests::{rows_of, scored};

    #[test]
    fn keys_below_the_threshold_are_left_out_and_the_likeliest_never_is() {
        // Probabilities 1/8, 1/2, 3/8.
        let scores = array![[0.0, 4f64.ln(), 3f64.ln()]];
        let kept = |probability| rows_of(&mut Threshold { probability }, &scored(&scores, false));
        assert_eq!(kept(0.1), [vec![0, 1, 2]]);
        assert_eq!(kept(0.2), [vec![1, 2]]);
        assert_eq!(kept(0.4), [vec![1]]);
        assert_eq!(kept(0.9), [vec![1]]);
    }
}
