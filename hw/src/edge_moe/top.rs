//! Sizes of the whole machine: those of its units, and what only the machine that joins them needs.

use serde::Serialize;

use super::{EdgeMoe, FEATURE_BYTES, Sizes};

/// Sizes of the hardware with its ports to the memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TopSizes {
    /// Sizes of the units; `hidden` is that of a dense layer.
    pub units: Sizes,
    /// Features between the two linear layers of an expert.
    pub expert_hidden: u32,
    /// Bytes that a port moves in a cycle \[B\].
    pub beat_bytes: u32,
    /// Beats of the longest burst.
    pub burst_beats: u32,
    /// Beats that may be asked for before they come.
    pub outstanding_beats: u32,
}

impl TopSizes {
    /// The deployed model, whose experts have 384 hidden features (`include/model.hpp` of the released
    /// code), on a machine.
    pub fn deployed(machine: &EdgeMoe) -> Self {
        let port = &machine.port;
        let burst_beats = (port.burst_words * port.word_bytes).div_ceil(port.beat_bytes.max(1));
        Self {
            units: Sizes::deployed(machine),
            expert_hidden: 384,
            beat_bytes: port.beat_bytes,
            burst_beats,
            outstanding_beats: port.outstanding.saturating_mul(burst_beats),
        }
    }

    /// Rows of patches: one token is the class token.
    pub fn patch_rows(&self) -> u32 {
        self.units.tokens.saturating_sub(1) / self.units.patch_columns.max(1)
    }

    /// Bytes of a word of features \[B\].
    pub fn word_bytes(&self) -> u32 {
        self.units.lanes.saturating_mul(FEATURE_BYTES)
    }

    /// Words of a matrix with the bias behind it.
    pub fn matrix_words(&self, inputs: u32, outputs: u32) -> u32 {
        outputs / self.units.word_weights.max(1) * (inputs + 1)
    }

    /// Words of both matrices of an expert.
    pub fn expert_words(&self) -> u32 {
        self.matrix_words(self.units.width, self.expert_hidden)
            + self.matrix_words(self.expert_hidden, self.units.width)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An expert has 294,912 bytes of weights and 1,152 of bias; rows of patches are 8 of 16.
    #[test]
    fn the_deployed_machine_has_the_known_expert() {
        let sizes = TopSizes::deployed(&EdgeMoe::preset("edge-moe").unwrap());
        assert_eq!(sizes.expert_words() * sizes.word_bytes(), 294_912 + 1_152);
        assert_eq!((sizes.patch_rows(), sizes.word_bytes()), (8, 32));
        assert_eq!((sizes.beat_bytes, sizes.burst_beats, sizes.outstanding_beats), (16, 32, 512));
    }
}
