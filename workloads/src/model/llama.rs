//! Llama (Touvron et al., 2023): root-mean-square norms, rotary positions, grouped key heads
//! (Ainslie et al., 2023) and a gated feed-forward network.

use super::config::Config;
use super::embedding::{Embedding, TokenEmbedding};
use super::layers::{FeedForward, Norm};
use super::rotary::Rotary;
use super::stack::{Layer, NormPlace, Stack};
use super::weights::Weights;
use super::{Head, Model, ModelError, Shape, Tensors};

pub(super) fn load(config: &Config, tensors: &mut Tensors) -> Result<Model, ModelError> {
    let shape = shape(config)?;
    let Shape { hidden, head_dim, .. } = shape;
    let vocabulary = config.size("vocab_size")?;
    let inner = config.size("intermediate_size")?;
    let epsilon = config.positive_or("rms_norm_eps", 1e-6)?;
    let activation = config.activation_or("hidden_act", "silu")?;
    let attention_bias = config.flag_or("attention_bias", false)?;
    let bias = config.flag_or("mlp_bias", false)?;
    let rotary = Rotary::configured(config, head_dim)?;

    let mut weights = Weights::new(tensors, &["model.", ""], "embed_tokens.weight");
    let words = weights.matrix("embed_tokens.weight", vocabulary, hidden)?;
    let (queries, keys) = (shape.heads * head_dim, shape.kv_heads * head_dim);
    let mut layers = Vec::new();
    for index in 0..shape.layers {
        let mut at = weights.under(&format!("layers.{index}."));
        layers.push(Layer {
            attention_norm: norm(&mut at, "input_layernorm", hidden, epsilon)?,
            query: at.linear("self_attn.q_proj", hidden, queries, attention_bias)?,
            key: at.linear("self_attn.k_proj", hidden, keys, attention_bias)?,
            value: at.linear("self_attn.v_proj", hidden, keys, attention_bias)?,
            output: at.linear("self_attn.o_proj", queries, hidden, attention_bias)?,
            feed_forward_norm: norm(&mut at, "post_attention_layernorm", hidden, epsilon)?,
            feed_forward: FeedForward {
                up: at.linear("mlp.up_proj", hidden, inner, bias)?,
                gate: Some(at.linear("mlp.gate_proj", hidden, inner, bias)?),
                activation,
                down: at.linear("mlp.down_proj", inner, hidden, bias)?,
            },
            scale: shape.default_scale(),
        });
    }
    let final_norm = Some(norm(&mut weights, "norm", hidden, epsilon)?);
    let language = weights.root().language(config, vocabulary, hidden, false)?;
    let embedding = TokenEmbedding { words, positions: None, segment: None, norm: None };
    Ok(Model {
        family: "llama",
        shape,
        embedding: Embedding::Tokens(embedding),
        stack: Stack {
            layers,
            norm_place: NormPlace::Before,
            causal: true,
            rotary: Some(rotary),
            final_norm,
        },
        head: Head::Decoder { language },
    })
}

fn shape(config: &Config) -> Result<Shape, ModelError> {
    let heads = config.count("num_attention_heads")?;
    let head_dim = match config.maybe_size("head_dim")? {
        Some(head_dim) => head_dim,
        None => config.split("hidden_size", "num_attention_heads")?,
    };
    if head_dim % 2 != 0 {
        let expected = "an even number, because rotary embeddings turn pairs";
        return Err(config.error("head_dim", &head_dim.into(), expected));
    }
    let kv_heads = match config.get("num_key_value_heads") {
        Some(_) => config.count("num_key_value_heads")?,
        None => heads,
    };
    if heads % kv_heads != 0 {
        let expected = format!("a divisor of {heads} (`num_attention_heads`)");
        return Err(config.error("num_key_value_heads", &kv_heads.into(), expected));
    }
    Ok(Shape {
        layers: config.count("num_hidden_layers")?,
        hidden: config.size("hidden_size")?,
        heads,
        kv_heads,
        head_dim,
        vocabulary: Some(config.size("vocab_size")?),
        positions: config.size("max_position_embeddings")?,
    })
}

fn norm(
    weights: &mut Weights<'_>,
    name: &str,
    size: usize,
    epsilon: f32,
) -> Result<Norm, ModelError> {
    let weight = weights.vector(&format!("{name}.weight"), size)?;
    Ok(Norm::RootMeanSquare { weight, epsilon })
}
