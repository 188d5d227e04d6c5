//! All numbers between the steps of a network, of whatever kind they are.

use ndarray::Array2;

/// What comes out of one image.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageTrace<T> {
    /// Tokens before the first layer, (tokens, width) as everything that has no other shape.
    pub embedded: Array2<T>,
    /// Layer by layer.
    pub layers: Vec<LayerTrace<T>>,
}

/// What comes out of one layer.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerTrace<T> {
    /// Behind the first norm.
    pub attention_input: Array2<T>,
    /// Behind the projection.
    pub attended: Array2<T>,
    /// With the residual.
    pub after_attention: Array2<T>,
    /// Behind the second norm: what MLP, gate and experts see.
    pub mixer_input: Array2<T>,
    /// What the gate decided, in a layer with experts.
    pub routing: Option<TokenRouting<T>>,
    /// Tokens after the layer.
    pub output: Array2<T>,
}

/// Experts of each token.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenRouting<T> {
    /// (tokens, experts).
    pub logits: Array2<T>,
    /// Chosen experts, the best first, (tokens, k).
    pub experts: Array2<usize>,
    /// Their shares of all experts, (tokens, k).
    pub scores: Array2<T>,
}

impl<T> TokenRouting<T> {
    /// Tokens of each expert.
    pub fn queues(&self) -> Vec<u32> {
        let mut queues = vec![0; self.logits.ncols()];
        for &expert in &self.experts {
            if let Some(queue) = queues.get_mut(expert) {
                *queue += 1;
            }
        }
        queues
    }

    /// Tokens that have the same experts here and there, in whatever order.
    pub fn same_experts<U>(&self, other: &TokenRouting<U>) -> usize {
        let sorted = |row: ndarray::ArrayView1<'_, usize>| {
            let mut row = row.to_vec();
            row.sort_unstable();
            row
        };
        let pairs = self.experts.rows().into_iter().zip(other.experts.rows());
        pairs.filter(|&(ours, theirs)| sorted(ours) == sorted(theirs)).count()
    }
}

impl<T: Clone> ImageTrace<T> {
    /// The same with every number converted.
    pub fn map<U>(&self, convert: impl Fn(T) -> U) -> ImageTrace<U> {
        let map = |numbers: &Array2<T>| numbers.map(|number| convert(number.clone()));
        let layer = |layer: &LayerTrace<T>| LayerTrace {
            attention_input: map(&layer.attention_input),
            attended: map(&layer.attended),
            after_attention: map(&layer.after_attention),
            mixer_input: map(&layer.mixer_input),
            routing: layer.routing.as_ref().map(|routing| TokenRouting {
                logits: map(&routing.logits),
                experts: routing.experts.clone(),
                scores: map(&routing.scores),
            }),
            output: map(&layer.output),
        };
        ImageTrace {
            embedded: map(&self.embedded),
            layers: self.layers.iter().map(layer).collect(),
        }
    }
}
