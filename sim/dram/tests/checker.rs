//! Every trace we emit goes through an independent legality checker written in Python.
//!
//! That checker knows no per-bank refresh: those commands are taken out of the trace it reads, and a
//! second one in `python/`, written for them alone, reads the whole trace.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use attelier_dram::Device;
use attelier_dram::case::{CaseParams, read_requests, run, run_case};
use attelier_dram::command::REFPB;
use attelier_dram::organization::RankMeaning;
use attelier_dram::policy::{ControllerConfig, Policy, Refresh};
use attelier_dram::trace::{Issued, write_csv};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use serde_json::{Value, json};

mod common;

const PER_BANK_CHECKER: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/check_per_bank_refresh.py");

/// Interpreter and checker, or a printed skip.
fn checker() -> Option<PathBuf> {
    let script = common::shared_path("tools/check_dram_commands.py")?;
    if Command::new("python3").arg("--version").output().is_err() {
        common::skip("python3 not found");
        return None;
    }
    Some(script)
}

fn accept(script: &Path, folders: &Path, count: usize) {
    let output = Command::new("python3")
        .arg(script)
        .arg(folders)
        .arg("--quiet")
        .output()
        .expect("python3 runs, as its version call did");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    eprintln!("{}", text.lines().last().unwrap_or("no output"));
    assert!(output.status.success(), "{text}{errors}");
    assert!(text.contains(&format!("{count} of {count} traces legal")), "{text}{errors}");
}

fn write_trace(dir: &Path, params: &CaseParams, commands: &[Issued]) {
    std::fs::create_dir_all(dir).expect("temporary folder");
    let file = std::fs::File::create(dir.join("commands.csv")).expect("temporary folder");
    let out = std::io::BufWriter::new(file);
    write_csv(out, commands, &params.commands, &params.organization).expect("temporary folder");
}

#[test]
fn the_checker_accepts_our_traces_of_the_golden_cases() {
    let (Some(script), Some(root)) = (checker(), common::shared_path("data/dram-golden")) else {
        return;
    };
    let out = tempfile::tempdir().expect("temporary folder");
    let dirs = common::case_dirs(&root);
    for dir in &dirs {
        let mut commands = Vec::new();
        let (params, result) = run_case(dir, &mut commands).expect("golden cases run");
        let target = out.path().join(dir.file_name().expect("a folder name"));
        std::fs::create_dir(&target).expect("temporary folder");
        for name in ["params.json", "requests.csv.gz"] {
            std::fs::copy(dir.join(name), target.join(name)).expect("temporary folder");
        }
        write_trace(&target, &params, &commands);
        // The checker knows one read per address, which holds in these cases only.
        let mut completions = "index,accept,complete\n".to_owned();
        for (index, served) in result.served.iter().enumerate() {
            writeln!(completions, "{index},{},{}", served.accept, served.complete)
                .expect("writes to memory");
        }
        std::fs::write(target.join("completions.csv"), completions).expect("temporary folder");
    }
    accept(&script, out.path(), dirs.len());
}

/// Parameters of a random case: device, channels, controller and refresh vary.
fn random_params(rng: &mut Pcg64Mcg) -> Value {
    let hbm = rng.random_bool(0.5);
    let channel_bits = rng.random_range(1..3u32);
    let rank_bits = rng.random_range(0..2u32);
    let dramsim3 = rng.random_bool(0.4);
    let per_bank = rng.random_bool(0.6);
    let (standard, tx_bits, act) = if hbm { ("HBM2", 5, 2) } else { ("DDR4", 6, 1) };
    let timing = if hbm {
        json!({"tBL": 2, "tCL": 14, "tCWL": 5, "tRCDRD": 14, "tRCDWR": 12, "tRP": 14, "tRAS": 34,
            "tRC": 48, "tWR": 16, "tRTP": 5, "tCCD_S": 2, "tCCD_L": 4, "tWTR_S": 6, "tWTR_L": 8,
            "tRRD_S": 4, "tRRD_L": 4, "tFAW": 15, "tRFC": 260, "tRTW": 13, "tREFI": 1500,
            "tRFCpb": 160, "tRREFD": 8, "act_cycles": act})
    } else {
        json!({"tBL": 4, "tCL": 16, "tCWL": 12, "tRCDRD": 16, "tRCDWR": 16, "tRP": 16, "tRAS": 39,
            "tRC": 55, "tWR": 18, "tRTP": 9, "tCCD_S": 4, "tCCD_L": 6, "tWTR_S": 3, "tWTR_L": 9,
            "tRRD_S": 4, "tRRD_L": 6, "tFAW": 26, "tRFC": 300, "tRTW": 10, "tREFI": 2000,
            "tRFCpb": 90, "tRREFD": 8, "act_cycles": act})
    };
    let mut lsb = 0;
    let mut field = |name: &str, bits: u32| {
        let value = json!({"field": name, "lsb": lsb, "bits": bits});
        lsb += bits;
        value
    };
    let fields = [
        field("offset", tx_bits),
        field("channel", channel_bits),
        field("column", 5),
        field("rank", rank_bits),
        field("bankgroup", 2),
        field("bank", 2),
        field("row", 10),
    ];
    let policy = if dramsim3 {
        json!({"model": "dramsim3", "unified_queue": rng.random_bool(0.3),
            "command_slots": if hbm { "up to two per cycle" } else { "one per cycle" },
            "row_policy": if rng.random_bool(0.3) { "closed" } else { "open" }})
    } else {
        json!({"model": "ramulator2",
            "scheduler": if rng.random_bool(0.5) { "FRFCFS" } else { "FRFCFS-RowHit" },
            "command_slots": if hbm { "column+row per cycle" } else { "one per cycle" },
            "row_policy": if rng.random_bool(0.3) { "closed" } else { "open" }})
    };
    let refresh = if per_bank {
        json!({"enabled": true, "kind": "per-bank", "interval_cycles": 120})
    } else {
        json!({"enabled": true, "kind": "all-bank"})
    };
    json!({
        "standard": standard,
        "organization": {"channels": 1 << channel_bits, "ranks": 1 << rank_bits, "bankgroups": 4,
            "banks_per_group": 4, "rows": 1024, "columns": 32, "tx_bytes": 1 << tx_bits,
            "rank_means": if hbm { "pseudochannel" } else { "rank" },
            "channel_width_bits": 64, "device_dq": 64},
        "timing": timing,
        "address_mapping": {"lsb_to_msb": fields},
        "policy": policy,
        "refresh": refresh,
        "unissued_writes": if dramsim3 { 8 << channel_bits } else { 0 },
    })
}

/// Requests that often repeat an address, in both directions.
fn random_requests(rng: &mut Pcg64Mcg, capacity: u64, tx_bytes: u64) -> String {
    let mut text = "arrival,op,address\n".to_owned();
    let hot: Vec<u64> = (0..40).map(|_| rng.random_range(0..capacity / tx_bytes)).collect();
    let mut arrival = 0u64;
    for _ in 0..1200 {
        if rng.random_bool(0.2) {
            arrival += rng.random_range(0..30);
        }
        let slot = match rng.random_range(0..3) {
            0 => hot[rng.random_range(0..hot.len())],
            1 => rng.random_range(0..4096),
            _ => rng.random_range(0..capacity / tx_bytes),
        };
        let op = if rng.random_bool(0.6) { 'R' } else { 'W' };
        writeln!(text, "{arrival},{op},{:#x}", slot * tx_bytes).expect("writes to memory");
    }
    text
}

#[test]
fn the_checker_accepts_random_cases_with_channels_repeats_and_per_bank_refresh() {
    let Some(script) = checker() else { return };
    let out = tempfile::tempdir().expect("temporary folder");
    let refreshing = tempfile::tempdir().expect("temporary folder");
    let mut rng = Pcg64Mcg::seed_from_u64(7);
    let mut per_bank = 0;
    for index in 0..50 {
        let name = format!("case{index:02}");
        let dir = out.path().join(&name);
        let mut json = random_params(&mut rng);
        let params = CaseParams::from_json(&json.to_string(), "params").expect("legal parameters");
        let tx_bytes = u64::from(params.organization.tx_bytes);
        let text = random_requests(&mut rng, params.mapping.capacity_bytes(), tx_bytes);
        let requests =
            read_requests(text.as_bytes(), &params.mapping, "requests").expect("legal requests");
        let (_, commands) = run(&params, &requests).expect("every request is served");
        let others = |issued: &&Issued| issued.command != REFPB;
        let known: Vec<Issued> = commands.iter().filter(others).copied().collect();
        write_trace(&dir, &params, &known);
        if json["refresh"]["kind"] == "per-bank" {
            let whole = refreshing.path().join(&name);
            write_trace(&whole, &params, &commands);
            std::fs::write(whole.join("params.json"), json.to_string()).expect("temporary folder");
            json["refresh"] = json!({"enabled": false});
            per_bank += 1;
        }
        std::fs::write(dir.join("params.json"), json.to_string()).expect("temporary folder");
        std::fs::write(dir.join("requests.csv"), text).expect("temporary folder");
    }
    accept(&script, out.path(), 50);
    accept(Path::new(PER_BANK_CHECKER), refreshing.path(), per_bank);
}

/// What the checkers must know of a device.
fn device_json(device: &Device, text: &str) -> Value {
    let o = &device.organization;
    let mut lsb = 0;
    let fields = text.split_whitespace().map(|part| {
        let (name, bits) = part.split_once(':').expect("a field and its bits");
        let bits: u32 = bits.parse().expect("a number");
        let field = json!({"field": name, "lsb": lsb, "bits": bits});
        lsb += bits;
        field
    });
    let fields: Vec<Value> = fields.collect();
    let timing: BTreeMap<&str, u64> = device.timing.iter().collect();
    let pseudo_channels = o.rank_means == RankMeaning::PseudoChannel;
    let (all_bank, per_bank) = match device.refresh {
        Refresh::AllBank { .. } => (true, None),
        Refresh::PerBank { interval, .. } => (false, Some(interval)),
        Refresh::Off => (false, None),
    };
    json!({
        "standard": device.standard,
        "organization": {"channels": o.channels, "ranks": o.ranks, "bankgroups": o.bankgroups,
            "banks_per_group": o.banks_per_group, "rows": o.rows, "columns": o.columns,
            "tx_bytes": o.tx_bytes,
            "rank_means": if pseudo_channels { "pseudochannel" } else { "rank" }},
        "timing": timing,
        "address_mapping": {"lsb_to_msb": fields},
        "refresh": {"enabled": all_bank, "interval_cycles": per_bank},
    })
}

/// Every built-in device, and those with ranks once more with two of them.
fn devices() -> Vec<(String, Device, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("devices");
    let mut all = Vec::new();
    for name in Device::names() {
        let text = std::fs::read_to_string(folder.join(format!("{name}.toml"))).expect("a table");
        let two =
            text.replace("ranks = 1\n", "ranks = 2\n").replace(" bankgroup:", " rank:1 bankgroup:");
        for (ranks, text) in [(1, text.clone()), (2, two)] {
            let timed = text.contains("tCS =");
            if ranks == 1 || timed {
                let device = Device::from_toml(&text, name).expect("a legal table");
                let fields = text.lines().find_map(|line| line.strip_prefix("mapping = "));
                let fields = fields.expect("a mapping").trim_matches('"').to_owned();
                all.push((format!("{name}-{ranks}"), device, fields));
            }
        }
    }
    all
}

/// A request that arrives in cycle i has its first command in cycle i + 1, on devices as in the
/// recorded cases.
#[test]
fn the_checkers_accept_every_device_under_every_policy() {
    let Some(script) = checker() else { return };
    let out = tempfile::tempdir().expect("temporary folder");
    let refreshing = tempfile::tempdir().expect("temporary folder");
    let mut rng = Pcg64Mcg::seed_from_u64(11);
    let (mut count, mut per_bank) = (0, 0);
    for (name, device, fields) in devices() {
        for (policy, _) in Policy::NAMES {
            let dir = out.path().join(format!("{name}-{policy}"));
            let controller = ControllerConfig {
                policy: Policy::named(policy).expect("a name of the list"),
                ..device.default_controller()
            };
            let params = CaseParams::of_device(&device, controller);
            let tx_bytes = u64::from(device.organization.tx_bytes);
            let text = random_requests(&mut rng, device.mapping.capacity_bytes(), tx_bytes);
            let requests =
                read_requests(text.as_bytes(), &params.mapping, "requests").expect("legal");
            let (_, commands) = run(&params, &requests).expect("every request is served");
            let json = device_json(&device, &fields);
            let known: Vec<Issued> =
                commands.iter().filter(|issued| issued.command != REFPB).copied().collect();
            write_trace(&dir, &params, &known);
            std::fs::write(dir.join("params.json"), json.to_string()).expect("temporary folder");
            std::fs::write(dir.join("requests.csv"), text).expect("temporary folder");
            if matches!(device.refresh, Refresh::PerBank { .. }) {
                let whole = refreshing.path().join(format!("{name}-{policy}"));
                write_trace(&whole, &params, &commands);
                std::fs::write(whole.join("params.json"), json.to_string()).expect("folder");
                per_bank += 1;
            }
            count += 1;
        }
    }
    assert!(count >= 40 && per_bank >= 16, "{count} traces, {per_bank} with per-bank refresh");
    accept(&script, out.path(), count);
    accept(Path::new(PER_BANK_CHECKER), refreshing.path(), per_bank);
}
