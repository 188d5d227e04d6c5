//! Selection of the largest elements.

use std::cmp::Reverse;

/// Indices of the `k` largest elements, in their original order; all of them if there are fewer.
///
/// Among equal elements the earlier ones are taken. The published text fixes no rule for ties; the
/// SpAtten engine keeps the first of the equals that it meets in its second pass (section IV-B),
/// which is the same. Order is that of [`f64::total_cmp`], so NaN has a place too.
///
/// ```
/// use attelier_workloads::reference::top_k;
/// // The example of SpAtten figure 9: the third largest is 0.6, and both of them are kept.
/// assert_eq!(top_k(&[0.6, 0.1, 0.5, 1.2, 0.6], 3), [0, 3, 4]);
/// ```
pub fn top_k(values: &[f64], k: usize) -> Vec<usize> {
    let mut indices = top_k_ranked(values, k);
    indices.sort_unstable();
    indices
}

/// Indices of the `k` largest elements, the largest first, equal ones in their original order.
pub fn top_k_ranked(values: &[f64], k: usize) -> Vec<usize> {
    let mut indices: Vec<usize> = (0..values.len()).collect();
    // The sort is stable: equal elements stay in order.
    indices.sort_by_key(|&index| Reverse(Ordered(values[index])));
    indices.truncate(k);
    indices
}

/// A number with the total order of IEEE 754, except that both zeros are equal.
struct Ordered(f64);

impl Ord for Ordered {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        // Adding zero turns -0 into +0 and changes nothing else.
        (self.0 + 0.0).total_cmp(&(other.0 + 0.0))
    }
}

impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ordered {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ordered {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// An element is kept if fewer than k others are larger, or equal and earlier.
    fn by_counting(values: &[f64], k: usize) -> Vec<usize> {
        let beaten_by = |i: usize| {
            let beats = |&j: &usize| values[j] > values[i] || (values[j] == values[i] && j < i);
            (0..values.len()).filter(beats).count()
        };
        (0..values.len()).filter(|&i| beaten_by(i) < k).collect()
    }

    proptest! {
        // Few distinct values, so that most lists hold ties.
        #[test]
        fn selection_equals_counting_the_larger_ones(
            values in prop::collection::vec((-4..4i32).prop_map(f64::from), 0..40),
            k in 0..45usize,
        ) {
            prop_assert_eq!(top_k(&values, k), by_counting(&values, k));
        }

        #[test]
        fn ranking_descends(values in prop::collection::vec(-1.0..1.0f64, 0..40), k in 0..45usize) {
            let ranked = top_k_ranked(&values, k);
            prop_assert!(ranked.windows(2).all(|pair| values[pair[0]] >= values[pair[1]]));
        }
    }

    #[test]
    fn zeros_of_either_sign_are_equal() {
        assert_eq!(top_k(&[-0.0, 0.0], 1), [0]);
    }
}
