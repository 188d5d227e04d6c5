//! What a functional run leaves for the machine: requests, stored operands, expected outputs.

use std::sync::Arc;

use attelier_workloads::request::Request;

use crate::datapath::softmax::Scale;

/// Everything that was computed, request by request.
#[derive(Debug, Clone, Default)]
pub struct Recording {
    /// Requests in the order of computation.
    pub requests: Vec<Request>,
    /// Operands and results of each request.
    pub heads: Vec<HeadRecord>,
    /// Stored keys and values; decode steps share those of their head.
    pub caches: Vec<Cache>,
}

/// Codes of keys and values by token position, `head_dim` elements each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cache {
    /// Keys.
    pub keys: Vec<i16>,
    /// Values.
    pub values: Vec<i16>,
}

/// Operands and results of one request.
#[derive(Debug, Clone)]
pub struct HeadRecord {
    /// Where its keys and values are.
    pub cache: usize,
    /// Codes of the queries, `head_dim` elements each.
    pub queries: Vec<i16>,
    /// Positions of the keys.
    pub tokens: Arc<[u32]>,
    /// From scores to exponents.
    pub scale: Scale,
    /// Probability code below which a pass is flat.
    pub threshold: u16,
    /// Importance of `tokens` if a token selection follows.
    pub token_importance: Option<Vec<u64>>,
    /// Importance of the heads of the layer if a head selection follows.
    pub head_importance: Option<Vec<u64>>,
    /// Attention outputs, words of the data path, `head_dim` for each query.
    pub outputs: Vec<i32>,
    /// Passes that were computed a second time.
    pub recomputed: u32,
}

impl Recording {
    /// Rows of codes at `positions` of a cache.
    pub fn row(codes: &[i16], head_dim: usize, position: u32) -> &[i16] {
        &codes[position as usize * head_dim..][..head_dim]
    }
}
