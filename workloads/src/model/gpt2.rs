//! GPT-2 (Radford et al., 2019).

use ndarray::{Axis, Slice};

use super::config::Config;
use super::embedding::{Embedding, TokenEmbedding};
use super::layers::{FeedForward, Linear};
use super::stack::{Layer, NormPlace, Stack};
use super::weights::Weights;
use super::{Head, Model, ModelError, Shape, Tensors};

pub(super) fn load(config: &Config, tensors: &mut Tensors) -> Result<Model, ModelError> {
    config.only("add_cross_attention", false)?;
    let hidden = config.size("n_embd")?;
    let head_dim = config.split("n_embd", "n_head")?;
    let vocabulary = config.size("vocab_size")?;
    let shape = Shape {
        layers: config.count("n_layer")?,
        hidden,
        heads: hidden / head_dim,
        kv_heads: hidden / head_dim,
        head_dim,
        vocabulary: Some(vocabulary),
        positions: config.size("n_positions")?,
    };
    let inner = config.maybe_size("n_inner")?.unwrap_or(4 * hidden);
    let epsilon = config.positive_or("layer_norm_epsilon", 1e-5)?;
    let activation = config.activation_or("activation_function", "gelu_new")?;
    let scaled = config.flag_or("scale_attn_weights", true)?;
    let scaled_by_layer = config.flag_or("scale_attn_by_inverse_layer_idx", false)?;

    let mut weights = Weights::new(tensors, &["", "transformer."], "wte.weight");
    let embedding = TokenEmbedding {
        words: weights.matrix("wte.weight", vocabulary, hidden)?,
        positions: Some(weights.matrix("wpe.weight", shape.positions, hidden)?),
        segment: None,
        norm: None,
    };
    let mut layers = Vec::new();
    for index in 0..shape.layers {
        let mut at = weights.under(&format!("h.{index}."));
        let joined = transposed(&mut at, "attn.c_attn", hidden, 3 * hidden)?;
        let scale = if scaled { shape.default_scale() } else { 1.0 };
        let by_layer = if scaled_by_layer { (index + 1) as f32 } else { 1.0 };
        layers.push(Layer {
            attention_norm: at.layer_norm("ln_1", hidden, epsilon)?,
            query: third(&joined, 0),
            key: third(&joined, 1),
            value: third(&joined, 2),
            output: transposed(&mut at, "attn.c_proj", hidden, hidden)?,
            feed_forward_norm: at.layer_norm("ln_2", hidden, epsilon)?,
            feed_forward: FeedForward {
                up: transposed(&mut at, "mlp.c_fc", hidden, inner)?,
                gate: None,
                activation,
                down: transposed(&mut at, "mlp.c_proj", inner, hidden)?,
            },
            scale: scale / by_layer,
        });
    }
    let final_norm = Some(weights.layer_norm("ln_f", hidden, epsilon)?);
    let language = weights.root().language(config, vocabulary, hidden, true)?;
    let stack =
        Stack { layers, norm_place: NormPlace::Before, causal: true, rotary: None, final_norm };
    let embedding = Embedding::Tokens(embedding);
    Ok(Model { family: "gpt2", shape, embedding, stack, head: Head::Decoder { language } })
}

/// GPT-2 stores its matrices as [inputs, outputs], unlike all others.
fn transposed(
    weights: &mut Weights<'_>,
    name: &str,
    inputs: usize,
    outputs: usize,
) -> Result<Linear, ModelError> {
    Ok(Linear {
        weight: weights.matrix(&format!("{name}.weight"), inputs, outputs)?,
        bias: Some(weights.vector(&format!("{name}.bias"), outputs)?),
    })
}

/// One third of the outputs: queries, keys and values come from one matrix.
fn third(joined: &Linear, part: usize) -> Linear {
    let width = joined.weight.ncols() / 3;
    let columns = Slice::from(part * width..(part + 1) * width);
    Linear {
        weight: joined.weight.slice_axis(Axis(1), columns).to_owned(),
        bias: joined.bias.as_ref().map(|bias| bias.slice_axis(Axis(0), columns).to_owned()),
    }
}
