//! MnnFast (Jang et al., ISCA 2019): attention by columns.
//!
//! * [`arithmetic`]: softmax with a late division, zero skipping.
//! * [`query_cycles`]: time of one query.
//! * [`simulate`]: a workload; [`simulate_work`]: heads whose rows are known.
//!
//! `docs/designs/mnnfast.md` lists what is published and what is our choice. Not modelled: the embedding
//! cache, which serves no attention; rows of the memory; the width of the numbers.

pub mod arithmetic;

use attelier_hw::mnnfast::MnnFast as Params;
use attelier_workloads::draw::split_mix;
use attelier_workloads::request::Request;
use rand::Rng;
use rand_pcg::Pcg64Mcg;
use statrs::distribution::{ContinuousCDF, Normal};

use crate::designs::heads::{HeadWork, Layer, QueryWork, layers};
use crate::designs::spatten::SCORE_DEVIATION;
use crate::energy::Energy;
use crate::observe::Observer;
use crate::result::{RunResult, Traffic, UnitReport};
use arithmetic::MnnFastArithmetic;

/// Units of the machine, as observers and reports name them.
pub const UNITS: [&str; 3] = ["inner_product", "weighted_sum", "memory"];

/// Simulates a workload from its counts, nothing of it pruned; scores are drawn.
pub fn simulate(
    params: &Params,
    requests: &[Request],
    seed: u64,
    observer: &mut dyn Observer,
) -> RunResult {
    let work: Vec<HeadWork> =
        layers(requests).iter().flat_map(|layer| drawn(params, layer, seed)).collect();
    let mut result = simulate_work(params, &work, observer);
    if params.skip.enabled {
        result.notes.push(format!(
            "values: only the counts of the workload are used; scores are drawn from a normal \
             distribution (deviation {SCORE_DEVIATION}), seeded"
        ));
    }
    result
}

/// Work of the heads of a layer, from drawn scores.
fn drawn(params: &Params, layer: &Layer, seed: u64) -> Vec<HeadWork> {
    const QUANTILES: usize = 4096;
    if !params.skip.enabled {
        return (0..layer.heads).map(|head| HeadWork::dense(layer, head)).collect();
    }
    let normal = Normal::standard();
    let quantile = |i: usize| {
        let score = normal.inverse_cdf((i as f64 + 0.5) / QUANTILES as f64);
        (SCORE_DEVIATION * score) as f32
    };
    let scores: Vec<f32> = (0..QUANTILES).map(quantile).collect();
    let arithmetic = MnnFastArithmetic::new(params);
    let head = |head: u32| {
        let place = [layer.iteration, layer.layer, head].into_iter();
        let state = place.fold(split_mix(seed), |state, at| split_mix(state ^ u64::from(at)));
        let mut stream = Pcg64Mcg::new(u128::from(state) << 64 | u128::from(split_mix(state) | 1));
        let mut query = |query: u32| {
            let visible = layer.visible(query);
            let row: Vec<f32> =
                (0..visible).map(|_| scores[stream.next_u32() as usize % QUANTILES]).collect();
            let skipped = arithmetic.skipped(&row).into_iter().filter(|&skipped| skipped).count();
            QueryWork { visible, candidates: visible, kept: visible - skipped as u32 }
        };
        HeadWork::of(layer, head, (0..layer.queries).map(&mut query).collect())
    };
    (0..layer.heads).map(head).collect()
}

/// Time of one query, or of as many as share a pass \[cycles\].
///
/// Chunks stream in three stages: one is read while the dot products and exponentials of the one before and the
/// weighted sum, without the skipped rows, of the one before that are computed. A step takes the longest of the
/// three; the last chunk has the rows that are left.
pub fn query_cycles(params: &Params, work: &QueryWork, head_dim: u32) -> u64 {
    let rows = u64::from(work.visible);
    let chunk = u64::from(params.chunk_rows);
    let chunks = rows.div_ceil(chunk);
    let of = |at: u64, time: &dyn Fn(u64) -> u64| match rows.saturating_sub(at * chunk) {
        0 => 0,
        left => time(left.min(chunk)),
    };
    let read = |rows: u64| {
        let bytes = params.bytes(2 * rows * u64::from(head_dim));
        bytes
            .div_ceil(u64::from(params.memory.bytes_per_cycle))
            .div_ceil(u64::from(params.memory.queries_per_pass))
    };
    let inner =
        |rows: u64| params.product_cycles(rows, head_dim) + u64::from(params.exponent_cycles);
    // The rows that are skipped lie anywhere.
    let outer = |of: u64| {
        params.product_cycles((u64::from(work.kept) * of).div_ceil(rows.max(1)), head_dim)
    };
    let step = |at: u64| {
        let read = of(at, &read);
        let inner = at.checked_sub(1).map_or(0, |at| of(at, &inner));
        let outer = at.checked_sub(2).map_or(0, |at| of(at, &outer));
        read.max(inner).max(outer)
    };
    let divisions = u64::from(head_dim).div_ceil(u64::from(params.dividers));
    (0..chunks + 2).map(step).sum::<u64>() + divisions
}

/// Simulates heads whose rows are known.
pub fn simulate_work(params: &Params, work: &[HeadWork], observer: &mut dyn Observer) -> RunResult {
    observer.begin(&UNITS, params.clock_hz);
    let mut now = 0;
    let mut busy = [0; UNITS.len()];
    let mut traffic = Traffic::default();
    let mut queries = 0;
    for (done, head) in (1..).zip(work) {
        let start = now;
        for query in &head.queries {
            now += query_cycles(params, query, head.head_dim);
            busy[0] += params.product_cycles(u64::from(query.visible), head.head_dim);
            busy[1] += params.product_cycles(u64::from(query.kept), head.head_dim);
            traffic.query_bytes += params.bytes(u64::from(head.head_dim));
            queries += 1;
        }
        let shared = u64::from(params.memory.queries_per_pass);
        for pass in head.queries.chunks(shared as usize) {
            let rows = pass.iter().map(|query| u64::from(query.visible)).max().unwrap_or(0);
            let bytes = params.bytes(rows * u64::from(head.head_dim));
            traffic.key_bytes += bytes;
            traffic.value_bytes += bytes;
        }
        if observer.wants_events() {
            let label = format!("I{} L{} H{}", head.iteration, head.layer, head.head);
            observer.span(0, &label, start, now);
        }
        observer.progress(now, done, work.len() as u64);
    }
    observer.end(now);
    let bytes = traffic.query_bytes + traffic.key_bytes + traffic.value_bytes;
    traffic.reads = bytes.div_ceil(u64::from(params.memory.bytes_per_cycle));
    busy[2] = traffic.reads.min(now);
    let units = UNITS.into_iter().zip(busy).map(|(name, busy_cycles)| UnitReport {
        name,
        busy_cycles,
        starved_cycles: 0,
        blocked_cycles: 0,
        beats: queries,
    });
    RunResult {
        cycles: now,
        clock_hz: params.clock_hz,
        ops_executed: work.iter().map(HeadWork::executed_ops).sum(),
        ops_dense: work.iter().map(HeadWork::dense_ops).sum(),
        traffic,
        streams: Vec::new(),
        writes: 0,
        dram: None,
        admission: None,
        phases: Vec::new(),
        units: units.collect(),
        notes: notes(work),
    }
}

fn notes(work: &[HeadWork]) -> Vec<String> {
    let all = |of: fn(&QueryWork) -> u32| {
        let queries = work.iter().flat_map(|head| &head.queries);
        queries.map(|query| u64::from(of(query))).sum::<u64>() as f64
    };
    let kept = all(|query| query.kept) / all(|query| query.visible).max(1.0);
    vec![
        format!(
            "zero skipping: {:.1} % of the products with values (published for memory networks: 97 % \
             at a threshold of 0.1, 81 % at 0.01)",
            100.0 * (1.0 - kept)
        ),
        "the machine prunes no tokens and no heads, and reads all keys and values".to_owned(),
    ]
}

/// Energy of a run: one power for everything, clock and leakage included, as the SpAtten paper assumes it.
pub fn energy(params: &Params, result: &RunResult) -> Energy {
    let seconds = result.cycles as f64 / params.clock_hz as f64;
    Energy {
        terms: vec![("machine", seconds * f64::from(params.power_uw) * 1e-6)],
        notes: vec![
            "energy: 1 W, which the SpAtten paper assumes for this machine as an ASIC".to_owned(),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(rows: u32) -> QueryWork {
        QueryWork { visible: rows, candidates: rows, kept: rows }
    }

    /// 13 chunks of 25 rows at two cycles per row from memory, one chunk ahead; the last weighted sum and
    /// 64 divisions behind.
    #[test]
    fn a_query_is_bound_by_its_bytes() {
        let machine = Params::preset("mnnfast").unwrap();
        let cycles = query_cycles(&machine, &all(325), 64);
        // The last dot products have nothing beside them but a sum, and take 25 and 23 cycles.
        assert_eq!(cycles, 13 * 50 + 48 + 25 + 64);
    }

    /// With a wide port, dot products and the latency of their exponentials bind.
    #[test]
    fn with_enough_bytes_dot_products_bind() {
        let mut machine = Params::preset("mnnfast").unwrap();
        machine.memory.bytes_per_cycle = 1 << 12;
        assert_eq!(query_cycles(&machine, &all(325), 64), 1 + 13 * 48 + 25 + 64);
    }

    /// The last chunk takes the time of the rows that it has.
    #[test]
    fn five_rows_more_than_a_chunk_cost_no_whole_chunk() {
        let machine = Params::preset("mnnfast").unwrap();
        assert_eq!(query_cycles(&machine, &all(25), 64), 50 + 48 + 25 + 64);
        assert_eq!(query_cycles(&machine, &all(30), 64), 50 + 48 + 28 + 5 + 64);
        assert_eq!(query_cycles(&machine, &all(5), 64), 10 + 28 + 5 + 64);
    }

    #[test]
    fn skipping_spares_products_with_values_only() {
        let machine = Params::preset("mnnfast").unwrap();
        let requests = attelier_workloads::load("bert-base/mrpc").unwrap().requests;
        let with = simulate(&machine, &requests, 0, &mut crate::observe::Nobody);
        let mut without = machine.clone();
        without.skip.enabled = false;
        let without = simulate(&without, &requests, 0, &mut crate::observe::Nobody);
        assert_eq!(with.traffic, without.traffic);
        assert_eq!(with.units[0], without.units[0]);
        assert!(with.units[1].busy_cycles < without.units[1].busy_cycles);
        assert_eq!(without.ops_executed, without.ops_dense);
        assert_eq!(with.ops_dense, without.ops_dense);
    }
}
