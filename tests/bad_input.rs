//! Bad input: a message that says what and where, exit code 2, and no file left behind.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

mod common;

use std::{fs, io::Write, path::Path};

use attelier_workloads::spatten_csv::COLUMNS;
use common::{attelier, is_empty, stderr};
use flate2::{Compression, write::GzEncoder};

const ROW: &str = "0,0,0,64.0,993,993,6,16,0.05,True,4,204,6,True,False,True,921";

fn csv(rows: &[&str]) -> String {
    let header = COLUMNS.join(",");
    let lines = [&[header.as_str()], rows].concat();
    lines.join("\n") + "\n"
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A whole csv: 40 generated tokens of 12 layers.
fn long_csv() -> String {
    let mut rows = Vec::new();
    for token in 0..40 {
        for layer in 0..12 {
            let length = 993 + token;
            rows.push(format!(
                "{token},{layer},0,64.0,{length},{length},6,16,0.05,True,4,204,6,True,False,False,-1"
            ));
        }
    }
    csv(&rows.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Runs with every kind of output asked for; the message must hold all of `expected`.
#[track_caller]
fn refused(args: &[&str], expected: &[&str]) {
    let outputs = tempfile::tempdir().unwrap();
    let files = ["--json", "o.json", "--vcd", "o.vcd", "--perfetto", "o.trace"];
    let args = [&["run"], args, &files].concat();
    let message = stderr(&attelier(outputs.path(), &args).code(2));
    assert!(message.starts_with("error"), "{message}");
    for part in expected {
        assert!(message.contains(part), "{part:?} is not in:\n{message}");
    }
    assert!(is_empty(outputs.path()), "{args:?} left a file");
}

#[track_caller]
fn refused_file(name: &str, content: &[u8], expected: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    refused(&["spatten", path.to_str().unwrap()], expected);
}

#[test]
fn an_unknown_name_is_answered_with_the_nearest() {
    refused(&["spaten"], &["unknown design `spaten`", "did you mean `spatten`?"]);
    refused(
        &["spatten", "gpt2-small/wikitext"],
        &["unknown workload `gpt2-small/wikitext`", "did you mean", "gpt2-small/wikitext2"],
    );
    refused(&["spatten", "tpu"], &["unknown workload `tpu`", "attelier list workloads"]);
    refused(&["gpt2-small/ptb"], &["is a workload", "attelier run spatten gpt2-small/ptb"]);
    refused(&["spatten", "none.csv"], &["none.csv", "cannot open the file"]);
}

#[test]
fn a_wrong_assignment_is_drawn_with_a_suggestion() {
    refused(
        &["--set", "topk_value.paralelism=8"],
        &["topk_value.paralelism", "did you mean `topk_value.parallelism`?", "^"],
    );
    refused(&["--set", "topk_value.parallelism=3"], &["power of two", "nearest: 2 or 4"]);
    refused(&["--set", "topk_value.parallelism"], &["expected `path=value`"]);
    refused(&["--set", "workload.token=2"], &["unknown knob `token`", "did you mean `tokens`?"]);
    refused(&["--set", "workload.tokens=0"], &["`tokens` is 0", "from 1 to"]);
    refused(&["--set", "workload.tokens=-1"], &["a whole number"]);
}

#[test]
fn a_machine_too_small_for_the_context_says_what_it_needs() {
    refused(
        &["--set", "key_sram.bytes=98304"],
        &["gpt2-small/wikitext2", "spatten", "`key_sram` is too small", "--set key_sram.bytes="],
    );
}

#[test]
fn a_broken_configuration_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.toml");
    let config = path.to_str().unwrap();
    refused(&["--config", config], &["cannot read the configuration", "mine.toml"]);
    fs::write(&path, "[memory]\nchannels = 3\n").unwrap();
    refused(&["--config", config], &["mine.toml:2:12", "power of two"]);
    fs::write(&path, b"\x7fELF\xff\xfe").unwrap();
    refused(&["--config", config], &["is not a text file"]);
    refused(&["--config", folder.path().to_str().unwrap()], &["cannot read the configuration"]);
}

#[test]
fn a_malformed_csv_is_refused_at_its_place() {
    let missing = csv(&[ROW]).replacen("key_fetch_num", "key_fetched", 1);
    refused_file("t.csv", missing.as_bytes(), &["t.csv", "column `key_fetch_num` is missing"]);
    let nan = csv(&[&ROW.replace("0.05", "NaN")]);
    refused_file("t.csv", nan.as_bytes(), &["t.csv:2", "NaN", "^"]);
    let negative = csv(&[&ROW.replace("204", "-204")]);
    refused_file("t.csv", negative.as_bytes(), &["t.csv:2", "-204", "^"]);
}

#[test]
fn a_cut_csv_is_refused_plain_and_compressed() {
    let whole = long_csv();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("whole.csv");
    fs::write(&path, &whole).unwrap();
    attelier(folder.path(), &["trace", "show", "whole.csv"]).code(0);
    refused_file("cut.csv", &whole.as_bytes()[..whole.len() / 2], &["cut.csv"]);
    let packed = gzip(whole.as_bytes());
    refused_file("cut.csv.gz", &packed[..packed.len() / 2], &["the gzip stream is cut short"]);
}

#[test]
fn what_is_no_trace_is_refused() {
    refused_file("empty.csv", b"", &["the file is empty"]);
    refused_file("empty.csv.gz", &gzip(b""), &["the file is empty"]);
    refused_file("a.csv", b"\x7fELF\x02\x01\x01\0\0\0\xff\xfe", &["this is a binary file"]);
    let folder = tempfile::tempdir().unwrap();
    refused(&["spatten", folder.path().to_str().unwrap()], &["cannot open the file"]);
}

#[test]
fn a_cause_is_named_once() {
    let folder = tempfile::tempdir().unwrap();
    let once = |args: &[&str], cause: &str| {
        let message = stderr(&attelier(folder.path(), args).code(2));
        assert_eq!(message.matches(cause).count(), 1, "{args:?}: {message}");
    };
    let missing = "No such file or directory";
    once(&["run", "spatten", "missing.jsonl"], missing);
    once(&["run", "spatten", "."], missing);
    once(&["trace", "show", "."], "is a directory");
    once(&["run", "--config", "missing.toml"], missing);
    once(&["trace", "show", "missing.csv"], missing);
    once(&["trace", "import", "missing.csv", "-o", "t.jsonl"], missing);
}

#[test]
fn an_output_that_cannot_be_written_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| stderr(&attelier(folder.path(), &[&["run"], args].concat()).code(2));
    assert!(run(&["--json", "none/o.json"]).contains("folder `none` does not exist"));
    assert!(run(&["--vcd", "."]).contains("it is a folder"));
    assert!(run(&["--json", "-"]).contains("standard output carries the text"));
    if Path::new("/dev/full").exists() {
        let full = run(&["--perfetto", "/dev/full", "--json", "o.json"]);
        assert!(full.contains("cannot write `/dev/full`"), "{full}");
    }
    assert!(is_empty(folder.path()));
}

/// Runs the command in a folder with a csv, its import, a configuration and links to two of them;
/// it must refuse and leave all of them as they were.
#[track_caller]
fn keeps_its_inputs(args: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    fs::write(place("m.csv"), long_csv()).unwrap();
    attelier(folder.path(), &["trace", "import", "m.csv", "-o", "t.jsonl"]).code(0);
    fs::write(place("k.toml"), "memory.channels = 8\n").unwrap();
    fs::create_dir(place("sub")).unwrap();
    fs::hard_link(place("k.toml"), place("hard.toml")).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink("m.csv", place("soft.csv")).unwrap();
    let state = || {
        let files = ["m.csv", "t.jsonl", "k.toml", "hard.toml"];
        (fs::read_dir(folder.path()).unwrap().count(), files.map(|f| fs::read(place(f)).unwrap()))
    };
    let before = state();
    let message = stderr(&attelier(folder.path(), args).code(2));
    assert!(message.starts_with("error: cannot write `"), "{message}");
    assert!(message.contains("it is the input `"), "{message}");
    assert!(before == state(), "{args:?} changed a file");
}

#[test]
fn an_output_never_replaces_an_input() {
    keeps_its_inputs(&["trace", "import", "m.csv", "-o", "m.csv"]);
    keeps_its_inputs(&["trace", "import", "m.csv", "-o", "sub/../m.csv"]);
    keeps_its_inputs(&["trace", "import", "m.csv", "-o", "n.jsonl", "--json", "./m.csv"]);
    keeps_its_inputs(&["trace", "show", "m.csv", "--json", "m.csv"]);
    keeps_its_inputs(&["run", "--config", "k.toml", "--json", "k.toml"]);
    keeps_its_inputs(&["run", "--config", "k.toml", "--json", "hard.toml"]);
    keeps_its_inputs(&["run", "spatten", "t.jsonl", "--vcd", "t.jsonl"]);
    keeps_its_inputs(&["run", "spatten", "./t.jsonl", "--perfetto", "sub/../t.jsonl"]);
    keeps_its_inputs(&["show", "spatten", "--config", "k.toml", "--json", "./k.toml"]);
    #[cfg(unix)]
    {
        keeps_its_inputs(&["trace", "import", "m.csv", "-o", "soft.csv"]);
        keeps_its_inputs(&["trace", "import", "soft.csv", "-o", "m.csv"]);
    }
}

#[test]
fn an_import_that_fails_leaves_an_older_file_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("t.csv"), csv(&[&ROW.replace("0.05", "NaN")])).unwrap();
    fs::write(folder.path().join("t.jsonl"), "older").unwrap();
    attelier(folder.path(), &["trace", "import", "t.csv", "-o", "t.jsonl"]).code(2);
    assert_eq!(fs::read_to_string(folder.path().join("t.jsonl")).unwrap(), "older");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

/// An endless line, plain and as 256 MB behind a small gzip, in 128 MB of address space.
#[cfg(unix)]
#[test]
fn an_endless_line_is_refused_in_bounded_memory() {
    let folder = tempfile::tempdir().unwrap();
    let head = COLUMNS.join(",") + "\n";
    let million = vec![b'1'; 1 << 20];
    let mut plain = fs::File::create(folder.path().join("long.csv")).unwrap();
    plain.write_all(head.as_bytes()).unwrap();
    let packed = fs::File::create(folder.path().join("long.csv.gz")).unwrap();
    let mut packed = GzEncoder::new(packed, Compression::fast());
    packed.write_all(head.as_bytes()).unwrap();
    for round in 0..256 {
        if round < 30 {
            plain.write_all(&million).unwrap();
        }
        packed.write_all(&million).unwrap();
    }
    packed.finish().unwrap();
    for file in ["long.csv", "long.csv.gz"] {
        let program = assert_cmd::cargo::cargo_bin!("attelier");
        let line = format!("ulimit -v 131072; exec '{}' run spatten {file}", program.display());
        let mut shell = assert_cmd::Command::new("sh");
        let outcome = shell.current_dir(folder.path()).args(["-c", &line]).assert().code(2);
        let message = stderr(&outcome);
        assert!(message.contains("the line is longer than"), "{message}");
        assert!(message.len() < 2000, "{} bytes of message", message.len());
    }
}
