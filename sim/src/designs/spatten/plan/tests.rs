//! No two vectors share a byte of memory.

use std::collections::BTreeMap;

use attelier_workloads::request::{Phase, Request, Widths};
use proptest::prelude::*;

use super::super::storage::Plane;
use super::super::values::SeededValues;
use super::*;

/// One request per layer and head.
fn requests(
    (layers, heads, tokens, head_dim): (u32, u32, u32, u32),
    widths: Widths,
    phase: Phase,
) -> Vec<Request> {
    let request = |layer, head| Request {
        iteration: 0,
        layer,
        head,
        phase,
        causal: false,
        head_dim,
        sentence_length: tokens,
        queries: if phase == Phase::Prefill { tokens } else { 1 },
        keys: tokens,
        values: tokens,
        widths,
        requant_threshold: None,
        requant: false,
        accumulate_importance: false,
        rescale_importance: false,
        token_topk: None,
    };
    (0..layers).flat_map(|layer| (0..heads).map(move |head| request(layer, head))).collect()
}

/// Bytes of a plane by owner; fused heads own one plane together.
fn planes(job: &Job, tokens: u32) -> Vec<(u64, u64)> {
    let bytes = |plane: &Plane, vectors: u32| {
        (plane.base, plane.base + u64::from(vectors) * u64::from(plane.vector_bytes))
    };
    let heads = usize::from(job.heads);
    let queries = job.query[..heads].iter().map(|plane| bytes(plane, job.queries));
    let lsbs = job.key_lsb[..heads].iter().map(|plane| bytes(plane, tokens));
    queries.chain(lsbs).chain([bytes(&job.key, tokens), bytes(&job.value, tokens)]).collect()
}

proptest! {
    #[test]
    fn planes_never_overlap(
        shape in (1u32..4, 1u32..6, 1u32..300, prop::sample::select(vec![32u32, 64])),
        key in prop::sample::select(vec![None, Some(4), Some(6), Some(8), Some(12)]),
        value in prop::sample::select(vec![None, Some(4), Some(6), Some(8), Some(12)]),
        (query, key_lsb) in (2u32..=16, 0u32..=8),
        (preset, keeps_values) in (any::<bool>(), any::<bool>()),
        prefill: bool,
    ) {
        let name = if preset { "spatten" } else { "spatten-eighth" };
        let mut params = Spatten::preset(name).expect("a preset");
        params.controller.truncate_wide_values = !keeps_values;
        let widths = Widths { query: Some(query), key, key_lsb, value };
        let phase = if prefill { Phase::Prefill } else { Phase::Decode };
        let requests = requests(shape, widths, phase);
        let jobs = plan(&params, &requests, &SeededValues::new(1)).expect("it fits");
        let mut ends = BTreeMap::new();
        for (begin, end) in jobs.iter().flat_map(|job| planes(job, shape.2)) {
            if begin < end {
                prop_assert!(ends.insert(begin, end).is_none(), "two planes at {begin:#x}");
            }
        }
        for ((begin, end), (next, _)) in ends.iter().zip(ends.iter().skip(1)) {
            prop_assert!(end <= next, "{begin:#x} to {end:#x} reaches into {next:#x}");
        }
    }
}
