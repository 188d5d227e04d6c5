//! Malformed traces of our own format: each gives an error that names the place.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail loudly")]

use std::io::Write;

use attelier_workloads::trace::{
    Content, Header, Record, Tensors, TraceReader, TraceWriter, read_workload, write_workload,
};
use attelier_workloads::{Knobs, Problem, Tensor, TraceError, load_with};
use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;

const HEADER: &str = r#"{"format":"attelier-trace","version":1,"content":"counts","name":"n","model":"m","requests":1}"#;
const REQUEST: &str = r#"{"iteration":0,"layer":0,"head":0,"phase":"decode","head_dim":64,"sentence_length":993,"queries":1,"keys":993,"values":204}"#;

fn read(text: &str) -> Result<usize, TraceError> {
    read_workload("t.jsonl", text.as_bytes()).map(|workload| workload.requests.len())
}

/// The request with `from` replaced by `to`, as the text of its error.
fn changed(from: &str, to: &str) -> String {
    assert!(REQUEST.contains(from));
    read(&format!("{HEADER}\n{}\n", REQUEST.replace(from, to))).unwrap_err().to_string()
}

/// What stands above the caret.
fn above_caret(error: &str) -> &str {
    let lines: Vec<&str> = error.lines().collect();
    let caret = lines[2].find('^').unwrap();
    &lines[1][caret..]
}

#[test]
fn the_sample_is_read_with_and_without_a_last_line_break() {
    assert_eq!(read(&format!("{HEADER}\n{REQUEST}\n")).unwrap(), 1);
    assert_eq!(read(&format!("{HEADER}\r\n{REQUEST}")).unwrap(), 1);
    assert_eq!(read(&format!("\u{feff}{HEADER}\n{REQUEST}")).unwrap(), 1);
}

#[test]
fn bad_values_get_line_column_caret_and_expectation() {
    for (from, to, message, caret) in [
        ("\"keys\":993", "\"keys\":-1", "`keys` is -1: expected a whole number", "-1,"),
        ("\"keys\":993", "\"keys\":9.5", "`keys` is 9.5: expected a whole number", "9.5"),
        ("\"keys\":993", "\"keys\":994", "from 1 to 993 (sentence_length)", "994"),
        ("\"keys\":993", "\"keys\":99999999999", "expected a whole number", "99999999999"),
        ("\"keys\":993", "\"keys\":NaN", "not JSON", "NaN"),
        ("\"decode\"", "\"encode\"", "\"prefill\" or \"decode\"", "\"encode\""),
        ("\"keys\":993", "\"keys\":null", "`keys` is missing", "}"),
        ("\"keys\":993,", "", "`keys` is missing", "}"),
        ("\"keys\":", "\"kyes\":", "unknown field `kyes`", "\"kyes\""),
        ("\"keys\":993", "\"keys\":993,\"keys\":1", "`keys` is given twice", "\"keys\":1"),
        ("\"queries\":1", "\"queries\":1,\"requant\":1", "true or false", "1,"),
        ("\"queries\":1", "\"queries\":1,\"requant_threshold\":1e999", "finite", "1e999"),
        ("\"queries\":1", "\"queries\":1,\"tensors\":{}", "header says", "{}"),
    ] {
        let error = changed(from, to);
        assert!(error.starts_with("t.jsonl:2:") && error.contains(message), "{error}");
        assert!(above_caret(&error).starts_with(caret), "{error}");
    }
    assert!(
        changed("\"kyes\":".replace("ye", "ey").as_str(), "\"kyes\":").contains("mean `keys`?")
    );
    assert!(changed(":993,\"q", ":NaN,\"q").contains("JSON has no NaN"));
}

#[test]
fn bad_headers_are_refused() {
    for (from, to, message) in [
        ("\"version\":1", "\"version\":2", "trace version 2: expected version 1"),
        ("attelier-trace", "other", "not the header of a trace"),
        ("\"counts\"", "\"numbers\"", "\"counts\" or \"tensors\""),
        ("\"requests\":1", "\"requests\":99999999999999", "from 1 to 2097152"),
        ("\"requests\":1", "\"requests\":0", "from 1 to 2097152"),
        ("\"model\"", "\"modle\"", "did you mean `model`?"),
        (",\"requests\":1", "", "field `requests` is missing"),
        ("\"name\":\"n\"", "\"name\":1", "a string in double quotes"),
    ] {
        assert!(HEADER.contains(from));
        let error = read(&format!("{}\n{REQUEST}\n", HEADER.replace(from, to))).unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
        assert_eq!(error.place.line, Some(1));
    }
}

#[test]
fn cut_files_are_noticed_wherever_the_cut_is() {
    let whole = format!(
        "{}\n{REQUEST}\n{}",
        HEADER.replace("\"requests\":1", "\"requests\":2"),
        REQUEST.replace("\"head\":0", "\"head\":1")
    );
    assert_eq!(read(&whole).unwrap(), 2);
    for end in 0..whole.len() {
        assert!(read(&whole[..end]).is_err(), "cut after {end} bytes");
    }
    let at_line = whole.rfind('\n').unwrap() + 1;
    let error = read(&whole[..at_line]).unwrap_err();
    assert!(matches!(error.problem, Problem::Cut { .. }), "{error}");
    let error = read(&whole[..at_line + 20]).unwrap_err();
    assert!(matches!(error.problem, Problem::Cut { .. }) && error.place.line == Some(3), "{error}");
    assert!(read(&format!("{HEADER}\n{REQUEST}\n{REQUEST}")).is_err(), "a line too many");
}

#[test]
fn empty_binary_and_cut_gzip_are_told_apart() {
    assert!(matches!(read("").unwrap_err().problem, Problem::Empty));
    let binary = read_workload("t", &b"\x7fELF\x02\x01\x01\0\0\0"[..]).unwrap_err();
    assert!(matches!(binary.problem, Problem::Binary { .. }), "{binary}");
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(format!("{HEADER}\n{REQUEST}\n").as_bytes()).unwrap();
    let bytes = encoder.finish().unwrap();
    assert!(read_workload("t", &bytes[..]).is_ok());
    for end in 3..bytes.len() {
        let error = read_workload("t", &bytes[..end]).unwrap_err();
        assert!(
            matches!(error.problem, Problem::Gzip { state: "cut short", .. }),
            "{end}: {error}"
        );
    }
}

fn tensor_trace() -> (Header, Record, Vec<u8>) {
    let knobs = Knobs { context: Some(6), tokens: Some(1), ..Knobs::default() };
    let request = load_with("gpt2-small/wikitext2", &knobs).unwrap().requests.remove(0);
    let tensor = |rows: u32, scale: f32| {
        let data = (0..rows * 64).map(|i| (i as f32 - 7.3) * scale).collect();
        Tensor::new(vec![rows, 64], data).unwrap()
    };
    let tensors: Tensors = [("q", 1, 0.1), ("k", 7, 1e-20), ("v", 7, -3e8)]
        .map(|(name, rows, scale)| (name.to_owned(), tensor(rows, scale)))
        .into();
    let record = Record { request, tensors: Some(tensors) };
    let header = Header {
        content: Content::Tensors,
        name: "n".into(),
        model: "m \"quoted\"\u{e9}".into(),
        description: String::new(),
        provenance: "line\nbreak".into(),
        assumptions: vec!["a".into()],
        requests: 1,
    };
    let mut writer = TraceWriter::new("t", Vec::new(), header.clone()).unwrap();
    writer.write(&record).unwrap();
    (header, record, writer.finish().unwrap())
}

#[test]
fn tensors_survive_the_round_trip_bit_by_bit() {
    let (header, record, bytes) = tensor_trace();
    let mut reader = TraceReader::new("t", &bytes[..]).unwrap();
    assert_eq!(reader.header(), &header);
    assert_eq!(reader.next().unwrap().unwrap(), record);
    assert!(reader.next().is_none());
}

#[test]
fn bad_tensors_are_refused_without_allocating_what_they_claim() {
    let (_, _, bytes) = tensor_trace();
    let text = String::from_utf8(bytes).unwrap();
    for (from, to, message) in [
        ("[7,64]", "[4294967295,4294967295]", "product is at most"),
        ("[7,64]", "[4096,4096]", "base64 characters for shape"),
        ("[7,64]", "[64,7]", "[keys to sentence_length, head_dim]"),
        ("[1,64]", "[1,-64]", "an array of whole numbers"),
        ("\"f32\"", "\"f16\"", "expected \"f32\""),
        ("\"shape\"", "\"shapes\"", "did you mean `shape`?"),
        ("\"k\":{", "\"key\":{", "without `k`"),
    ] {
        assert!(text.contains(from));
        let error = read(&text.replacen(from, to, 1)).unwrap_err().to_string();
        assert!(error.contains(message), "{from} -> {to}: {error}");
    }
}

#[test]
fn the_writer_refuses_what_the_reader_would() {
    let (header, record, _) = tensor_trace();
    let write = |header: Header, records: &[Record]| {
        let mut writer = TraceWriter::new("t", Vec::new(), header)?;
        records.iter().try_for_each(|record| writer.write(record))?;
        writer.finish()
    };
    let counts = Record { tensors: None, ..record.clone() };
    let counts_header = Header { content: Content::Counts, ..header.clone() };
    assert!(write(header.clone(), std::slice::from_ref(&record)).is_ok());
    assert!(write(header.clone(), &[]).is_err(), "fewer than promised");
    assert!(write(header.clone(), &[record.clone(), record.clone()]).is_err(), "twice the same");
    assert!(write(header, std::slice::from_ref(&counts)).is_err(), "tensors promised");
    assert!(write(counts_header, &[record]).is_err(), "tensors not promised");
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = attelier_workloads::file::read("t", "t", &bytes[..]);
        let _ = read_workload("t", &bytes[..]);
        let mut gzip = vec![0x1f, 0x8b, 8, 0];
        gzip.extend(bytes);
        let _ = read_workload("t", &gzip[..]);
    }

    #[test]
    fn one_changed_byte_never_panics(at in 0usize..4000, byte in any::<u8>()) {
        let (_, _, mut bytes) = tensor_trace();
        let length = bytes.len();
        bytes[at % length] = byte;
        if let Err(error) = read_workload("t", &bytes[..]) {
            prop_assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn what_is_written_is_read_back(seed in any::<u64>(), tokens in 1u32..4, context in 1u32..1000) {
        let knobs =
            Knobs { seed, tokens: Some(tokens), context: Some(context), ..Knobs::default() };
        let workload = load_with("gpt2-small/wikitext2", &knobs).unwrap();
        let bytes = write_workload("t", Vec::new(), &workload).unwrap();
        prop_assert_eq!(read_workload("t", &bytes[..]).unwrap(), workload);
    }
}
