//! Small machines of Edge-MoE that whole images pass through.

use attelier_hw::edge_moe::{Sizes, TopSizes};

/// A model of five tokens, in words of one beat.
pub fn small() -> TopSizes {
    TopSizes {
        units: Sizes {
            tokens: 5,
            width: 16,
            heads: 2,
            hidden: 32,
            experts: 4,
            chosen: 2,
            lanes: 4,
            queries: 2,
            block_inputs: 8,
            block_outputs: 8,
            buffer_blocks: 8,
            word_weights: 8,
            patch: 8,
            patch_columns: 4,
            colours: 3,
            ultra_ram: false,
        },
        expert_hidden: 16,
        beat_bytes: 16,
        burst_beats: 4,
        outstanding_beats: 16,
    }
}

/// Counts that do not divide each other, in words of two beats.
pub fn odd() -> TopSizes {
    let mut sizes = small();
    let units = &mut sizes.units;
    (units.tokens, units.patch_columns, units.queries) = (13, 6, 3);
    (units.width, units.heads, units.hidden) = (48, 3, 80);
    (units.lanes, units.block_inputs, units.block_outputs) = (8, 16, 16);
    (units.word_weights, units.buffer_blocks, units.patch) = (16, 15, 16);
    (units.experts, units.chosen, units.colours) = (5, 3, 2);
    (sizes.expert_hidden, sizes.burst_beats) = (32, 8);
    sizes
}
