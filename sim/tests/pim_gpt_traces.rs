//! Command traces of PIM-GPT against a checker in Python that knows nothing of the engine.
//!
//! `tests/python/check_pim_commands.py` holds the rules of in-memory commands; those of ordinary ones
//! are checked by the shared tool below `ATTELIER_SHARED`. The checker also damages the traces in every
//! way that a rule names and has to notice each.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

use std::cell::RefCell;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use attelier_dram::Device;
use attelier_dram::command::{ACT, WR};
use attelier_dram::trace::{CommandSink, Issued};
use attelier_hw::config;
use attelier_hw::pim_gpt::PimGpt;
use attelier_sim::designs::pim_gpt::compile::{Compiler, expand};
use attelier_sim::designs::pim_gpt::isa::Instruction;
use attelier_sim::designs::pim_gpt::placement::Placement;
use attelier_sim::designs::pim_gpt::{Machine, device};
use attelier_workloads::decoding::DecoderShape;
use serde_json::{Value, json};

fn machine(preset: &str, set: &[&str]) -> PimGpt {
    let sets: Vec<String> = set.iter().map(ToString::to_string).collect();
    PimGpt::check(&config::load(preset, None, &sets).unwrap()).unwrap()
}

/// Commands that can be looked at while a machine runs.
struct Shared<'a>(&'a RefCell<Vec<Issued>>);

impl CommandSink for Shared<'_> {
    fn command(&mut self, issued: &Issued) {
        self.0.borrow_mut().push(*issued);
    }
}

/// A vector that is written behind MAC commands: its half, and how many bursts are to come.
#[derive(Default)]
struct Announced {
    half: u32,
    left: u32,
}

impl Announced {
    /// Half of the vector buffer that a command of `instruction` uses.
    fn half(&mut self, name: &str, instruction: &Instruction) -> i64 {
        match (name, *instruction) {
            ("MACAB", Instruction::Mac { half, .. }) => half.into(),
            // What was announced is written to its end before another vector begins.
            ("WRGB", _) if self.left > 0 => {
                self.left -= 1;
                self.half.into()
            }
            ("WRGB", Instruction::WriteVector { half, .. }) => half.into(),
            _ => -1,
        }
    }
}

/// Two tokens of a small model, as a table for the checker.
fn trace(machine: &PimGpt, device: &Device) -> String {
    let shape = DecoderShape::gpt(2, 1280, 20).unwrap();
    let placement = Placement::new(machine, &shape, 1100, false).unwrap();
    let compiler = Compiler::new(machine, &shape, &placement);
    let issued = RefCell::new(Vec::new());
    let mut run = Machine::new(machine, Shared(&issued)).unwrap();
    let (mut announced, mut opened) = (Announced::default(), None);
    let mut text = "cycle,cmd,channel,rank,bankgroup,bank,row,column,half\n".to_owned();
    for context in [130, 1100] {
        let program = compiler.layer(context);
        for layer in 0..shape.layers {
            let first = compiler.first_row(layer);
            for instruction in expand(&program, machine.mac.columns, first) {
                run.execute(&instruction).unwrap();
                for mut issued in issued.take() {
                    // The tool for single banks wants to know the row of a write.
                    match issued.command {
                        ACT => opened = issued.row,
                        WR => issued.row = opened,
                        _ => {}
                    }
                    let name = &device.commands.spec(issued.command).name;
                    let half = announced.half(name, &instruction);
                    line(&mut text, device, name, &issued, half);
                }
                if let Instruction::WriteVector { half, bursts, shadow: true, .. } = instruction {
                    announced = Announced { half, left: bursts };
                }
            }
        }
    }
    text
}

fn line(text: &mut String, device: &Device, name: &str, issued: &Issued, half: i64) {
    let (_, group, bank) = device.organization.split_bank(issued.bank);
    let optional = |value: Option<u32>| value.map_or(-1, i64::from);
    let (row, column) = (optional(issued.row), optional(issued.column));
    writeln!(text, "{},{name},0,0,{group},{bank},{row},{column},{half}", issued.cycle).unwrap();
}

/// Organisation and timings in the names of the checker, from the parameters, not from the engine.
fn parameters(machine: &PimGpt) -> Value {
    let t = &machine.timing;
    let mut timing = json!({
        "tCL": t.n_cl, "tCWL": t.n_cwl, "tBL": t.n_bl, "tRCDRD": t.n_rcd_rd, "tRCDWR": t.n_rcd_wr,
        "tRCDMAC": t.n_rcd_mac, "tRP": t.n_rp, "tRAS": t.n_ras, "tRC": t.n_ras + t.n_rp,
        "tWR": t.n_wr, "tRTP": t.n_rtp, "tCCD_S": t.n_ccd, "tCCD_L": t.n_ccd,
        "tCCDMAC": machine.mac.interval, "tWTR_S": t.n_wtr, "tWTR_L": t.n_wtr, "tRTW": t.n_rtw,
        "tRRD_S": t.n_rrd, "tRRD_L": t.n_rrd, "tRFC": t.n_rfc, "tREFI": t.n_refi,
        "tMACRD": t.n_mac_rd, "tRDMAC": t.n_rd_mac,
    });
    if machine.memory.activation == attelier_hw::pim_gpt::Activation::BankGroup {
        timing["tFAW"] = t.n_faw.into();
    }
    json!({
        "standard": "GDDR6",
        "organization": {
            "channels": 1, "ranks": 1, "bankgroups": 4, "banks_per_group": machine.memory.banks / 4,
            "rows": machine.memory.rows, "columns": machine.memory.row_bytes / machine.memory.burst_bytes,
            "rank_means": "rank",
        },
        "timing": timing,
        "refresh": {"enabled": machine.memory.refresh},
    })
}

/// The checker, or a printed skip.
fn checker() -> Option<(PathBuf, PathBuf)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let shared =
        std::env::var_os("ATTELIER_SHARED").map_or_else(|| root.join("../shared"), PathBuf::from);
    let tool = shared.join("tools/check_dram_commands.py");
    let python = Command::new("python3").arg("--version").output().is_ok();
    if tool.exists() && python {
        return Some((root.join("tests/python/check_pim_commands.py"), shared));
    }
    eprintln!("skipped: needs python3 and {}", tool.display());
    let all = std::env::var("ATTELIER_REQUIRE_ALL").is_ok_and(|value| value == "1");
    assert!(!all, "nothing may be skipped here");
    None
}

/// Writes a trace and its parameters into `folder`, and lets the checker say what it thinks.
fn judge(machine: &PimGpt, folder: &Path, trace: &str, mutants: bool) -> Option<(bool, String)> {
    let (script, shared) = checker()?;
    let [commands, parameters_file] = ["trace.csv", "params.json"].map(|name| folder.join(name));
    std::fs::write(&commands, trace).unwrap();
    std::fs::write(&parameters_file, parameters(machine).to_string()).unwrap();
    let mut command = Command::new("python3");
    command.env("ATTELIER_SHARED", shared).arg(script).arg(&commands).arg(&parameters_file);
    if mutants {
        command.arg("--mutants");
    }
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&text).into_owned()))
}

const MACHINES: [(&str, &[&str]); 5] = [
    ("pim-gpt", &[]),
    ("pim-gpt-aim", &[]),
    ("pim-gpt-aim", &["memory.activation=bank-group"]),
    ("pim-gpt", &["memory.double_buffer=false", "overlap.stream_results=false"]),
    ("pim-gpt", &["asic.clock_hz=100_000_000", "timing.n_mac_rd=2", "timing.n_rd_mac=2"]),
];

#[test]
fn every_trace_is_legal_and_every_damaged_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (preset, set) in MACHINES {
        let machine = machine(preset, set);
        let device = device::device(&machine).unwrap();
        let trace = trace(&machine, &device);
        for name in ["MACAB", "WRGB", "RDMAC", "WR", "WRAB", "PREA", "REFA"] {
            assert!(trace.contains(&format!(",{name},")), "{preset} {set:?}: no {name}");
        }
        assert!(trace.lines().count() > 10_000, "{preset} {set:?}");
        let Some((legal, text)) = judge(&machine, folder.path(), &trace, true) else { return };
        eprintln!("{preset} {set:?}: {text}");
        assert!(legal, "{preset} {set:?}: {text}");
        // Every damage was found, and there were many.
        let counts = text.lines().find(|line| line.ends_with("mutants caught")).unwrap();
        let caught: u32 = counts.split(' ').next().unwrap().parse().unwrap();
        assert!(caught >= 20, "{counts}");
    }
}
