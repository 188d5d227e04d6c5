//! Random small machines and workloads that fit them.

use attelier_hw::spatten::Spatten;
use attelier_workloads::request::{Phase, Request, Widths};
use proptest::prelude::*;

/// A machine and its work.
#[derive(Debug, Clone)]
pub struct Design {
    /// Machine.
    pub params: Spatten,
    /// Workload.
    pub requests: Vec<Request>,
}

fn machine(
    (channels, lanes, fifo, latency): (u32, u32, u32, u32),
    (multipliers, lines, softmax_fifo, pv_fifo): (u32, u32, u32, u32),
    (parallelism, jobs, overhead, stages): (u32, u32, u32, [u32; 5]),
    (cascade, twice, dram_queries): (bool, bool, bool),
) -> Spatten {
    let per_line = multipliers / 64;
    let line_bytes = multipliers * 12 / 8;
    let buffer = (lanes * 32 + per_line.max(2) * 96).next_multiple_of(64) * 2;
    let sram = lines * line_bytes;
    let sets = [
        "memory.kind=ideal".to_string(),
        format!("memory.channels={channels}"),
        format!("memory.latency_cycles={latency}"),
        format!("qkv_fetcher.lanes={lanes}"),
        format!("qkv_fetcher.fifo_depth={fifo}"),
        format!("bitwidth_converter.buffer_bytes={buffer}"),
        format!("qk_array.multipliers={multipliers}"),
        format!("pv_array.multipliers={multipliers}"),
        format!("pv_array.fifo_depth={pv_fifo}"),
        format!("key_sram.bytes={sram}"),
        format!("value_sram.bytes={sram}"),
        format!("softmax.fifo_depth={softmax_fifo}"),
        format!("softmax.scale_cycles={}", stages[0]),
        format!("softmax.exp_cycles={}", stages[1]),
        format!("softmax.accumulate_cycles={}", stages[2]),
        format!("softmax.divide_cycles={}", stages[3]),
        format!("softmax.quantise_cycles={}", stages[4]),
        format!("topk_value.parallelism={parallelism}"),
        format!("topk_token.parallelism={parallelism}"),
        format!("topk_value.round_overhead_cycles={overhead}"),
        format!("controller.jobs_in_flight={jobs}"),
        format!("controller.cascade_dependency={cascade}"),
        format!("controller.recompute_wide_keys={twice}"),
        format!("controller.query_from_dram={dram_queries}"),
        format!("controller.queries_ahead={}", 1 + latency * jobs % 40),
    ];
    let config = attelier_hw::config::load("spatten", None, &sets).expect("known parameters");
    Spatten::check(&config).unwrap_or_else(|error| panic!("a legal machine:\n{error}"))
}

fn machines() -> impl Strategy<Value = Spatten> {
    let power = |range: std::ops::RangeInclusive<u32>| range.prop_map(|log| 1u32 << log);
    (
        (power(0..=4), 0u32..=1, 1u32..=64, 1u32..=60),
        (power(6..=9), 128u32..=256, 64u32..=200, 2u32..=64),
        (power(0..=5), 1u32..=8, 0u32..=4, prop::array::uniform5(1u32..=30)),
        any::<(bool, bool, bool)>(),
    )
        .prop_map(|((channels, wider, fifo, latency), sizes, engine, flags)| {
            let per_line = sizes.0 / 64;
            let lanes = (channels << wider).max(per_line).max(2);
            let sizes = (sizes.0, sizes.1 / 2 * 2, sizes.2, sizes.3);
            machine((channels, lanes, fifo, latency), sizes, engine, flags)
        })
}

/// One layer step: keys, values, widths and what happens around it.
#[derive(Debug, Clone)]
struct Layer {
    heads: u32,
    keys: u32,
    values: u32,
    widths: (Option<u32>, Option<u32>),
    requant: u8,
    topk: bool,
    prefill: bool,
}

fn layers(longest: u32) -> impl Strategy<Value = Vec<Layer>> {
    let width = prop::sample::select(vec![None, Some(4), Some(6), Some(6), Some(8), Some(12)]);
    let layer = (
        1u32..=4,
        1..=longest,
        1..=longest,
        (width.clone(), width),
        any::<u8>(),
        any::<[bool; 2]>(),
    )
        .prop_map(|(heads, keys, values, widths, requant, [topk, prefill])| Layer {
            heads,
            keys,
            values: values.min(keys),
            widths,
            requant,
            topk,
            prefill,
        });
    prop::collection::vec(layer, 1..5)
}

/// Random designs; contexts are short enough for the smallest machine.
pub fn designs() -> impl Strategy<Value = Design> {
    (machines(), layers(60), 1u32..=12).prop_map(|(params, layers, queries)| {
        let mut requests = Vec::new();
        let mut alive = 60;
        for (number, layer) in layers.iter().enumerate() {
            let prefill = layer.prefill;
            let keys = layer.keys.min(alive);
            let threshold = (!prefill).then_some(0.05);
            let next = layers.get(number + 1).map(|next| next.keys.min(keys));
            for head in 0..layer.heads {
                let last = head + 1 == layer.heads;
                requests.push(Request {
                    iteration: 0,
                    layer: number as u32,
                    head,
                    phase: if prefill { Phase::Prefill } else { Phase::Decode },
                    head_dim: 64,
                    sentence_length: 60,
                    queries: if prefill { queries } else { 1 },
                    keys,
                    values: layer.values.min(keys),
                    widths: Widths {
                        query: Some(12),
                        key: layer.widths.0,
                        key_lsb: 4,
                        value: layer.widths.1,
                    },
                    requant_threshold: threshold,
                    requant: !prefill && layer.requant >> head & 1 == 1,
                    accumulate_importance: true,
                    causal: false,
                    rescale_importance: false,
                    token_topk: next.filter(|&next| last && layer.topk && next < keys),
                });
            }
            alive = keys;
        }
        Design { params, requests }
    })
}

/// Designs with long runs of heads that look the same, and breaks between them.
pub fn uniform_designs() -> impl Strategy<Value = Design> {
    let width = prop::sample::select(vec![None, Some(4), Some(6), Some(8), Some(12)]);
    let layer = (3u32..=50, 1u32..=60, any::<bool>(), (width.clone(), width));
    let layers = prop::collection::vec(layer, 1..4);
    (machines(), layers, any::<bool>(), 1u32..=6).prop_map(|(params, layers, prefill, queries)| {
        let mut requests = Vec::new();
        for (number, (heads, keys, requant, (key, value))) in layers.into_iter().enumerate() {
            requests.extend((0..heads).map(|head| Request {
                iteration: 0,
                layer: number as u32,
                head,
                phase: if prefill { Phase::Prefill } else { Phase::Decode },
                head_dim: 64,
                sentence_length: keys,
                queries: if prefill { queries } else { 1 },
                keys,
                values: keys,
                widths: Widths { query: Some(12), key, key_lsb: 4, value },
                requant_threshold: (!prefill).then_some(0.05),
                requant: requant && !prefill,
                accumulate_importance: true,
                causal: false,
                rescale_importance: false,
                token_topk: None,
            }));
        }
        Design { params, requests }
    })
}
