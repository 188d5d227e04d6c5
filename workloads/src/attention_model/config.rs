//! Sizes of encoders from a Hugging Face `config.json`; weights are not needed.

use super::{AttentionModel, USUAL_CONTEXT};
use crate::model::{Config, ModelError};
use crate::{Phase, limits};

impl AttentionModel {
    /// The encoder that a configuration describes; `name` names it in results.
    ///
    /// A sentence of as many tokens as BERT-Base is usually measured with, at most as many as the model has
    /// positions; an image has one token per patch and one for its class.
    pub(crate) fn of_encoder(config: &Config, name: &str) -> Result<Self, ModelError> {
        let layers = config.count("num_hidden_layers")?;
        let heads = narrow(config.count("num_attention_heads")?);
        let head_dim = narrow(config.split("hidden_size", "num_attention_heads")?);
        if head_dim > limits::HEAD_DIM {
            let found = config.get("hidden_size").cloned().unwrap_or_default();
            let expected = format!("at most {} for each head", limits::HEAD_DIM);
            return Err(config.error("hidden_size", &found, expected));
        }
        let (context, positions, fixed) = match config.get("patch_size") {
            None => {
                let positions =
                    narrow(config.maybe_size("max_position_embeddings")?.unwrap_or(512));
                (positions.min(USUAL_CONTEXT), Some(positions), None)
            }
            Some(_) => {
                let side = config.split("image_size", "patch_size")?;
                let patches = u32::try_from(side).ok().and_then(|side| side.checked_mul(side));
                let tokens = patches.and_then(|patches| patches.checked_add(1));
                let tokens = tokens.filter(|tokens| *tokens < limits::TOKENS).ok_or_else(|| {
                    let found = config.get("image_size").cloned().unwrap_or_default();
                    let expected = format!("fewer than {} patches", limits::TOKENS);
                    config.error("image_size", &found, expected)
                })?;
                (
                    tokens,
                    None,
                    Some("the patches of the image and the token of its class".to_owned()),
                )
            }
        };
        Ok(Self {
            name: name.to_owned(),
            model: name.to_owned(),
            provenance: format!("sizes from {}", config.file()),
            assumptions: vec![
                "products with weights are computed elsewhere and are never late".to_owned(),
            ],
            heads: vec![heads; layers],
            head_dim,
            phase: Phase::Prefill,
            context,
            tokens: 1,
            positions,
            fixed,
        })
    }
}

/// The reader allows sizes up to 2^24 only.
fn narrow(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}
