//! A real sentence model on SpAtten: every output against the machine, the arithmetic and exact
//! attention; and traces of it.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

mod common;
#[path = "../workloads/tests/common/mod.rs"]
mod models;

use std::{fs, path::PathBuf};

use common::{attelier, stderr, stdout};
use models::python::repository;
use serde_json::Value;

fn text(name: &str) -> String {
    let path: PathBuf = repository().join("tests/data").join(name);
    path.to_str().unwrap().to_owned()
}

/// The JSON result of a run, which must pass its checks.
fn run(args: &[&str]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let all = [&["run", "spatten"], args, &["--json", "out.json"]].concat();
    attelier(folder.path(), &all).code(0);
    serde_json::from_slice(&fs::read(folder.path().join("out.json")).unwrap()).unwrap()
}

#[track_caller]
fn number(json: &Value, pointer: &str) -> f64 {
    json.pointer(pointer).and_then(Value::as_f64).unwrap_or_else(|| panic!("no number {pointer}"))
}

/// No output differs from the arithmetic of the units, none is beyond the error bound.
#[track_caller]
fn is_exact(json: &Value, outputs: f64) {
    assert_eq!(number(json, "/checks/outputs"), outputs);
    assert_eq!(number(json, "/checks/mismatches"), 0.0);
    assert_eq!(number(json, "/checks/beyond_bound"), 0.0);
    assert_eq!(number(json, "/checks/other_survivors"), 0.0);
    assert_eq!(number(json, "/checks/unbounded"), 0.0);
    assert_eq!(number(json, "/checks/other_decisions"), 0.0);
    assert_eq!(number(json, "/checks/beyond_half"), 0.0);
}

#[test]
fn sixty_sentences_pass_every_check() {
    let Some(model) = models::minilm() else { return };
    let sentences = text("sentences.txt");
    let json = run(&[&model, "--text", &sentences, "--per-line", "--check"]);
    let tokens = number(&json, "/fidelity/tokens");
    assert_eq!(number(&json, "/fidelity/inputs"), 60.0);
    // Nothing is pruned: every token has 6 layers of 12 heads of 32 outputs.
    is_exact(&json, tokens * 6.0 * 384.0);
    assert!(number(&json, "/fidelity/embedding_cosine_min") > 0.999);
    for layer in 0..6 {
        let row = |name: &str| number(&json, &format!("/checks/layers/{layer}/{name}"));
        assert!(row("datapath/cosine") > 0.99999 && row("datapath/max") < 0.01);
        assert!(row("numerical/cosine") > 0.9995 && row("numerical/rms") < 0.01);
    }
}

/// Long texts, everything pruned that can be, progressive quantization at work.
#[test]
fn passages_pass_every_check_under_pruning() {
    let Some(model) = models::minilm() else { return };
    let passages = text("passages.txt");
    let text = ["--text", &passages, "--per-line", "--check"];
    let sets = ["token_keep=0.5", "head_keep=0.7", "value_keep=0.5", "key_bits=6", "value_bits=6"];
    let sets = sets.map(|set| format!("workload.{set}"));
    let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", set.as_str()]).collect();
    let json = run(&[&[model.as_str()][..], &text, &sets].concat());
    // Windows of the three passages: longer than 256 tokens each, cut at the longest input.
    assert!(number(&json, "/fidelity/tokens") > 3.0 * 256.0);
    let kept = number(&json, "/fidelity/tokens_kept") / number(&json, "/fidelity/tokens");
    // The last of five pruned layers keeps 1/4.
    assert!((kept - 0.25).abs() < 0.01, "{kept}");
    // 1,358 tokens in one layer, then shares of 3/4 to 1/4, rounded per window; 12 heads in two
    // layers, then shares of 0.85 to 0.55, which have the means 0.5 and 0.7.
    let heads_of_tokens = [(1358, 12), (1018, 12), (848, 10), (678, 9), (508, 7), (338, 6)];
    let outputs: u32 = heads_of_tokens.iter().map(|(tokens, heads)| tokens * heads * 32).sum();
    is_exact(&json, f64::from(outputs));
    // Every pass reads MSBs first, so the paper's bound was looked at for each.
    assert_eq!(number(&json, "/checks/halved"), number(&json, "/progressive/passes"));
    assert!(number(&json, "/progressive/flat") > 0.0);
    assert!(number(&json, "/checks/layers/5/pruning/cosine") < 1.0);
}

/// Sixty sentences and three passages as traces, every record of which goes through the machine.
#[test]
fn all_texts_pass_every_check_as_traces() {
    let Some(model) = models::minilm() else { return };
    let folder = tempfile::tempdir().unwrap();
    for (name, texts, least) in [("sentences.txt", 60, 60), ("passages.txt", 3, 3 * 256)] {
        let file = text(name);
        assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), texts);
        let extract = ["trace", "extract", "--model", &model, "--text", &file, "--per-line"];
        attelier(folder.path(), &[&extract[..], &["-o", "trace.jsonl.gz"]].concat()).code(0);
        let args = ["run", "spatten", "trace.jsonl.gz", "--check", "--json", "out.json"];
        attelier(folder.path(), &args).code(0);
        let read = fs::read(folder.path().join("out.json")).unwrap();
        let json: Value = serde_json::from_slice(&read).unwrap();
        let shown = stdout(&attelier(folder.path(), &["trace", "show", "trace.jsonl.gz"]).code(0));
        // A token gives 6 layers of 12 heads of 32 outputs.
        let tokens = number(&json, "/checks/outputs") / (6.0 * 384.0);
        assert!(tokens.fract() == 0.0 && tokens >= f64::from(least), "{tokens} tokens: {shown}");
        is_exact(&json, tokens * 6.0 * 384.0);
    }
}

/// The same attention as a trace: nothing feeds back, so only the first layer is the same.
#[test]
fn an_extracted_trace_is_replayed() {
    let Some(model) = models::minilm() else { return };
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("text"), "Two short lines.\nOf different length.\n").unwrap();
    let extract = ["trace", "extract", "--model", &model, "--text", "text", "--per-line"];
    attelier(folder.path(), &[&extract[..], &["-o", "trace.jsonl.gz"]].concat()).code(0);
    let check = |workload: &[&str], file: &str| -> Value {
        let args = ["--check", "--json", file];
        attelier(folder.path(), &[&["run", "spatten"], workload, &args].concat()).code(0);
        serde_json::from_slice(&fs::read(folder.path().join(file)).unwrap()).unwrap()
    };
    let trace = check(&["trace.jsonl.gz"], "trace.json");
    let closed = check(&[&model, "--text", "text", "--per-line"], "model.json");
    is_exact(&trace, number(&closed, "/checks/outputs"));
    assert_eq!(trace["fidelity"], Value::Null);
    // A trace carries its scale in the queries, which rounds them; later layers see other operands.
    let rms = |json: &Value, layer| number(json, &format!("/checks/layers/{layer}/pruning/rms"));
    assert!((rms(&trace, 0) / rms(&closed, 0) - 1.0).abs() < 1e-4);
    assert!((rms(&trace, 5) / rms(&closed, 5) - 1.0).abs() > 1e-2);
}

#[test]
fn real_values_are_asked_for_where_there_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |args: &[&str], expected: &str| {
        let run = attelier(folder.path(), &[&["run", "spatten"], args].concat()).code(2);
        assert!(stderr(&run).contains(expected), "{}", stderr(&run));
        assert_eq!(stdout(&run), "");
    };
    refused(&["--check"], "has counts only");
    refused(&["bert-base/sst-2", "--check"], "`--check` needs real values");
    refused(&["bert-base/sst-2", "--text", "none.txt"], "`--text` needs real values");
    refused(&["--steps", "3"], "`--steps` needs real values");
    refused(&["--set", "workload.token_keep=0.5"], "this one is for model folders");
    fs::create_dir(folder.path().join("empty")).unwrap();
    refused(&["empty"], "config.json");
    let Some(model) = models::minilm() else { return };
    refused(&[&model, "--steps", "3"], "is an encoder");
    refused(&[&model, "--set", "workload.tokens=5"], "this one is for workloads that have a name");
}

/// A small sweep: fidelity starts near 1 and falls with what is given up, cost falls with it.
#[test]
fn the_sweep_shows_where_fidelity_falls() {
    let Some(model) = models::minilm() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    let three: Vec<String> = fs::read_to_string(text("sentences.txt"))
        .unwrap()
        .lines()
        .take(3)
        .map(str::to_owned)
        .collect();
    fs::write(folder.path().join("text"), three.join("\n")).unwrap();
    let args = ["fidelity", "spatten", &model, "--text", "text", "--per-line"];
    let outputs = ["--json", "o.json", "--csv", "o.csv", "--svg", "o.svg"];
    let ideal = ["--set", "memory.kind=ideal"];
    let printed = stdout(&attelier(folder.path(), &[&args[..], &outputs, &ideal].concat()).code(0));
    // The 12-bit point stores its values with 8 bits, unless told otherwise.
    assert!(printed.contains("values wider than 8 bits: stored as 8 bits"), "{printed}");
    let json: Value = serde_json::from_str(&file("o.json")).unwrap();
    let rows = json["rows"].as_array().unwrap();
    assert_eq!((rows.len(), file("o.csv").lines().count()), (19, 20));
    assert!(file("o.svg").contains("share of tokens kept"));
    let sweep =
        |name: &str| -> Vec<&Value> { rows.iter().filter(|row| row["sweep"] == name).collect() };
    for name in ["tokens", "heads", "bits"] {
        let rows = sweep(name);
        let (first, last) = (rows[0], rows[rows.len() - 1]);
        assert!(number(first, "/output_cosine") > 0.999, "{name}");
        assert!(number(first, "/output_cosine") > number(last, "/output_cosine"), "{name}");
        assert!(number(first, "/dram_bytes") > number(last, "/dram_bytes"), "{name}");
        assert_eq!(rows.iter().map(|row| number(row, "/mismatches")).sum::<f64>(), 0.0);
    }
    // On sentences this short the wait for the first selection of heads costs more than one head of twelve.
    for (name, from) in [("tokens", 0), ("heads", 1)] {
        let rows = &sweep(name)[from..];
        assert!(rows.windows(2).all(|two| number(two[0], "/cycles") >= number(two[1], "/cycles")));
    }
}

#[test]
fn an_output_never_replaces_a_file_of_the_model() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("model")).unwrap();
    models::tiny::write(&folder.path().join("model"));
    for name in ["config.json", "model.safetensors", "tokenizer.json"] {
        let path = format!("model/{name}");
        let before = fs::read(folder.path().join(&path)).unwrap();
        for command in [["run", "spatten"], ["fidelity", "spatten"]] {
            let run =
                attelier(folder.path(), &[&command[..], &["model", "--json", &path]].concat());
            run.code(2);
            assert_eq!(fs::read(folder.path().join(&path)).unwrap(), before, "{command:?} {name}");
        }
    }
}
