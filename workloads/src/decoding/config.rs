//! Sizes from a Hugging Face `config.json`; weights are not needed.

use super::{DecoderShape, Decoding};
use crate::model::{Config, ModelError};
use crate::suggest::nearest;

/// A family: its `model_type`, the keys that give sizes, and the reader of its sizes.
struct Family {
    name: &'static str,
    keys: &'static [&'static str],
    shape: fn(&Config) -> Result<DecoderShape, ModelError>,
}

const FAMILIES: &[Family] = &[
    Family {
        name: "gpt2",
        keys: &["n_layer", "n_embd", "n_head", "n_inner", "n_positions", "n_ctx"],
        shape: gpt2,
    },
    Family {
        name: "llama",
        keys: &[
            "num_hidden_layers",
            "hidden_size",
            "num_attention_heads",
            "num_key_value_heads",
            "head_dim",
            "intermediate_size",
            "max_position_embeddings",
        ],
        shape: llama,
    },
];

/// Keys of both families that change no size.
const OTHER_KEYS: &[&str] = &[
    "_name_or_path",
    "activation_function",
    "add_cross_attention",
    "architectures",
    "attention_bias",
    "attention_dropout",
    "attn_pdrop",
    "bos_token_id",
    "dtype",
    "embd_pdrop",
    "eos_token_id",
    "hidden_act",
    "initializer_range",
    "layer_norm_epsilon",
    "mlp_bias",
    "model_type",
    "output_past",
    "pad_token_id",
    "pretraining_tp",
    "reorder_and_upcast_attn",
    "resid_pdrop",
    "rms_norm_eps",
    "rope_parameters",
    "rope_scaling",
    "rope_theta",
    "scale_attn_by_inverse_layer_idx",
    "scale_attn_weights",
    "summary_activation",
    "summary_first_dropout",
    "summary_proj_to_labels",
    "summary_type",
    "summary_use_proj",
    "task_specific_params",
    "tie_word_embeddings",
    "torch_dtype",
    "transformers_version",
    "use_cache",
    "vocab_size",
];

impl Decoding {
    /// The model that the text of a `config.json` describes; `file` names it in errors, `name` in
    /// results. One token after another, 1,024 or as many as the model has positions.
    ///
    /// # Errors
    /// Text that is no configuration, an unknown family, a size that is missing or impossible, a
    /// key that the family does not have.
    pub fn from_config(file: &str, name: &str, text: &str) -> Result<Decoding, ModelError> {
        let config = Config::parse(file, text)?;
        let family = family(&config)?;
        known_keys(&config, family)?;
        let shape = (family.shape)(&config)?;
        shape.check().map_err(|error| ModelError::Config {
            file: file.to_owned(),
            field: error.field.to_owned(),
            found: error.found.to_string(),
            expected: error.expected,
        })?;
        let tokens = shape.positions.min(1024);
        Ok(Decoding {
            name: name.to_owned(),
            model: name.to_owned(),
            description: format!("{name}, all layers: {tokens} tokens one by one"),
            provenance: format!("sizes from {file}"),
            assumptions: Vec::new(),
            shape,
            context: 0,
            tokens,
            lm_head: false,
        })
    }
}

fn family(config: &Config) -> Result<&'static Family, ModelError> {
    let names = FAMILIES.iter().map(|family| family.name);
    let known = names.clone().collect::<Vec<_>>().join(", ");
    let found = config.text("model_type", &format!("one of {known}"))?;
    FAMILIES.iter().find(|family| family.name == found).ok_or_else(|| ModelError::Architecture {
        file: config.file().to_owned(),
        found: found.to_owned(),
        near: nearest(found, names).map(str::to_owned),
        known,
    })
}

/// Refuses a key that nobody knows: it may be a size that is misspelt.
fn known_keys(config: &Config, family: &Family) -> Result<(), ModelError> {
    let known = || family.keys.iter().chain(OTHER_KEYS).copied();
    let Some(unknown) = config.keys().find(|key| !known().any(|known| known == *key)) else {
        return Ok(());
    };
    let near = nearest(unknown, known());
    let hint = near.map_or_else(
        || format!("; remove it if it changes no size of the {} model", family.name),
        |near| format!("; did you mean `{near}`?"),
    );
    Err(ModelError::Config {
        file: config.file().to_owned(),
        field: unknown.to_owned(),
        found: "no key of this family".to_owned(),
        expected: format!("one of {}{hint}", family.keys.join(", ")),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Knobs, decoding};

    const GPT2_XL: &str = r#"{"model_type": "gpt2", "n_layer": 48, "n_embd": 1600, "n_head": 25,
        "n_positions": 1024, "vocab_size": 50257, "resid_pdrop": 0.1}"#;

    fn read(text: &str) -> Result<Decoding, ModelError> {
        Decoding::from_config("config.json", "m", text)
    }

    #[test]
    fn the_configuration_of_gpt2_xl_is_the_preset() {
        let preset = decoding::load_with("gpt2-xl", &Knobs::default()).unwrap();
        let read = read(GPT2_XL).unwrap();
        assert_eq!(read.shape, preset.shape);
        assert_eq!(read.content_hash(), preset.content_hash());
    }

    /// Sizes of a released model with shared heads and a gate (Llama 3.2 1B, its model card).
    #[test]
    fn a_llama_has_shared_heads_and_a_gate() {
        let text = r#"{"model_type": "llama", "num_hidden_layers": 16, "hidden_size": 2048,
            "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 64,
            "intermediate_size": 8192, "vocab_size": 128256, "rope_theta": 500000.0,
            "max_position_embeddings": 131072}"#;
        let shape = read(text).unwrap().shape;
        assert_eq!((shape.kv_width(), shape.query_width(), shape.gated), (512, 2048, true));
        // 1.236 billion parameters less the embedding of 262.7 million and the norms.
        assert_eq!(shape.block_weights(), 16 * (2048 * 3072 + 2048 * 2048 + 3 * 2048 * 8192));
        assert_eq!(read(text).unwrap().tokens, 1024);
    }

    #[test]
    fn every_fault_is_named_with_what_was_expected() {
        let with = |from: &str, to: &str| {
            assert!(GPT2_XL.contains(from));
            read(&GPT2_XL.replace(from, to)).unwrap_err().to_string()
        };
        for (from, to, expected) in [
            ("n_layer", "n_layers", "`n_layers` is no key of this family"),
            ("n_layer", "n_layers", "did you mean `n_layer`?"),
            ("resid_pdrop", "colour", "remove it if it changes no size of the gpt2 model"),
            ("\"n_head\": 25", "\"n_head\": 24", "`n_embd` is 1600: expected a multiple of 24"),
            ("48", "0", "`n_layer` is 0"),
            ("gpt2", "gtp2", "did you mean `gpt2`?"),
            ("\"vocab_size\": 50257,", "", "`vocab_size` is missing"),
        ] {
            let text = with(from, to);
            assert!(text.starts_with("config.json: ") && text.contains(expected), "{text}");
        }
        assert!(read("[]").unwrap_err().to_string().contains("not the configuration of a model"));
    }
}
