//! Softmax of one row.

/// exp(x_i) / sum of exp(x_j), computed after subtracting the maximum so that nothing overflows.
///
/// An element of minus infinity gets probability 0. A row that holds nothing else has no
/// distribution; its probabilities are all 0. An empty row stays empty.
///
/// ```
/// let row = attelier_workloads::reference::softmax(&[0.0, 3f64.ln()]);
/// assert!((row[1] - 0.75).abs() < 1e-15);
/// ```
pub fn softmax(row: &[f64]) -> Vec<f64> {
    let maximum = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if maximum == f64::NEG_INFINITY && !row.iter().any(|value| value.is_nan()) {
        return vec![0.0; row.len()];
    }
    let exponentials: Vec<f64> = row.iter().map(|value| (value - maximum).exp()).collect();
    let sum: f64 = exponentials.iter().sum();
    exponentials.iter().map(|exponential| exponential / sum).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn scores_far_outside_the_range_of_exp_still_give_a_distribution() {
        let row = softmax(&[1e6, 1e6 - 2f64.ln(), -1e6]);
        assert!((row[0] - 2.0 / 3.0).abs() < 1e-9, "{row:?}");
        assert!((row[1] - 1.0 / 3.0).abs() < 1e-9, "{row:?}");
        assert_eq!(row[2], 0.0);
    }

    #[test]
    fn a_row_without_any_finite_score_has_no_probability() {
        assert_eq!(softmax(&[f64::NEG_INFINITY; 3]), [0.0; 3]);
        assert!(softmax(&[]).is_empty());
        assert!(softmax(&[f64::NAN])[0].is_nan());
    }

    proptest! {
        #[test]
        fn probabilities_sum_to_one_and_ratios_are_exponentials_of_differences(
            row in prop::collection::vec(-30.0..30.0f64, 1..50),
        ) {
            let probabilities = softmax(&row);
            prop_assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            for (score, probability) in row.iter().zip(&probabilities) {
                let expected = probabilities[0] * (score - row[0]).exp();
                prop_assert!((probability - expected).abs() <= 1e-12 * expected);
            }
        }

        /// SpAtten section III-D: dp_0/ds_0 = p_0 (1 - p_0) and dp_j/ds_0 = -p_0 p_j, so an error
        /// delta of one score changes the probabilities by 2 delta p_0 (1 - p_0) in total, which
        /// is at most delta/2. The bound holds for finite delta too: it integrates the derivative.
        #[test]
        fn an_error_of_one_score_moves_the_probabilities_by_at_most_half_of_it(
            row in prop::collection::vec(-5.0..5.0f64, 2..40),
            at in any::<prop::sample::Index>(),
            delta in 1e-3..4.0f64,
        ) {
            let at = at.index(row.len());
            let mut perturbed = row.clone();
            perturbed[at] += delta;
            let (before, after) = (softmax(&row), softmax(&perturbed));
            let moved: f64 = before.iter().zip(&after).map(|(a, b)| (a - b).abs()).sum();
            prop_assert!(moved <= delta / 2.0 + 1e-12, "{moved} > {delta}/2");
        }

        #[test]
        fn a_small_error_moves_them_by_the_derivative(
            row in prop::collection::vec(-5.0..5.0f64, 2..40),
        ) {
            const DELTA: f64 = 1e-6;
            let mut perturbed = row.clone();
            perturbed[0] += DELTA;
            let (before, after) = (softmax(&row), softmax(&perturbed));
            let moved: f64 = before.iter().zip(&after).map(|(a, b)| (a - b).abs()).sum();
            let derivative = 2.0 * before[0] * (1.0 - before[0]);
            // Second-order term of the expansion: below DELTA^2.
            prop_assert!((moved - DELTA * derivative).abs() < 2.0 * DELTA * DELTA + 1e-14);
        }
    }
}
