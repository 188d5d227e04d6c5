//! `attelier run`: what a result holds, and that it does not depend on how it was made.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

mod common;

use std::{collections::BTreeSet, fs, io::BufReader};

use common::{attelier, number, result, stderr, stdout, total_bytes};
use serde_json::Value;

const UNITS: [&str; 11] = [
    "controller",
    "qkv_fetcher",
    "bitwidth_converter",
    "qk_array",
    "softmax",
    "quant_decision",
    "token_importance",
    "topk_value",
    "pv_array",
    "head_importance",
    "topk_token",
];

const TWO_TOKENS: [&str; 2] = ["--set", "workload.tokens=2"];

#[test]
fn the_seed_of_the_workload_shows_where_it_is_another() {
    let sets = [&TWO_TOKENS[..], &["--set", "workload.seed=3"]].concat();
    let json = result(&sets);
    assert_eq!((number(&json, "/seed"), number(&json, "/workload_seed")), (0, 3));
    let folder = tempfile::tempdir().unwrap();
    let header = |args: &[&str]| {
        let text = stdout(&attelier(folder.path(), &[&["run"], args].concat()).code(0));
        text.lines().next().unwrap_or_default().to_owned()
    };
    assert!(header(&sets).ends_with("(seed 0, workload seed 3)"));
    assert!(header(&TWO_TOKENS).ends_with("(seed 0)"));
}

#[test]
fn the_default_run_writes_every_agreed_key_with_sane_values() {
    let json = result(&[]);
    assert_eq!(json["design"], "spatten");
    assert_eq!(json["workload"], "gpt2-small/wikitext2");
    for key in ["schema", "version", "config_hash", "workload_hash", "command"] {
        assert!(json[key].as_str().is_some_and(|text| !text.is_empty()), "{key}");
    }
    let cycles = number(&json, "/cycles");
    assert_eq!(number(&json, "/seed"), 0);
    assert!(cycles >= total_bytes(&json).div_ceil(512), "{cycles} cycles beat the bandwidth");
    assert!(cycles >= number(&json, "/units/qk_array/beats"), "{cycles} cycles beat the array");
    assert_eq!(json["seconds"].as_f64(), Some(cycles as f64 / 1e9));
    assert!(number(&json, "/ops_executed") < number(&json, "/ops_dense"));
    let reads = number(&json, "/dram/reads");
    assert_eq!(number(&json, "/dram/read_bytes"), 32 * reads);
    assert_eq!(number(&json, "/dram/writes") + number(&json, "/dram/write_bytes"), 0);
    for count in ["activates", "precharges", "refreshes"] {
        assert!((1..reads).contains(&number(&json, &format!("/dram/{count}"))), "{count}");
    }
    let areas = json["area_by_unit_mm2"].as_object().unwrap();
    let area: f64 = areas.values().filter_map(Value::as_f64).sum();
    assert!(areas.len() == 15 && (area - json["area_mm2"].as_f64().unwrap()).abs() < 1e-9);
    for check in ["outputs", "max_abs_error", "mismatches"] {
        assert_eq!(json["checks"].get(check), Some(&Value::Null), "{check}");
    }
    for unit in UNITS {
        let busy = number(&json, &format!("/units/{unit}/busy_cycles"));
        assert!((1..=cycles).contains(&busy), "{unit} is busy for {busy} of {cycles} cycles");
        let share = json["units"][unit]["utilisation"].as_f64().unwrap();
        assert!((share - busy as f64 / cycles as f64).abs() < 1e-12, "{unit}");
    }
    let energy: f64 =
        json["energy_j"].as_object().unwrap().values().filter_map(Value::as_f64).sum();
    let total = json["energy_j"]["total"].as_f64().unwrap();
    assert!((energy - 2.0 * total).abs() < 1e-9 * total, "the terms do not add up to the total");
    let power = json["power_w"].as_f64().unwrap();
    assert!((1.0..20.0).contains(&power), "{power} W");
}

#[test]
fn the_text_names_bound_energy_and_published_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let text = stdout(&attelier(folder.path(), &["run"]).code(0));
    for part in ["bound by", "Energy", "mean of 8 GPT-2 tasks", "430.0", "workload: SpAtten"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn what_is_assumed_and_what_is_changed_becomes_a_note() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["run", "spatten", "bert-base/cola", "--set", "memory.latency_cycles=40"];
    let text = stdout(&attelier(folder.path(), &args).code(0));
    for part in [
        "workload, assumed: sentence length 11",
        "not the published preset: --set memory.latency_cycles=40",
        "mean of 22 BERT tasks",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn hbm2_counts_rows_and_costs_time() {
    let run = |kind: &str| {
        let kind = format!("memory.kind={kind}");
        result(&["spatten", "gpt2-small/wikitext2", "--set", &kind, "--set", "workload.tokens=2"])
    };
    let (ideal, hbm2) = (run("ideal"), run("hbm2"));
    assert_eq!(ideal["traffic"]["total_bytes"], hbm2["traffic"]["total_bytes"]);
    assert!(number(&hbm2, "/cycles") >= total_bytes(&hbm2).div_ceil(512));
    for count in ["activates", "precharges", "refreshes"] {
        assert!(number(&hbm2, &format!("/dram/{count}")) > 0, "{count}");
    }
    let hits = hbm2["dram"]["row_hit_rate"].as_f64().unwrap();
    assert!((0.5..1.0).contains(&hits), "{hits}");
    for unknown in ["activates", "precharges", "refreshes", "row_hit_rate"] {
        assert_eq!(ideal["dram"].get(unknown), Some(&Value::Null), "{unknown}");
    }
    assert!(hbm2["energy_j"]["dram_activate"].as_f64().unwrap() > 0.0);
    assert_eq!(ideal["energy_j"].get("dram_activate"), None);
}

#[test]
fn dense_work_and_other_machines_stand_beside_no_published_number() {
    for args in [["spatten", "gpt2-small/wikitext2/dense"], ["spatten-eighth", "bert-base/cola"]] {
        let json = result(&[&args[..], &["--set", "workload.context=8"]].concat());
        assert_eq!(json["published"].as_array().map(Vec::len), Some(0), "{args:?}");
    }
}

#[test]
fn the_same_command_gives_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let run = || {
        let files = ["--json", "a.json", "--vcd", "a.vcd", "--perfetto", "a.trace"];
        let args = [&["run", "--seed", "5"], &files[..], &TWO_TOKENS].concat();
        let text = stdout(&attelier(folder.path(), &args).code(0));
        let files = ["a.json", "a.vcd", "a.trace"];
        (text, files.map(|name| fs::read(folder.path().join(name)).unwrap()))
    };
    assert_eq!(run(), run());
}

#[test]
fn every_cycle_and_leaps_give_the_same_result() {
    let mut leaps = result(&TWO_TOKENS);
    let mut every = result(&[&TWO_TOKENS[..], &["--every-cycle"]].concat());
    assert!(number(&leaps, "/cycles") > 1000);
    for json in [&mut leaps, &mut every] {
        json.as_object_mut().unwrap().remove("command");
    }
    assert_eq!(leaps, every);
}

#[test]
fn a_vcd_is_readable_and_has_a_scope_per_unit() {
    let folder = tempfile::tempdir().unwrap();
    let args = [&["run", "--vcd", "run.vcd"], &TWO_TOKENS[..]].concat();
    attelier(folder.path(), &args).code(0);
    let file = fs::File::open(folder.path().join("run.vcd")).unwrap();
    let mut parser = vcd::Parser::new(BufReader::new(file));
    let header = parser.parse_header().unwrap();
    for unit in UNITS {
        assert!(header.find_var(&["spatten", unit, "state"]).is_some(), "{unit} has no signal");
    }
    let commands: Vec<_> = parser.collect::<Result<_, _>>().unwrap();
    assert!(commands.len() > 1000, "{} commands", commands.len());
}

#[test]
fn a_timeline_is_json_with_a_track_per_busy_unit() {
    let folder = tempfile::tempdir().unwrap();
    let args = [&["run", "--perfetto", "run.json"], &TWO_TOKENS[..]].concat();
    attelier(folder.path(), &args).code(0);
    let bytes = fs::read(folder.path().join("run.json")).unwrap();
    let trace: Value = serde_json::from_slice(&bytes).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();
    let tracks = events.iter().filter(|event| event["name"] == "thread_name");
    let tracks: BTreeSet<&str> =
        tracks.filter_map(|event| event["args"]["name"].as_str()).collect();
    for unit in ["qkv_fetcher", "qk_array", "softmax", "topk_value", "pv_array", "topk_token"] {
        assert!(tracks.contains(unit), "{unit} in {tracks:?}");
    }
    assert!(events.iter().filter(|event| event["ph"] == "X").count() > 1000);
}

#[test]
fn an_imported_trace_runs_like_its_csv() {
    let folder = tempfile::tempdir().unwrap();
    let row = |head| format!("0,0,{head},64.0,100,64,8,12,-1,False,-1,16,8,True,False,False,-1\n");
    let csv = attelier_workloads::spatten_csv::COLUMNS.join(",") + "\n" + &row(0) + &row(1);
    fs::write(folder.path().join("t.csv"), csv).unwrap();
    for output in ["t.jsonl", "t.jsonl.gz"] {
        attelier(folder.path(), &["trace", "import", "t.csv", "-o", output]).code(0);
        let shown = stdout(&attelier(folder.path(), &["trace", "show", output]).code(0));
        assert!(shown.contains("2 (decode)"), "{shown}");
        let [ours, theirs] = [output, "t.csv"].map(|file| {
            attelier(folder.path(), &["run", "spatten", file, "--json", "o.json"]).code(0);
            let bytes = fs::read(folder.path().join("o.json")).unwrap();
            serde_json::from_slice::<Value>(&bytes).unwrap()
        });
        assert_eq!(ours["units"], theirs["units"]);
        assert_eq!(ours["workload_hash"], theirs["workload_hash"]);
    }
}

#[test]
fn a_seed_changes_the_draws_and_is_reported() {
    let [one, two] = ["1", "2"].map(|seed| result(&["--seed", seed, TWO_TOKENS[0], TWO_TOKENS[1]]));
    assert_eq!(number(&two, "/seed"), 2);
    assert_ne!(one["cycles"], two["cycles"]);
}

#[test]
fn nothing_is_said_on_stderr_when_all_is_well() {
    let folder = tempfile::tempdir().unwrap();
    let run = attelier(folder.path(), &[&["run"], &TWO_TOKENS[..]].concat()).code(0);
    assert_eq!(stderr(&run), "");
}
