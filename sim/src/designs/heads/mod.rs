//! Machines that treat every head and query for itself: what they are given, and what they compute.
//!
//! * [`layers`]: a workload before anything was pruned, because these machines prune no tokens or heads.
//! * [`HeadWork`]: rows that the queries of a head meet, as drawn, counted or found in real values.
//! * [`Functional`]: such a machine as the attention of a model.

mod check;
mod functional;

use attelier_workloads::request::{Phase, Request, Widths};

pub use functional::{Arithmetic, Attending, Functional, HeadOperands, Normalisation, Recorded};

/// Heads of one layer, before anything is pruned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layer {
    /// Input, or generated token.
    pub iteration: u32,
    /// Layer of the model.
    pub layer: u32,
    /// Prefill or decode.
    pub phase: Phase,
    /// Whether a query sees no key after its own.
    pub causal: bool,
    /// Heads.
    pub heads: u32,
    /// Queries of each.
    pub queries: u32,
    /// Keys of each.
    pub keys: u32,
    /// Elements of a vector.
    pub head_dim: u32,
}

impl Layer {
    /// Keys that `query` sees.
    pub fn visible(&self, query: u32) -> u32 {
        let behind = self.queries.saturating_sub(query).saturating_sub(1);
        if self.causal { self.keys.saturating_sub(behind).max(1) } else { self.keys }
    }
}

/// Layers of a workload before anything was pruned: every head that occurs, all tokens as keys, and in
/// prefill as queries too.
pub fn layers(requests: &[Request]) -> Vec<Layer> {
    let heads = requests.iter().map(|request| request.head + 1).max().unwrap_or(0);
    let mut layers: Vec<Layer> = Vec::new();
    for request in requests {
        let same =
            |last: &Layer| (last.iteration, last.layer) == (request.iteration, request.layer);
        if layers.last().is_some_and(same) {
            continue;
        }
        layers.push(Layer {
            iteration: request.iteration,
            layer: request.layer,
            phase: request.phase,
            causal: request.causal,
            heads,
            queries: match request.phase {
                Phase::Prefill => request.sentence_length,
                Phase::Decode => request.queries,
            },
            keys: request.sentence_length,
            head_dim: request.head_dim,
        });
    }
    layers
}

/// What the queries of one head meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadWork {
    /// Input, or generated token.
    pub iteration: u32,
    /// Layer of the model.
    pub layer: u32,
    /// Head of the layer.
    pub head: u32,
    /// Prefill or decode.
    pub phase: Phase,
    /// Keys.
    pub keys: u32,
    /// Elements of a vector.
    pub head_dim: u32,
    /// What each query meets.
    pub queries: Vec<QueryWork>,
}

/// Rows that one query meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueryWork {
    /// Keys that it may see.
    pub visible: u32,
    /// Keys whose dot product is computed.
    pub candidates: u32,
    /// Values that enter the output.
    pub kept: u32,
}

impl HeadWork {
    /// A head in which every query meets every key that it sees.
    pub fn dense(layer: &Layer, head: u32) -> Self {
        let queries = (0..layer.queries).map(|query| {
            let visible = layer.visible(query);
            QueryWork { visible, candidates: visible, kept: visible }
        });
        Self::of(layer, head, queries.collect())
    }

    /// The head `head` of `layer` with this work.
    pub fn of(layer: &Layer, head: u32, queries: Vec<QueryWork>) -> Self {
        let Layer { iteration, layer, phase, keys, head_dim, .. } = *layer;
        Self { iteration, layer, head, phase, keys, head_dim, queries }
    }

    /// Operations of both products over all rows that the queries see; a multiply-accumulate is two.
    pub fn dense_ops(&self) -> u64 {
        let rows: u64 = self.queries.iter().map(|query| u64::from(query.visible)).sum();
        4 * rows * u64::from(self.head_dim)
    }

    /// Operations of both products over the rows that were met.
    pub fn executed_ops(&self) -> u64 {
        let met = |query: &QueryWork| u64::from(query.candidates) + u64::from(query.kept);
        2 * self.queries.iter().map(met).sum::<u64>() * u64::from(self.head_dim)
    }

    /// The same as a request of a workload, nothing pruned.
    pub fn request(&self) -> Request {
        Request {
            iteration: self.iteration,
            layer: self.layer,
            head: self.head,
            phase: self.phase,
            causal: false,
            head_dim: self.head_dim,
            sentence_length: self.keys,
            queries: self.queries.len() as u32,
            keys: self.keys,
            values: self.keys,
            widths: Widths::UNQUANTISED,
            requant_threshold: None,
            requant: false,
            accumulate_importance: false,
            rescale_importance: false,
            token_topk: None,
        }
    }
}

/// All heads of all layers, each query with each key that it sees.
pub fn dense(layers: &[Layer]) -> Vec<HeadWork> {
    let heads = |layer: &Layer| {
        let layer = *layer;
        (0..layer.heads).map(move |head| HeadWork::dense(&layer, head))
    };
    layers.iter().flat_map(heads).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pruned_workload_and_its_dense_version_are_the_same_layers() {
        let load = |name| attelier_workloads::load(name).unwrap().requests;
        let pruned = layers(&load("gpt2-medium/wikitext2"));
        let dense = layers(&load("gpt2-medium/wikitext2/dense"));
        assert_eq!(pruned, dense);
        assert_eq!((pruned.len(), pruned[0].heads, pruned[0].keys), (32 * 24, 16, 993));
    }

    #[test]
    fn dense_work_is_four_operations_per_element_of_every_pair() {
        let bert = layers(&attelier_workloads::load("bert-base/cola").unwrap().requests);
        let ops: u64 = dense(&bert).iter().map(HeadWork::dense_ops).sum();
        assert_eq!(ops, 12 * 12 * 4 * 11 * 11 * 64);
        let executed: u64 = dense(&bert).iter().map(HeadWork::executed_ops).sum();
        assert_eq!(executed, ops);
    }

    #[test]
    fn a_causal_query_sees_the_keys_up_to_its_own() {
        let mut layer = layers(&attelier_workloads::load("bert-base/cola").unwrap().requests)[0];
        layer.causal = true;
        assert_eq!([layer.visible(0), layer.visible(10)], [1, 11]);
    }
}
