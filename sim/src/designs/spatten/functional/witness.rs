//! The cascade a second time, by the reference kernels: importances in `f64` from the probabilities
//! and outputs of a run, survivors by a sorting top-k.

use attelier_workloads::reference::{head_importance, token_importance, top_k};
use ndarray::Array2;

use super::head::PassResult;

/// Importances of one run.
#[derive(Debug, Clone, Default)]
pub struct Witness {
    tokens: Vec<f64>,
    heads: Vec<f64>,
}

impl Witness {
    /// Another text comes.
    pub fn forget(&mut self) {
        self.tokens.clear();
        self.heads.clear();
    }

    /// An input or step of so many positions and heads begins.
    pub fn begin(&mut self, context: usize, heads: usize) {
        self.tokens.resize(context, 0.0);
        self.heads.resize(heads, 0.0);
    }

    /// Adds the passes of one head over the keys at positions `tokens`.
    pub fn add(&mut self, head: usize, tokens: &[u32], passes: &[PassResult]) {
        let matrix = |columns: usize, of: &dyn Fn(&PassResult, usize) -> f64| {
            Array2::from_shape_fn((passes.len(), columns), |(row, at)| of(&passes[row], at))
        };
        let probabilities = matrix(tokens.len(), &|pass, at| f64::from(pass.probabilities[at]));
        // One head at a time: the shapes agree.
        let sums = token_importance(&[probabilities.view()]).unwrap_or_default();
        for (&token, sum) in tokens.iter().zip(sums) {
            self.tokens[token as usize] += sum;
        }
        let columns = passes.first().map_or(0, |pass| pass.output.len());
        let outputs = matrix(columns, &|pass, at| f64::from(pass.output[at]));
        self.heads[head] += head_importance(&[outputs.view()]).iter().sum::<f64>();
    }

    /// The `k` tokens that survive of those at `tokens`.
    pub fn surviving_tokens(&self, tokens: &[u32], k: usize) -> Vec<u32> {
        let importance: Vec<f64> = tokens.iter().map(|&at| self.tokens[at as usize]).collect();
        top_k(&importance, k).into_iter().map(|at| tokens[at]).collect()
    }

    /// The `k` heads that survive of `heads`.
    pub fn surviving_heads(&self, heads: &[usize], k: usize) -> Vec<usize> {
        let importance: Vec<f64> = heads.iter().map(|&head| self.heads[head]).collect();
        top_k(&importance, k).into_iter().map(|at| heads[at]).collect()
    }
}
