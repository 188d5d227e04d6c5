//! Heads where a workload has counts only: vectors are drawn, hashed and selected.

use std::collections::BTreeMap;

use attelier_workloads::draw::split_mix;
use ndarray::Array2;
use rand::Rng;
use rand_pcg::Pcg64Mcg;
use statrs::distribution::{ContinuousCDF, Normal};

use super::{arithmetic::ElsaArithmetic, pipeline::Head};
use crate::designs::heads::{Arithmetic, HeadOperands, HeadWork, Layer, QueryWork};

/// Standard deviation of the scores that drawn vectors have \[nats\]; that of SpAtten's drawn
/// probabilities.
pub const SCORE_DEVIATION: f64 = crate::designs::spatten::SCORE_DEVIATION;

/// Equally likely values of a normal draw.
const QUANTILES: usize = 4096;

/// Heads of all `layers`, from vectors that are drawn once per layer and head.
///
/// Generated tokens of one head meet the same keys, of which each sees as many as it has.
pub fn heads(arithmetic: &ElsaArithmetic, layers: &[Layer], seed: u64) -> Vec<Head> {
    let normal = Normal::standard();
    let quantiles: Vec<f64> =
        (0..QUANTILES).map(|at| normal.inverse_cdf((at as f64 + 0.5) / QUANTILES as f64)).collect();
    // Places of each layer of the model, which recurs with every generated token.
    let mut places: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (at, layer) in layers.iter().enumerate() {
        places.entry(layer.layer).or_default().push(at);
    }
    let mut heads: BTreeMap<(usize, u32), Head> = BTreeMap::new();
    for (number, places) in places {
        let most = places.iter().map(|&at| layers[at].heads).max().unwrap_or(0);
        for head in 0..most {
            let same: Vec<&Layer> = places.iter().map(|&at| &layers[at]).collect();
            let place = split_mix(u64::from(number) << 32 | u64::from(head));
            let state = u128::from(split_mix(seed)) << 64 | u128::from(place | 1);
            let operands = draw(arithmetic, &quantiles, &same, Pcg64Mcg::new(state));
            let mut results = arithmetic.attend(&operands).into_iter().zip(&operands.visible);
            for (&at, layer) in places.iter().zip(same) {
                let (queries, busiest) = results
                    .by_ref()
                    .take(layer.queries as usize)
                    .map(|(result, &visible)| {
                        let query = QueryWork {
                            visible: visible as u32,
                            candidates: result.candidates as u32,
                            kept: result.kept.len() as u32,
                        };
                        (query, arithmetic.busiest(&result.kept))
                    })
                    .unzip();
                if head < layer.heads {
                    let work = HeadWork::of(layer, head, queries);
                    heads.insert((at, head), Head { work, busiest });
                }
            }
        }
    }
    heads.into_values().collect()
}

/// Operands of one head in each of the layers `same`.
fn draw(
    arithmetic: &ElsaArithmetic,
    quantiles: &[f64],
    same: &[&Layer],
    mut stream: Pcg64Mcg,
) -> HeadOperands {
    let keys = same.iter().map(|layer| layer.keys).max().unwrap_or(0) as usize;
    let dim = same.first().map_or(1, |layer| layer.head_dim) as usize;
    // Of scores with a deviation of one nat, each operand holds the fourth root of 1 / dim.
    let factor = SCORE_DEVIATION.sqrt() * (dim as f64).powf(-0.25);
    let mut matrix = |rows: usize| {
        Array2::from_shape_simple_fn((rows, dim), || {
            arithmetic.stored(factor * quantiles[stream.next_u32() as usize % QUANTILES])
        })
    };
    let visible: Vec<usize> = same
        .iter()
        .flat_map(|layer| (0..layer.queries).map(|query| layer.visible(query) as usize))
        .collect();
    let (keys, queries) = (matrix(keys), matrix(visible.len()));
    HeadOperands { values: Array2::zeros((keys.nrows(), 1)), queries, keys, visible }
}
