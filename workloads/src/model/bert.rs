//! BERT (Devlin et al., 2018), also the architecture of many sentence embedding models.

use super::config::Config;
use super::embedding::{Embedding, TokenEmbedding};
use super::layers::FeedForward;
use super::stack::{Layer, NormPlace, Stack};
use super::weights::Weights;
use super::{Classifier, Head, Model, ModelError, Shape, Tensors};

pub(super) fn load(config: &Config, tensors: &mut Tensors) -> Result<Model, ModelError> {
    config.only("position_embedding_type", "absolute")?;
    config.only("is_decoder", false)?;
    let hidden = config.size("hidden_size")?;
    let head_dim = config.split("hidden_size", "num_attention_heads")?;
    let shape = Shape {
        layers: config.count("num_hidden_layers")?,
        hidden,
        heads: hidden / head_dim,
        kv_heads: hidden / head_dim,
        head_dim,
        vocabulary: Some(config.size("vocab_size")?),
        positions: config.size("max_position_embeddings")?,
    };
    let types = config.size("type_vocab_size")?;
    let inner = config.size("intermediate_size")?;
    let epsilon = config.positive_or("layer_norm_eps", 1e-12)?;
    let activation = config.activation_or("hidden_act", "gelu")?;

    let mut weights = Weights::new(tensors, &["", "bert."], "embeddings.word_embeddings.weight");
    let mut at = weights.under("embeddings.");
    let embedding = TokenEmbedding {
        words: at.matrix("word_embeddings.weight", config.size("vocab_size")?, hidden)?,
        positions: Some(at.matrix("position_embeddings.weight", shape.positions, hidden)?),
        // One text is segment 0.
        segment: Some(at.matrix("token_type_embeddings.weight", types, hidden)?.row(0).to_owned()),
        norm: Some(at.layer_norm("LayerNorm", hidden, epsilon)?),
    };
    let mut layers = Vec::new();
    for index in 0..shape.layers {
        let mut at = weights.under(&format!("encoder.layer.{index}."));
        layers.push(Layer {
            query: at.linear("attention.self.query", hidden, hidden, true)?,
            key: at.linear("attention.self.key", hidden, hidden, true)?,
            value: at.linear("attention.self.value", hidden, hidden, true)?,
            output: at.linear("attention.output.dense", hidden, hidden, true)?,
            attention_norm: at.layer_norm("attention.output.LayerNorm", hidden, epsilon)?,
            feed_forward: FeedForward {
                up: at.linear("intermediate.dense", hidden, inner, true)?,
                gate: None,
                activation,
                down: at.linear("output.dense", inner, hidden, true)?,
            },
            feed_forward_norm: at.layer_norm("output.LayerNorm", hidden, epsilon)?,
            scale: shape.default_scale(),
        });
    }
    let pooler = match weights.has("pooler.dense.weight") {
        true => Some(weights.linear("pooler.dense", hidden, hidden, true)?),
        false => None,
    };
    let mut root = weights.root();
    let classifier = match root.rows("classifier.weight") {
        Some(classes) if pooler.is_some() => {
            Some(Classifier::Pooled(root.linear("classifier", hidden, classes, true)?))
        }
        _ => None,
    };
    Ok(Model {
        family: "bert",
        shape,
        embedding: Embedding::Tokens(embedding),
        stack: Stack {
            layers,
            norm_place: NormPlace::After,
            causal: false,
            rotary: None,
            final_norm: None,
        },
        head: Head::Encoder { pooler, classifier },
    })
}
