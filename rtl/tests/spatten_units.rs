//! SpAtten's data path: lint-clean for every preset and for random machines, refused where it cannot
//! be built.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

mod common;

use std::{fs, process::Command, sync::Arc};

use attelier_hw::{config, spatten::Spatten};
use attelier_rtl::{Design, Error, ir::Module, units::spatten};
use common::has;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

type Unit = fn(&Spatten) -> Result<Arc<Module>, Error>;

const UNITS: [Unit; 9] = [
    spatten::bitwidth_converter,
    spatten::key_sram,
    spatten::value_sram,
    spatten::qk_array,
    spatten::softmax,
    spatten::quant_decision,
    spatten::token_importance,
    spatten::pv_array,
    spatten::head_importance,
];

fn machine(preset: &str, sets: &[String]) -> Spatten {
    Spatten::check(&config::load(preset, None, sets).unwrap()).unwrap()
}

/// A machine of random size, with latencies from the shortest on.
fn random_machine(random: &mut Pcg64Mcg) -> Spatten {
    let lanes = 1u32 << random.random_range(0..4);
    let head_dim = 1u32 << random.random_range(1..5);
    let bits = random.random_range(2..=8u32) * 2;
    let multipliers = lanes * head_dim * 4;
    let (lanes, bytes) = (lanes * 4, 16 * multipliers * bits / 8);
    let mut sets = Vec::new();
    let mut set = |path: &str, value: u32| sets.push(format!("{path}={value}"));
    set("head_dim", head_dim);
    set("datapath_bits", bits);
    set("qk_array.multipliers", multipliers);
    set("pv_array.multipliers", multipliers);
    set("key_sram.bytes", bytes);
    set("value_sram.bytes", bytes);
    set("bitwidth_converter.buffer_bytes", 1 << 13);
    set("softmax.fifo_depth", random.random_range(1..40));
    set("softmax.scale_cycles", random.random_range(5..8));
    set("softmax.exp_cycles", random.random_range(11..14));
    set("softmax.accumulate_cycles", 2 * lanes.ilog2() + random.random_range(4..7));
    set("softmax.divide_cycles", random.random_range(24..30));
    set("softmax.quantise_cycles", random.random_range(2..4));
    set("quant_decision.fifo_depth", random.random_range(1..40));
    set("pv_array.fifo_depth", random.random_range(1..40));
    machine("spatten", &sets)
}

/// All modules of a machine, without a warning of Verilator's.
fn lint(machine: &Spatten) {
    for unit in UNITS {
        let module = unit(machine).unwrap();
        let design = Design::new([&module]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let files = design.verilog();
        for file in &files {
            assert!(
                file.text.lines().all(|line| line.len() <= 120),
                "{} has a long line",
                file.name
            );
            fs::write(folder.path().join(&file.name), &file.text).unwrap();
        }
        let again = Design::new([&unit(machine).unwrap()]).unwrap().verilog();
        assert!(files.iter().zip(&again).all(|(a, b)| a.text == b.text), "{}", module.name());
        let lint = Command::new("verilator")
            .args(["--lint-only", "-Wall", "--top-module", module.name()])
            .args(files.iter().map(|file| &file.name))
            .current_dir(folder.path())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&lint.stderr);
        assert!(lint.status.success() && text.is_empty(), "{machine:?}\n{text}");
    }
}

#[test]
fn presets_are_lint_clean() {
    if !has("verilator") {
        return;
    }
    for preset in ["spatten", "spatten-eighth"] {
        lint(&machine(preset, &[]));
    }
}

#[test]
fn random_machines_are_lint_clean() {
    if !has("verilator") {
        return;
    }
    let mut random = Pcg64Mcg::seed_from_u64(5);
    for _ in 0..4 {
        lint(&random_machine(&mut random));
    }
}

#[test]
fn latencies_too_short_for_the_stages_are_refused() {
    let refused = |change: &dyn Fn(&mut Spatten), unit: Unit, parameter: &str| {
        let mut machine = machine("spatten", &[]);
        unit(&machine).unwrap();
        change(&mut machine);
        let error = unit(&machine).unwrap_err().to_string();
        assert!(error.contains(parameter), "{error}");
    };
    refused(&|m| m.softmax.scale_cycles = 4, spatten::softmax, "softmax.scale_cycles = 4");
    refused(&|m| m.softmax.exp_cycles = 10, spatten::softmax, "softmax.exp_cycles = 10");
    refused(&|m| m.softmax.accumulate_cycles = 9, spatten::softmax, "accumulate_cycles = 9");
    refused(&|m| m.softmax.divide_cycles = 22, spatten::softmax, "softmax.divide_cycles = 22");
    refused(&|m| m.softmax.quantise_cycles = 1, spatten::softmax, "quantise_cycles = 1");
    refused(&|m| m.softmax.lanes = 6, spatten::softmax, "softmax.lanes = 6");
    refused(&|m| m.softmax.fifo_depth = 0, spatten::softmax, "softmax.fifo_depth = 0");
    refused(&|m| m.datapath_bits = 17, spatten::softmax, "datapath_bits = 17");
    refused(&|m| m.qk_array.latency_cycles = 7, spatten::qk_array, "latency_cycles = 7");
    refused(&|m| m.head_dim = 48, spatten::qk_array, "head_dim = 48");
    refused(&|m| m.head_dim = 512, spatten::qk_array, "latency_cycles = 8");
    refused(&|m| m.pv_array.latency_cycles = 4, spatten::pv_array, "latency_cycles = 4");
    refused(
        &|m| m.quant_decision.verdict_cycles = 4,
        spatten::quant_decision,
        "verdict_cycles = 4",
    );
    refused(&|m| m.key_sram.lines = 257, spatten::key_sram, "lines = 257");
    let converter: Unit = spatten::bitwidth_converter;
    refused(&|m| m.bitwidth_converter.buffer_bytes = 1024 + 512, converter, "buffer_bytes = 1536");
    refused(&|m| m.bitwidth_converter.buffer_bytes = 512, converter, "buffer_bytes = 512");
    refused(&|m| m.topk_token.capacity = 1, spatten::head_importance, "capacity = 1");
}
