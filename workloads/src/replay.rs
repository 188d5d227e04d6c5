//! Recorded operands in place of a model: attention sees them layer by layer, but what it answers
//! changes nothing except which tokens go on.

use ndarray::{Array2, Axis};

use crate::model::{Attended, Attention, AttentionError, Projected};

/// Operands of one layer, all heads.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Queries [queries, heads * head_dim].
    pub q: Array2<f32>,
    /// Keys [keys, heads * head_dim].
    pub k: Array2<f32>,
    /// Values, as keys.
    pub v: Array2<f32>,
}

/// Operands of one input (all tokens are queries) or of one decode step (one query).
#[derive(Debug, Clone, PartialEq)]
pub struct Replay {
    /// Heads.
    pub heads: usize,
    /// Elements of one vector of one head.
    pub head_dim: usize,
    /// Whether a query sees only tokens up to its own.
    pub causal: bool,
    /// Layers in order.
    pub layers: Vec<Layer>,
}

impl Replay {
    /// Runs `attention` over all layers; returns what it answered, a row per query that was left.
    ///
    /// # Errors
    /// Those of `attention`.
    pub fn run(&self, attention: &mut dyn Attention) -> Result<Vec<Attended>, AttentionError> {
        let mut positions: Vec<usize> = Vec::new();
        let mut answers = Vec::with_capacity(self.layers.len());
        for (layer, Layer { q, k, v }) in self.layers.iter().enumerate() {
            let decode = self.causal && q.nrows() == 1;
            if decode || layer == 0 {
                positions = (0..k.nrows()).collect();
            }
            let rows = |matrix: &Array2<f32>| matrix.select(Axis(0), &positions);
            let (q, k, v) = (if decode { q.clone() } else { rows(q) }, rows(k), rows(v));
            let answer = attention.attend(&Projected {
                layer,
                heads: self.heads,
                kv_heads: self.heads,
                head_dim: self.head_dim,
                q: q.view(),
                k: k.view(),
                v: v.view(),
                scale: (self.head_dim as f32).sqrt().recip(),
                causal: self.causal,
                first_position: k.nrows() - q.nrows(),
                positions: &positions,
            })?;
            if let (Some(kept), false) = (&answer.kept, decode) {
                positions = kept.iter().filter_map(|&row| positions.get(row).copied()).collect();
            }
            answers.push(answer);
        }
        Ok(answers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    /// Keeps every other row and notes the positions it saw.
    #[derive(Default)]
    struct EveryOther(Vec<Vec<usize>>);

    impl Attention for EveryOther {
        fn attend(&mut self, operands: &Projected<'_>) -> Result<Attended, AttentionError> {
            self.0.push(operands.positions.to_vec());
            assert_eq!(operands.q.column(0).to_vec(), operands.k.column(0).to_vec());
            let kept = (0..operands.queries()).step_by(2).collect();
            Ok(Attended { output: operands.q.to_owned(), kept: Some(kept) })
        }
    }

    #[test]
    fn dropped_tokens_are_neither_queries_nor_keys_of_later_layers() {
        let matrix = Array2::from_shape_fn((5, 2), |(row, _)| row as f32);
        let layer = Layer { q: matrix.clone(), k: matrix.clone(), v: matrix };
        let replay = Replay { heads: 1, head_dim: 2, causal: false, layers: vec![layer; 3] };
        let mut seen = EveryOther::default();
        let answers = replay.run(&mut seen).unwrap();
        assert_eq!(seen.0, [vec![0, 1, 2, 3, 4], vec![0, 2, 4], vec![0, 4]]);
        assert_eq!(answers[2].output.column(0).to_vec(), [0.0, 4.0]);
    }
}
