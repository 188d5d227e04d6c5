//! What accelerators are compared with, as a user runs it.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

mod common;
#[path = "../workloads/tests/common/mod.rs"]
mod models;

use std::fs;

use common::{attelier, number, result, stderr};
use models::python::repository;
use serde_json::Value;

#[track_caller]
fn real(json: &Value, pointer: &str) -> f64 {
    json.pointer(pointer).and_then(Value::as_f64).unwrap_or_else(|| panic!("no number {pointer}"))
}

/// 144 heads of 177 queries: 3n + 27 cycles for the first of a head, n + 9 for each other.
#[test]
fn a3_without_search_takes_the_published_cycles() {
    let json = result(&["a3", "bert-base/squad-v1"]);
    let n = 177;
    assert_eq!(number(&json, "/cycles"), 144 * (3 * n + 27 + (n - 1) * (n + 9)));
    assert_eq!(number(&json, "/ops_dense"), 144 * 4 * n * n * 64);
}

#[test]
fn a_baseline_prunes_nothing_of_a_pruned_workload() {
    for design in ["a3", "mnnfast", "titan-xp"] {
        let ops = |name| number(&result(&[design, name]), "/ops_dense");
        assert_eq!(ops("gpt2-small/wikitext2"), ops("gpt2-small/wikitext2/dense"), "{design}");
    }
}

#[test]
fn a_search_is_faster_than_none_and_an_aggressive_one_faster_still() {
    let cycles = |design| number(&result(&[design, "bert-base/squad-v1"]), "/cycles");
    let [base, conservative, aggressive] = ["a3", "a3-conservative", "a3-aggressive"].map(cycles);
    assert!(base > conservative && conservative > aggressive);
}

#[test]
fn what_a_baseline_cannot_do_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (args, expected) in [
        (
            ["a3", "m3vit-tiny/cityscapes"],
            "`a3` computes attention only, and `m3vit-tiny/cityscapes` is an image",
        ),
        (["mnnfast", "m3vit-tiny/cityscapes"], "`mnnfast` computes attention only"),
        (["host", "m3vit-tiny/cityscapes"], "`host` computes attention only"),
    ] {
        let message = stderr(&attelier(folder.path(), &[&["run"], &args[..]].concat()).code(2));
        assert!(message.contains(expected), "{message}");
    }
    let args = ["run", "a3", "bert-base/cola", "--set", "head_dim=32"];
    let message = stderr(&attelier(folder.path(), &args).code(2));
    assert!(message.contains("`head_dim` is 64: expected at most 32"), "{message}");
    let args = ["run", "titan-xp", "--set", "dynamic_mw=-1"];
    let message = stderr(&attelier(folder.path(), &args).code(2));
    assert!(message.contains("expected an integer from 0"), "{message}");
}

/// Every output of a real model within its bound, every decision that of another program; less is computed
/// and less is right the more keys the search leaves out.
#[test]
fn a_real_model_passes_every_check_and_loses_what_is_left_out() {
    let Some(model) = models::minilm() else { return };
    let sentences = repository().join("tests/data/sentences.txt");
    let folder = tempfile::tempdir().unwrap();
    let mut cosines = Vec::new();
    for design in ["mnnfast", "a3", "a3-conservative", "a3-aggressive"] {
        let text = sentences.to_str().unwrap();
        let out = format!("{design}.json");
        let args = ["run", design, &model, "--text", text, "--per-line", "--check", "--json", &out];
        attelier(folder.path(), &args).code(0);
        let json = fs::read(folder.path().join(&out)).unwrap();
        let json: Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(number(&json, "/checks/beyond_bound"), 0, "{design}");
        assert_eq!(number(&json, "/checks/other_decisions"), 0, "{design}");
        // 855 tokens, six layers of 384 outputs.
        assert_eq!(number(&json, "/checks/outputs"), 855 * 6 * 384, "{design}");
        cosines.push(real(&json, "/fidelity/embedding_cosine_mean"));
    }
    assert!(cosines[1] > 0.99, "{cosines:?}");
    assert!(cosines[1] > cosines[2] && cosines[2] > cosines[3], "{cosines:?}");
}
