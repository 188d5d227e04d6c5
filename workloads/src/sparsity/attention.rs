//! Attention under a policy, with the arithmetic of the reference kernels.

use ndarray::{Array2, ArrayView2};

use super::{Head, Needs, Sparsity};
use crate::reference::{OperandError, expect_shape, softmax, weighted_sum};

/// Output of one head under a policy, and what it took.
#[derive(Debug, Clone, PartialEq)]
pub struct SparseAttention {
    /// (queries, value features); 0 for queries that were skipped.
    pub output: Array2<f64>,
    /// Queries that were computed.
    pub queries: u64,
    /// Pairs of a query and a key that were computed.
    pub pairs: u64,
    /// Values that were read, counted once for each query that did.
    pub values: u64,
}

/// Lets a policy work on one head: softmax over the selected keys only, sum over the kept values.
///
/// Shapes: `values` (keys, features). The head must carry scores or vectors.
///
/// # Errors
/// A head without scores, shapes that do not fit together, or what the policy refuses.
pub fn sparse_attention(
    policy: &mut dyn Sparsity,
    head: &Head<'_>,
    values: ArrayView2<'_, f64>,
) -> Result<SparseAttention, OperandError> {
    head.check(Needs::Scores)?;
    expect_shape("values", values.shape(), &[head.keys, values.ncols()])?;
    policy.begin(head)?;
    let output = Array2::zeros((head.queries, values.ncols()));
    let mut result = SparseAttention { output, queries: 0, pairs: 0, values: 0 };
    let (mut keys, mut kept) = (Vec::new(), Vec::new());
    for query in 0..head.queries {
        if policy.skips(head, query) {
            continue;
        }
        policy.select(head, query, &mut keys)?;
        let mut scores = Vec::with_capacity(keys.len());
        for &key in &keys {
            scores.push(head.score(query, key)?);
        }
        let probabilities = softmax(&scores);
        policy.observe(head, &keys, &probabilities)?;
        policy.values(&probabilities, &mut kept);
        let selected = values.select(ndarray::Axis(0), &keys);
        let row = weighted_sum(&probabilities, selected.view(), &kept)?;
        result.output.row_mut(query).assign(&row);
        result.queries += 1;
        result.pairs += keys.len() as u64;
        result.values += kept.len() as u64;
    }
    policy.end(head, result.output.view())?;
    Ok(result)
}

/// What a policy selects for one head, as a mask of shape (queries, keys): true where a query
/// attends to a key. Nothing is computed, so a policy that remembers learns nothing.
///
/// # Errors
/// What the policy refuses.
pub fn mask(policy: &mut dyn Sparsity, head: &Head<'_>) -> Result<Array2<bool>, OperandError> {
    policy.begin(head)?;
    let mut mask = Array2::from_elem((head.queries, head.keys), false);
    let mut keys = Vec::new();
    for query in 0..head.queries {
        if policy.skips(head, query) {
            continue;
        }
        policy.select(head, query, &mut keys)?;
        for &key in &keys {
            mask[[query, key]] = true;
        }
    }
    Ok(mask)
}
