//! How concentrated attention is.

use ndarray::{Array2, Axis};
use serde::{Deserialize, Serialize};

/// A row is flat when its largest probability is below this: the threshold of SpAtten's progressive
/// quantization (the paper, section V-A: typically 0.1).
pub const FLAT: f32 = 0.1;

/// Means over the rows of the heads of one layer, or over such means.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statistics {
    /// Entropy of a row over that of equal probabilities, `ln keys`.
    pub entropy: f64,
    /// Largest probability of a row.
    pub maximum: f64,
    /// Share of all importance that the most important tenth of the keys holds. Importance of a key
    /// is the sum of its probabilities over queries and heads (SpAtten, section III-A).
    pub top_tenth: f64,
    /// The same of the most important quarter.
    pub top_quarter: f64,
    /// Share of rows whose largest probability is below [`FLAT`].
    pub flat: f64,
}

impl Statistics {
    /// Their names, in the order of [`Self::values`].
    pub const NAMES: [&str; 5] = ["entropy", "maximum", "top_tenth", "top_quarter", "flat"];

    /// All of them.
    pub fn values(&self) -> [f64; 5] {
        [self.entropy, self.maximum, self.top_tenth, self.top_quarter, self.flat]
    }

    /// From all of them, in the order of [`Self::values`].
    pub fn from_values(values: [f64; 5]) -> Statistics {
        let [entropy, maximum, top_tenth, top_quarter, flat] = values;
        Statistics { entropy, maximum, top_tenth, top_quarter, flat }
    }

    /// Mean of several; zeros of none.
    pub fn mean(all: &[Statistics]) -> Statistics {
        let number = all.len().max(1) as f64;
        let sum = |at: usize| all.iter().map(|statistics| statistics.values()[at]).sum::<f64>();
        Statistics::from_values(std::array::from_fn(|at| sum(at) / number))
    }
}

/// Measures one layer on one text: the probabilities of its heads, each [queries, keys].
///
/// Nothing to measure gives zeros; of one key the entropy is 1.
pub fn measure(heads: &[Array2<f32>]) -> Statistics {
    let keys = heads.first().map_or(0, Array2::ncols);
    let rows = heads.iter().map(Array2::nrows).sum::<usize>().max(1) as f64;
    let (mut entropy, mut maximum, mut flat) = (0.0, 0.0, 0.0);
    let mut importance = vec![0.0; keys];
    let most = if keys > 1 { (keys as f64).ln() } else { 1.0 };
    for row in heads.iter().flat_map(|head| head.axis_iter(Axis(0))) {
        let mut largest = 0f32;
        let mut nats = 0.0;
        for (sum, &p) in importance.iter_mut().zip(row) {
            *sum += f64::from(p);
            largest = largest.max(p);
            if p > 0.0 {
                nats -= f64::from(p) * f64::from(p).ln();
            }
        }
        entropy += if keys == 1 { 1.0 } else { nats / most };
        maximum += f64::from(largest);
        flat += f64::from(u8::from(largest < FLAT));
    }
    importance.sort_by(|a, b| b.total_cmp(a));
    Statistics {
        entropy: entropy / rows,
        maximum: maximum / rows,
        top_tenth: share_of_first(&importance, 0.1),
        top_quarter: share_of_first(&importance, 0.25),
        flat: flat / rows,
    }
}

/// Share of the sum that lies in this part of the values; a value across the border counts in part.
fn share_of_first(values: &[f64], part: f64) -> f64 {
    let border = values.len() as f64 * part;
    let inside = |at: usize| (border - at as f64).clamp(0.0, 1.0);
    let first: f64 = values.iter().enumerate().map(|(at, value)| value * inside(at)).sum();
    let all: f64 = values.iter().sum();
    if all > 0.0 { first / all } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[track_caller]
    fn near(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-6, "{found} instead of {expected}");
    }

    #[test]
    fn two_rows_worked_out_by_hand() {
        // Entropies ln 4 and, for 1/2 1/4 1/8 1/8, 7/4 ln 2; importances 3/4 1/2 3/8 3/8.
        let head = array![[0.25, 0.25, 0.25, 0.25], [0.5, 0.25, 0.125, 0.125]];
        let found = measure(&[head]);
        near(found.entropy, (1.0 + 1.75 / 2.0) / 2.0);
        near(found.maximum, 0.375);
        near(found.top_quarter, 0.75 / 2.0);
        near(found.top_tenth, 0.4 * 0.75 / 2.0);
        near(found.flat, 0.0);
    }

    #[test]
    fn importance_adds_up_over_heads_before_it_is_sorted() {
        let (left, right) = (array![[1.0, 0.0, 0.0, 0.0]], array![[0.0, 1.0, 0.0, 0.0]]);
        near(measure(&[left.clone(), right]).top_quarter, 0.5);
        near(measure(&[left.clone(), left]).top_quarter, 1.0);
    }

    #[test]
    fn equal_rows_of_more_than_ten_keys_are_flat() {
        for (keys, flat) in [(10, 0.0), (11, 1.0)] {
            let row = Array2::from_elem((1, keys), 1.0 / keys as f32);
            near(measure(&[row]).flat, flat);
        }
    }

    #[test]
    fn nothing_gives_zeros_and_one_key_takes_all() {
        assert_eq!(measure(&[]), Statistics::default());
        assert_eq!(measure(&[Array2::zeros((0, 0))]), Statistics::default());
        let one = measure(&[array![[1.0]]]);
        assert_eq!(one.values(), [1.0, 1.0, 0.1, 0.25, 0.0]);
    }
}
