//! Model folders and texts that are damaged or do not belong together: each gives an error that
//! names the file and what was expected.
#![allow(clippy::unwrap_used, reason = "helpers of tests may fail loudly")]

mod common;

use std::fs;
use std::path::Path;

use attelier_workloads::file::{open_model, open_texts, open_tokenizer};
use attelier_workloads::model::{Dense, Input, ModelError};
use common::{shown, tiny};
use proptest::prelude::*;
use tempfile::TempDir;

/// A valid folder in which `name` is then replaced.
fn folder(name: &str, content: impl AsRef<[u8]>) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    tiny::write(folder.path());
    fs::write(folder.path().join(name), content).unwrap();
    folder
}

/// Opens model and tokenizer.
fn open(folder: &Path) -> Result<(), ModelError> {
    let model = open_model(folder)?;
    open_tokenizer(folder, &model).map(|_| ())
}

/// Asserts that the folder is refused by a message that begins with the path of `file`.
#[track_caller]
fn refused(folder: &TempDir, file: &str, part: &str) {
    let error = shown(&open(folder.path()).unwrap_err());
    let path = folder.path().join(file).display().to_string();
    assert!(error.starts_with(&path) && error.contains(part), "{part:?} is not in {error}");
}

#[track_caller]
fn refused_config(from: &str, to: &str, part: &str) {
    assert!(tiny::CONFIG.contains(from));
    refused(&folder("config.json", tiny::CONFIG.replace(from, to)), "config.json", part);
}

#[test]
fn the_folder_itself_is_valid() {
    let folder = tempfile::tempdir().unwrap();
    tiny::write(folder.path());
    open(folder.path()).unwrap();
}

#[test]
fn a_checkpoint_with_old_names_is_the_same_model() {
    let valid = folder("unused", "");
    let renamed = |name: String| {
        let name = name.replace("Norm.weight", "Norm.gamma").replace("Norm.bias", "Norm.beta");
        format!("bert.{name}")
    };
    let shapes = tiny::shapes().into_iter().map(|(name, shape)| (renamed(name), shape)).collect();
    let old = folder("model.safetensors", tiny::tensors(&shapes));
    let states = |folder: &Path| {
        let model = open_model(folder).unwrap();
        model.encode(Input::Tokens(&[1, 4, 2]), &mut Dense::new()).unwrap().states
    };
    assert_eq!(states(valid.path()), states(old.path()));
}

#[test]
fn a_configuration_is_checked() {
    refused_config(
        "\"bert\"",
        "\"brt\"",
        "unknown architecture `brt`: expected one of bert, gpt2, llama, vit, deit; did you mean `bert`?",
    );
    refused_config("\"bert\"", "\"mamba\"", "unknown architecture `mamba`");
    refused_config("\"model_type\"", "\"type\"", "`model_type` is missing: expected one of bert");
    refused_config("\"hidden_size\":8,", "", "`hidden_size` is missing");
    refused_config(
        "\"hidden_size\":8",
        "\"hidden_size\":-8",
        "`hidden_size` is -8: expected a whole number",
    );
    refused_config("_heads\":2", "_heads\":3", "`hidden_size` is 8: expected a multiple of 3");
    refused_config("\"gelu\"", "\"softmax\"", "`hidden_act` is \"softmax\": expected one of");
    refused_config("{\"", "{\"position_embedding_type\":\"relative_key\",\"", "the only variant");
    refused_config("}", "", "not the configuration of a model");
    // Layers that the file cannot have are found at the first one that is missing.
    let config = tiny::CONFIG.replace("_layers\":2", "_layers\":4000");
    let part = "tensor `encoder.layer.2.attention.self.query.weight` is missing";
    refused(&folder("config.json", config), "model.safetensors", part);
}

#[test]
fn a_tensor_of_another_shape_or_name_is_named() {
    let mut shapes = tiny::shapes();
    shapes.insert("encoder.layer.1.output.dense.weight".into(), vec![12, 8]);
    let part = "tensor `encoder.layer.1.output.dense.weight` has shape [12, 8]: expected [8, 12]";
    refused(&folder("model.safetensors", tiny::tensors(&shapes)), "model.safetensors", part);

    let mut shapes = tiny::shapes();
    let shape = shapes.remove("encoder.layer.1.output.dense.bias").unwrap();
    shapes.insert("encoder.layer.1.output.dense.bais".into(), shape);
    let part = "tensor `encoder.layer.1.output.dense.bias` is missing; did you mean \
                `encoder.layer.1.output.dense.bais`?";
    refused(&folder("model.safetensors", tiny::tensors(&shapes)), "model.safetensors", part);
}

#[test]
fn a_missing_or_cut_file_is_named() {
    for name in ["config.json", "model.safetensors", "tokenizer.json"] {
        let folder = folder("unused", "");
        fs::remove_file(folder.path().join(name)).unwrap();
        refused(&folder, name, "cannot open the file");
        fs::create_dir(folder.path().join(name)).unwrap();
        refused(&folder, name, "cannot open the file");
    }
    let whole = tiny::tensors(&tiny::shapes());
    let cut = folder("model.safetensors", &whole[..whole.len() - 1]);
    refused(&cut, "model.safetensors", "copy or download it again");
}

#[test]
fn an_index_cannot_lead_out_of_its_folder() {
    let index = "model.safetensors.index.json";
    for name in ["../model.safetensors", "/etc/passwd", "a/b", "..", "c:\\\\x", ""] {
        let text = format!(r#"{{"weight_map":{{"a":"{name}"}}}}"#);
        refused(&folder(index, text), index, "is not the name of a file in the same folder");
    }
    refused(&folder(index, "{}"), index, "missing field `weight_map`");
    refused(&folder(index, r#"{"weight_map":{"a":"none"}}"#), "none", "cannot open the file");
}

#[test]
fn a_tokenizer_of_another_model_is_refused() {
    let more = tiny::TOKENIZER.replace("\"g\":9", "\"g\":9,\"h\":10");
    let part = "the tokenizer has 11 tokens: expected 10";
    refused(&folder("tokenizer.json", more), "tokenizer.json", part);
    refused(&folder("tokenizer.json", "{}"), "tokenizer.json", "this is not a tokenizer");
}

#[test]
fn a_text_that_is_empty_or_not_utf8_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("text");
    let text = |content: &[u8]| {
        fs::write(&path, content).unwrap();
        shown(&open_texts(&path, true).unwrap_err())
    };
    assert!(text(b" \n\t\n").ends_with("text: the text is empty: expected at least one word"));
    assert!(text(b"abc\xffdef").contains("text: the text is not UTF-8 at byte 3"));
    assert!(text(&[b'a'; (1 << 22) + 1]).contains("longer than 4194304 bytes"));
    fs::write(&path, "\u{feff}one\r\n\n two \n").unwrap();
    assert_eq!(open_texts(&path, true).unwrap(), ["one", "two"]);
    assert_eq!(open_texts(&path, false).unwrap(), ["one\r\n\n two"]);
}

#[test]
fn an_input_that_does_not_fit_is_refused() {
    let folder = folder("unused", "");
    let model = open_model(folder.path()).unwrap();
    let encode = |tokens: &[u32]| {
        model.encode(Input::Tokens(tokens), &mut Dense::new()).unwrap_err().to_string()
    };
    assert!(encode(&[]).starts_with("the number of tokens is 0: expected 1 to 6"));
    assert!(encode(&[0; 7]).starts_with("the number of tokens is 7: expected 1 to 6"));
    assert_eq!(
        encode(&[10]),
        "a token is 10: expected a number below 10, the size of the vocabulary"
    );
    let error = model.prefill(&[1], &mut Dense::new()).unwrap_err().to_string();
    assert_eq!(error, "the model is bert model: expected a decoder");
    let pixels = ndarray::Array3::zeros((3, 4, 4));
    let error = model.encode(Input::Pixels(pixels.view()), &mut Dense::new()).unwrap_err();
    assert_eq!(error.to_string(), "the input is pixels: expected tokens");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn damaged_bytes_never_panic(at in 0usize..4000, byte: u8, which in 0usize..3) {
        let name = ["config.json", "model.safetensors", "tokenizer.json"][which];
        let valid = folder("unused", "");
        let path = valid.path().join(name);
        let mut bytes = fs::read(&path).unwrap();
        let place = at % bytes.len();
        bytes[place] = byte;
        fs::write(&path, bytes).unwrap();
        if let Err(error) = open(valid.path()) {
            prop_assert!(error.to_string().starts_with(&valid.path().display().to_string()));
        }
    }
}
