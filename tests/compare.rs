//! `attelier compare`: every number beside that of the first result, what differs in the machines, and
//! what cannot be compared.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

mod common;

use std::{fs, path::Path};

use common::{attelier, stderr, stdout};
use serde_json::{Value, json};

fn run(folder: &Path, name: &str, sets: &[&str]) -> Value {
    let sets = sets.iter().flat_map(|set| ["--set", set]);
    let arguments = ["run", "spatten-small", "--json", name].into_iter().chain(sets);
    attelier(folder, &arguments.collect::<Vec<_>>()).code(0);
    read(folder, name)
}

fn read(folder: &Path, name: &str) -> Value {
    serde_json::from_slice(&fs::read(folder.join(name)).unwrap()).unwrap()
}

fn write(folder: &Path, name: &str, value: &Value) {
    fs::write(folder.join(name), value.to_string()).unwrap();
}

#[test]
fn numbers_stand_beside_their_ratio_and_the_parameters_that_differ() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let tokens = "workload.tokens=1";
    let slow = run(path, "slow.json", &[tokens, "topk_value.parallelism=2"]);
    let fast = run(path, "fast.json", &[tokens, "topk_value.parallelism=4"]);
    let text =
        stdout(&attelier(path, &["compare", "slow.json", "fast.json", "--json", "c.json"]).code(0));
    let compared = read(path, "c.json");
    assert_eq!(compared["schema"], "attelier-compare-1");
    let mut numbers = 0;
    for (path, ratio) in compared["rows"][1]["ratios"].as_object().unwrap() {
        let pointer = format!("/{}", path.replace('.', "/"));
        let of = |result: &Value| result.pointer(&pointer).and_then(Value::as_f64);
        let (first, own) = (of(&slow).unwrap(), of(&fast).unwrap());
        let expected = if first == 0.0 { Value::Null } else { json!(own / first) };
        assert_eq!(*ratio, expected, "{path}");
        assert_eq!(compared["rows"][1]["results"][path], json!(own), "{path}");
        numbers += 1;
    }
    assert!(numbers > 60, "{numbers}");
    assert_ne!(slow["cycles"], fast["cycles"]);
    let differing = json!([{"path": "topk_value.parallelism", "unit": "elements per cycle",
                            "values": ["2", "4"]}]);
    let found = &compared["parameters"];
    assert_eq!(found[0]["values"], differing[0]["values"], "{found:#}");
    assert_eq!(found[0]["path"], "topk_value.parallelism");
    let ratio = fast["cycles"].as_f64().unwrap() / slow["cycles"].as_f64().unwrap();
    let line = text.lines().find(|line| line.trim_start().starts_with("cycles ")).unwrap();
    assert!(line.trim_end().ends_with(&format!("{ratio:.3}")), "{line}");
    assert!(text.contains("topk_value.parallelism") && !text.contains("warning"), "{text}");
}

#[test]
fn other_requests_are_compared_with_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let one = run(path, "one.json", &["workload.tokens=1"]);
    run(path, "two.json", &["workload.tokens=2"]);
    let text = stdout(&attelier(path, &["compare", "one.json", "two.json"]).code(0));
    assert!(text.starts_with("warning: requests of the same workload differ"), "{text}");
    assert!(
        text.lines().any(|line| line.contains("workload.tokens") && line.ends_with('2')),
        "{text}"
    );
    let mut other = one;
    other["workload"] = "bert".into();
    write(path, "other.json", &other);
    let text = stdout(&attelier(path, &["compare", "one.json", "other.json"]).code(0));
    assert!(text.starts_with("warning: workloads differ: "), "{text}");
}

fn synth(lut: u64) -> Value {
    let estimate = json!({"lut": 90, "ff": 0});
    let row =
        json!({"unit": "lfsr", "lut": lut, "ff": 16, "dsp": 0, "bram": 0, "estimate": estimate});
    json!({"schema": "attelier-synth-1", "version": "0.1.0", "command": "attelier synth lfsr", "rows": [row]})
}

#[test]
fn tables_are_compared_row_by_row() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    write(path, "a.json", &synth(100));
    write(path, "b.json", &synth(150));
    attelier(path, &["compare", "a.json", "b.json", "--json", "c.json"]).code(0);
    let rows = &read(path, "c.json")["rows"];
    assert_eq!(rows[1]["ratios"]["lfsr: lut"], 1.5);
    assert_eq!(rows[1]["ratios"]["lfsr: dsp"], Value::Null);
    assert_eq!(rows[0]["results"]["lfsr: estimate.lut"], 90.0);
}

#[test]
fn results_of_different_commands_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    write(path, "a.json", &synth(100));
    let rows = json!({"schema": "attelier-rtl-1", "rows": [{"unit": "lfsr", "lines": 9}]});
    write(path, "b.json", &rows);
    let point = json!({"point": 0, "set": {}, "status": "ok", "reason": null, "front": true, "command": "c",
                       "result": null});
    write(path, "c.jsonl", &point);
    let message = stderr(&attelier(path, &["compare", "a.json", "b.json"]).code(2));
    assert!(
        message.contains("`b.json` is a `attelier-rtl-1` and `a.json` a `attelier-synth-1`"),
        "{message}"
    );
    let message = stderr(&attelier(path, &["compare", "a.json", "c.jsonl"]).code(2));
    assert!(message.contains("`c.jsonl` is an exploration: compare the results"), "{message}");
    let message = stderr(&attelier(path, &["compare", "a.json"]).code(2));
    assert!(message.contains("RESULT"), "{message}");
    let message =
        stderr(&attelier(path, &["compare", "a.json", "b.json", "--json", "a.json"]).code(2));
    assert!(message.contains("it is the input"), "{message}");
}
