//! One head of one layer, from words to outputs, query by query.

use attelier_hw::spatten::Spatten;

use crate::datapath::quant_decision::is_flat;
use crate::datapath::softmax::{Scale, softmax};
use crate::datapath::{pv_array, qk_array};
use crate::units::lfsr::Lfsr;
use crate::units::quick_select::{filter, quick_select};

/// Words of one head, vectors of `head_dim` words each.
#[derive(Debug, Clone, Default)]
pub struct HeadWords {
    /// Queries.
    pub queries: Vec<i32>,
    /// Keys, MSBs only.
    pub keys: Vec<i32>,
    /// Keys with their LSBs; empty if no pass can need them.
    pub whole_keys: Vec<i32>,
    /// Values.
    pub values: Vec<i32>,
}

/// What decides how a pass goes.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// From scores to exponents.
    pub scale: Scale,
    /// Probability code below which the pass is computed again with all key bits; 0 is never.
    pub threshold: u16,
    /// Whether all key bits are there from the start.
    pub whole: bool,
    /// Values that local pruning keeps.
    pub kept: usize,
}

/// One query of one head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassResult {
    /// Probability codes of all keys.
    pub probabilities: Vec<u16>,
    /// Whether all key bits took part.
    pub whole: bool,
    /// Positions of the values that are used.
    pub kept: Vec<u32>,
    /// Attention output, words.
    pub output: Vec<i32>,
}

/// The vectors of a head.
pub fn vectors(words: &[i32], head_dim: usize) -> impl Iterator<Item = &[i32]> {
    words.chunks_exact(head_dim)
}

/// Probability codes of one query against `keys`.
pub fn probabilities(params: &Spatten, query: &[i32], keys: &[i32], scale: Scale) -> Vec<u16> {
    let scores: Vec<i64> =
        vectors(keys, query.len()).map(|key| qk_array::score(query, key)).collect();
    softmax(&scores, scale, params.softmax.lanes as usize, params.datapath_bits)
}

/// Attention output of the `kept` values.
pub fn output(params: &Spatten, probabilities: &[u16], values: &[i32], kept: &[u32]) -> Vec<i32> {
    let head_dim = values.len() / probabilities.len().max(1);
    let mut sums = vec![0; head_dim];
    for &at in kept {
        let value = &values[at as usize * head_dim..][..head_dim];
        pv_array::accumulate(&mut sums, probabilities[at as usize], value);
    }
    sums.into_iter().map(|sum| pv_array::round(sum, params.datapath_bits)).collect()
}

/// The `k` largest of `values`, the first of equal ones, in order. Which pivots find them does not
/// matter.
pub fn largest<T: Copy + Ord>(values: &[T], k: usize) -> Vec<u32> {
    if k >= values.len() {
        return (0..values.len() as u32).collect();
    }
    filter(values, &quick_select(values, k, 1, 0, &mut Lfsr::new(1)), 64)
}

/// Probabilities of one query after the decision about its LSBs.
pub fn decided(
    params: &Spatten,
    words: &HeadWords,
    query: &[i32],
    rules: &Rules,
) -> (Vec<u16>, bool) {
    let first = if rules.whole { &words.whole_keys } else { &words.keys };
    let codes = probabilities(params, query, first, rules.scale);
    if rules.whole || !is_flat(&codes, rules.threshold) {
        return (codes, rules.whole);
    }
    (probabilities(params, query, &words.whole_keys, rules.scale), true)
}

/// All passes of one head, or of two fused ones, whose values are those that the head decided first
/// has selected: the first that is not flat, as the other is computed again behind it.
pub fn passes(
    params: &Spatten,
    heads: &[(HeadWords, Rules)],
    head_dim: usize,
) -> Vec<Vec<PassResult>> {
    let mut results: Vec<Vec<PassResult>> = vec![Vec::new(); heads.len()];
    let queries = heads.iter().map(|(words, _)| words.queries.len() / head_dim).max().unwrap_or(0);
    for query in 0..queries {
        let decided: Vec<(Vec<u16>, bool)> = heads
            .iter()
            .map(|(words, rules)| {
                decided(params, words, &words.queries[query * head_dim..][..head_dim], rules)
            })
            .collect();
        let again = |head: usize| decided[head].1 && !heads[head].1.whole;
        let first = (0..heads.len()).find(|&head| !again(head)).unwrap_or(0);
        let kept = largest(&decided[first].0, heads[first].1.kept);
        for (head, (probabilities, whole)) in decided.into_iter().enumerate() {
            let output = output(params, &probabilities, &heads[head].0.values, &kept);
            let kept = kept.clone();
            results[head].push(PassResult { probabilities, whole, kept, output });
        }
    }
    results
}

/// Cumulative importance by position, of the positions that matter.
pub fn at_positions(importance: &[u64], positions: &[u32]) -> Vec<u64> {
    positions.iter().map(|&position| importance[position as usize]).collect()
}
