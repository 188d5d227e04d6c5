//! Block pattern: a band of blocks and a frame of global ones.

use serde::{Deserialize, Serialize};

use super::Pattern;
use crate::reference::{OperandError, expect_value};

/// Blocks up to `neighbours` away on either side, and the first `global` blocks, which attend to
/// everything and are attended to by everything: BigBird in its block form (Zaheer et al., arXiv
/// 2007.14062) without the random blocks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// Side of a block \[tokens\].
    pub block: u32,
    /// Blocks on each side of a query's own.
    pub neighbours: u32,
    /// Global blocks at the start of the sequence.
    #[serde(default)]
    pub global: u32,
}

impl Block {
    pub(super) fn check(&self) -> Result<(), OperandError> {
        expect_value(self.block > 0, "block", self.block, "at least 1 token")
    }
}

impl Pattern for Block {
    fn allows(&self, position: usize, key: usize) -> bool {
        let side = self.block as usize;
        let (query_block, key_block) = (position / side, key / side);
        query_block.abs_diff(key_block) <= self.neighbours as usize
            || query_block.min(key_block) < self.global as usize
    }
}
