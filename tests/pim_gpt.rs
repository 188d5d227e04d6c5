//! `attelier run pim-gpt` as a user sees it.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

mod common;
#[path = "../workloads/tests/common/mod.rs"]
mod models;

use std::fs;
use std::path::{Path, PathBuf};

use common::{attelier, stderr, stdout};
use models::python::{finish, script};
use serde_json::Value;

#[test]
fn a_run_reports_operations_streams_and_energy() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["run", "pim-gpt", "gpt2-small", "--set", "workload.tokens=4", "--json", "o.json"];
    let text = stdout(&attelier(folder.path(), &args).code(0));
    for part in ["Time by operation", "ffn_1", "vector", "mac_logic", "column accesses"] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    assert!(!text.contains("next head waits"), "{text}");
    let json = std::fs::read_to_string(folder.path().join("o.json")).unwrap();
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["design"], "pim-gpt");
    // 12 layers of 12 d^2 weights, and 2 T d for T = 1 to 4.
    let macs = 4 * 12 * 12 * 768u64.pow(2) + 12 * 2 * 768 * (1 + 2 + 3 + 4);
    assert_eq!(json["ops_executed"], 2 * macs);
    assert!(json["area_mm2"].as_f64().unwrap() > 0.6 && json["admission"].is_null());
    let phases = json["phases"].as_object().unwrap();
    let sum: u64 = phases.values().map(|cycles| cycles.as_u64().unwrap()).sum();
    assert!(json["cycles"].as_u64().unwrap().abs_diff(sum) < 10, "{sum}");
}

#[test]
fn sizes_come_from_a_config_json() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("tiny");
    std::fs::create_dir(&model).unwrap();
    let config = r#"{"model_type": "gpt2", "n_layer": 2, "n_embd": 256, "n_head": 4,
        "n_positions": 64, "vocab_size": 1000}"#;
    std::fs::write(model.join("config.json"), config).unwrap();
    let args = ["run", "pim-gpt", "tiny/config.json", "--set", "workload.lm_head=true"];
    let text = stdout(&attelier(folder.path(), &args).code(0));
    assert!(text.contains("pim-gpt on tiny") && text.contains("lm_head"), "{text}");
    for (from, to, words) in [
        ("n_head", "n_heads", "did you mean `n_head`?"),
        ("\"n_head\": 4", "\"n_head\": 3", "`n_embd` is 256: expected a multiple of 3"),
        ("\"n_layer\": 2", "\"n_layer\": 0", "`n_layer` is 0"),
        ("\"n_layer\": 2", "\"n_layer\": 4000", "rows of every bank"),
        ("\"n_embd\": 256", "\"n_embd\": 8192", "the vector buffer holds 1024"),
        ("\"vocab_size\": 1000", "\"colour\": 1000", "remove it if it changes no size"),
    ] {
        assert!(config.contains(from), "{from}");
        std::fs::write(model.join("config.json"), config.replace(from, to)).unwrap();
        let message = stderr(&attelier(folder.path(), &args).code(2));
        assert!(message.contains(words), "{to}: {message}");
    }
}

/// A GPT-2 of `transformers` with random weights, and a tokenizer that maps `t7` to 7.
fn gpt2(folder: &Path) -> Option<PathBuf> {
    let model = folder.join("model");
    let mut command = script("make_models.py")?;
    command.arg("gpt2").arg(&model);
    finish(command);
    let words: Vec<String> = (0..64).map(|word| format!("\"t{word}\":{word}")).collect();
    let tokenizer = format!(
        r#"{{"version":"1.0","truncation":null,"padding":null,"added_tokens":[],
        "normalizer":null,"pre_tokenizer":{{"type":"Whitespace"}},"post_processor":null,
        "decoder":null,"model":{{"type":"WordLevel","unk_token":"t0","vocab":{{{}}}}}}}"#,
        words.join(",")
    );
    fs::write(model.join("tokenizer.json"), tokenizer).unwrap();
    fs::write(folder.join("text"), "t3 t17 t5 t5 t61 t0 t42\nt9 t28 t11").unwrap();
    Some(model)
}

/// Every operation lies within the bound of its arithmetic. States come from about 16 roundings to BF16
/// per layer, each off by at most 2^-8 of a number; as independent errors, they leave a relative error of
/// less than sqrt(16 L + 4) 2^-8 of L layers.
#[test]
fn a_gpt2_decodes_within_the_bounds_of_its_arithmetic() {
    let folder = tempfile::tempdir().unwrap();
    if gpt2(folder.path()).is_none() {
        return;
    }
    let args =
        ["run", "pim-gpt", "model", "--check", "--text", "text", "--per-line", "--steps", "5"];
    let args = [&args[..], &["--json", "o.json"]].concat();
    let text = stdout(&attelier(folder.path(), &args).code(0));
    eprintln!("{text}");
    assert!(text.contains("Checks: passed") && text.contains("same prediction"), "{text}");
    let json = fs::read_to_string(folder.path().join("o.json")).unwrap();
    let json: Value = serde_json::from_str(&json).unwrap();
    // 12 and 8 tokens; per layer 2 norms, q, k, v, attention, 2 states of 24, and 96 activations.
    assert_eq!(json["fidelity"]["tokens"], 7 + 5 + 3 + 5);
    assert_eq!(json["checks"]["outputs"], 20 * 3 * (8 * 24 + 96));
    assert_eq!(json["checks"]["beyond_bound"], 0);
    let layers = json["checks"]["model_layers"].as_array().unwrap();
    assert_eq!(layers.len(), 3);
    for (index, layer) in layers.iter().enumerate() {
        let error = (16.0 * (index as f64 + 1.0) + 4.0).sqrt() / 256.0;
        let cosine = layer["states"]["cosine"].as_f64().unwrap();
        assert!(cosine > 1.0 - error * error / 2.0 && cosine < 1.0, "layer {index}: {cosine}");
        // Bounds that nothing comes near would show nothing.
        let used = layer["bound_used"].as_f64().unwrap();
        assert!((0.05..=1.0).contains(&used), "layer {index}: {used}");
    }
    // The cycles are those of the longest text, with the product with the vocabulary.
    let config = ["run", "pim-gpt", "model/config.json", "--set", "workload.tokens=12"];
    let config = [&config[..], &["--set", "workload.lm_head=true", "--json", "c.json"]].concat();
    attelier(folder.path(), &config).code(0);
    let counted = fs::read_to_string(folder.path().join("c.json")).unwrap();
    let counted: Value = serde_json::from_str(&counted).unwrap();
    assert_eq!(counted["cycles"], json["cycles"]);
}

#[test]
fn models_that_the_machine_does_not_compute_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    if gpt2(folder.path()).is_none() {
        return;
    }
    let config = fs::read_to_string(folder.path().join("model/config.json")).unwrap();
    let run = |set: &[&str]| {
        let args = [&["run", "pim-gpt", "model", "--text", "text"][..], set].concat();
        stderr(&attelier(folder.path(), &args).code(2))
    };
    let rows = run(&["--set", "memory.rows=1"]);
    assert!(rows.contains("rows of every bank") && rows.contains("has 1;"), "{rows}");
    assert!(run(&["--steps", "0"]).contains("`--steps` of at least 1"));
    assert!(run(&["--set", "workload.token_keep=0.5"]).contains("prunes and quantises nothing"));
    for (from, to, words) in [
        ("\"n_head\": 3", "\"n_head\": 5", "`n_embd` is 24: expected a multiple of 5"),
        ("gelu_new", "relu", "expected a model of the family gpt2 with the activation `gelu_new`"),
    ] {
        assert!(config.contains(from), "{from} in {config}");
        fs::write(folder.path().join("model/config.json"), config.replace(from, to)).unwrap();
        let message = run(&[]);
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn what_cannot_run_is_told_why() {
    let folder = tempfile::tempdir().unwrap();
    for (args, words) in [
        (&["run", "pim-gpt", "gpt2-xl", "--set", "workload.tokens=0"][..], "`tokens` is 0"),
        (&["run", "pim-gpt", "gpt2-xl", "--set", "workload.tokens=8192"], "rows of every bank"),
        (&["run", "pim-gpt", "gpt2-small/wikitext2"], "expected a model such as `gpt2-xl`"),
        (&["run", "spatten", "m3vit-tiny/cityscapes"], "computes attention only"),
        (&["run", "pim-gpt", "gpt2-xll"], "did you mean `gpt2-xl`?"),
        (&["run", "pim-gpt", "--set", "timing.n_ras=1"], "`timing.n_ras`"),
        (&["run", "pim-gpt", "none/config.json"], "cannot open the file"),
    ] {
        let message = stderr(&attelier(folder.path(), args).code(2));
        assert!(message.contains(words), "{args:?}: {message}");
    }
}
