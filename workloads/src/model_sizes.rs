//! Sizes of a model from its Hugging Face `config.json`; weights are not needed.

use crate::model::{Config, ModelError};
use crate::suggest::nearest;
use crate::{AttentionModel, Decoding, Knobs, PresetError, Task};

/// What a configuration describes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelSizes {
    /// Tokens one by one through all layers.
    Decoder(Decoding),
    /// The attention of a model that reads its input at once.
    Encoder(AttentionModel),
}

/// A family: its `model_type`, the keys that give sizes, and the reader of its sizes.
struct Family {
    name: &'static str,
    keys: &'static [&'static str],
    read: fn(&Config, &str) -> Result<ModelSizes, ModelError>,
}

const FAMILIES: &[Family] = &[
    Family {
        name: "bert",
        keys: &[
            "num_hidden_layers",
            "hidden_size",
            "num_attention_heads",
            "max_position_embeddings",
        ],
        read: encoder,
    },
    Family {
        name: "gpt2",
        keys: &["n_layer", "n_embd", "n_head", "n_inner", "n_positions", "n_ctx"],
        read: |config, name| Decoding::of_gpt2(config, name).map(ModelSizes::Decoder),
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
        read: |config, name| Decoding::of_llama(config, name).map(ModelSizes::Decoder),
    },
    Family {
        name: "vit",
        keys: &[
            "num_hidden_layers",
            "hidden_size",
            "num_attention_heads",
            "image_size",
            "patch_size",
        ],
        read: encoder,
    },
];

/// Keys of all families that change no size.
const OTHER_KEYS: &[&str] = &[
    "_name_or_path",
    "activation_function",
    "add_cross_attention",
    "architectures",
    "attention_bias",
    "attention_dropout",
    "attention_probs_dropout_prob",
    "attn_pdrop",
    "bos_token_id",
    "classifier_dropout",
    "dtype",
    "embd_pdrop",
    "encoder_stride",
    "eos_token_id",
    "gradient_checkpointing",
    "hidden_act",
    "hidden_dropout_prob",
    "id2label",
    "initializer_range",
    "intermediate_size",
    "is_decoder",
    "label2id",
    "layer_norm_eps",
    "layer_norm_epsilon",
    "mlp_bias",
    "model_type",
    "num_channels",
    "output_past",
    "pad_token_id",
    "pooler_act",
    "pooler_output_size",
    "position_embedding_type",
    "pretraining_tp",
    "problem_type",
    "qkv_bias",
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
    "type_vocab_size",
    "use_cache",
    "vocab_size",
];

fn encoder(config: &Config, name: &str) -> Result<ModelSizes, ModelError> {
    AttentionModel::of_encoder(config, name).map(ModelSizes::Encoder)
}

impl ModelSizes {
    /// The model that the text of a `config.json` describes; `file` names it in errors, `name` in
    /// results.
    ///
    /// # Errors
    /// Text that is no configuration, an unknown family, a size that is missing or impossible, a
    /// key that the family does not have.
    pub fn parse(file: &str, name: &str, text: &str) -> Result<Self, ModelError> {
        let config = Config::parse(file, text)?;
        let family = family(&config)?;
        known_keys(&config, family)?;
        (family.read)(&config, name)
    }

    /// What is to be computed, changed by knobs.
    ///
    /// # Errors
    /// A knob that such a model does not have, or a value out of range.
    pub fn with(self, knobs: &Knobs) -> Result<Task, PresetError> {
        Ok(match self {
            Self::Decoder(decoding) => decoding.with(knobs)?.into(),
            Self::Encoder(model) => model.with(knobs)?.workload()?.into(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decoding;

    const GPT2_XL: &str = r#"{"model_type": "gpt2", "n_layer": 48, "n_embd": 1600, "n_head": 25,
        "n_positions": 1024, "vocab_size": 50257, "resid_pdrop": 0.1}"#;

    fn read(text: &str) -> Result<Decoding, ModelError> {
        match ModelSizes::parse("config.json", "m", text)? {
            ModelSizes::Decoder(decoding) => Ok(decoding),
            ModelSizes::Encoder(model) => panic!("an encoder: {model:?}"),
        }
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

    const BERT: &str = r#"{"model_type": "bert", "num_hidden_layers": 12, "hidden_size": 768,
        "num_attention_heads": 12, "max_position_embeddings": 512, "intermediate_size": 3072}"#;

    fn encoder(text: &str) -> Result<AttentionModel, ModelError> {
        match ModelSizes::parse("config.json", "m", text)? {
            ModelSizes::Encoder(model) => Ok(model),
            ModelSizes::Decoder(decoding) => panic!("a decoder: {decoding:?}"),
        }
    }

    /// The same sizes as the dense preset, whose counts a test holds against the released traces.
    #[test]
    fn the_configuration_of_bert_base_is_the_preset() {
        let mut knobs = Knobs::default();
        knobs.set("context", "177").unwrap();
        let read = encoder(BERT).unwrap().with(&knobs).unwrap();
        let preset = crate::load("bert-base/squad-v1/dense").unwrap();
        assert_eq!(read.requests(), preset.requests);
    }

    #[test]
    fn an_image_has_a_token_per_patch_and_one_for_its_class() {
        let text = r#"{"model_type": "vit", "num_hidden_layers": 12, "hidden_size": 192,
            "num_attention_heads": 3, "image_size": 224, "patch_size": 16}"#;
        let model = encoder(text).unwrap();
        assert_eq!((model.context, model.head_dim, model.heads), (197, 64, vec![3; 12]));
        let mut knobs = Knobs::default();
        knobs.set("context", "64").unwrap();
        let error = encoder(text).unwrap().with(&knobs).unwrap_err().to_string();
        assert!(error.contains("`context` is 64: expected 197: the patches"), "{error}");
        let error = encoder(&text.replace("224", "225")).unwrap_err().to_string();
        assert!(error.contains("`image_size` is 225: expected a multiple of 16"), "{error}");
    }

    #[test]
    fn a_longer_input_than_the_model_was_trained_for_is_told() {
        let mut knobs = Knobs::default();
        knobs.set("context", "600").unwrap();
        let model = encoder(BERT).unwrap().with(&knobs).unwrap();
        assert!(model.assumptions.iter().any(|text| text.contains("trained for 512 positions")));
        assert!(encoder(&BERT.replace("layers", "layer")).is_err());
    }
}
