//! Decode: attention of one new token at a time against the keys and values kept so far.

use ndarray::{Array2, ArrayView1, Axis};

use super::error::{OperandError, expect_shape};
use super::{Attention, Mask, attention};

/// Keys and values of one head, one row for each token so far.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyValueCache {
    keys: Array2<f64>,
    values: Array2<f64>,
}

impl KeyValueCache {
    /// An empty cache for keys of `head_dim` and values of `features` elements.
    pub fn new(head_dim: usize, features: usize) -> Self {
        Self { keys: Array2::zeros((0, head_dim)), values: Array2::zeros((0, features)) }
    }

    /// Tokens in the cache.
    pub fn tokens(&self) -> usize {
        self.keys.nrows()
    }

    /// Adds the key and value of a new token, then lets its query attend to all tokens so far.
    ///
    /// Shapes: `query` and `key` (head dim), `value` (features). The result has one query.
    ///
    /// # Errors
    /// Shapes other than those that the cache was made for; the cache is unchanged then.
    pub fn step(
        &mut self,
        query: ArrayView1<'_, f64>,
        key: ArrayView1<'_, f64>,
        value: ArrayView1<'_, f64>,
        scale: f64,
    ) -> Result<Attention, OperandError> {
        expect_shape("query", query.shape(), &[self.keys.ncols()])?;
        expect_shape("key", key.shape(), &[self.keys.ncols()])?;
        expect_shape("value", value.shape(), &[self.values.ncols()])?;
        self.keys.push_row(key).expect("the width of the row was checked");
        self.values.push_row(value).expect("the width of the row was checked");
        let queries = query.insert_axis(Axis(0));
        attention(queries, self.keys.view(), self.values.view(), scale, Mask::Full)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;
    use proptest::prelude::*;

    use super::*;

    fn matrix(rows: usize, columns: usize) -> impl Strategy<Value = Array2<f64>> {
        prop::collection::vec(-3.0..3.0f64, rows * columns).prop_map(move |values| {
            Array2::from_shape_vec((rows, columns), values).expect("as many values as elements")
        })
    }

    fn head() -> impl Strategy<Value = [Array2<f64>; 3]> {
        (1..12usize, 1..6usize, 1..6usize).prop_flat_map(|(tokens, head_dim, features)| {
            [matrix(tokens, head_dim), matrix(tokens, head_dim), matrix(tokens, features)]
        })
    }

    proptest! {
        #[test]
        fn token_by_token_equals_causal_attention_over_all([q, k, v] in head()) {
            let all = attention(q.view(), k.view(), v.view(), 0.7, Mask::Causal).unwrap();
            let mut cache = KeyValueCache::new(k.ncols(), v.ncols());
            for token in 0..q.nrows() {
                let step = cache.step(q.row(token), k.row(token), v.row(token), 0.7).unwrap();
                for (a, b) in step.output.row(0).iter().zip(all.output.row(token)) {
                    prop_assert!((a - b).abs() < 1e-12);
                }
                for (a, b) in step.probabilities.row(0).iter().zip(all.probabilities.row(token)) {
                    prop_assert!((a - b).abs() < 1e-12);
                }
            }
            prop_assert_eq!(cache.tokens(), q.nrows());
        }
    }

    #[test]
    fn a_row_of_the_wrong_width_is_named_and_leaves_the_cache_alone() {
        let mut cache = KeyValueCache::new(2, 1);
        let (two, one) = (array![0.0, 1.0], array![1.0]);
        let error = cache.step(two.view(), two.view(), two.view(), 1.0).unwrap_err();
        assert_eq!(error.operand, "value");
        assert_eq!(
            cache.step(one.view(), two.view(), one.view(), 1.0).unwrap_err().operand,
            "query"
        );
        assert_eq!(cache.tokens(), 0);
    }
}
