//! Where a model hands its projected operands to whoever computes attention.
//!
//! A [`super::Model`] computes everything but attention. For every layer it calls an [`Attention`],
//! which may compute densely, prune, quantise, or record what it is given.

use ndarray::{Array2, ArrayView2, Axis, Slice};

/// Projected operands of one layer, all heads, before attention.
///
/// Query rows are the newest rows: query `i` belongs to key row `keys - queries + i`.
#[derive(Debug, Clone, Copy)]
pub struct Projected<'a> {
    /// Layer, from 0.
    pub layer: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads, of which each serves `heads / kv_heads` query heads in a row.
    pub kv_heads: usize,
    /// Elements of one query, key or value vector.
    pub head_dim: usize,
    /// Queries [queries, heads * head_dim], rotated where the model has rotary embeddings.
    pub q: ArrayView2<'a, f32>,
    /// Keys [keys, kv_heads * head_dim], those of the cache first.
    pub k: ArrayView2<'a, f32>,
    /// Values [keys, kv_heads * head_dim].
    pub v: ArrayView2<'a, f32>,
    /// What the model multiplies every score with, usually `head_dim^-0.5`.
    pub scale: f32,
    /// Whether query `i` sees only key rows `0..=first_position + i`; if not, it sees all.
    pub causal: bool,
    /// Key row of the first query.
    pub first_position: usize,
    /// Position in the text of each key row, ascending; with pruned tokens it has gaps.
    pub positions: &'a [usize],
}

impl<'a> Projected<'a> {
    /// Query rows.
    pub fn queries(&self) -> usize {
        self.q.nrows()
    }

    /// Key and value rows.
    pub fn keys(&self) -> usize {
        self.k.nrows()
    }

    /// Key rows that `query` sees, which are the first ones.
    pub fn visible(&self, query: usize) -> usize {
        let causal = self.first_position.saturating_add(query).saturating_add(1);
        if self.causal { causal.min(self.keys()) } else { self.keys() }
    }

    /// Queries of one head [queries, head_dim].
    pub fn query(&self, head: usize) -> ArrayView2<'a, f32> {
        columns(self.q, head, self.head_dim)
    }

    /// Keys that query head `head` meets [keys, head_dim].
    pub fn key(&self, head: usize) -> ArrayView2<'a, f32> {
        columns(self.k, self.kv_head(head), self.head_dim)
    }

    /// Values that query head `head` meets [keys, head_dim].
    pub fn value(&self, head: usize) -> ArrayView2<'a, f32> {
        columns(self.v, self.kv_head(head), self.head_dim)
    }

    fn kv_head(&self, head: usize) -> usize {
        head * self.kv_heads / self.heads
    }
}

fn columns(matrix: ArrayView2<'_, f32>, head: usize, head_dim: usize) -> ArrayView2<'_, f32> {
    let (_, from) = matrix.split_at(Axis(1), head * head_dim);
    from.split_at(Axis(1), head_dim).0
}

/// What attention gives back to the model.
#[derive(Debug, Clone, PartialEq)]
pub struct Attended {
    /// One row per query [queries, heads * head_dim], before the output projection.
    pub output: Array2<f32>,
    /// Query rows that go on, ascending; `None` is all of them. The others leave the residual
    /// stream of this layer and do not reach any later one (cascade token pruning). A decoder
    /// keeps its last row, from which it predicts the next token.
    pub kept: Option<Vec<usize>>,
}

/// Why an [`Attention`] could not compute.
pub type AttentionError = Box<dyn std::error::Error + Send + Sync>;

/// Computes attention for a model, layer after layer.
pub trait Attention {
    /// Attends every query of one layer.
    ///
    /// # Errors
    /// Whatever keeps the implementation from an answer; the model adds the layer.
    fn attend(&mut self, operands: &Projected<'_>) -> Result<Attended, AttentionError>;
}

/// Attention as the model defines it, in 32-bit floats, nothing pruned.
#[derive(Debug, Default)]
pub struct Dense {
    recorded: Option<Vec<Recorded>>,
}

/// What [`Dense`] computed in one call.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// Layer, from 0.
    pub layer: usize,
    /// Probabilities [queries, keys] of each head.
    pub probabilities: Vec<Array2<f32>>,
    /// Outputs of all heads [queries, heads * head_dim], before the output projection.
    pub output: Array2<f32>,
}

impl Dense {
    /// Computes and forgets.
    pub fn new() -> Dense {
        Dense::default()
    }

    /// Keeps the probabilities and outputs of every call; memory grows with each.
    pub fn recording() -> Dense {
        Dense { recorded: Some(Vec::new()) }
    }

    /// What was recorded since the last call of this, in the order of the calls.
    pub fn take_recorded(&mut self) -> Vec<Recorded> {
        self.recorded.as_mut().map(std::mem::take).unwrap_or_default()
    }
}

impl Attention for Dense {
    fn attend(&mut self, operands: &Projected<'_>) -> Result<Attended, AttentionError> {
        let mut output = Array2::zeros(operands.q.raw_dim());
        let mut all = Vec::new();
        for head in 0..operands.heads {
            let probabilities = probabilities(operands, head);
            let result = probabilities.dot(&operands.value(head));
            let first = head * operands.head_dim;
            let columns = Slice::from(first..first + operands.head_dim);
            output.slice_axis_mut(Axis(1), columns).assign(&result);
            if self.recorded.is_some() {
                all.push(probabilities);
            }
        }
        if let Some(recorded) = &mut self.recorded {
            let output = output.clone();
            recorded.push(Recorded { layer: operands.layer, probabilities: all, output });
        }
        Ok(Attended { output, kept: None })
    }
}

/// Softmax of the scaled scores of one head [queries, keys]; 0 where a query does not see a key.
fn probabilities(operands: &Projected<'_>, head: usize) -> Array2<f32> {
    let mut scores = operands.query(head).dot(&operands.key(head).t());
    for (query, mut row) in scores.axis_iter_mut(Axis(0)).enumerate() {
        let (mut seen, mut unseen) = row.view_mut().split_at(Axis(0), operands.visible(query));
        unseen.fill(0.0);
        seen *= operands.scale;
        let largest = seen.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        seen.mapv_inplace(|score| (score - largest).exp());
        let sum = seen.sum();
        seen /= sum;
    }
    scores
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn operands<'a>(
        q: &'a Array2<f32>,
        k: &'a Array2<f32>,
        v: &'a Array2<f32>,
        causal: bool,
    ) -> Projected<'a> {
        let heads = q.ncols() / 2;
        Projected {
            layer: 0,
            heads,
            kv_heads: k.ncols() / 2,
            head_dim: 2,
            q: q.view(),
            k: k.view(),
            v: v.view(),
            scale: 1.0,
            causal,
            first_position: k.nrows() - q.nrows(),
            positions: &[0, 1, 2, 3][..k.nrows()],
        }
    }

    #[test]
    fn equal_scores_give_the_mean_of_the_values_that_are_seen() {
        let (q, k) = (Array2::zeros((3, 2)), Array2::ones((3, 2)));
        let v = array![[0.0, 3.0], [2.0, 6.0], [4.0, 0.0]];
        let all = Dense::new().attend(&operands(&q, &k, &v, false)).unwrap().output;
        assert_eq!(all, array![[2.0, 3.0], [2.0, 3.0], [2.0, 3.0]]);
        let causal = Dense::new().attend(&operands(&q, &k, &v, true)).unwrap().output;
        assert_eq!(causal, array![[0.0, 3.0], [1.0, 4.5], [2.0, 3.0]]);
    }

    #[test]
    fn a_score_lead_of_ln_3_takes_three_quarters() {
        // Scores ln 3 and 0: probabilities 3/4 and 1/4.
        let (q, k) = (array![[3f32.ln(), 0.0]], array![[1.0, 0.0], [0.0, 1.0]]);
        let v = array![[4.0, 0.0], [0.0, 4.0]];
        let mut dense = Dense::recording();
        let output = dense.attend(&operands(&q, &k, &v, true)).unwrap().output;
        let recorded = dense.take_recorded();
        for (found, expected) in [(output[[0, 0]], 3.0), (output[[0, 1]], 1.0)] {
            assert!((found - expected).abs() < 1e-6, "{found} instead of {expected}");
        }
        assert!((recorded[0].probabilities[0][[0, 0]] - 0.75).abs() < 1e-6);
        assert!(dense.take_recorded().is_empty());
    }

    #[test]
    fn query_heads_share_key_heads_in_groups() {
        // Four query heads over two key heads: 0 and 1 meet the first, 2 and 3 the second.
        let q = Array2::zeros((1, 8));
        let k = Array2::zeros((1, 4));
        let v = array![[1.0, 2.0, 3.0, 4.0]];
        let output = Dense::new().attend(&operands(&q, &k, &v, true)).unwrap().output;
        assert_eq!(output, array![[1.0, 2.0, 1.0, 2.0, 3.0, 4.0, 3.0, 4.0]]);
    }

    #[test]
    fn scores_far_beyond_the_range_of_exp_stay_finite() {
        let (q, k) = (array![[1000.0, 0.0]], array![[1.0, 0.0], [-1.0, 0.0]]);
        let v = array![[1.0, 0.0], [0.0, 1.0]];
        let output = Dense::new().attend(&operands(&q, &k, &v, false)).unwrap().output;
        assert_eq!(output, array![[1.0, 0.0]]);
    }
}
