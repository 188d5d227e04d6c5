//! Sizes of a vision transformer with experts.

use serde::Deserialize;

use crate::PresetError;

/// Sizes of the model and its image.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ImageShape {
    /// Colours of a pixel.
    pub channels: u32,
    /// Edge of a patch \[pixels\].
    pub patch: u32,
    /// Patches above each other.
    pub patch_rows: u32,
    /// Patches beside each other.
    pub patch_columns: u32,
    /// Layers; those with an odd index have experts, unless the model is dense.
    pub layers: u32,
    /// Whether no layer has experts.
    #[serde(default)]
    pub dense: bool,
    /// Features of a token.
    pub width: u32,
    /// Heads of a layer.
    pub heads: u32,
    /// Width between the two linear layers of a dense layer.
    pub mlp_hidden: u32,
    /// Experts of a layer.
    pub experts: u32,
    /// Width between the two linear layers of an expert.
    pub expert_hidden: u32,
    /// Experts of a token.
    pub top_k: u32,
}

/// Largest width of anything.
const MAX_WIDTH: u32 = 1 << 16;
/// Largest number of patches, layers, heads or experts: no product of three sizes and a number of
/// layers leaves 64 bits.
const MAX_COUNT: u32 = 1 << 10;
/// Most experts of a layer; they are drawn one by one for each token.
const MAX_EXPERTS: u32 = 256;

impl ImageShape {
    /// Tokens: a class token and one per patch.
    pub fn tokens(&self) -> u32 {
        1 + self.patch_rows * self.patch_columns
    }

    /// Whether layer `layer` has experts: every second one does.
    pub fn has_experts(&self, layer: u32) -> bool {
        !self.dense && layer % 2 == 1
    }

    /// Layers with experts.
    pub fn expert_layers(&self) -> u32 {
        if self.dense { 0 } else { self.layers / 2 }
    }

    /// Checks every size.
    ///
    /// # Errors
    /// A size of 0 or out of all proportion, heads that do not share out the width, more experts for
    /// a token than there are.
    pub fn check(&self) -> Result<(), PresetError> {
        let sizes = [
            ("channels", self.channels, MAX_COUNT),
            ("patch", self.patch, MAX_COUNT),
            ("patch_rows", self.patch_rows, MAX_COUNT),
            ("patch_columns", self.patch_columns, MAX_COUNT),
            ("layers", self.layers, MAX_COUNT),
            ("width", self.width, MAX_WIDTH),
            ("heads", self.heads, MAX_COUNT),
            ("mlp_hidden", self.mlp_hidden, MAX_WIDTH),
            ("experts", self.experts, MAX_EXPERTS),
            ("expert_hidden", self.expert_hidden, MAX_WIDTH),
        ];
        for (knob, found, most) in sizes {
            if !(1..=most).contains(&found) {
                return Err(refuse(knob, found, format!("a whole number from 1 to {most}")));
            }
        }
        if !(1..=self.experts).contains(&self.top_k) {
            let expected = format!("a whole number from 1 to the {} experts", self.experts);
            return Err(refuse("top_k", self.top_k, expected));
        }
        if !self.width.is_multiple_of(self.heads) {
            let expected = format!("a multiple of the {} heads", self.heads);
            return Err(refuse("width", self.width, expected));
        }
        Ok(())
    }

    /// Multiply-accumulates of patches, linear layers, gates and both products of attention.
    pub fn macs(&self) -> u64 {
        let [tokens, width] = [self.tokens(), self.width].map(u64::from);
        let patches = (tokens - 1) * u64::from(self.channels * self.patch * self.patch) * width;
        let attention = tokens * 4 * width * width + 2 * tokens * tokens * width;
        let dense = tokens * 2 * width * u64::from(self.mlp_hidden);
        let expert = u64::from(self.top_k) * 2 * width * u64::from(self.expert_hidden);
        let sparse = tokens * (expert + width * u64::from(self.experts));
        let expert_layers = u64::from(self.expert_layers());
        let layers = u64::from(self.layers);
        patches + layers * attention + (layers - expert_layers) * dense + expert_layers * sparse
    }

    /// Every size, in the order of the fields.
    pub(super) fn words(&self) -> [u32; 11] {
        let Self { channels, patch, patch_rows, patch_columns, layers, width, heads, .. } = *self;
        let Self { mlp_hidden, experts, expert_hidden, top_k, .. } = *self;
        [
            channels,
            patch,
            patch_rows,
            patch_columns,
            layers,
            width,
            heads,
            mlp_hidden,
            experts,
            expert_hidden,
            top_k,
        ]
    }
}

pub(super) fn refuse(knob: &'static str, found: u32, expected: String) -> PresetError {
    PresetError::Knob { knob, found: found.to_string(), expected }
}

#[cfg(test)]
mod tests {
    use crate::Knobs;
    use crate::vision::load_with;

    /// 0.783 G multiply-accumulates without gates, and 16 x 192 of a gate per token and layer.
    #[test]
    fn the_deployed_model_has_the_known_size_and_work() {
        let image = load_with("m3vit-tiny/cityscapes", &Knobs::default()).unwrap();
        assert_eq!((image.shape.tokens(), image.shape.expert_layers()), (129, 6));
        assert!((image.macs() as f64 / 1e9 - 0.783).abs() < 0.003, "{}", image.macs());
    }

    #[test]
    fn the_hash_sees_sizes_and_queues() {
        let base = load_with("m3vit-tiny/cityscapes", &Knobs::default()).unwrap();
        let mut other = base.clone();
        other.shape.mlp_hidden += 1;
        assert_ne!(other.content_hash(), base.content_hash());
        let task = Knobs { task: Some(1), ..Knobs::default() };
        let task = load_with("m3vit-tiny/cityscapes", &task).unwrap();
        assert_ne!(task.content_hash(), base.content_hash());
    }
}
