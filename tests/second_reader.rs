//! Output files read by a program that shares no code with their writers.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

mod common;

use std::{
    io::Write,
    process::{Command, Stdio},
};

use attelier::observers::perfetto::PerfettoWriter;
use attelier_sim::observe::Observer;

/// The answer of a Python script to `input`; `None`, with a printed line, without Python.
fn python(script: &str, input: &[u8]) -> Option<String> {
    if !common::has("python3") {
        return None;
    }
    let mut child = Command::new("python3")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn python_reads_a_timeline() {
    let mut bytes = Vec::new();
    let mut trace = PerfettoWriter::new(&mut bytes, "spatten");
    trace.begin(&["qkv_fetcher", "qk_array"], 1_000_000_000);
    for job in 0..1000 {
        trace.span(0, &format!("L{job} \"keys\" \u{3b1}"), job * 10, job * 10 + 15);
    }
    trace.finish().unwrap();
    let script = "
import json, sys
trace = json.load(sys.stdin)
spans = [event for event in trace['traceEvents'] if event['ph'] == 'X']
print(len(spans), spans[999]['name'], spans[999]['ts'], spans[999]['dur'])
ends = {}
for span in spans:
    assert span['ts'] >= ends.get(span['tid'], 0) - 1e-9, 'spans of one track overlap'
    ends[span['tid']] = span['ts'] + span['dur']
print(len(ends), 'tracks')";
    if let Some(answer) = python(script, &bytes) {
        assert_eq!(answer, "1000 L999 \"keys\" \u{3b1} 9.99 0.015\n2 tracks\n");
    }
}
