//! The traces released with SpAtten, run whole, against closed forms worked out from the csv here.
//!
//! The traces are not part of this repository: see the skip rule in [`common::shared`].
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

mod common;

use common::{number, result, shared, total_bytes, unzip};

/// Traces with the sum of key and value bytes, and the lines of the QxK array, that a script of its
/// own counted in them.
const TRACES: [(&str, u64, u64); 4] = [
    ("summary-gpt2-medium-ptb-per0", 1_989_672_960, 3_108_864),
    (
        "summary-gpt2-medium-wikitext2-per0-hp-step5+dedic+glob_p+local_p+hp+topk+quant",
        714_776_576,
        1_547_704,
    ),
    ("summary-gpt2-small-wikitext2-per8-step1+dedic", 746_127_360, 1_165_824),
    ("summary-gpt2-small-wikitext2-per8", 83_704_064, 196_103),
];

/// What a trace must move and compute on the full machine.
#[derive(Debug, Default, PartialEq)]
struct Closed {
    query_bytes: u64,
    key_bytes: u64,
    key_lsb_bytes: u64,
    value_bytes: u64,
    qk_lines: u64,
    requests: u64,
}

/// Vectors come in groups of 8. Keys of 6 bits share 96 bytes between two heads, 8 bits take 64
/// bytes, and wider ones or none at all 64 bytes and a second plane of 32 bytes which is always
/// read; a released 6 + 4-bit key reads that plane where its row says so. Values are as keys
/// without the second plane. A pass computes a line per 8 keys, once more after a second plane.
fn closed_form(csv: &str) -> Closed {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(csv.as_bytes());
    let header = reader.headers().unwrap().clone();
    let mut sum = Closed::default();
    for row in reader.records() {
        let row = row.unwrap();
        let cell = |name: &str| &row[header.iter().position(|column| column == name).unwrap()];
        if cell("iteration_id").parse::<u64>().is_err() {
            continue;
        }
        let count = |name: &str| cell(name).parse::<f64>().unwrap() as u64;
        let bits = |name: &str| cell(name).parse::<f64>().unwrap() as i64;
        let vector = |bits: i64| match bits {
            6 => 48,
            8 => 64,
            -1 | 10 | 12 => 64,
            other => panic!("{other} bits"),
        };
        let (keys, values) = (count("key_fetch_num"), count("value_fetch_num"));
        let wide = matches!(bits("quant_key_bit"), -1 | 10 | 12);
        let again = wide || cell("if_requant") == "True";
        let query_bits = if bits("quant_query_bit") == -1 { 12 } else { count("quant_query_bit") };
        sum.query_bytes += 64 * query_bits / 8;
        sum.key_bytes += keys.next_multiple_of(8) * vector(bits("quant_key_bit"));
        sum.key_lsb_bytes += if again { keys.next_multiple_of(8) * 32 } else { 0 };
        sum.value_bytes += values.next_multiple_of(8) * vector(bits("quant_value_bit"));
        sum.qk_lines += keys.div_ceil(8) * if again { 2 } else { 1 };
        sum.requests += 1;
    }
    sum
}

fn check((name, key_and_value_bytes, qk_lines): (&str, u64, u64)) {
    let Some(folder) = shared("data/spatten") else { return };
    let path = folder.join(format!("{name}.csv.gz"));
    let csv = unzip(&path);
    let closed = closed_form(&csv);
    let kv = closed.key_bytes + closed.key_lsb_bytes + closed.value_bytes;
    assert_eq!((kv, closed.qk_lines), (key_and_value_bytes, qk_lines), "{name}");

    let memory = ["--set", "memory.kind=ideal"];
    let json = result(&[&["spatten", path.to_str().unwrap()][..], &memory].concat());
    let ours = Closed {
        query_bytes: number(&json, "/traffic/query_bytes"),
        key_bytes: number(&json, "/traffic/key_bytes"),
        key_lsb_bytes: number(&json, "/traffic/key_lsb_bytes"),
        value_bytes: number(&json, "/traffic/value_bytes"),
        qk_lines: number(&json, "/units/qk_array/beats"),
        // One beat of this unit is one finished output.
        requests: number(&json, "/units/head_importance/beats"),
    };
    assert_eq!(ours, closed, "{name}");
    let cycles = number(&json, "/cycles");
    assert!(cycles >= total_bytes(&json).div_ceil(512), "{name}: {cycles} beat the bandwidth");
    assert!(cycles >= qk_lines, "{name}: {cycles} cycles beat the array");
    eprintln!("{name}: {} requests, {cycles} cycles", closed.requests);
}

#[test]
fn gpt2_medium_dense_meets_its_closed_form() {
    check(TRACES[0]);
}

#[test]
fn gpt2_medium_pruned_meets_its_closed_form() {
    check(TRACES[1]);
}

#[test]
fn gpt2_small_dense_meets_its_closed_form() {
    check(TRACES[2]);
}

#[test]
fn gpt2_small_pruned_meets_its_closed_form() {
    check(TRACES[3]);
}
