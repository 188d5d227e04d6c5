//! Parameters, and the measurements that they were fitted to.

use serde::{Deserialize, Serialize};

use super::Statistics;

/// Parameters of the scores of one layer.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerParams {
    /// Lead of the first key over the mean of the others \[nats\].
    pub sink: f64,
    /// Standard deviation, over the keys, of what all queries of a head agree on \[nats\].
    pub popularity: f64,
    /// Standard deviation of what one query and one key have with each other \[nats\].
    pub individual: f64,
    /// Share of the heads that prefer keys near the query.
    pub local_share: f64,
    /// In those heads, what a key loses per e-fold of distance, far beyond [`super::REACH`]
    /// \[nats\].
    pub slope: f64,
    /// Standard deviation, over the heads, of the logarithm of the strength, which multiplies all
    /// scores of a head.
    pub spread: f64,
}

impl LayerParams {
    /// Their names, in the order of [`Self::values`].
    pub const NAMES: [&str; 6] =
        ["sink", "popularity", "individual", "local_share", "slope", "spread"];

    /// All of them.
    pub fn values(&self) -> [f64; 6] {
        let LayerParams { sink, popularity, individual, local_share, slope, spread } = *self;
        [sink, popularity, individual, local_share, slope, spread]
    }

    /// From all of them, in the order of [`Self::values`].
    pub fn from_values(values: [f64; 6]) -> LayerParams {
        let [sink, popularity, individual, local_share, slope, spread] = values;
        LayerParams { sink, popularity, individual, local_share, slope, spread }
    }

    /// The point on the way to `other` after this share of it.
    pub(super) fn towards(&self, other: &LayerParams, share: f64) -> LayerParams {
        let (from, to) = (self.values(), other.values());
        LayerParams::from_values(std::array::from_fn(|i| from[i] + share * (to[i] - from[i])))
    }
}

/// A real model, measured on texts of similar length.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// Which texts.
    pub texts: String,
    /// Whether parameters were fitted to this; if not, it is predicted.
    pub fitted: bool,
    /// Length of each text \[tokens\].
    pub tokens: Vec<u32>,
    /// Mean over the texts of what was measured, layer by layer.
    pub layers: Vec<Statistics>,
}

/// A fit: parameters and measurements.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fitted {
    /// Parameters, layer by layer.
    pub layers: Vec<LayerParams>,
    /// Measurements.
    pub measured: Vec<Measured>,
}

impl Fitted {
    /// The committed fit.
    pub fn embedded() -> Fitted {
        toml::from_str(include_str!("minilm.toml")).expect("a test reads the embedded file")
    }
}
