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
    for part in [
        "Time by operation",
        "qk_product",
        "weights_read",
        "time of an image",
        "34.6",
        "tokens with the same experts",
        "queues follow from their gates",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    let json = std::fs::read_to_string(folder.path().join("o.json")).unwrap();
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["design"], "edge-moe");
    assert_eq!(json["workload"], "m3vit-tiny/cityscapes");
    assert!(json["energy_j"]["total"].is_null() && json["area_mm2"].is_null());
    let layers = json["checks"]["image_layers"].as_array().unwrap();
    assert_eq!(layers.len(), 12);
    assert!(layers[0]["same_experts"].is_null() && layers[1]["same_experts"].as_u64() > Some(120));
    assert!(json["fidelity"]["output_cosine"].as_f64() > Some(0.999));
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
    // Thirteen experts are loaded instead of twelve, by queues measured on a real image.
    let first = cycles("queues=0,6,0,32,0,27,15,24,22,19,0,22,11,33,32,15");
    let second = cycles("queues=0,17,0,41,1,22,16,25,2,19,0,23,16,1,51,24");
    assert!(first < second);
}

#[test]
fn a_folder_of_tensors_gives_the_measured_queues() {
    let Some(tensors) = common::shared("data/edge-moe") else { return };
    let folder = tempfile::tempdir().unwrap();
    let tensors = tensors.display().to_string();
    let cycles = |task: &str| {
        let args = ["run", "edge-moe", &tensors, "--json", "o.json", "--set", task];
        let text = stdout(&attelier(folder.path(), &args).code(0));
        assert!(text.contains("38 tensors of a folder"), "{text}");
        let json = std::fs::read_to_string(folder.path().join("o.json")).unwrap();
        serde_json::from_str::<Value>(&json).unwrap()
    };
    let [first, second] = ["workload.task=0", "workload.task=1"].map(cycles);
    assert_ne!(first["workload_hash"], second["workload_hash"]);
    for json in [first, second] {
        let layers = &json["checks"]["image_layers"];
        assert!(layers[0]["states"]["rms"].as_f64() < Some(5e-3), "{layers}");
        assert!(layers[1]["same_experts"].as_u64() >= Some(128), "{layers}");
    }
}

#[test]
fn damaged_folders_and_options_of_text_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |args: &[&str]| {
        let args = [&["run", "edge-moe"], args].concat();
        stderr(&attelier(folder.path(), &args).code(2))
    };
    assert!(refused(&["."]).contains("`image.float32.bin` and others"));
    std::fs::write(folder.path().join("image.float32.bin"), [0; 8]).unwrap();
    let text = refused(&["."]);
    assert!(
        text.contains("8 bytes: expected 393216, 32-bit floats of shape [3, 128, 256]"),
        "{text}"
    );
    assert!(refused(&[".", "--set", "workload.skew=1"]).contains("follow from its gates"));
    assert!(refused(&["--check"]).contains("has to do with text and attention"));
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

/// The memory that holds a buffer changes no cycle.
#[test]
fn the_smaller_board_takes_the_same_cycles() {
    let folder = tempfile::tempdir().unwrap();
    let cycles = |design: &str| {
        let queues = "workload.queues=0,6,0,32,0,27,15,24,22,19,0,22,11,33,32,15";
        let args = ["run", design, "--json", "o.json", "--set", queues];
        attelier(folder.path(), &args).code(0);
        let json = std::fs::read_to_string(folder.path().join("o.json")).unwrap();
        serde_json::from_str::<Value>(&json).unwrap()["cycles"].as_u64().unwrap()
    };
    assert_eq!(cycles("edge-moe-zcu104"), cycles("edge-moe"));
}
