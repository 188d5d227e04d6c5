//! Local value pruning: for one query of one head, values of small probability are not read
//! (SpAtten section III-C).

use ndarray::{Array1, ArrayView2};

use super::error::{OperandError, expect_shape, expect_value};
use super::top_k;

/// Indices of the `keep` keys of largest probability, ascending: those whose values are read.
///
/// Nothing is remembered: the next head and the next query choose anew.
pub fn local_values(probabilities: &[f64], keep: usize) -> Vec<usize> {
    top_k(probabilities, keep)
}

/// Sum of the values at `kept`, weighted by their probabilities, which are not renormalised.
///
/// Shapes: one of `probabilities` per row of `values` (keys, features); the result (features).
///
/// # Errors
/// Shapes that do not fit together, or an index that is no key.
pub fn weighted_sum(
    probabilities: &[f64],
    values: ArrayView2<'_, f64>,
    kept: &[usize],
) -> Result<Array1<f64>, OperandError> {
    let keys = values.nrows();
    expect_shape("probabilities", &[probabilities.len()], &[keys])?;
    let mut output = Array1::zeros(values.ncols());
    for &key in kept {
        expect_value(
            key < keys,
            "kept",
            key,
            format_args!("indices below {keys}, the number of keys"),
        )?;
        for (sum, value) in output.iter_mut().zip(values.row(key)) {
            *sum += probabilities[key] * value;
        }
    }
    Ok(output)
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};
    use proptest::prelude::*;

    use super::*;
    use crate::reference::softmax;

    #[test]
    fn what_is_dropped_contributes_nothing_and_the_rest_keeps_its_weight() {
        let probabilities = [0.5, 0.125, 0.375];
        let kept = local_values(&probabilities, 2);
        assert_eq!(kept, [0, 2]);
        let output = weighted_sum(&probabilities, array![[2.0], [100.0], [8.0]].view(), &kept);
        assert_eq!(output.unwrap(), array![4.0]);
    }

    #[test]
    fn operands_that_do_not_fit_are_named() {
        let values = Array2::zeros((2, 1));
        assert_eq!(weighted_sum(&[1.0], values.view(), &[]).unwrap_err().operand, "probabilities");
        assert_eq!(weighted_sum(&[0.5; 2], values.view(), &[2]).unwrap_err().operand, "kept");
    }

    proptest! {
        /// With values in [-1, 1] the output moves by at most the probability that was dropped.
        #[test]
        fn the_error_is_bounded_by_the_dropped_probability(
            row in prop::collection::vec((-6.0..6.0f64, -1.0..1.0f64), 1..40),
            keep in 0..40usize,
        ) {
            let (scores, values): (Vec<f64>, Vec<f64>) = row.into_iter().unzip();
            let probabilities = softmax(&scores);
            let values = Array2::from_shape_vec((values.len(), 1), values).unwrap();
            let all: Vec<usize> = (0..scores.len()).collect();
            let kept = local_values(&probabilities, keep);
            let dropped: f64 =
                all.iter().filter(|i| !kept.contains(i)).map(|&i| probabilities[i]).sum();
            let exact = weighted_sum(&probabilities, values.view(), &all).unwrap();
            let pruned = weighted_sum(&probabilities, values.view(), &kept).unwrap();
            prop_assert!((exact[0] - pruned[0]).abs() <= dropped + 1e-12);
        }
    }
}
