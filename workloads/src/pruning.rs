//! What to prune and with how many bits to store, when a model or a tensor trace is run: the knobs
//! of SpAtten's four techniques (section III).

use crate::reference::{RatioSchedule, kept_count};
use crate::request::Widths;

/// Front share of the layers in which no token is pruned (SpAtten section V-A).
const TOKEN_FRONT: f64 = 0.15;
/// Front share of the layers in which no head is pruned (SpAtten section V-A).
const HEAD_FRONT: f64 = 0.3;

/// Smallest share that can be kept; far less than one token of the longest input.
const LEAST_SHARE: f64 = 0.001;

/// Settings of one run. A share of 1 prunes nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Pruning {
    /// Mean share of tokens that the layers behind the front keep.
    pub token_keep: f64,
    /// Mean share of heads that the layers behind the front keep.
    pub head_keep: f64,
    /// Share of the values that a query keeps, by its own probabilities.
    pub value_keep: f64,
    /// Storage widths. With a threshold, `key_lsb` bits below the keys are read on demand.
    pub widths: Widths,
    /// Largest probability below which the key LSBs are read.
    pub requant_threshold: Option<f64>,
}

impl Default for Pruning {
    /// Nothing pruned; 8 + 4 bits and a threshold of 0.1, the usual setting and the typical
    /// threshold of the paper (sections III-D and V-A).
    fn default() -> Self {
        Self {
            token_keep: 1.0,
            head_keep: 1.0,
            value_keep: 1.0,
            widths: Widths { query: Some(12), key: Some(8), key_lsb: 4, value: Some(8) },
            requant_threshold: Some(0.1),
        }
    }
}

/// Why a knob was not set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KnobError {
    /// No knob of this name.
    #[error("unknown knob `{name}`: expected one of {}{}", NAMES.join(", "), help(near.as_deref()))]
    Unknown {
        /// What was asked for.
        name: String,
        /// A similar name.
        near: Option<String>,
    },
    /// A value out of range.
    #[error("`{name}={value}`: expected {expected}")]
    Value {
        /// Knob.
        name: &'static str,
        /// What was given.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
}

fn help(near: Option<&str>) -> String {
    near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}

/// Names of the knobs, in the order of the documentation.
pub const NAMES: [&str; 8] = [
    "token_keep",
    "head_keep",
    "value_keep",
    "query_bits",
    "key_bits",
    "key_lsb_bits",
    "value_bits",
    "requant_threshold",
];

impl Pruning {
    /// Sets one knob from text.
    ///
    /// # Errors
    /// A name that is none, or a value out of range.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), KnobError> {
        let Some(&name) = NAMES.iter().find(|&&known| known == name) else {
            let near = crate::suggest::nearest(name, NAMES.iter().copied());
            return Err(KnobError::Unknown {
                name: name.to_owned(),
                near: near.map(str::to_owned),
            });
        };
        let refuse = |expected| KnobError::Value { name, value: value.to_owned(), expected };
        let share = || {
            let share =
                value.parse::<f64>().ok().filter(|share| (LEAST_SHARE..=1.0).contains(share));
            share.ok_or_else(|| refuse("a share from 0.001 to 1"))
        };
        let bits = |legal: fn(u32) -> bool, expected| {
            value.parse::<u32>().ok().filter(|&bits| legal(bits)).ok_or_else(|| refuse(expected))
        };
        let stored = |bits: u32| matches!(bits, 4 | 6 | 8 | 10 | 12);
        let widths = "a stored width of 4, 6, 8, 10 or 12 bits";
        match name {
            "token_keep" => self.token_keep = share()?,
            "head_keep" => self.head_keep = share()?,
            "value_keep" => self.value_keep = share()?,
            "query_bits" => {
                self.widths.query = Some(bits(|bits| (2..=16).contains(&bits), "2 to 16 bits")?);
            }
            "key_bits" => self.widths.key = Some(bits(stored, widths)?),
            "value_bits" => self.widths.value = Some(bits(stored, widths)?),
            "key_lsb_bits" => {
                self.widths.key_lsb = bits(|bits| matches!(bits, 0 | 4), "0 or 4 bits")?;
            }
            _ => {
                let expected = "`off`, or a probability from 0 to 1";
                self.requant_threshold = match value {
                    "off" => None,
                    _ => {
                        let threshold = value.parse::<f64>().ok();
                        let legal = threshold.filter(|threshold| (0.0..=1.0).contains(threshold));
                        Some(legal.ok_or_else(|| refuse(expected))?)
                    }
                };
            }
        }
        Ok(())
    }

    /// Tokens that each layer keeps of `tokens`.
    pub fn tokens(&self, layers: usize, tokens: usize) -> Vec<usize> {
        kept(schedule(TOKEN_FRONT, self.token_keep), layers, tokens)
    }

    /// Heads that each layer keeps of `heads`.
    pub fn heads(&self, layers: usize, heads: usize) -> Vec<usize> {
        kept(schedule(HEAD_FRONT, self.head_keep), layers, heads)
    }

    /// Values that a query keeps of `keys`.
    pub fn values(&self, keys: usize) -> usize {
        kept_count(keys, 1.0 - self.value_keep)
    }
}

/// The paper leaves the start of the ramp open: halfway between the mean and the nearer of nothing
/// and everything.
fn schedule(front: f64, keep: f64) -> RatioSchedule {
    let average = 1.0 - keep;
    RatioSchedule { front, start: average - average.min(keep) / 2.0, average }
}

fn kept(schedule: RatioSchedule, layers: usize, count: usize) -> Vec<usize> {
    let ratios = schedule.ratios(layers).expect("every share in (0, 1] gives a legal ramp");
    ratios.into_iter().map(|ratio| kept_count(count, ratio)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_of_one_half_runs_from_three_quarters_to_one() {
        let pruning = Pruning { token_keep: 0.5, ..Pruning::default() };
        // One untouched layer of six, then 0.75, 0.625, 0.5, 0.375, 0.25 of 64.
        assert_eq!(pruning.tokens(6, 64), [64, 48, 40, 32, 24, 16]);
        assert_eq!(Pruning::default().tokens(3, 7), [7, 7, 7]);
        let pruning = Pruning { head_keep: 0.2, ..Pruning::default() };
        // Two of six; then 0.3 to 0.1 of 12: 3.6, 2.8, 2, 1.2.
        assert_eq!(pruning.heads(6, 12), [12, 12, 3, 2, 2, 1]);
    }

    #[test]
    fn every_legal_share_gives_a_ramp() {
        for percent in 1..=100 {
            let pruning = Pruning { token_keep: f64::from(percent) / 100.0, ..Pruning::default() };
            let kept = pruning.tokens(12, 1000);
            assert!(kept.is_sorted_by(|a, b| a >= b) && kept[11] >= 1, "{percent} %: {kept:?}");
        }
    }

    #[test]
    fn knobs_are_checked() {
        let mut pruning = Pruning::default();
        pruning.set("key_bits", "6").unwrap();
        pruning.set("requant_threshold", "off").unwrap();
        assert_eq!((pruning.widths.key, pruning.requant_threshold), (Some(6), None));
        let message = |name, value| Pruning::default().set(name, value).unwrap_err().to_string();
        assert!(message("token_kep", "1").contains("did you mean `token_keep`?"));
        for share in ["0", "nan", "1e-300", "1e-17", "-1", "1.1"] {
            assert!(message("token_keep", share).contains("from 0.001 to 1"), "{share}");
        }
        pruning.set("token_keep", "0.001").unwrap();
        assert_eq!(pruning.tokens(4, 10)[3], 1);
        assert!(message("key_bits", "7").contains("4, 6, 8, 10 or 12"));
        assert!(message("requant_threshold", "2").contains("off"));
    }
}
