//! What each unit takes and gives on the way of an image.

use attelier_hw::edge_moe::formats::Format;
use attelier_workloads::vision::TokenRouting;
use ndarray::Array2;

use crate::units::edge_gate::EdgeGate;
use crate::units::edge_layer_norm::EdgeLayerNorm;
use crate::units::edge_linear::EdgeMatrix;
use crate::units::edge_patch_embedding::EdgePatchEmbedding;
use crate::units::edge_queues::EdgeQueues;
use crate::units::edge_softmax::SoftmaxInfo;

/// One use of a unit. Arrays have a row per token and hold features, where nothing else is said.
#[derive(Debug, Clone, Copy)]
pub enum Step<'a> {
    /// Patches become tokens.
    PatchEmbedding {
        /// Weights and bias.
        unit: &'a EdgePatchEmbedding,
        /// Pixels, (patches, colours x lines x pixels of a line).
        patches: &'a Array2<i32>,
        /// What is added, (patches, width).
        positions: &'a Array2<i32>,
        /// Tokens, the class token first: one row more than patches.
        tokens: &'a Array2<i32>,
    },
    /// A layer norm.
    LayerNorm {
        /// Weights and biases.
        unit: &'a EdgeLayerNorm,
        /// Tokens.
        input: &'a Array2<i32>,
        /// Tokens behind it.
        output: &'a Array2<i32>,
    },
    /// A linear layer of all tokens.
    Linear {
        /// Weights and bias.
        matrix: &'a EdgeMatrix,
        /// What the bias was before it was widened.
        bias: Format,
        /// Whether GELU follows.
        with_gelu: bool,
        /// Tokens.
        input: &'a Array2<i32>,
        /// Tokens behind it.
        output: &'a Array2<i32>,
    },
    /// Both products and the softmax between them.
    Attention {
        /// Queries.
        queries: &'a Array2<i32>,
        /// Keys.
        keys: &'a Array2<i32>,
        /// Values.
        values: &'a Array2<i32>,
        /// One per query.
        rows: &'a [AttentionRow],
        /// Weighted values.
        output: &'a Array2<i32>,
    },
    /// The gate of a layer with experts.
    Gate {
        /// Weights.
        unit: &'a EdgeGate,
        /// Tokens.
        input: &'a Array2<i32>,
        /// Experts of each.
        routing: &'a TokenRouting<i32>,
        /// Tokens of each expert.
        queues: &'a EdgeQueues,
    },
}

/// What becomes of the scores of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttentionRow {
    /// Scores of all heads for each key, in the order in which the keys come.
    pub scores: Vec<Vec<i32>>,
    /// What the softmax keeps, one per head.
    pub info: Vec<SoftmaxInfo>,
}
