//! Sliding window, with or without attention sinks.

use serde::{Deserialize, Serialize};

use super::Pattern;
use crate::reference::{OperandError, expect_value};

/// Keys nearer than `window`, and the first `sinks` keys of the sequence.
///
/// In a causal model that is the key itself and the `window` - 1 before it, as in Mistral 7B (arXiv
/// 2310.06825); otherwise as many after it too, as in Longformer (arXiv 2004.05150), whose window
/// of w is `window` = w/2 + 1 here. Sinks are those of StreamingLLM (arXiv 2309.17453).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlidingWindow {
    /// Distance at which a key falls out of the window \[tokens\].
    pub window: u32,
    /// First keys that every query attends to \[tokens\].
    #[serde(default)]
    pub sinks: u32,
}

impl SlidingWindow {
    pub(super) fn check(&self) -> Result<(), OperandError> {
        expect_value(self.window > 0, "window", self.window, "at least 1, the query's own key")
    }
}

impl Pattern for SlidingWindow {
    fn allows(&self, position: usize, key: usize) -> bool {
        position.abs_diff(key) < self.window as usize || key < self.sinks as usize
    }
}
