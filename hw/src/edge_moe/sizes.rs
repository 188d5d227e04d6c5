//! Sizes that the hardware is made for: counters, buffers and queues are as large as these.

use serde::Serialize;

use super::{EdgeMoe, WEIGHT_BYTES};

/// Sizes of the hardware. The released code fixes them when it is compiled (`include/model.hpp`); in the
/// simulator they follow the workload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sizes {
    /// Tokens of an image, class token included.
    pub tokens: u32,
    /// Features of a token.
    pub width: u32,
    /// Heads of attention.
    pub heads: u32,
    /// Features of the widest hidden layer.
    pub hidden: u32,
    /// Experts of a layer.
    pub experts: u32,
    /// Experts of a token.
    pub chosen: u32,
    /// Features of a word of memory, which are lanes of all that works on features.
    pub lanes: u32,
    /// Queries that are held while keys pass.
    pub queries: u32,
    /// Inputs of a block of weights.
    pub block_inputs: u32,
    /// Outputs of a block of weights.
    pub block_outputs: u32,
    /// Blocks of weights that each of two buffers holds.
    pub buffer_blocks: u32,
    /// Whether the second of them lies in UltraRAM.
    pub ultra_ram: bool,
    /// Weights of a word of memory.
    pub word_weights: u32,
    /// Rows and columns of pixels in a patch.
    pub patch: u32,
    /// Patches side by side.
    pub patch_columns: u32,
    /// Colours of a pixel.
    pub colours: u32,
}

impl Sizes {
    /// The deployed model, M3ViT-tiny on Cityscapes, on a machine: 128 patches and a class token of 192
    /// features (`include/model.hpp`).
    pub fn deployed(machine: &EdgeMoe) -> Self {
        let linear = &machine.linear;
        let block = u64::from(linear.inputs) * u64::from(linear.outputs);
        let blocks = u64::from(linear.buffer_weights) / block.max(1);
        Self {
            tokens: 129,
            width: 192,
            heads: 3,
            hidden: 768,
            experts: 16,
            chosen: 2,
            lanes: machine.lanes(),
            queries: machine.attention.queries,
            block_inputs: linear.inputs,
            block_outputs: linear.outputs,
            buffer_blocks: u32::try_from(blocks).unwrap_or(u32::MAX),
            ultra_ram: linear.ultra_ram,
            word_weights: machine.port.word_bytes / WEIGHT_BYTES,
            patch: 16,
            patch_columns: 16,
            colours: 3,
        }
    }

    /// Words of a token.
    pub fn token_words(&self) -> u32 {
        self.width / self.lanes
    }

    /// Words of a head of a token.
    pub fn head_words(&self) -> u32 {
        self.token_words() / self.heads
    }

    /// Token steps of a product of attention: each of the keys once for every group of queries, and once
    /// more as far as the last group began late (section "attention reordering" of the paper).
    pub fn token_steps(&self) -> u64 {
        let steps = u64::from(self.tokens) + u64::from(self.queries) - 1;
        let queries = u64::from(self.queries);
        (steps / queries) * u64::from(self.tokens) + steps % queries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Trip counts of the released loops: 33 passes of 129 keys, 24 words each.
    #[test]
    fn the_deployed_sizes_give_the_published_loops() {
        let sizes = Sizes::deployed(&EdgeMoe::preset("edge-moe").unwrap());
        assert_eq!(sizes.token_steps(), 4257);
        assert_eq!(sizes.token_steps() * u64::from(sizes.token_words()), 102_168);
        assert_eq!((sizes.token_words(), sizes.head_words()), (24, 8));
        assert_eq!((sizes.buffer_blocks, sizes.word_weights), (576, 16));
    }

    /// Seven tokens and three queries: 9 slots of time, so 3 groups and none left over; with two
    /// queries 8, so 4 groups.
    #[test]
    fn steps_that_are_no_multiple_of_the_queries_are_added() {
        let mut sizes = Sizes::deployed(&EdgeMoe::preset("edge-moe").unwrap());
        sizes.tokens = 7;
        sizes.queries = 3;
        assert_eq!(sizes.token_steps(), 21);
        sizes.queries = 4;
        assert_eq!(sizes.token_steps(), 2 * 7 + 2);
    }
}
