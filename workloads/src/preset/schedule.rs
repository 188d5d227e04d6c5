//! From what each layer keeps to requests with their importance and top-k flags.

use serde::Deserialize;

use crate::{Phase, Request, Widths};

/// When token importance is updated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Accumulate {
    /// As long as a token top-k follows that reads it.
    WhileUsed,
    /// In every iteration but the last.
    UntilLastToken,
    /// Never.
    Never,
}

/// Bookkeeping of the token importance.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Importance {
    pub accumulate: Accumulate,
    /// First iteration whose last request rescales the importance for the next iteration.
    pub rescale_from: Option<u32>,
}

/// What one layer computes in one iteration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    pub iteration: u32,
    pub layer: u32,
    pub heads: u32,
    pub sentence_length: u32,
    pub queries: u32,
    pub keys: u32,
    pub values: u32,
}

/// What all requests of a workload share.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Common {
    pub phase: Phase,
    pub head_dim: u32,
    pub widths: Widths,
    pub requant_threshold: Option<f64>,
    pub importance: Importance,
}

/// One request per head of each step. `requant` tells which (iteration, layer, head) needs its
/// key LSBs.
pub(crate) fn requests(
    steps: &[Step],
    common: &Common,
    requant: impl Fn(u32, u32, u32) -> bool,
) -> Vec<Request> {
    let last_iteration = steps.last().map_or(0, |step| step.iteration);
    let topk: Vec<Option<u32>> = (0..steps.len()).map(|at| token_topk(steps, at)).collect();
    let last_topk = topk.iter().rposition(Option::is_some);
    let mut requests = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        let ends_iteration = steps.get(at + 1).is_none_or(|next| next.iteration != step.iteration);
        let rescale = ends_iteration
            && step.iteration < last_iteration
            && common.importance.rescale_from.is_some_and(|from| step.iteration >= from);
        let accumulate = match common.importance.accumulate {
            Accumulate::WhileUsed => last_topk.is_some_and(|last| at <= last),
            Accumulate::UntilLastToken => step.iteration < last_iteration,
            Accumulate::Never => false,
        };
        for head in 0..step.heads {
            let last_head = head + 1 == step.heads;
            requests.push(Request {
                iteration: step.iteration,
                layer: step.layer,
                head,
                phase: common.phase,
                head_dim: common.head_dim,
                sentence_length: step.sentence_length,
                queries: step.queries,
                keys: step.keys,
                values: step.values,
                widths: common.widths,
                requant_threshold: common.requant_threshold,
                requant: requant(step.iteration, step.layer, head),
                accumulate_importance: accumulate,
                causal: false,
                rescale_importance: rescale && last_head,
                token_topk: if last_head { topk[at] } else { None },
            });
        }
    }
    requests
}

/// Tokens that the top-k after a step keeps. It runs before a layer with fewer keys and, because
/// each iteration starts again from all tokens, before an iteration whose first layer is pruned.
fn token_topk(steps: &[Step], at: usize) -> Option<u32> {
    let (step, next) = (steps.get(at)?, steps.get(at + 1)?);
    let pruned = next.keys < next.sentence_length;
    let fewer = next.iteration != step.iteration || next.keys < step.keys;
    (pruned && fewer).then(|| next.keys.min(step.sentence_length))
}
