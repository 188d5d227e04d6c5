//! `attelier run pim-gpt` as a user sees it.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

mod common;

use common::{attelier, stderr, stdout};
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
    let broken = config.replace("n_head", "n_heads");
    std::fs::write(model.join("config.json"), broken).unwrap();
    let message = stderr(&attelier(folder.path(), &args).code(2));
    assert!(
        message.contains("`n_heads`") && message.contains("did you mean `n_head`?"),
        "{message}"
    );
}

#[test]
fn what_cannot_run_is_told_why() {
    let folder = tempfile::tempdir().unwrap();
    for (args, words) in [
        (&["run", "pim-gpt", "gpt2-xl", "--set", "workload.tokens=0"][..], "`tokens` is 0"),
        (&["run", "pim-gpt", "gpt2-xl", "--set", "workload.tokens=8192"], "rows of every bank"),
        (&["run", "pim-gpt", "gpt2-small/wikitext2"], "expected a model such as `gpt2-xl`"),
        (&["run", "spatten", "gpt2-xl"], "computes attention only"),
        (&["run", "pim-gpt", "gpt2-xll"], "did you mean `gpt2-xl`?"),
        (&["run", "pim-gpt", "--set", "timing.n_ras=1"], "`timing.n_ras`"),
        (&["run", "pim-gpt", "none/config.json"], "cannot open the file"),
    ] {
        let message = stderr(&attelier(folder.path(), args).code(2));
        assert!(message.contains(words), "{args:?}: {message}");
    }
}
