//! Scaled dot-product attention, of one head and of many.

use ndarray::{Array2, ArrayView2, Axis, Slice};

use super::error::{OperandError, expect_shape, expect_value};
use super::softmax;

/// Which keys a query may attend to.
#[derive(Debug, Clone, Copy)]
pub enum Mask<'a> {
    /// All of them.
    Full,
    /// Those not after it. The last query stands at the last key, so a single query attends to
    /// every key, as in decode.
    Causal,
    /// Those marked true, in an array of shape (queries, keys).
    Allowed(ArrayView2<'a, bool>),
}

impl Mask<'_> {
    fn check(&self, queries: usize, keys: usize) -> Result<(), OperandError> {
        match self {
            Mask::Full => Ok(()),
            Mask::Causal => {
                let expected = format!("at most {keys}, one for each key");
                expect_value(queries <= keys, "number of causal queries", queries, expected)
            }
            Mask::Allowed(allowed) => expect_shape("mask", allowed.shape(), &[queries, keys]),
        }
    }

    fn allows(&self, query: usize, key: usize, queries: usize, keys: usize) -> bool {
        match self {
            Mask::Full => true,
            Mask::Causal => key <= query + (keys - queries),
            Mask::Allowed(allowed) => allowed[[query, key]],
        }
    }
}

/// Everything that attention computes on the way to its output.
#[derive(Debug, Clone, PartialEq)]
pub struct Attention {
    /// Scaled scores, (queries, keys); minus infinity where the mask forbids.
    pub scores: Array2<f64>,
    /// Row-wise softmax of the scores, (queries, keys). A row without any allowed key is all 0.
    pub probabilities: Array2<f64>,
    /// Probabilities times values, (queries, value features).
    pub output: Array2<f64>,
}

/// 1 / sqrt(`head_dim`), the scale of Vaswani et al. (arXiv 1706.03762).
pub fn inverse_sqrt_scale(head_dim: usize) -> f64 {
    1.0 / (head_dim as f64).sqrt()
}

/// softmax(scale * Q K^T) V of one head (SpAtten algorithm 1).
///
/// Shapes: `queries` (queries, head dim), `keys` (keys, head dim), `values` (keys, value features).
///
/// # Errors
/// Shapes that do not fit together, or more causal queries than keys.
pub fn attention(
    queries: ArrayView2<'_, f64>,
    keys: ArrayView2<'_, f64>,
    values: ArrayView2<'_, f64>,
    scale: f64,
    mask: Mask<'_>,
) -> Result<Attention, OperandError> {
    let (query_count, head_dim) = queries.dim();
    let key_count = keys.nrows();
    let features = values.ncols();
    expect_shape("keys", keys.shape(), &[key_count, head_dim])?;
    expect_shape("values", values.shape(), &[key_count, features])?;
    mask.check(query_count, key_count)?;

    let mut scores = Array2::from_elem((query_count, key_count), f64::NEG_INFINITY);
    let mut probabilities = Array2::zeros((query_count, key_count));
    let mut output = Array2::zeros((query_count, features));
    for query in 0..query_count {
        for key in 0..key_count {
            if mask.allows(query, key, query_count, key_count) {
                scores[[query, key]] = scale * queries.row(query).dot(&keys.row(key));
            }
        }
        let row = softmax(&scores.row(query).to_vec());
        for key in 0..key_count {
            probabilities[[query, key]] = row[key];
            for feature in 0..features {
                output[[query, feature]] += row[key] * values[[key, feature]];
            }
        }
    }
    Ok(Attention { scores, probabilities, output })
}

/// Attention of `heads` heads that each own an equal slice of the columns, in order.
///
/// Shapes: `queries` (queries, heads * head dim), `keys` and `values` (keys, heads * head dim).
/// Returns each head; [`concatenate`](Attention::concatenate) joins their outputs.
///
/// # Errors
/// Shapes that do not fit together, or columns that do not divide by `heads`.
pub fn multi_head_attention(
    queries: ArrayView2<'_, f64>,
    keys: ArrayView2<'_, f64>,
    values: ArrayView2<'_, f64>,
    heads: usize,
    mask: Mask<'_>,
) -> Result<Vec<Attention>, OperandError> {
    let width = queries.ncols();
    expect_shape("keys", keys.shape(), &[keys.nrows(), width])?;
    expect_shape("values", values.shape(), &[keys.nrows(), width])?;
    let divides = heads > 0 && width.is_multiple_of(heads);
    expect_value(divides, "heads", heads, format!("a divisor of {width}, the number of columns"))?;
    let head_dim = width / heads;
    let head = |head: usize| {
        let columns = Slice::from(head * head_dim..(head + 1) * head_dim);
        let queries = queries.slice_axis(Axis(1), columns);
        let keys = keys.slice_axis(Axis(1), columns);
        let values = values.slice_axis(Axis(1), columns);
        attention(queries, keys, values, inverse_sqrt_scale(head_dim), mask)
    };
    (0..heads).map(head).collect()
}

impl Attention {
    /// Outputs of all heads side by side: (queries, heads * value features).
    ///
    /// # Errors
    /// Heads with different numbers of queries.
    pub fn concatenate(heads: &[Attention]) -> Result<Array2<f64>, OperandError> {
        let queries = heads.first().map_or(0, |head| head.output.nrows());
        for head in heads {
            expect_shape("head", head.output.shape(), &[queries, head.output.ncols()])?;
        }
        let width = heads.iter().map(|head| head.output.ncols()).sum();
        let mut joined = Array2::zeros((queries, width));
        let mut from = 0;
        for head in heads {
            let to = from + head.output.ncols();
            joined.slice_axis_mut(Axis(1), Slice::from(from..to)).assign(&head.output);
            from = to;
        }
        Ok(joined)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    /// Two keys whose scores differ by ln 3 share the probability 1 : 3.
    #[test]
    fn output_is_the_probability_weighted_mean_of_values() {
        let result = attention(
            array![[3f64.ln(), 0.0]].view(),
            array![[0.0, 5.0], [2.0, 7.0]].view(),
            array![[4.0], [8.0]].view(),
            0.5,
            Mask::Full,
        )
        .unwrap();
        assert!((result.probabilities[[0, 1]] - 0.75).abs() < 1e-15);
        assert!((result.output[[0, 0]] - 7.0).abs() < 1e-14);
    }

    #[test]
    fn a_causal_query_attends_to_itself_and_what_precedes_it() {
        let (queries, keys) = (Array2::zeros((2, 4)), Array2::zeros((3, 4)));
        let values = array![[3.0], [6.0], [9.0]];
        let result =
            attention(queries.view(), keys.view(), values.view(), 1.0, Mask::Causal).unwrap();
        // Equal scores: plain means over two and over three keys.
        assert!((result.output[[0, 0]] - 4.5).abs() < 1e-14);
        assert!((result.output[[1, 0]] - 6.0).abs() < 1e-14);
        assert_eq!(result.scores[[0, 2]], f64::NEG_INFINITY);
        assert_eq!(result.probabilities[[0, 2]], 0.0);
    }

    #[test]
    fn a_query_without_any_allowed_key_gets_a_zero_output() {
        let (queries, keys) = (Array2::ones((2, 1)), Array2::ones((2, 1)));
        let allowed = array![[false, false], [false, true]];
        let result =
            attention(queries.view(), keys.view(), keys.view(), 1.0, Mask::Allowed(allowed.view()))
                .unwrap();
        assert_eq!(result.output, array![[0.0], [1.0]]);
    }

    #[test]
    fn heads_own_consecutive_columns() {
        let x = array![[1.0, 0.0, 2.0, -1.0], [0.5, 1.0, 0.0, 3.0]];
        let heads = multi_head_attention(x.view(), x.view(), x.view(), 2, Mask::Full).unwrap();
        let second = x.slice_axis(Axis(1), Slice::from(2..4));
        let alone = attention(second, second, second, inverse_sqrt_scale(2), Mask::Full).unwrap();
        assert_eq!(heads[1], alone);
        let joined = Attention::concatenate(&heads).unwrap();
        assert_eq!(joined.slice_axis(Axis(1), Slice::from(2..4)), alone.output);
        assert_eq!(joined.dim(), (2, 4));
    }

    #[test]
    fn operands_that_do_not_fit_are_named() {
        let (two, three) = (Array2::zeros((2, 4)), Array2::zeros((3, 4)));
        let wrong = |q: &Array2<f64>, k: &Array2<f64>, v: &Array2<f64>, mask| {
            attention(q.view(), k.view(), v.view(), 1.0, mask).unwrap_err().operand
        };
        assert_eq!(wrong(&two, &Array2::zeros((2, 5)), &two, Mask::Full), "keys");
        assert_eq!(wrong(&two, &two, &three, Mask::Full), "values");
        assert_eq!(wrong(&three, &two, &two, Mask::Causal), "number of causal queries");
        let mask = Array2::from_elem((2, 2), true);
        assert_eq!(wrong(&two, &three, &three, Mask::Allowed(mask.view())), "mask");
        for heads in [0, 3] {
            let error = multi_head_attention(two.view(), two.view(), two.view(), heads, Mask::Full);
            assert_eq!(error.unwrap_err().operand, "heads");
        }
    }
}
