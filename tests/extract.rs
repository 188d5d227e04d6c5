//! `attelier trace extract`: what stands in the trace is what the model's attention got.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

mod common;
#[path = "../workloads/tests/common/mod.rs"]
mod models;

use std::{
    fs::{self, File},
    path::Path,
};

use attelier_workloads::{
    Phase,
    trace::{Record, TraceReader},
};
use common::{attelier, stderr, stdout};
use models::{
    python::{Arrays, close, finish, repository, script},
    tiny,
};

fn records(path: &Path) -> Vec<Record> {
    let reader = TraceReader::new("trace", File::open(path).unwrap()).unwrap();
    reader.collect::<Result<_, _>>().unwrap()
}

fn data<'a>(record: &'a Record, name: &str) -> &'a [f32] {
    record.tensors.as_ref().unwrap()[name].data()
}

/// Softmax of the scores that `q` and `k` of a record give, row by row, in plain loops.
fn probabilities(record: &Record) -> Vec<f32> {
    let head_dim = record.request.head_dim as usize;
    let (queries, keys) = (data(record, "q").chunks(head_dim), data(record, "k"));
    let mut all = Vec::new();
    for (number, query) in queries.enumerate() {
        // A query of a decoder's prompt sees the keys up to its own.
        let visible = if record.request.causal { number + 1 } else { keys.len() };
        let score = |(at, key): (usize, &[f32])| {
            let products = query.iter().zip(key).map(|(q, k)| f64::from(q * k));
            let score = products.sum::<f64>() / (head_dim as f64).sqrt();
            if at < visible { score.exp() } else { 0.0 }
        };
        let row: Vec<f64> = keys.chunks(head_dim).enumerate().map(score).collect();
        let sum: f64 = row.iter().sum();
        all.extend(row.iter().map(|value| (value / sum) as f32));
    }
    all
}

/// Compares the probabilities of each layer with those that a script wrote for all its heads.
fn compare(records: &[Record], expected: &Arrays, heads: usize) {
    for (layer, records) in records.chunks(heads).enumerate() {
        let found: Vec<f32> = records.iter().flat_map(probabilities).collect();
        let name = format!("probabilities.{layer}");
        close(&name, &found, &expected.values(&name), 1e-5);
    }
}

fn extract(folder: &Path, more: &[&str]) -> assert_cmd::assert::Assert {
    let args = ["trace", "extract", "--model", "model", "--text", "text", "-o", "out.jsonl"];
    attelier(folder, &[&args, more].concat())
}

/// A folder with a tiny encoder in `model` and a text of two lines in `text`.
fn tiny_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("model")).unwrap();
    tiny::write(&folder.path().join("model"));
    fs::write(folder.path().join("text"), "a b c d e f g\n\nb a\n").unwrap();
    folder
}

#[test]
fn lines_become_windows_with_special_tokens() {
    let folder = tiny_folder();
    extract(folder.path(), &["--per-line", "--json", "out.json"]).code(0);
    let records = records(&folder.path().join("out.jsonl"));
    // Six positions hold [CLS], four words and [SEP]: two windows, then one for the second line.
    let tokens = [&[1., 3., 4., 5., 6., 2.][..], &[1., 7., 8., 9., 2.], &[1., 4., 3., 2.]];
    assert_eq!(records.len(), tokens.len() * 2 * 2);
    for (iteration, (records, tokens)) in records.chunks(4).zip(tokens).enumerate() {
        assert_eq!(data(&records[0], "tokens"), tokens);
        for record in records {
            let request = &record.request;
            assert_eq!((request.iteration, request.phase), (iteration as u32, Phase::Prefill));
            assert_eq!((request.queries, request.keys), (tokens.len() as u32, tokens.len() as u32));
            assert!(!record.request.causal);
        }
    }
    let json: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.path().join("out.json")).unwrap()).unwrap();
    assert_eq!(json["schema"], "attelier-trace-1");
    assert_eq!((&json["prefill_requests"], &json["iterations"]), (&12.into(), &3.into()));
    assert_eq!(json["name"], "model/text");
}

#[test]
fn a_compressed_trace_is_read_back_by_trace_show() {
    let folder = tiny_folder();
    let output = ["-o", "out.jsonl.gz"];
    let args = [&["trace", "extract", "--model", "model", "--text", "text"], &output[..]].concat();
    let told = stdout(&attelier(folder.path(), &args).code(0));
    let shown = stdout(&attelier(folder.path(), &["trace", "show", "out.jsonl.gz"]).code(0));
    assert_eq!(told, shown);
}

#[test]
fn what_cannot_be_extracted_leaves_no_file() {
    let folder = tiny_folder();
    let refused = |args: &[&str], part: &str| {
        let message = stderr(&extract(folder.path(), args).code(2));
        assert!(message.starts_with("error") && message.contains(part), "{message}");
        assert!(!folder.path().join("out.jsonl").exists());
    };
    refused(&["--steps", "1"], "the model is bert model: expected a decoder");
    fs::write(folder.path().join("text"), "\n").unwrap();
    refused(&[], "text: the text is empty");
    fs::write(folder.path().join("text"), b"a \xe4 b").unwrap();
    refused(&[], "text: the text is not UTF-8 at byte 2");
    fs::write(folder.path().join("model/model.safetensors"), "torn").unwrap();
    fs::write(folder.path().join("text"), "a").unwrap();
    refused(&[], "model.safetensors: this is not a complete safetensors file");
    let args = ["trace", "extract", "--model", "model", "--text", "text", "-o", "text"];
    let message = stderr(&attelier(folder.path(), &args).code(2));
    assert!(message.contains("it is the input `text`"), "{message}");
}

#[test]
fn the_trace_of_a_real_sentence_gives_the_probabilities_of_transformers() {
    let folder = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(repository().join("tests/data/sentences.txt")).unwrap();
    let (path, output) = (folder.path().join("text"), folder.path().join("expected"));
    fs::write(&path, text.lines().next().unwrap()).unwrap();
    let Some(mut command) = script("embed.py") else { return };
    command.arg(&path).arg(&output);
    let package = finish(command);
    let args = ["trace", "extract", "--model", package.trim(), "--text", "text", "-o", "out"];
    attelier(folder.path(), &args).code(0);
    let records = records(&folder.path().join("out"));
    assert_eq!(records.len(), 6 * 12);
    let expected = Arrays::open(&output);
    assert_eq!(data(&records[0], "tokens"), expected.values("tokens.0"));
    compare(&records, &expected, 12);
}

/// A decoder of `transformers`, with a tokenizer that maps `t7` to 7.
fn decoder(kind: &str) -> Option<(tempfile::TempDir, Arrays)> {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    let mut command = script("make_models.py")?;
    command.arg(kind).arg(&model);
    finish(command);
    let words: Vec<String> = (0..64).map(|word| format!("\"t{word}\":{word}")).collect();
    let tokenizer = format!(
        r#"{{"version":"1.0","truncation":null,"padding":null,"added_tokens":[],
        "normalizer":null,"pre_tokenizer":{{"type":"Whitespace"}},"post_processor":null,
        "decoder":null,"model":{{"type":"WordLevel","unk_token":"t0","vocab":{{{}}}}}}}"#,
        words.join(",")
    );
    fs::write(model.join("tokenizer.json"), tokenizer).unwrap();
    let expected = Arrays::open(&model.join("expected.safetensors"));
    let text: Vec<String> =
        expected.tokens("tokens").iter().map(|token| format!("t{token}")).collect();
    fs::write(folder.path().join("text"), text.join(" ")).unwrap();
    Some((folder, expected))
}

#[test]
fn decoders_write_causal_prefills_and_growing_caches() {
    // Scores scaled by layer, whose factor has to be in the queries, and shared key heads.
    for (kind, heads) in [("gpt2_scaled", 4), ("llama", 6)] {
        let Some((folder, expected)) = decoder(kind) else { return };
        extract(folder.path(), &["--steps", "3"]).code(0);
        let records = records(&folder.path().join("out.jsonl"));
        let per_iteration = 3 * heads;
        assert_eq!(records.len(), 4 * per_iteration);
        let tokens = expected.tokens("tokens").len();
        compare(&records[..per_iteration], &expected, heads);
        for (step, records_of_step) in records[per_iteration..].chunks(per_iteration).enumerate() {
            for (before, record) in records[step * per_iteration..].iter().zip(records_of_step) {
                let request = &record.request;
                assert_eq!((request.phase, request.queries), (Phase::Decode, 1));
                assert_eq!(request.keys as usize, tokens + step + 1);
                for name in ["k", "v"] {
                    assert!(data(record, name).starts_with(data(before, name)));
                }
            }
        }
        // The first token generated is the one that the library finds most probable.
        let logits = expected.values("logits");
        let last = &logits[logits.len() - 64..];
        let best = (0..64).max_by(|a, b| last[*a].total_cmp(&last[*b])).unwrap();
        assert_eq!(data(&records[per_iteration], "tokens"), [best as f32]);
    }
}
