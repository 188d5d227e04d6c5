use attelier_sim::result::{Admission, Phase, Stream, Traffic};
use serde_json::{Value, json};

use super::*;

fn unit(name: &'static str, [busy, starved, blocked, beats]: [u64; 4]) -> UnitReport {
    UnitReport { name, busy_cycles: busy, starved_cycles: starved, blocked_cycles: blocked, beats }
}

/// A made-up run; its numbers are easy to check by hand.
fn result() -> RunResult {
    RunResult {
        admission: Some(Admission { key_sram_cycles: 80, ..Default::default() }),
        cycles: 2_000_000,
        clock_hz: 1_000_000_000,
        ops_executed: 800_000_000,
        ops_dense: 3_200_000_000,
        traffic: Traffic {
            query_bytes: 1_000_000,
            key_bytes: 500_000_000,
            key_lsb_bytes: 11_000_000,
            value_bytes: 256_000_000,
            reads: 24_000_000,
        },
        streams: Vec::new(),
        writes: 0,
        phases: Vec::new(),
        dram: None,
        units: vec![
            unit("qkv_fetcher", [1_500_000, 100_000, 400_000, 24_000_000]),
            unit("qk_array", [1_996_000, 3_000, 1_000, 1_996_000]),
            unit("softmax", [1_000_000, 1_000_000, 0, 1_000_000]),
        ],
        notes: vec!["top-k pivots are drawn with seed 7".to_owned()],
    }
}

fn report(result: &RunResult) -> Report {
    let identity = Identity::new("spatten", "cd34", "gpt2-small/wikitext2", "ab12");
    let identity = identity.started_by("attelier run --seed 7".to_owned(), 7);
    Report::new(identity, result, 512e9)
}

fn json_of(report: &Report) -> Value {
    serde_json::to_value(report).unwrap()
}

#[test]
fn the_text_shows_every_section() {
    let terms = vec![("dram", 6e-3), ("key_sram", 2e-3)];
    let energy = energy::Energy { terms, notes: vec!["energy: no leakage".to_owned()] };
    let row = Published::new("throughput", 430.0, 400.0, "GOP/s", "section V-B");
    let report =
        report(&result()).with_areas(Vec::new()).with_energy(Some(energy), None).beside(vec![row]);
    insta::assert_snapshot!(report.text());
}

#[test]
fn json_carries_every_agreed_key() {
    let json = json_of(&report(&result()));
    let number_keys = [
        "/seed",
        "/cycles",
        "/seconds",
        "/ops_executed",
        "/ops_dense",
        "/throughput/executed_ops_per_s",
        "/throughput/dense_ops_per_s",
        "/traffic/total_bytes",
        "/dram/read_bytes",
        "/dram/write_bytes",
        "/dram/reads",
        "/dram/writes",
        "/units/qk_array/busy_cycles",
        "/units/qk_array/utilisation",
        "/units/qk_array/starved_cycles",
        "/units/qk_array/blocked_cycles",
        "/units/qk_array/beats",
    ];
    for key in number_keys {
        assert!(json.pointer(key).is_some_and(Value::is_number), "{key} in {json:#}");
    }
    for key in
        ["schema", "version", "design", "workload", "config_hash", "workload_hash", "command"]
    {
        assert!(json[key].as_str().is_some_and(|text| !text.is_empty()), "{key}");
    }
    let unknown = [
        "/dram/activates",
        "/dram/precharges",
        "/dram/refreshes",
        "/dram/row_hit_rate",
        "/energy_j/total",
        "/power_w",
        "/area_mm2",
        "/checks/outputs",
        "/checks/max_abs_error",
        "/checks/mismatches",
    ];
    for key in unknown {
        assert_eq!(json.pointer(key), Some(&Value::Null), "{key}");
    }
}

#[test]
fn derived_numbers_follow_from_the_counts() {
    let json = json_of(&report(&result()));
    assert_eq!(json["seconds"], json!(0.002));
    assert_eq!(json["throughput"]["executed_ops_per_s"], json!(4e11));
    assert_eq!(json["throughput"]["dense_ops_per_s"], json!(1.6e12));
    assert_eq!(json["dram"]["read_bytes"], json!(768_000_000));
    assert_eq!(json["traffic"]["utilisation"], json!(0.75));
    assert_eq!(json["units"]["qk_array"]["utilisation"], json!(0.998));
    assert_eq!(json["notes"][0], "top-k pivots are drawn with seed 7");
}

#[test]
fn units_keep_the_order_of_the_design() {
    let text = serde_json::to_string(&report(&result())).unwrap();
    let place = |name: &str| text.find(name).unwrap();
    assert!(place("\"qkv_fetcher\":") < place("\"qk_array\":"));
    assert!(place("\"qk_array\":") < place("\"softmax\":"));
}

#[test]
fn energy_terms_stand_beside_their_total() {
    let energy = Energy { total: Some(0.5), terms: vec![("sram", 0.5)] };
    assert_eq!(serde_json::to_value(energy).unwrap(), json!({"total": 0.5, "sram": 0.5}));
}

#[test]
fn the_bound_is_the_fullest_unit_the_bandwidth_or_latency() {
    let bound = |result: &RunResult| json_of(&report(result))["bound"].clone();
    let mut result = result();
    assert_eq!(bound(&result), json!({"kind": "unit", "unit": "qk_array", "utilisation": 0.998}));
    result.units[1].busy_cycles = 1_000_000;
    result.units[0].busy_cycles = 1_000_000;
    let expected = json!({"kind": "bandwidth", "unit": "memory", "utilisation": 0.75});
    assert_eq!(bound(&result), expected);
    result.units.push(unit("memory", [2_000_000, 0, 0, 24_000_000]));
    assert_eq!(bound(&result), expected, "one busy channel is not a full memory");
    result.traffic.key_bytes = 0;
    result.admission.as_mut().unwrap().key_sram_cycles = 1_200_000;
    let expected = json!({"kind": "capacity", "unit": "key_sram", "utilisation": 0.6});
    assert_eq!(bound(&result), expected);
    result.admission.as_mut().unwrap().key_sram_cycles = 0;
    let expected = json!({"kind": "latency", "unit": "qkv_fetcher", "utilisation": 0.5});
    assert_eq!(bound(&result), expected);
}

#[test]
fn a_run_of_no_cycles_has_no_rates() {
    let none = RunResult { cycles: 0, ..result() };
    let report = report(&none);
    let json = json_of(&report);
    assert_eq!(json["bound"], Value::Null);
    assert_eq!(json["throughput"]["executed_ops_per_s"], Value::Null);
    assert_eq!(json["units"]["softmax"]["utilisation"], Value::Null);
    assert!(!report.text().contains("NaN") && !report.text().contains("inf"));
}

/// A design with other streams and one operation after the other.
fn sequential() -> RunResult {
    let stream = |name, bytes, write| Stream { name, bytes, write };
    RunResult {
        traffic: Traffic { reads: 10, ..Traffic::default() },
        streams: vec![stream("vector", 3_000, true), stream("result", 1_000, false)],
        writes: 30,
        admission: None,
        phases: vec![
            Phase { name: "qkv", cycles: 500_000 },
            Phase { name: "ffn", cycles: 1_500_000 },
        ],
        ..result()
    }
}

#[test]
fn streams_and_operations_of_other_designs_are_shown_and_written() {
    let report = report(&sequential());
    let json = json_of(&report);
    assert_eq!(json["traffic"]["streams"]["vector_bytes"], json!(3000));
    assert_eq!(json["traffic"]["total_bytes"], json!(4000));
    assert_eq!(json["dram"]["write_bytes"], json!(3000));
    assert_eq!((&json["dram"]["read_bytes"], &json["dram"]["writes"]), (&json!(1000), &json!(30)));
    assert_eq!(json["phases"]["ffn"], json!(1_500_000));
    assert_eq!(json["admission"], json!(null));
    let text = report.text();
    for part in ["vector", "Time by operation", "ffn", "75.0 %"] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    assert!(!text.contains("next head waits") && !text.contains("key LSB"), "{text}");
}
