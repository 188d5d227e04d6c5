//! ViT (Dosovitskiy et al., 2020) and DeiT (Touvron et al., 2020), which has a second special
//! token taught by another model.

use ndarray::Array2;

use super::config::Config;
use super::embedding::{Embedding, PatchEmbedding};
use super::layers::{FeedForward, Linear};
use super::stack::{Layer, NormPlace, Stack};
use super::weights::{Weights, matrix};
use super::{Classifier, Head, Model, ModelError, Shape, Tensors};

pub(super) fn load_vit(config: &Config, tensors: &mut Tensors) -> Result<Model, ModelError> {
    load(config, tensors, "vit", &["cls_token"])
}

pub(super) fn load_deit(config: &Config, tensors: &mut Tensors) -> Result<Model, ModelError> {
    load(config, tensors, "deit", &["cls_token", "distillation_token"])
}

fn load(
    config: &Config,
    tensors: &mut Tensors,
    family: &'static str,
    special: &[&str],
) -> Result<Model, ModelError> {
    let hidden = config.size("hidden_size")?;
    let head_dim = config.split("hidden_size", "num_attention_heads")?;
    // An image has at most as many patches as this product of two counts.
    let across = config.split("image_size", "patch_size")?;
    let edge = config.size("patch_size")?;
    let shape = Shape {
        layers: config.count("num_hidden_layers")?,
        hidden,
        heads: hidden / head_dim,
        kv_heads: hidden / head_dim,
        head_dim,
        vocabulary: None,
        positions: across.saturating_mul(across).saturating_add(special.len()),
    };
    let inner = config.size("intermediate_size")?;
    let epsilon = config.positive_or("layer_norm_eps", 1e-12)?;
    let activation = config.activation_or("hidden_act", "gelu")?;
    let bias = config.flag_or("qkv_bias", true)?;

    let prefixes = [format!("{family}."), String::new()];
    let prefixes = [&prefixes[0][..], &prefixes[1]];
    let mut weights = Weights::new(tensors, &prefixes, "embeddings.cls_token");
    let size = across * edge;
    let channels = config.count("num_channels")?;
    let mut at = weights.under("embeddings.");
    let embedding = PatchEmbedding {
        special: special_tokens(&mut at, special, hidden)?,
        patch: patch_map(&mut at, hidden, channels, edge)?,
        edge,
        image: [channels, size, size],
        positions: {
            let values = at.values("position_embeddings", &[1, shape.positions, hidden])?;
            matrix(values, shape.positions, hidden)
        },
    };
    let mut layers = Vec::new();
    for index in 0..shape.layers {
        let mut at = weights.under(&format!("encoder.layer.{index}."));
        layers.push(Layer {
            attention_norm: at.layer_norm("layernorm_before", hidden, epsilon)?,
            query: at.linear("attention.attention.query", hidden, hidden, bias)?,
            key: at.linear("attention.attention.key", hidden, hidden, bias)?,
            value: at.linear("attention.attention.value", hidden, hidden, bias)?,
            output: at.linear("attention.output.dense", hidden, hidden, true)?,
            feed_forward_norm: at.layer_norm("layernorm_after", hidden, epsilon)?,
            feed_forward: FeedForward {
                up: at.linear("intermediate.dense", hidden, inner, true)?,
                gate: None,
                activation,
                down: at.linear("output.dense", inner, hidden, true)?,
            },
            scale: shape.default_scale(),
        });
    }
    let final_norm = Some(weights.layer_norm("layernorm", hidden, epsilon)?);
    let pooler = match weights.has("pooler.dense.weight") {
        true => Some(weights.linear("pooler.dense", hidden, hidden, true)?),
        false => None,
    };
    let classifier = classifier(&mut weights.root(), hidden)?;
    let stack =
        Stack { layers, norm_place: NormPlace::Before, causal: false, rotary: None, final_norm };
    let (embedding, head) = (Embedding::Patches(embedding), Head::Encoder { pooler, classifier });
    Ok(Model { family, shape, embedding, stack, head })
}

fn special_tokens(
    weights: &mut Weights<'_>,
    names: &[&str],
    hidden: usize,
) -> Result<Array2<f32>, ModelError> {
    let mut values = Vec::new();
    for name in names {
        values.extend(weights.values(name, &[1, 1, hidden])?);
    }
    Ok(matrix(values, names.len(), hidden))
}

/// The patch embedding is stored as a convolution whose stride is its size.
fn patch_map(
    weights: &mut Weights<'_>,
    hidden: usize,
    channels: usize,
    edge: usize,
) -> Result<Linear, ModelError> {
    let name = "patch_embeddings.projection";
    let kernel = weights.values(&format!("{name}.weight"), &[hidden, channels, edge, edge])?;
    Ok(Linear {
        weight: matrix(kernel, hidden, channels * edge * edge).reversed_axes(),
        bias: Some(weights.vector(&format!("{name}.bias"), hidden)?),
    })
}

fn classifier(weights: &mut Weights<'_>, hidden: usize) -> Result<Option<Classifier>, ModelError> {
    let mut linear = |name: &str| match weights.rows(&format!("{name}.weight")) {
        Some(classes) => weights.linear(name, hidden, classes, true).map(Some),
        None => Ok(None),
    };
    if let Some(linear) = linear("classifier")? {
        return Ok(Some(Classifier::First(linear)));
    }
    let (first, second) = (linear("cls_classifier")?, linear("distillation_classifier")?);
    Ok(first.zip(second).map(|(first, second)| Classifier::Distilled(first, second)))
}
