//! One attention request: the queries of one head of one layer against its keys and values.

use serde::Serialize;

/// Whether many queries share their keys, or one query meets a growing context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// All tokens at once (summarization in the SpAtten paper).
    Prefill,
    /// One new token (generation in the SpAtten paper).
    Decode,
}

/// Storage widths of one request. `None` means unquantised in the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Widths {
    /// Query \[bits\].
    #[serde(rename = "query_bits", skip_serializing_if = "Option::is_none")]
    pub query: Option<u32>,
    /// Key, the part that is always read \[bits\].
    #[serde(rename = "key_bits", skip_serializing_if = "Option::is_none")]
    pub key: Option<u32>,
    /// Key bits below those, read only on a refetch \[bits\]; 0 where there are none.
    #[serde(rename = "key_lsb_bits", skip_serializing_if = "is_zero")]
    pub key_lsb: u32,
    /// Value \[bits\].
    #[serde(rename = "value_bits", skip_serializing_if = "Option::is_none")]
    pub value: Option<u32>,
}

impl Widths {
    /// Nothing quantised, no LSB plane: the dense baselines.
    pub const UNQUANTISED: Widths = Widths { query: None, key: None, key_lsb: 0, value: None };
}

/// One attention request, counts only.
///
/// Serialises to one line of the trace format (`docs/trace-format.md`); a field that is absent, 0
/// bits or `false` is left out there.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Request {
    /// Generated token (decode) or input (prefill) this request belongs to.
    pub iteration: u32,
    /// Layer, from 0.
    pub layer: u32,
    /// Head among those that survive, from 0.
    pub head: u32,
    /// Prefill or decode.
    pub phase: Phase,
    /// Prefill of a decoder: a query sees no key after its own. A single query sees all anyway.
    #[serde(skip_serializing_if = "is_false")]
    pub causal: bool,
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
    #[serde(flatten)]
    pub widths: Widths,
    /// Maximum-probability threshold below which the key LSBs are read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requant_threshold: Option<f64>,
    /// Whether this request needed its key LSBs.
    #[serde(skip_serializing_if = "is_false")]
    pub requant: bool,
    /// Whether its probabilities enter the token importance.
    #[serde(skip_serializing_if = "is_false")]
    pub accumulate_importance: bool,
    /// Whether the importance is rescaled after this request.
    #[serde(skip_serializing_if = "is_false")]
    pub rescale_importance: bool,
    /// Tokens kept by a token top-k that runs after this request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_topk: Option<u32>,
}

impl Request {
    /// Multiply-accumulates of one pass: `queries * head_dim * (keys + values)`.
    ///
    /// The recomputation that follows an LSB refetch is not counted. `None` if the product leaves
    /// `u64`, which no request that passes [`crate::Workload::check`] does.
    pub fn macs(&self) -> Option<u64> {
        let rows = u64::from(self.keys) + u64::from(self.values);
        (u64::from(self.queries) * u64::from(self.head_dim)).checked_mul(rows)
    }

    /// Multiply-accumulates of this head without any pruning of tokens or values. In prefill a
    /// pruned token is also a query less, so there the whole sentence counts as queries.
    pub fn dense_macs(&self) -> Option<u64> {
        let length = u64::from(self.sentence_length);
        let queries = match self.phase {
            Phase::Prefill => length,
            Phase::Decode => u64::from(self.queries),
        };
        (queries * u64::from(self.head_dim)).checked_mul(2 * length)
    }
}

fn is_zero(bits: &u32) -> bool {
    *bits == 0
}

fn is_false(flag: &bool) -> bool {
    !*flag
}
