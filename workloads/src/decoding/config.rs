//! Sizes of decoders from a Hugging Face `config.json`; weights are not needed.

use super::{DecoderShape, Decoding};
use crate::model::{Config, ModelError};

impl Decoding {
    /// A decoder of family GPT-2; see [`crate::ModelSizes::parse`].
    pub(crate) fn of_gpt2(config: &Config, name: &str) -> Result<Decoding, ModelError> {
        of_shape(config, name, gpt2(config)?)
    }

    /// A decoder of family Llama; see [`crate::ModelSizes::parse`].
    pub(crate) fn of_llama(config: &Config, name: &str) -> Result<Decoding, ModelError> {
        of_shape(config, name, llama(config)?)
    }
}

/// One token after another, 1,024 or as many as the model has positions.
fn of_shape(config: &Config, name: &str, shape: DecoderShape) -> Result<Decoding, ModelError> {
    shape.check().map_err(|error| ModelError::Config {
        file: config.file().to_owned(),
        field: error.field.to_owned(),
        found: error.found.to_string(),
        expected: error.expected,
    })?;
    let tokens = shape.positions.min(1024);
    Ok(Decoding {
        name: name.to_owned(),
        model: name.to_owned(),
        description: format!("{name}, all layers: {tokens} tokens one by one"),
        provenance: format!("sizes from {}", config.file()),
        assumptions: Vec::new(),
        shape,
        context: 0,
        tokens,
        lm_head: false,
    })
}

fn gpt2(config: &Config) -> Result<DecoderShape, ModelError> {
    let hidden = config.size("n_embd")?;
    let head_dim = config.split("n_embd", "n_head")?;
    let heads = config.count("n_head")?;
    let feed_forward = config.maybe_size("n_inner")?.unwrap_or(4 * hidden);
    Ok(DecoderShape {
        layers: narrow(config.count("n_layer")?),
        hidden: narrow(hidden),
        heads: narrow(heads),
        kv_heads: narrow(heads),
        head_dim: narrow(head_dim),
        feed_forward: narrow(feed_forward),
        gated: false,
        vocabulary: narrow(config.size("vocab_size")?),
        positions: narrow(config.maybe_size("n_positions")?.unwrap_or(1024)),
    })
}

fn llama(config: &Config) -> Result<DecoderShape, ModelError> {
    let heads = config.count("num_attention_heads")?;
    let head_dim = match config.maybe_size("head_dim")? {
        Some(head_dim) => head_dim,
        None => config.split("hidden_size", "num_attention_heads")?,
    };
    Ok(DecoderShape {
        layers: narrow(config.count("num_hidden_layers")?),
        hidden: narrow(config.size("hidden_size")?),
        heads: narrow(heads),
        kv_heads: narrow(config.maybe_size("num_key_value_heads")?.unwrap_or(heads)),
        head_dim: narrow(head_dim),
        feed_forward: narrow(config.size("intermediate_size")?),
        gated: true,
        vocabulary: narrow(config.size("vocab_size")?),
        positions: narrow(config.maybe_size("max_position_embeddings")?.unwrap_or(2048)),
    })
}

/// The reader allows sizes up to 2^24 only; four of them still fit.
fn narrow(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}
