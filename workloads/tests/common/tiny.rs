//! Tiny models with random weights, written without the code under test.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use safetensors::tensor::{Dtype, TensorView};

pub const CONFIG: &str = r#"{"model_type":"bert","hidden_size":8,"num_hidden_layers":2,
    "num_attention_heads":2,"intermediate_size":12,"vocab_size":10,"type_vocab_size":2,
    "max_position_embeddings":6,"hidden_act":"gelu","layer_norm_eps":1e-12}"#;

/// Words `a` to `g`, and the special tokens of BERT.
pub const TOKENIZER: &str = r#"{"version":"1.0","truncation":null,"padding":null,
    "added_tokens":[],"normalizer":null,"pre_tokenizer":{"type":"Whitespace"},"decoder":null,
    "post_processor":{"type":"TemplateProcessing",
        "single":[{"SpecialToken":{"id":"[CLS]","type_id":0}},{"Sequence":{"id":"A","type_id":0}},
            {"SpecialToken":{"id":"[SEP]","type_id":0}}],
        "pair":[{"Sequence":{"id":"A","type_id":0}},{"Sequence":{"id":"B","type_id":1}}],
        "special_tokens":{"[CLS]":{"id":"[CLS]","ids":[1],"tokens":["[CLS]"]},
            "[SEP]":{"id":"[SEP]","ids":[2],"tokens":["[SEP]"]}}},
    "model":{"type":"WordLevel","unk_token":"[UNK]","vocab":{"[UNK]":0,"[CLS]":1,"[SEP]":2,
        "a":3,"b":4,"c":5,"d":6,"e":7,"f":8,"g":9}}}"#;

/// Shapes of its tensors by name.
pub fn shapes() -> BTreeMap<String, Vec<usize>> {
    let mut shapes = BTreeMap::new();
    let mut add = |name: String, shape: &[usize]| shapes.insert(name, shape.to_vec());
    add("embeddings.word_embeddings.weight".into(), &[10, 8]);
    add("embeddings.position_embeddings.weight".into(), &[6, 8]);
    add("embeddings.token_type_embeddings.weight".into(), &[2, 8]);
    add("embeddings.LayerNorm.weight".into(), &[8]);
    add("embeddings.LayerNorm.bias".into(), &[8]);
    for layer in 0..2 {
        for (name, outputs, inputs) in [
            ("attention.self.query", 8, 8),
            ("attention.self.key", 8, 8),
            ("attention.self.value", 8, 8),
            ("attention.output.dense", 8, 8),
            ("intermediate.dense", 12, 8),
            ("output.dense", 8, 12),
        ] {
            add(format!("encoder.layer.{layer}.{name}.weight"), &[outputs, inputs]);
            add(format!("encoder.layer.{layer}.{name}.bias"), &[outputs]);
        }
        for name in ["attention.output.LayerNorm", "output.LayerNorm"] {
            add(format!("encoder.layer.{layer}.{name}.weight"), &[8]);
            add(format!("encoder.layer.{layer}.{name}.bias"), &[8]);
        }
    }
    add("pooler.dense.weight".into(), &[8, 8]);
    add("pooler.dense.bias".into(), &[8]);
    shapes
}

/// A safetensors file with random values, 0 to 2 for norms and -1 to 1 for all others, written by the library of the format.
pub fn tensors(shapes: &BTreeMap<String, Vec<usize>>) -> Vec<u8> {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    let data: Vec<(&String, &Vec<usize>, Vec<u8>)> = shapes
        .iter()
        .map(|(name, shape)| {
            let count: usize = shape.iter().product();
            // Norms around 0 would make all states alike.
            let is_norm =
                ["norm.weight", "norm.gamma"].iter().any(|end| name.to_lowercase().ends_with(end));
            let mean = if is_norm { 1.0 } else { 0.0 };
            (name, shape, (0..count).flat_map(|_| (mean + next()).to_le_bytes()).collect())
        })
        .collect();
    let views = data.iter().map(|(name, shape, bytes)| {
        (name, TensorView::new(Dtype::F32, shape.to_vec(), bytes).expect("sizes agree"))
    });
    safetensors::serialize(views, None).expect("valid tensors")
}

/// Writes a Llama of two layers, with four query heads over two key heads.
pub fn write_llama(folder: &Path) {
    let config = r#"{"model_type":"llama","hidden_size":8,"num_hidden_layers":2,"head_dim":4,
        "num_attention_heads":4,"num_key_value_heads":2,"intermediate_size":12,"vocab_size":10,
        "max_position_embeddings":9,"tie_word_embeddings":true}"#;
    let mut shapes = BTreeMap::new();
    let mut add = |name: &str, shape: &[usize]| {
        shapes.insert(format!("model.{name}.weight"), shape.to_vec());
    };
    add("embed_tokens", &[10, 8]);
    for layer in 0..2 {
        for (name, shape) in [
            ("input_layernorm", &[8][..]),
            ("self_attn.q_proj", &[16, 8]),
            ("self_attn.k_proj", &[8, 8]),
            ("self_attn.v_proj", &[8, 8]),
            ("self_attn.o_proj", &[8, 16]),
            ("post_attention_layernorm", &[8]),
            ("mlp.gate_proj", &[12, 8]),
            ("mlp.up_proj", &[12, 8]),
            ("mlp.down_proj", &[8, 12]),
        ] {
            add(&format!("layers.{layer}.{name}"), shape);
        }
    }
    add("norm", &[8]);
    fs::write(folder.join("config.json"), config).expect("a temporary folder");
    fs::write(folder.join("model.safetensors"), tensors(&shapes)).expect("a temporary folder");
}

/// Writes a whole folder with a BERT.
pub fn write(folder: &Path) {
    for (name, content) in [
        ("config.json", CONFIG.as_bytes()),
        ("tokenizer.json", TOKENIZER.as_bytes()),
        ("model.safetensors", &tensors(&shapes())),
    ] {
        fs::write(folder.join(name), content).expect("a temporary folder");
    }
}
