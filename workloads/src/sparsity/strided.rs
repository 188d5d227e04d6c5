//! Strided pattern of the Sparse Transformer.

use serde::{Deserialize, Serialize};

use super::Pattern;
use crate::reference::{OperandError, expect_value};

/// Keys nearer than `stride`, and those a multiple of `stride` away: one local head and one column
/// head of Child et al. (arXiv 1904.10509, section 4) joined.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Strided {
    /// The stride \[tokens\].
    pub stride: u32,
}

impl Strided {
    pub(super) fn check(&self) -> Result<(), OperandError> {
        expect_value(self.stride > 0, "stride", self.stride, "at least 1")
    }
}

impl Pattern for Strided {
    fn allows(&self, position: usize, key: usize) -> bool {
        let (distance, stride) = (position.abs_diff(key), self.stride as usize);
        distance < stride || distance.is_multiple_of(stride)
    }
}
