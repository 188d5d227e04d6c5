//! Scores and probabilities of one head.

use std::sync::LazyLock;

use ndarray::Array2;
use statrs::distribution::{ContinuousCDF, Normal};

use super::LayerParams;
use crate::draw::split_mix;

/// Share of the variance of popularity that all heads of a layer have in common. In MiniLM, as the
/// covariance between heads of the mean score of each key, 0.56 to 0.66 on passages behind the first
/// layer, where it is 0.28. In a sentence the neighbourhood hides it.
pub const COMMON: f32 = 0.65;

/// Distance at which a local head begins to lose interest \[tokens\].
pub const REACH: f32 = 4.0;

/// Number of equally likely values of a normal draw; the outermost lie 3.7 deviations from 0.
const QUANTILES: usize = 1 << 12;

/// A table, because a draw is made for every score.
static NORMAL: LazyLock<[f32; QUANTILES]> = LazyLock::new(|| {
    let normal = Normal::standard();
    std::array::from_fn(|i| normal.inverse_cdf((i as f64 + 0.5) / QUANTILES as f64) as f32)
});

/// What a draw is for; part of its key.
#[derive(Debug, Clone, Copy)]
enum Purpose {
    Strength,
    Locality,
    Common,
    Own,
    Individual,
}

/// One head of a layer, reading one text.
#[derive(Debug, Clone, Copy)]
pub struct Head {
    /// Factors, strength included; the slope is 0 in a head that is not local.
    sink: f32,
    common: f32,
    own: f32,
    individual: f32,
    slope: f32,
    /// States that draws begin from.
    of_layer: u64,
    of_head: u64,
    of_rows: u64,
}

impl Head {
    /// Head `head`, of `heads`, of the layer whose own state is `layer`.
    pub(super) fn new(
        params: &LayerParams,
        layer: u64,
        (head, heads): (u32, u32),
        text: u64,
    ) -> Head {
        let stratum = |purpose: Purpose| stratified(split_mix(layer ^ purpose as u64), head, heads);
        let is_local = stratum(Purpose::Locality) < params.local_share;
        let quantile = (stratum(Purpose::Strength) * QUANTILES as f64) as usize;
        let normal = f64::from(NORMAL[quantile.min(QUANTILES - 1)]);
        let strength = libm::exp(params.spread * normal);
        let factor = |value: f64| (strength * value) as f32;

        let text = split_mix(layer ^ split_mix(text));
        let start = |state: u64, purpose: Purpose| split_mix(state ^ (purpose as u64) << 32);
        let of_head = split_mix(text ^ u64::from(head));
        Head {
            sink: factor(params.sink),
            common: factor(params.popularity) * COMMON.sqrt(),
            own: factor(params.popularity) * (1.0 - COMMON).sqrt(),
            individual: factor(params.individual),
            slope: if is_local { factor(params.slope) } else { 0.0 },
            of_layer: start(text, Purpose::Common),
            of_head: start(of_head, Purpose::Own),
            of_rows: start(of_head, Purpose::Individual),
        }
    }

    /// Whether the head prefers keys near the query.
    pub fn is_local(&self) -> bool {
        self.slope > 0.0
    }

    /// What the key at this position adds to the score of every query \[nats\]: its popularity, and
    /// the sink if it is the first.
    pub fn popularity(&self, key: u32) -> f32 {
        let sink = if key == 0 { self.sink } else { 0.0 };
        let (common, own) = (deviate(self.of_layer, key), deviate(self.of_head, key));
        sink + self.common * common + self.own * own
    }

    /// Fills `row` with the probabilities of keys for the query at position `query`. `keys` gives
    /// their positions and [`Self::popularity`].
    pub fn probabilities(
        &self,
        query: u32,
        keys: impl IntoIterator<Item = (u32, f32)>,
        row: &mut Vec<f32>,
    ) {
        let state = split_mix(self.of_rows ^ u64::from(query));
        let score = |(key, popularity): (u32, f32)| {
            let near = popularity + self.individual * deviate(state, key);
            match self.slope {
                0.0 => near,
                slope => near - slope * libm::log1pf(query.abs_diff(key) as f32 / REACH),
            }
        };
        row.clear();
        row.extend(keys.into_iter().map(score));
        softmax(row);
    }

    /// Probabilities [queries, keys] of the first `keys` keys for queries at these positions.
    pub fn matrix(&self, queries: &[u32], keys: u32) -> Array2<f32> {
        let popularity: Vec<f32> = (0..keys).map(|key| self.popularity(key)).collect();
        let mut row = Vec::new();
        let mut matrix = Array2::zeros((queries.len(), keys as usize));
        for (&query, mut to) in queries.iter().zip(matrix.rows_mut()) {
            self.probabilities(query, (0..).zip(popularity.iter().copied()), &mut row);
            to.iter_mut().zip(&row).for_each(|(to, &from)| *to = from);
        }
        matrix
    }
}

/// A number from 0 to 1, of which each of the `heads` equal parts of that range holds that of one
/// head: Latin hypercube sampling (McKay, Beckman and Conover, 1979), with the same place in every
/// part. So a share of a layer of 12 heads is kept by every seed, and not only by the mean of many.
fn stratified(state: u64, head: u32, heads: u32) -> f64 {
    let key = |head: u32| (split_mix(state ^ u64::from(head)), head);
    let part = (0..heads).filter(|&other| key(other) < key(head)).count();
    // The upper 53 bits fill the mantissa exactly.
    let place = (split_mix(!state) >> 11) as f64 / (1u64 << 53) as f64;
    (part as f64 + place) / f64::from(heads.max(1))
}

/// A standard normal draw of a key.
fn deviate(state: u64, key: u32) -> f32 {
    NORMAL[(split_mix(state ^ u64::from(key)) >> 32) as usize % QUANTILES]
}

/// Turns scores into probabilities; none where there are none.
fn softmax(row: &mut [f32]) {
    let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for score in &mut *row {
        *score = libm::expf(*score - largest);
        sum += *score;
    }
    for exponential in row {
        *exponential /= sum;
    }
}
