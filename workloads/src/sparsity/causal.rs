//! A query attends to its own key and to those before it, whatever the model allows.

use serde::{Deserialize, Serialize};

use super::Pattern;

/// Lower triangle: n (n + 1) / 2 pairs of n queries and n keys (Vaswani et al., arXiv 1706.03762,
/// section 3.2.3).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Causal {}

impl Pattern for Causal {
    fn allows(&self, position: usize, key: usize) -> bool {
        key <= position
    }
}
