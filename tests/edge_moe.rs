//! `attelier run edge-moe` as a user sees it.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

mod common;

use common::{attelier, stderr, stdout};
use serde_json::Value;

#[test]
fn a_run_reports_operations_ports_and_published_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["run", "edge-moe", "--json", "o.json", "--perfetto", "o.trace", "--vcd", "o.vcd"];
    let text = stdout(&attelier(folder.path(), &args).code(0));
    for part in ["Time by operation", "qk_product", "weights_read", "time of an image", "34.6"] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    let json = std::fs::read_to_string(folder.path().join("o.json")).unwrap();
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["design"], "edge-moe");
    assert_eq!(json["workload"], "m3vit-tiny/cityscapes");
    assert!(json["energy_j"]["total"].is_null() && json["area_mm2"].is_null());
    let phases = json["phases"].as_object().unwrap();
    let sum: u64 = phases.values().map(|cycles| cycles.as_u64().unwrap()).sum();
    assert_eq!(json["cycles"], sum);
    let read = json["traffic"]["streams"]["inout3_read_bytes"].as_u64().unwrap();
    // Keys of 12 layers are read in 33 passes each, whatever else comes through this port.
    assert!(read > 12 * 33 * 129 * 192 * 4, "{read}");
    let trace = std::fs::read_to_string(folder.path().join("o.trace")).unwrap();
    assert!(trace.contains("L1 experts, queue 3") && trace.contains("L11 mix"));
}

#[test]
fn knobs_of_the_queues_reach_the_machine() {
    let folder = tempfile::tempdir().unwrap();
    let cycles = |knob: &str| {
        let set = format!("workload.{knob}");
        let args = ["run", "edge-moe", "--json", "o.json", "--set", set.as_str()];
        attelier(folder.path(), &args).code(0);
        let json = std::fs::read_to_string(folder.path().join("o.json")).unwrap();
        serde_json::from_str::<Value>(&json).unwrap()["cycles"].as_u64().unwrap()
    };
    // Two experts are loaded instead of sixteen, and their products take longer than one load.
    assert!(cycles("skew=all") < cycles("skew=0"));
    // Thirteen experts are loaded instead of twelve.
    assert!(cycles("task=0") < cycles("task=1"));
}

#[test]
fn what_cannot_be_computed_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (args, words) in [
        (
            vec!["--set", "workload.queues=1,2"],
            "a list of 2 lengths: expected one for each of the 16",
        ),
        (vec!["--set", "workload.experts=0"], "`experts` is 0"),
        (vec!["--set", "workload.top_k=0"], "`top_k` is 0"),
        (vec!["--set", "workload.tokens=9"], "to be left out: this is one image"),
        (vec!["gpt2-xl"], "expected a workload such as `m3vit-tiny/cityscapes`"),
        (vec!["--set", "linear.buffer_weights=1000"], "`--set linear.buffer_weights=36864`"),
    ] {
        let args = [vec!["run", "edge-moe"], args].concat();
        let text = stderr(&attelier(folder.path(), &args).code(2));
        assert!(text.contains(words), "{args:?}: {text}");
    }
    for design in ["spatten", "pim-gpt"] {
        let args = ["run", design, "m3vit-tiny/cityscapes"];
        let text = stderr(&attelier(folder.path(), &args).code(2));
        assert!(text.contains("an image through a model with experts"), "{text}");
    }
    let args = ["run", "pim-gpt", "gpt2-small", "--set", "workload.skew=1"];
    let text = stderr(&attelier(folder.path(), &args).code(2));
    assert!(text.contains("decoders have no experts"), "{text}");
}
