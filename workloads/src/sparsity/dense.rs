//! Every query attends to every key.

use serde::{Deserialize, Serialize};

use super::Pattern;

/// No sparsity: queries * keys pairs, or half of them in a causal model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dense {}

impl Pattern for Dense {
    fn allows(&self, _position: usize, _key: usize) -> bool {
        true
    }
}
