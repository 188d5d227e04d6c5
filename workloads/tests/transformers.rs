//! Models against the library that defines them, on small random weights that it wrote itself.

mod common;

use std::path::Path;

use attelier_workloads::file::{open_model, open_texts, open_tokenizer};
use attelier_workloads::model::{Dense, ExactDecode, Input, Model, Recorded};
use common::python::{Arrays, close, finish, repository, script};
use ndarray::{Array3, Axis};
use tempfile::TempDir;

/// States and scores; they grow to about 10.
const STATES: f32 = 1e-4;
/// Probabilities.
const PROBABILITIES: f32 = 1e-5;

/// The folder with a model of this kind, and what is expected of it.
fn made(kind: &str) -> Option<(TempDir, Model, Arrays)> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut command = script("make_models.py")?;
    command.arg(kind).arg(folder.path());
    finish(command);
    let model = open_model(folder.path()).expect("a model that transformers wrote");
    let expected = Arrays::open(&folder.path().join("expected.safetensors"));
    Some((folder, model, expected))
}

fn compare_probabilities(recorded: &[Recorded], expected: &Arrays, prefix: &str, model: &Model) {
    assert_eq!(recorded.len(), model.shape().layers);
    for Recorded { layer, probabilities, .. } in recorded {
        let name = format!("{prefix}probabilities.{layer}");
        let found = probabilities.iter().flatten();
        close(&name, found, &expected.values(&name), PROBABILITIES);
    }
}

fn check_encoder(kind: &str) {
    let Some((_folder, model, expected)) = made(kind) else { return };
    let mut attention = Dense::recording();
    let tokens = expected.tokens("tokens");
    let hidden = model.encode(Input::Tokens(&tokens), &mut attention).expect("a valid input");
    close("states", &hidden.states, &expected.values("states"), STATES);
    close("pooled", &hidden.pooled.expect("a pooler"), &expected.values("pooled"), STATES);
    if let Some(classes) = &hidden.classes {
        close("classes", classes, &expected.values("classes"), STATES);
    }
    assert_eq!(hidden.classes.is_some(), kind == "bert_classifier");
    compare_probabilities(&attention.take_recorded(), &expected, "", &model);
}

fn check_decoder(kind: &str) {
    let Some((_folder, model, expected)) = made(kind) else { return };
    let mut attention = Dense::recording();
    let tokens = expected.tokens("tokens");
    let prefilled = model.prefill(&tokens, &mut attention).expect("a valid input");
    close("states", &prefilled.hidden.states, &expected.values("states"), STATES);
    let logits = model.logits(prefilled.hidden.states.view()).expect("a decoder");
    close("logits", &logits, &expected.values("logits"), STATES);
    assert_eq!(logits.index_axis(Axis(0), tokens.len() - 1), prefilled.logits);
    compare_probabilities(&attention.take_recorded(), &expected, "", &model);
    let mut state = prefilled.state;
    for step in 0..3 {
        let prefix = format!("step{step}.");
        let token = expected.tokens(&format!("{prefix}token"))[0];
        let logits = model.step(&mut state, token, &mut attention).expect("a valid token");
        let name = format!("{prefix}logits");
        close(&name, &logits, &expected.values(&name), STATES);
        compare_probabilities(&attention.take_recorded(), &expected, &prefix, &model);
    }
    assert_eq!(state.tokens(), tokens.len() + 3);
    if model.family() == "gpt2" {
        check_exact(&model, &tokens, &expected);
    }
}

/// The decode in `f64`, token by token from the first.
fn check_exact(model: &Model, tokens: &[u32], expected: &Arrays) {
    let weights = model.as_gpt().expect("a GPT-2");
    let mut decode = ExactDecode::new(&weights);
    let all = expected.values("logits");
    for (token, row) in tokens.iter().zip(all.chunks(weights.words.nrows())) {
        let logits = decode.step(*token).expect("a token").logits.mapv(|score| score as f32);
        close("exact logits", &logits, row, STATES);
    }
    for step in 0..3 {
        let token = expected.tokens(&format!("step{step}.token"))[0];
        let logits = decode.step(token).expect("a token").logits.mapv(|score| score as f32);
        let name = format!("step{step}.logits");
        close(&name, &logits, &expected.values(&name), STATES);
    }
    let unknown = decode.step(64).expect_err("no such token").to_string();
    assert!(unknown.contains("a token") && unknown.contains("below 64"), "{unknown}");
}

fn check_images(kind: &str) {
    let Some((_folder, model, expected)) = made(kind) else { return };
    let (pixels, shape) = expected.get("pixels");
    let pixels = Array3::from_shape_vec((shape[0], shape[1], shape[2]), pixels).expect("an image");
    let mut attention = Dense::recording();
    let hidden = model.encode(Input::Pixels(pixels.view()), &mut attention).expect("an image");
    close("states", &hidden.states, &expected.values("states"), STATES);
    close("classes", &hidden.classes.expect("classes"), &expected.values("classes"), STATES);
    compare_probabilities(&attention.take_recorded(), &expected, "", &model);
}

/// Sentences, a text of several hundred tokens, and characters that a tokenizer has to fold.
const AWKWARD: &str = "Zo\u{eb}'s na\u{ef}ve caf\u{e9} cost 3.50 \u{20ac}; \u{4e16}\u{754c}, e\u{301}t\u{e9} \u{1f600} unbelievableness!";

#[test]
fn a_real_sentence_model_agrees_in_tokens_states_and_embeddings() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (text, output) = (folder.path().join("text"), folder.path().join("out.safetensors"));
    let data = repository().join("tests/data");
    let mut lines = open_texts(&data.join("sentences.txt"), true).expect("our own text");
    lines.truncate(8);
    lines.push(AWKWARD.to_owned());
    lines.extend(open_texts(&data.join("passages.txt"), true).expect("our own text").pop());
    std::fs::write(&text, lines.join("\n")).expect("a temporary file");
    let Some(mut command) = script("embed.py") else { return };
    command.arg(&text).arg(&output);
    let package = finish(command);
    let package = Path::new(package.trim());
    let expected = Arrays::open(&output);

    let model = open_model(package).expect("a released model");
    let tokenizer = open_tokenizer(package, &model).expect("its tokenizer");
    let shape = model.shape();
    assert_eq!((shape.layers, shape.heads, shape.head_dim), (6, 12, 32));
    for (number, line) in lines.iter().enumerate() {
        let tokens = tokenizer.encode(line).expect("text");
        assert_eq!(tokens, expected.tokens(&format!("tokens.{number}")), "{line}");
        let hidden = model.encode(Input::Tokens(&tokens), &mut Dense::new()).expect("valid");
        let name = format!("states.{number}");
        close(&name, &hidden.states, &expected.values(&name), STATES);
        let name = format!("embedding.{number}");
        close(&name, &hidden.sentence_embedding(), &expected.values(&name), STATES);
    }
    let longest = tokenizer.encode(&lines[9]).expect("text").len();
    assert!(longest > 400, "{longest}: a truncated text would go unnoticed");
}

#[test]
fn bert_agrees() {
    check_encoder("bert");
}

#[test]
fn a_bert_classifier_agrees() {
    check_encoder("bert_classifier");
}

#[test]
fn gpt2_agrees_in_prefill_and_decode() {
    check_decoder("gpt2");
}

#[test]
fn gpt2_in_half_precision_with_scores_scaled_by_layer_agrees() {
    check_decoder("gpt2_scaled");
}

#[test]
fn llama_in_several_files_agrees_in_prefill_and_decode() {
    let is_sharded = |folder: &Path| folder.join("model.safetensors.index.json").is_file();
    if let Some((folder, ..)) = made("llama") {
        assert!(is_sharded(folder.path()));
    }
    check_decoder("llama");
}

#[test]
fn llama_in_bfloat16_with_stretched_positions_agrees() {
    check_decoder("llama_stretched");
}

#[test]
fn vit_agrees() {
    check_images("vit");
}

#[test]
fn deit_agrees() {
    check_images("deit");
}
