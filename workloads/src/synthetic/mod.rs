//! Attention scores out of a seed, distributed as in a real model.
//!
//! The score of query `i` and key `j` in a head is a sum of four parts, in nats:
//!
//! ```text
//! score(i, j) = strength * ( sink, for key 0 only
//!                          + popularity * (sqrt(c) * A(layer, j) + sqrt(1 - c) * B(head, j))
//!                          + individual * C(head, i, j)
//!                          - slope * ln(1 + |i - j| / REACH), in local heads only )
//! ```
//!
//! `A`, `B` and `C` are standard normal draws, `c` is [`COMMON`], and probabilities are the softmax
//! of a row. The head draws `strength`, which is log-normal around 1, and whether it is local.
//! [`LayerParams`] holds the other factors; they depend on the relative depth of the layer. The
//! length of the text is no parameter: it acts through the softmax and the distances alone.
//!
//! That trained heads look this way is known: one key, often the first, takes most of what a head
//! has no use for, and many heads look at their neighbourhood (Clark et al., "What does BERT look
//! at?", 2019; Xiao et al., "Efficient streaming language models with attention sinks", 2024).
//!
//! * [`Generator`]: the scores of a whole model. [`Head`]: those of one head and text.
//! * [`Fitted`]: the committed parameters, and the measurements that they were fitted to.
//! * [`Statistics`]: how concentrated attention is, measured on any probabilities.
//!
//! What it does not have: special keys other than the first, heads that copy one fixed offset,
//! meaning. `docs/validation.md` says how well it fits.

mod fitted;
mod head;
mod statistics;

pub use fitted::{Fitted, LayerParams, Measured};
pub use head::{COMMON, Head, REACH};
pub use statistics::{FLAT, Statistics, measure};

use crate::draw::split_mix;

/// Scores of a model with any number of layers, heads and keys. Every draw is a function of the
/// seed and its place alone.
#[derive(Debug, Clone)]
pub struct Generator {
    seed: u64,
    layers: Vec<LayerParams>,
}

impl Generator {
    /// A model of this seed, with parameters at evenly spaced relative depths from 0 to 1. Without
    /// any, all scores are 0.
    pub fn new(layers: Vec<LayerParams>, seed: u64) -> Generator {
        Generator { seed, layers }
    }

    /// A model of this seed with the committed parameters.
    pub fn fitted(seed: u64) -> Generator {
        Generator::new(Fitted::embedded().layers, seed)
    }

    /// A head while the model reads text number `text`. Layers and heads are given as their number,
    /// from 0, and how many there are.
    ///
    /// Strength and locality are those of the head in every text. The heads of a layer divide the
    /// range of both evenly: of `n` heads with a local share `s`, `s * n` are local, rounded up or
    /// down.
    pub fn head(&self, (layer, layers): (u32, u32), head: (u32, u32), text: u64) -> Head {
        let last = layers.saturating_sub(1).max(1);
        let params = self.at(f64::from(layer) / f64::from(last));
        let state = split_mix(split_mix(self.seed) ^ u64::from(layer));
        Head::new(&params, state, head, text)
    }

    /// Parameters at a relative depth, on the straight line between the nearest two.
    fn at(&self, depth: f64) -> LayerParams {
        let Some(last) = self.layers.len().checked_sub(1) else { return LayerParams::default() };
        let place = depth.clamp(0.0, 1.0) * last as f64;
        let below = (place as usize).min(last);
        let above = (below + 1).min(last);
        self.layers[below].towards(&self.layers[above], place - below as f64)
    }
}

#[cfg(test)]
mod tests;
