//! Progressive quantization: probabilities from the high bits of the keys first, and once more
//! from all bits where they come out flat (SpAtten section III-D).

use ndarray::{Array2, ArrayView1};

use super::error::{OperandError, expect_shape};
use super::quantization::Planes;
use super::softmax;

/// Probabilities of one query, and how they came about.
#[derive(Debug, Clone, PartialEq)]
pub struct Progressive {
    /// One probability per key.
    pub probabilities: Vec<f64>,
    /// Largest probability that the high bits alone gave.
    pub largest_from_high_bits: f64,
    /// Whether that was below the threshold, so that the low bits were fetched.
    pub low_bits_fetched: bool,
}

/// Probabilities of `query` against quantized `keys`: from the high plane; if the largest is below
/// `threshold`, from both planes. There is no third pass.
///
/// Shapes: `query` (head dim), `keys` (keys, head dim). The paper's usual threshold is 0.1 and that
/// of the released traces 0.05.
///
/// # Errors
/// Shapes that do not fit together.
pub fn progressive_probabilities(
    query: ArrayView1<'_, f64>,
    keys: &Planes,
    scale: f64,
    threshold: f64,
) -> Result<Progressive, OperandError> {
    expect_shape("query", query.shape(), &[keys.high().ncols()])?;
    let probabilities = |keys: Array2<f64>| {
        let scores: Vec<f64> = keys.rows().into_iter().map(|key| scale * query.dot(&key)).collect();
        softmax(&scores)
    };
    let first = probabilities(keys.dequantize_high());
    let largest = first.iter().copied().fold(0.0, f64::max);
    let flat = largest < threshold;
    Ok(Progressive {
        probabilities: if flat { probabilities(keys.dequantize()) } else { first },
        largest_from_high_bits: largest,
        low_bits_fetched: flat,
    })
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, array};

    use super::*;
    use crate::reference::{Mask, Quantized, attention};

    /// Codes 16 a + b of 8 bits: with 4 low bits, the high plane sees only a.
    fn keys() -> Planes {
        let codes = array![[127.0, 0.0], [21.0, 15.0], [16.0, 0.0]];
        Quantized::new(codes.view(), 8).unwrap().planes(4).unwrap()
    }

    #[test]
    fn a_dominant_key_makes_the_low_bits_unnecessary() {
        let result = progressive_probabilities(array![0.1, 0.0].view(), &keys(), 1.0, 0.1).unwrap();
        assert!(!result.low_bits_fetched);
        // High planes 7, 1, 1: scores 11.2, 1.6, 1.6.
        let expected = 1.0 / (1.0 + 2.0 * (1.6f64 - 11.2).exp());
        assert!((result.probabilities[0] - expected).abs() < 1e-12);
        assert_eq!(result.largest_from_high_bits, result.probabilities[0]);
    }

    #[test]
    fn flat_probabilities_are_computed_again_from_all_bits() {
        let query = array![0.0, 0.1];
        let result = progressive_probabilities(query.view(), &keys(), 1.0, 0.5).unwrap();
        assert!(result.low_bits_fetched);
        // The high planes of the second column are all 0.
        assert!((result.largest_from_high_bits - 1.0 / 3.0).abs() < 1e-12);
        let all = keys().dequantize();
        let queries = query.insert_axis(ndarray::Axis(0));
        let exact = attention(queries.view(), all.view(), all.view(), 1.0, Mask::Full).unwrap();
        for (ours, exact) in result.probabilities.iter().zip(&exact.probabilities) {
            assert!((ours - exact).abs() < 1e-12);
        }
    }

    #[test]
    fn a_largest_probability_at_the_threshold_is_not_flat() {
        let result = progressive_probabilities(array![0.0, 0.0].view(), &keys(), 1.0, 1.0 / 3.0);
        assert!(!result.unwrap().low_bits_fetched);
    }

    #[test]
    fn a_query_of_the_wrong_length_is_named() {
        let query = Array1::zeros(3);
        let error = progressive_probabilities(query.view(), &keys(), 1.0, 0.1).unwrap_err();
        assert_eq!(error.to_string(), "`query` is of shape (3): expected shape (2)");
    }
}
