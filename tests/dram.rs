//! `attelier dram`: golden cases of other simulators, and request traces on named devices.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

mod common;

use std::{fs, path::Path};

use common::{attelier, is_empty, number, shared, stderr, stdout, unzip};
use serde_json::Value;

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_golden_case_comes_out_as_recorded() {
    let Some(set) = shared("data/dram-golden") else { return };
    let case = set.join("ds3-ddr4-2400-conf-sat-ref");
    let out = tempfile::tempdir().unwrap();
    let dir = case.to_str().unwrap();
    let args = ["dram", "--case", dir, "-o", "c.csv", "--completions", "d.csv", "--json", "r.json"];
    let ran = attelier(out.path(), &args).code(0);
    assert!(stdout(&ran).contains(" requests of 64 bytes ("), "{}", stdout(&ran));
    for (ours, golden) in [("c.csv", "commands.csv.gz"), ("d.csv", "completions.csv.gz")] {
        let ours = fs::read_to_string(out.path().join(ours)).unwrap();
        assert!(ours == unzip(&case.join(golden)), "{golden} differs");
    }
    let json = json(&out.path().join("r.json"));
    assert_eq!(json["schema"], "attelier-dram-1");
    let commands = fs::read_to_string(out.path().join("c.csv")).unwrap().lines().count() - 1;
    assert_eq!(json["commands"], commands);
}

#[test]
fn a_malformed_case_is_refused_and_leaves_no_file() {
    let case = tempfile::tempdir().unwrap();
    let dir = case.path().to_str().unwrap();
    for (params, expected) in [(None, "params.json"), (Some("{\"org\": 1"), "params.json")] {
        if let Some(text) = params {
            fs::write(case.path().join("params.json"), text).unwrap();
        }
        let out = tempfile::tempdir().unwrap();
        let ran = attelier(out.path(), &["dram", "--case", dir, "-o", "c.csv"]).code(2);
        assert!(stderr(&ran).contains(expected), "{}", stderr(&ran));
        assert!(is_empty(out.path()));
    }
}

#[test]
fn devices_are_listed() {
    let out = tempfile::tempdir().unwrap();
    let ran = attelier(out.path(), &["list", "devices"]).code(0);
    assert!(stdout(&ran).contains("spatten-hbm2"), "{}", stdout(&ran));
}

/// Two reads of one row, then one of another row in the same bank, worked out by hand from the
/// table of `ddr4-2400`: tRCD 16, tCL 16, tBL 4, tRAS 39, tRP 16, tCCD_L 6. One request enters per
/// cycle; the first is there at step 0, so that its first command has cycle 1.
#[test]
fn a_trace_on_a_device_takes_the_cycles_of_its_data_sheet() {
    let out = tempfile::tempdir().unwrap();
    // Bit 17 is the lowest of the row.
    let trace = "arrival,op,address\n0,R,0x0\n0,R,0x40\n0,R,0x20000\n";
    fs::write(out.path().join("t.csv"), trace).unwrap();
    let args = ["dram", "t.csv", "--device", "ddr4-2400", "--mapping"];
    let fields = "offset:6 column:7 bankgroup:2 bank:2 row:16";
    let rest = [fields, "-o", "c.csv", "--json", "r.json", "--vcd", "w.vcd"];
    let ran = attelier(out.path(), &[&args[..], &rest[..]].concat()).code(0);
    assert!(stdout(&ran).contains("% of the peak"), "{}", stdout(&ran));
    let commands = fs::read_to_string(out.path().join("c.csv")).unwrap();
    let two = |line: &str| line.split(',').take(2).collect::<Vec<_>>().join(" ");
    let seen: Vec<String> = commands.lines().skip(1).map(two).collect();
    assert_eq!(seen, ["1 ACT", "17 RD", "23 RD", "40 PRE", "56 ACT", "72 RD"]);
    let json = json(&out.path().join("r.json"));
    assert_eq!(number(&json, "/last_cycle"), 72 + 16 + 4);
    assert_eq!(number(&json, "/row_hits"), 1);
    assert_eq!(number(&json, "/row_conflicts"), 1);
    // As in the completions: arrival in step 0, data until cycle 92.
    assert_eq!(number(&json, "/read_latency/max"), 92);
    // One request enters per cycle.
    assert_eq!(number(&json, "/read_latency_accepted/max"), 92 - 2);
    assert_eq!(number(&json, "/residency/bank_active"), 39 + (93 - 56));
    assert!(fs::read_to_string(out.path().join("w.vcd")).unwrap().contains("$timescale"));
}

/// Sixteen channels take sixteen requests per cycle: a stream comes near the peak of the device.
#[test]
fn a_stream_over_all_channels_comes_near_the_peak() {
    let out = tempfile::tempdir().unwrap();
    let mut trace = "arrival,op,address\n".to_owned();
    for index in 0..64_000 {
        trace += &format!("0,R,{:#x}\n", index * 32);
    }
    fs::write(out.path().join("t.csv"), trace).unwrap();
    let args = ["dram", "t.csv", "--device", "spatten-hbm2", "--json", "r.json"];
    attelier(out.path(), &args).code(0);
    let share = json(&out.path().join("r.json"))["physical"]["peak_share"].as_f64().unwrap();
    assert!(share > 0.9 && share <= 1.0, "{share} of the peak");
}

/// Two ranks share one data bus: alternating between them can only be slower than the peak.
#[test]
fn two_ranks_do_not_exceed_the_peak_of_their_bus() {
    let out = tempfile::tempdir().unwrap();
    let table = include_str!("../sim/dram/devices/ddr4-2400.toml")
        .replace("ranks = 1", "ranks = 2")
        .replace("refresh = \"all-bank\"", "refresh = \"off\"")
        .replace("offset:6 ", "offset:6 rank:1 ");
    fs::write(out.path().join("d.toml"), table).unwrap();
    let mut trace = "arrival,op,address\n".to_owned();
    for index in 0..5000 {
        trace += &format!("0,R,{:#x}\n", index * 64);
    }
    fs::write(out.path().join("t.csv"), trace).unwrap();
    attelier(out.path(), &["dram", "t.csv", "--device", "d.toml", "--json", "r.json"]).code(0);
    let share = json(&out.path().join("r.json"))["physical"]["peak_share"].as_f64().unwrap();
    // A burst of 4 cycles and a turn-around of 2 for every read, or two reads of one rank in 6 + 6.
    assert!(share > 0.6 && share < 0.8, "{share} of the peak");
}

#[test]
fn every_write_reaches_its_bank_under_every_policy() {
    let out = tempfile::tempdir().unwrap();
    // One write alone, one behind a read of the same place, and three that fill no batch.
    let trace =
        "arrival,op,address\n0,W,0x0\n9,R,0x40\n9,W,0x40\n500,W,0x0\n500,W,0x80\n500,W,0x4000\n";
    fs::write(out.path().join("t.csv"), trace).unwrap();
    for policy in ["frfcfs", "frfcfs-row-hit", "bank-queues", "bank-queues-unified"] {
        let args = ["dram", "t.csv", "--device", "ddr4-2400", "--policy", policy];
        let ran = attelier(out.path(), &[&args[..], &["-o", "c.csv", "--json", "r.json"]].concat());
        ran.code(0);
        let json = json(&out.path().join("r.json"));
        assert_eq!((number(&json, "/reads"), number(&json, "/writes")), (1, 5), "{policy}");
        let commands = fs::read_to_string(out.path().join("c.csv")).unwrap();
        assert_eq!(commands.lines().filter(|line| line.contains(",WR,")).count(), 5, "{policy}");
    }
}

#[test]
fn bad_traces_and_names_are_refused_with_what_is_known() {
    let out = tempfile::tempdir().unwrap();
    let path = out.path().join("t.csv");
    let check = |trace: &str, args: &[&str], expected: &[&str]| {
        fs::write(&path, format!("arrival,op,address\n{trace}")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let trace = path.to_str().unwrap();
        let ran = attelier(folder.path(), &[&["dram", trace, "-o", "c.csv"], args].concat());
        let text = stderr(&ran.code(2));
        for part in expected {
            assert!(text.contains(part), "{text}: no {part}");
        }
        assert!(is_empty(folder.path()));
    };
    let ddr4 = ["--device", "ddr4-2400"];
    check("0,R,0x0\n0,R,0x41\n", &ddr4, &["t.csv:3", "0x41", "64-byte"]);
    check("0,R,0x200000000\n", &ddr4, &["t.csv:2", "0x200000000", "outside the memory of"]);
    check("0,X,0x0\n", &ddr4, &["t.csv:2", "R or W"]);
    check("7,R,0x0\n6,R,0x0\n", &ddr4, &["t.csv:3", "no earlier than"]);
    check("0,R,0x0\n", &["--device", "ddr4-2401"], &["ddr4-2400", "no device"]);
    check("0,R,0x0\n", &["--policy", "frfcs"], &["did you mean `frfcfs`?", "bank-queues"]);
    check("0,R,0x0\n", &["--mapping", "offset:5"], &["--mapping", "bits"]);
}
