//! One layer of BERT in every format that a workload may have.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

mod common;
#[path = "../workloads/tests/common/mod.rs"]
mod models;

use std::{fmt::Write, fs, path::PathBuf};

use attelier_workloads::spatten_csv::{COLUMNS, QUERIES};
use common::{attelier, number, result, stderr};
use models::python::{finish, script};
use tempfile::TempDir;

/// Tokens for which the layer is exported.
const TOKENS: u32 = 48;

/// A folder with what PyTorch exports.
fn exported() -> Option<TempDir> {
    let folder = tempfile::tempdir().unwrap();
    let mut command = script("export_onnx.py")?;
    command.arg(folder.path());
    finish(command);
    Some(folder)
}

/// The same layer as a table: two heads of 64, nothing pruned, nothing quantized.
fn csv(folder: &TempDir) -> PathBuf {
    let mut text = format!("{},{QUERIES}\n", COLUMNS.join(","));
    for head in 0..2 {
        let row = format!(
            "0,0,{head},64,{TOKENS},{TOKENS},-1,-1,-1,False,-1,{TOKENS},-1,False,False,False,-1,{TOKENS}"
        );
        writeln!(text, "{row}").unwrap();
    }
    let file = folder.path().join("layer.csv");
    fs::write(&file, text).unwrap();
    file
}

/// The counts of a graph, of a configuration and of a table are those of the weights run on a text; so are the
/// cycles. Keys and values of 12 bits stand for unquantised ones, of which no pass needs a second look.
#[test]
fn a_layer_takes_the_same_cycles_in_every_format() {
    let Some(folder) = exported() else { return };
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let context = format!("workload.context={TOKENS}");
    let [fixed, open, config] = ["bert.onnx", "bert_open.onnx", "bert/config.json"].map(file);
    let (table, weights, text) = (csv(&folder), file("bert"), file("bert/text.txt"));
    for design in ["spatten", "spatten-eighth"] {
        let wide = ["--set", "workload.key_bits=12", "--set", "workload.value_bits=12"];
        let runs = [
            vec![design, &fixed],
            vec![design, &open, "--set", &context],
            vec![design, &config, "--set", &context],
            vec![design, table.to_str().unwrap()],
            [&[design, &weights, "--text", &text, "--check"][..], &wide].concat(),
        ];
        let results = runs.map(|run| result(&run));
        let of = |pointer: &str| results.each_ref().map(|json| number(json, pointer));
        for pointer in ["/cycles", "/ops_executed", "/traffic/total_bytes"] {
            let found = of(pointer);
            assert!(
                found[0] > 0 && found.iter().all(|one| *one == found[0]),
                "{pointer} {found:?}"
            );
        }
        // Half as many tokens are something else.
        let shorter = result(&[design, &config, "--set", "workload.context=24"]);
        assert!(number(&shorter, "/cycles") < of("/cycles")[0]);
    }
}

/// Attention of a decoder on a machine that computes nothing else: that of the graph and that of its sizes.
#[test]
fn a_decoder_runs_where_only_attention_is_computed() {
    let Some(folder) = exported() else { return };
    let graph = folder.path().join("gpt2.onnx");
    let config = folder.path().join("config.json");
    let sizes =
        r#"{"model_type": "gpt2", "n_layer": 3, "n_embd": 96, "n_head": 6, "vocab_size": 50}"#;
    fs::write(&config, sizes).unwrap();
    let before = format!("workload.context={}", TOKENS - 1);
    let set = ["--set", before.as_str(), "--set", "workload.tokens=1"];
    for design in ["spatten", "a3", "mnnfast"] {
        let of_graph = result(&[design, graph.to_str().unwrap()]);
        let of_sizes = result(&[&[design, config.to_str().unwrap()][..], &set].concat());
        assert_eq!(number(&of_graph, "/cycles"), number(&of_sizes, "/cycles"), "{design}");
        let notes = of_sizes["notes"].to_string();
        assert!(notes.contains("and nothing else of the model"), "{notes}");
    }
}

#[test]
fn a_graph_that_cannot_be_read_is_refused_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("no.onnx"), "no graph").unwrap();
    let text = stderr(&attelier(folder.path(), &["run", "spatten", "no.onnx"]).code(2));
    assert!(text.contains("no.onnx: this is not an ONNX model"), "{text}");
    let text = stderr(&attelier(folder.path(), &["run", "spatten", "absent.onnx"]).code(2));
    assert!(text.contains("absent.onnx: cannot open the file"), "{text}");
    let Some(exports) = exported() else { return };
    let file = exports.path().join("bert.onnx");
    let run = ["run", "spatten", file.to_str().unwrap(), "--set", "workload.context=50"];
    let text = stderr(&attelier(folder.path(), &run).code(2));
    assert!(text.contains("`context` is 50: expected 48: the length that the file"), "{text}");
    let run = ["run", "pim-gpt", file.to_str().unwrap()];
    let text = stderr(&attelier(folder.path(), &run).code(2));
    assert!(text.contains("attention requests"), "{text}");
}
