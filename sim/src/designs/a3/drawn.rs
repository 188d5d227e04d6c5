//! Rows that queries meet where a workload has counts only: vectors are drawn, and searched.

use attelier_hw::a3::A3 as Params;
use attelier_workloads::draw::split_mix;
use ndarray::Array2;
use rand::Rng;
use rand_pcg::Pcg64Mcg;
use statrs::distribution::{ContinuousCDF, Normal};

use super::arithmetic::A3Arithmetic;
use crate::designs::heads::{Arithmetic, HeadOperands, HeadWork, Layer, QueryWork};

/// Standard deviation of the scores that drawn vectors have \[nats\]; that of SpAtten's drawn
/// probabilities.
pub const SCORE_DEVIATION: f64 = crate::designs::spatten::SCORE_DEVIATION;

/// Equally likely values of a normal draw.
const QUANTILES: usize = 4096;

/// Work of all heads of `layers`, from vectors that are drawn once per layer and head.
///
/// Generated tokens of one head meet the same keys, of which each sees as many as it has.
pub fn work(params: &Params, layers: &[Layer], seed: u64) -> Vec<HeadWork> {
    let arithmetic = A3Arithmetic::new(params);
    let normal = normal_quantiles();
    let mut work: Vec<Option<HeadWork>> = Vec::new();
    // Where the heads of each layer begin.
    let mut starts = Vec::with_capacity(layers.len());
    for layer in layers {
        starts.push(work.len());
        work.resize(work.len() + layer.heads as usize, None);
    }
    let mut numbers: Vec<u32> = layers.iter().map(|layer| layer.layer).collect();
    numbers.sort_unstable();
    numbers.dedup();
    for number in numbers {
        let same: Vec<usize> = (0..layers.len()).filter(|&at| layers[at].layer == number).collect();
        let heads = same.iter().map(|&at| layers[at].heads).max().unwrap_or(0);
        for head in 0..heads {
            let found = draw(&arithmetic, &normal, layers, &same, seed, (number, head));
            for (&at, queries) in same.iter().zip(found) {
                if head < layers[at].heads {
                    let slot = starts[at] + head as usize;
                    work[slot] = Some(HeadWork::of(&layers[at], head, queries));
                }
            }
        }
    }
    work.into_iter().flatten().collect()
}

/// Queries of one head in each of the layers `same`.
fn draw(
    arithmetic: &A3Arithmetic,
    normal: &[f64],
    layers: &[Layer],
    same: &[usize],
    seed: u64,
    (number, head): (u32, u32),
) -> Vec<Vec<QueryWork>> {
    let place = split_mix(u64::from(number) << 32 | u64::from(head));
    let mut stream = Pcg64Mcg::new(u128::from(split_mix(seed)) << 64 | u128::from(place | 1));
    let keys = same.iter().map(|&at| layers[at].keys).max().unwrap_or(0) as usize;
    let dim = same.first().map_or(1, |&at| layers[at].head_dim) as usize;
    // Of scores with a deviation of one nat, each operand holds the fourth root of 1 / dim.
    let factor = SCORE_DEVIATION.sqrt() * (dim as f64).powf(-0.25);
    let mut matrix = |rows: usize| {
        Array2::from_shape_simple_fn((rows, dim), || {
            arithmetic.stored(factor * normal[stream.next_u32() as usize % QUANTILES])
        })
    };
    let key_rows = matrix(keys);
    let visible: Vec<usize> = same
        .iter()
        .flat_map(|&at| {
            (0..layers[at].queries).map(move |query| layers[at].visible(query) as usize)
        })
        .collect();
    let operands = HeadOperands {
        queries: matrix(visible.len()),
        values: Array2::zeros((keys, 1)),
        keys: key_rows,
        visible,
    };
    let mut results = arithmetic.attend(&operands).into_iter().zip(&operands.visible);
    let query = |(result, &visible): (crate::designs::heads::Attending, &usize)| QueryWork {
        visible: visible as u32,
        candidates: result.candidates as u32,
        kept: result.kept.len() as u32,
    };
    same.iter()
        .map(|&at| results.by_ref().take(layers[at].queries as usize).map(query).collect())
        .collect()
}

fn normal_quantiles() -> Vec<f64> {
    let normal = Normal::standard();
    (0..QUANTILES).map(|i| normal.inverse_cdf((i as f64 + 0.5) / QUANTILES as f64)).collect()
}
