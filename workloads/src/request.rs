//! One attention request: the queries of one head of one layer against its keys and values.

/// Whether many queries share their keys, or one query meets a growing context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// All tokens at once (summarization in the SpAtten paper).
    Prefill,
    /// One new token (generation in the SpAtten paper).
    Decode,
}

/// Storage widths of one request. `None` means unquantised in the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Widths {
    /// Query [bits].
    pub query: Option<u32>,
    /// Key, the part that is always read [bits].
    pub key: Option<u32>,
    /// Key bits below those, read only on a refetch [bits]; 0 where there are none.
    pub key_lsb: u32,
    /// Value [bits].
    pub value: Option<u32>,
}

/// One attention request, counts only.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Generated token (decode) or input (prefill) this request belongs to.
    pub iteration: u32,
    /// Layer, from 0.
    pub layer: u32,
    /// Head among those that survive, from 0.
    pub head: u32,
    /// Prefill or decode.
    pub phase: Phase,
    /// Head dimension D.
    pub head_dim: u32,
    /// Tokens of the unpruned context.
    pub sentence_length: u32,
    /// Query vectors.
    pub queries: u32,
    /// Key vectors fetched (after cascade token pruning).
    pub keys: u32,
    /// Value vectors used per query (after local value pruning).
    pub values: u32,
    /// Storage widths.
    pub widths: Widths,
    /// Maximum-probability threshold below which the key LSBs are read.
    pub requant_threshold: Option<f64>,
    /// Whether this request needed its key LSBs.
    pub requant: bool,
    /// Whether its probabilities enter the token importance.
    pub accumulate_importance: bool,
    /// Whether the importance is rescaled after this request.
    pub rescale_importance: bool,
    /// Tokens kept by a token top-k that runs after this request.
    pub token_topk: Option<u32>,
}
