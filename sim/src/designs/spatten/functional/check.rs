//! How far computed outputs are from references, layer by layer.

use attelier_workloads::reference::softmax;

use super::head::PassResult;
use crate::deviation::Deviation;

/// Scores, times the softmax scale, up to which the bound of the probabilities is stated: beyond
/// 512 ln 2 = 355 the exponent saturates.
pub(super) const BOUNDED_SCORE: f64 = 350.0;

/// Largest error of a probability in proportion to itself: that of the softmax before it is rounded.
pub(super) const RELATIVE: f64 = 1.0 / 4096.0;

/// Comparisons of one layer.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct LayerCheck {
    /// Outputs against exact attention of the stored operands under the same decisions: the error
    /// of the data path alone.
    pub datapath: Deviation,
    /// Outputs farther from that than the stated bound.
    pub beyond_bound: u64,
    /// Outputs of passes with scores so large that no bound is stated.
    pub unbounded: u64,
    /// Outputs against exact attention of the original operands under the same decisions: the error
    /// of quantisation and data path.
    pub numerical: Deviation,
    /// Tokens and heads that survive this layer, but not by the reference kernels, or the reverse.
    pub other_survivors: u64,
    /// Passes that read LSBs, or keep values, where the reference kernels do not, or the reverse.
    pub other_decisions: u64,
    /// Passes whose probabilities moved, when the LSBs were left away, by more than section III-D of
    /// the paper allows: half the range of the errors of the scores.
    pub beyond_half: u64,
    /// Passes for which that was looked at.
    pub halved: u64,
    /// Outputs of the surviving tokens against the dense model: everything. Pruned heads give 0.
    pub pruning: Deviation,
}

/// Vectors of one head in real numbers, keys and values in the order of the pass.
pub struct RealHead<'a> {
    /// Query.
    pub query: &'a [f64],
    /// Keys, `query.len()` elements each.
    pub keys: &'a [f64],
    /// Values, as keys.
    pub values: &'a [f64],
    /// Factor of the scores.
    pub scale: f64,
}

/// Exact output of a pass that keeps the values `kept`, and its probabilities.
pub fn exact(head: &RealHead<'_>, kept: &[u32]) -> (Vec<f64>, Vec<f64>, f64) {
    let dim = head.query.len();
    let scores: Vec<f64> = head
        .keys
        .chunks_exact(dim)
        .map(|key| head.scale * key.iter().zip(head.query).map(|(k, q)| k * q).sum::<f64>())
        .collect();
    let largest = scores.iter().fold(0.0f64, |most, score| most.max(score.abs()));
    let probabilities = softmax(&scores);
    let mut output = vec![0.0; dim];
    for &at in kept {
        let value = &head.values[at as usize * dim..][..dim];
        for (sum, value) in output.iter_mut().zip(value) {
            *sum += probabilities[at as usize] * value;
        }
    }
    (output, probabilities, largest)
}

impl LayerCheck {
    /// Compares a pass with exact attention of the stored operands and of the original ones.
    /// `step` is what one bit of an output is worth.
    pub fn add(
        &mut self,
        pass: &PassResult,
        step: f64,
        word_bits: u32,
        stored: &RealHead<'_>,
        original: &RealHead<'_>,
    ) {
        let (expected, probabilities, largest) = exact(stored, &pass.kept);
        let last = 1.0 / f64::from(1u32 << word_bits);
        let dim = expected.len();
        for (at, (&word, expected)) in pass.output.iter().zip(&expected).enumerate() {
            let value = f64::from(word) * step;
            self.datapath.add(value, *expected);
            // Half a bit of the output, and of every probability half a bit, or one where it
            // saturates, and 2^-12 of itself (docs/designs/spatten-arithmetic.md).
            let of_probabilities: f64 = pass
                .kept
                .iter()
                .map(|&key| {
                    let p = probabilities[key as usize];
                    let half = if p > 1.0 - last { 1.0 } else { 0.5 };
                    (half * last + p * RELATIVE) * stored.values[key as usize * dim + at].abs()
                })
                .sum();
            let within = (value - expected).abs() <= 0.5 * step + of_probabilities + 1e-12;
            // Comparisons are the right way round for numbers that are none.
            let bounded = largest <= BOUNDED_SCORE;
            self.unbounded += u64::from(!bounded);
            self.beyond_bound += u64::from(bounded && !within);
        }
        for (&word, expected) in pass.output.iter().zip(exact(original, &pass.kept).0) {
            self.numerical.add(f64::from(word) * step, expected);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_beyond_the_bound_is_counted() {
        // Two equal keys: probabilities 1/2, output (1 + 3) / 2 = 2.
        let head = RealHead { query: &[0.0], keys: &[1.0, 1.0], values: &[1.0, 3.0], scale: 1.0 };
        let step = 3.0 / 2047.0;
        let pass = |word| PassResult {
            probabilities: vec![2048; 2],
            whole: false,
            kept: vec![0, 1],
            output: vec![word],
        };
        let mut check = LayerCheck::default();
        check.add(&pass(1365), step, 12, &head, &head);
        assert_eq!((check.beyond_bound, check.datapath.count), (0, 1));
        check.add(&pass(1368), step, 12, &head, &head);
        assert_eq!(check.beyond_bound, 1);
    }
}
