//! ONNX files that PyTorch exports, against the sizes that the library of the models has.

mod common;

use attelier_workloads::file::open_onnx;
use attelier_workloads::{Knobs, Phase};
use common::python::{finish, script};
use serde::Deserialize;

#[derive(Deserialize)]
struct Sizes {
    heads: Vec<u32>,
    head_dim: u32,
    tokens: u32,
    causal: bool,
}

fn context(tokens: u32) -> Knobs {
    Knobs { context: Some(tokens), ..Knobs::default() }
}

#[test]
fn exported_models_have_the_sizes_that_they_were_made_with() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let Some(mut command) = script("export_onnx.py") else { return };
    command.arg(folder.path());
    finish(command);
    let text = std::fs::read_to_string(folder.path().join("sizes.json")).expect("written");
    let sizes: std::collections::BTreeMap<String, Sizes> =
        serde_json::from_str(&text).expect("the sizes");
    assert_eq!(sizes.len(), 5);
    for (name, expected) in &sizes {
        let file = folder.path().join(format!("{name}.onnx"));
        let open = name.ends_with("_open");
        let model = open_onnx(&file, &Knobs::default()).expect("a model that PyTorch exported");
        assert_eq!(model.heads, expected.heads, "{name}");
        assert_eq!(model.head_dim, expected.head_dim, "{name}");
        assert_eq!(model.name, *name);
        assert!(model.provenance.contains("pytorch"), "{}", model.provenance);
        let phase = if expected.causal { Phase::Decode } else { Phase::Prefill };
        assert_eq!(model.phase, phase, "{name}");
        let length = |context: u32| context + u32::from(expected.causal);
        if open {
            // What the file leaves open is what the user asks for.
            for tokens in [2, 7, 64] {
                let model = open_onnx(&file, &context(tokens)).expect("any length");
                assert_eq!(model.context, tokens, "{name}");
            }
            assert_eq!(model.context, 64, "the positions of the model");
            let error = open_onnx(&file, &context(65)).unwrap_err().to_string();
            assert!(error.contains("are not known with 65 tokens"), "{error}");
        } else {
            assert_eq!(length(model.context), expected.tokens, "{name}");
            let asked = model.with(&context(expected.tokens + 1));
            assert_eq!(asked.is_ok(), expected.causal, "{name}");
        }
    }
}
